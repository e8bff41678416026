import Encoding

/// When content that is meant to disappear does, on this device (`docs/messaging.md`).
///
/// The time runs from when the person read it, and for what the person said from when it was sent. Deleting is the owner's: the
/// content, its blobs, its archive record and its place in the search index. It is a courtesy between people who trust each other;
/// nothing can hold another device to it.
public struct Disappearance: Hashable, Sendable {
    /// Content waiting to be forgotten.
    public static let maximumEntries = 65_536

    private var lives: [ULID: Int64] = [:]
    private var ends: [ULID: Int64] = [:]

    public init() {}

    /// Content came, or was sent, that is to live for `seconds` after it is read.
    public mutating func received(_ content: ULID, for seconds: Int64) {
        guard lives.count < Self.maximumEntries, seconds > 0 else { return }
        lives[content] = min(seconds, ContentExtensions.longestLife)
    }

    /// The person has read it, or it was sent.
    public mutating func read(_ content: ULID, at now: Int64) {
        guard let life = lives[content], ends[content] == nil else { return }
        ends[content] = now + life
    }

    public var deadline: Int64? { ends.values.min() }

    /// - Returns: what to forget now.
    public mutating func advance(to now: Int64) -> [ULID] {
        let gone = ends.filter { $0.value <= now }.map(\.key).sorted()
        for id in gone {
            ends[id] = nil
            lives[id] = nil
        }
        return gone
    }
}
