/// The highest `seq` of the records seen under each key of the directory, so that an older one is not taken again (a replay), though it
/// is still live: of a record that holds for less long than the one before, the time would not tell.
public protocol SequenceMemory: Sendable {
    func sequence(under key: [UInt8]) async -> Int64?
    /// Lower than what is known changes nothing.
    func remember(_ seq: Int64, under key: [UInt8]) async
}

/// A memory for as long as the process runs, bounded: the key not asked for longest is forgotten.
public actor ShortSequenceMemory: SequenceMemory {
    private let capacity: Int
    private var seen: [[UInt8]: (seq: Int64, use: UInt64)] = [:]
    private var uses: UInt64 = 0

    public init(capacity: Int = 4096) { self.capacity = max(1, capacity) }

    public var count: Int { seen.count }

    public func sequence(under key: [UInt8]) -> Int64? {
        guard let entry = seen[key] else { return nil }
        uses += 1
        seen[key]?.use = uses
        return entry.seq
    }

    public func remember(_ seq: Int64, under key: [UInt8]) {
        uses += 1
        seen[key] = (max(seq, seen[key]?.seq ?? .min), uses)
        guard seen.count > capacity else { return }
        for (old, _) in seen.sorted(by: { $0.value.use < $1.value.use }).prefix(max(1, capacity / 8)) {
            seen[old] = nil
        }
    }
}
