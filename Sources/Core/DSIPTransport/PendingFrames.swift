/// Frames that wait, in order, while one before them waits for a document (DSIP §8.1).
///
/// Verification never waits; a connection does. While a frame's signer is being resolved the frames behind it are kept here and
/// nothing more is read, so what can pile up is one read cycle, and bounded besides. Empty and without storage otherwise.
struct PendingFrames {
    /// Resolutions one frame may ask for: its signer, the subject of a delegation, and one to spare.
    static let maximumResolutions = 3

    struct Entry {
        var frame: [UInt8]
        var resolutions: Int
    }

    private var entries: [Entry] = []
    private var bytes = 0
    /// Whether the first entry waits for a resolution.
    private(set) var isWaiting = false

    /// Keeps a frame that came while another waits.
    ///
    /// - Returns: false when that exceeds `limit` bytes; nothing is kept then.
    mutating func append(_ frame: [UInt8], limit: Int) -> Bool {
        guard bytes + frame.count <= limit else { return false }
        bytes += frame.count
        entries.append(Entry(frame: frame, resolutions: 0))
        return true
    }

    /// Puts the frame that asked for a resolution before all others.
    mutating func wait(_ entry: Entry) {
        entries.insert(Entry(frame: entry.frame, resolutions: entry.resolutions + 1), at: 0)
        bytes += entry.frame.count
        isWaiting = true
    }

    /// The resolution has ended, well or not.
    mutating func resume() { isWaiting = false }

    /// The next frame to verify, unless one is waiting.
    mutating func next() -> Entry? {
        guard !isWaiting, !entries.isEmpty else { return nil }
        let entry = entries.removeFirst()
        bytes -= entry.frame.count
        if entries.isEmpty { entries = [] }
        return entry
    }

    mutating func removeAll() {
        entries = []
        bytes = 0
        isWaiting = false
    }
}
