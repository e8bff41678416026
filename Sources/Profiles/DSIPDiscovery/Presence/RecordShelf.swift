/// Records of the directory by their keys, one each by the rules of ``DirectoryValidator``: what a relay keeps for those whose devices
/// sleep.
///
/// Bounded: when full, what expires first goes. Times in milliseconds.
public struct RecordShelf: Sendable {
    public enum Outcome: Hashable, Sendable {
        case stored
        /// What is held is as new, or newer.
        case kept(isSame: Bool)
    }

    private let capacity: Int
    private let rules: DirectoryValidator
    private var records: [[UInt8]: (value: [UInt8], until: Int64)] = [:]

    public init(rules: DirectoryValidator, capacity: Int = 10_000) {
        self.rules = rules
        self.capacity = max(1, capacity)
    }

    public var count: Int { records.count }

    /// The live record under `key`.
    public func record(_ key: [UInt8], at now: Int64) -> [UInt8]? {
        records[key].flatMap { now < $0.until ? $0.value : nil }
    }

    /// - Throws: what is wrong with the record under this key.
    @discardableResult
    public mutating func offer(_ key: [UInt8], _ value: [UInt8], at now: Int64) throws -> Outcome {
        let until = try rules.validate(key: key, value: value, at: now) ?? now
        if let held = record(key, at: now) {
            guard held != value else { return .kept(isSame: true) }
            guard rules.select(key: key, values: [held, value]) == 1 else { return .kept(isSame: false) }
        }
        records[key] = (value, until)
        if records.count > capacity {
            // An eighth at once, so that a full shelf is not searched for each newcomer.
            let ranked = records.sorted { $0.value.until < $1.value.until }
            for (key, _) in ranked.prefix(max(1, capacity / 8)) { records[key] = nil }
        }
        return .stored
    }
}
