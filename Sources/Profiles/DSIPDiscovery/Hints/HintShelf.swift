import DSIPIdentity

/// Hints by subject, one each, by the precedence of DSIP §8.3: a node's store, or a reader's cache.
///
/// Holds verified records only. Bounded: when full, what expires first goes.
public struct HintShelf: Sendable {
    private let capacity: Int
    private var records: [DID: HintRecord] = [:]

    public init(capacity: Int = 10_000) { self.capacity = max(1, capacity) }

    public var count: Int { records.count }

    /// The live hint of `subject`.
    public func record(_ subject: DID, at now: Int64) -> HintRecord? {
        records[subject].flatMap { now < $0.expiresAt ? $0 : nil }
    }

    @discardableResult
    public mutating func offer(_ record: HintRecord, at now: Int64) -> HintPrecedence {
        let precedence =
            self.record(record.subject, at: now).map {
                HintPrecedence(of: record.seq, over: $0.seq, isSameContent: record.isSame(as: $0))
            } ?? .first
        if precedence.replaces {
            records[record.subject] = record
            if records.count > capacity { evict(at: now) }
        }
        return precedence
    }

    public mutating func remove(_ subject: DID) { records[subject] = nil }

    private mutating func evict(at now: Int64) {
        records = records.filter { now < $0.value.expiresAt }
        let surplus = records.count - capacity
        guard surplus > 0 else { return }
        // An eighth at once, so that a full shelf is not searched for each newcomer.
        let ranked = records.values.sorted { $0.expiresAt < $1.expiresAt }
        for record in ranked.prefix(max(surplus, capacity / 8)) { records[record.subject] = nil }
    }
}

extension HintRecord {
    /// Whether both say the same: their payloads are equal, byte for byte.
    func isSame(as other: HintRecord) -> Bool {
        bytes == other.bytes || Envelope(bytes)?.payloadText == Envelope(other.bytes)?.payloadText
    }
}
