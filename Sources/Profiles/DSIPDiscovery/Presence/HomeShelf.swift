import DSIPIdentity

/// Home records by subject, one each, the highest `seq`: what a relay announces while their owners sleep.
///
/// Holds verified records only. Bounded: when full, what expires first goes.
public struct HomeShelf: Sendable {
    private let capacity: Int
    private var records: [DID: HomeRecord] = [:]

    public init(capacity: Int = 10_000) { self.capacity = max(1, capacity) }

    /// The live record of `subject`.
    public func record(_ subject: DID, at now: Int64) -> HomeRecord? {
        records[subject].flatMap { now < $0.expiresAt ? $0 : nil }
    }

    /// - Returns: false when a live record as new, or newer, is held.
    @discardableResult
    public mutating func offer(_ record: HomeRecord, at now: Int64) -> Bool {
        if let held = self.record(record.subject, at: now), held.seq >= record.seq { return false }
        records[record.subject] = record
        if records.count > capacity {
            // An eighth at once, so that a full shelf is not searched for each newcomer.
            let ranked = records.values.sorted { $0.expiresAt < $1.expiresAt }
            for record in ranked.prefix(max(1, capacity / 8)) { records[record.subject] = nil }
        }
        return true
    }
}
