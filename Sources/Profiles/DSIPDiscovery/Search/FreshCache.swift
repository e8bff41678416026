/// Answers and failures for a while: fresh ones are used, failures remembered briefly, and old answers serve on while their source fails
/// (offline grace). Times in seconds.
struct FreshCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    struct Policy: Sendable {
        var capacity = 2048
        /// How long a failure is remembered.
        var negative: Int64 = 15
        /// How long past its end an answer serves while its source fails.
        var grace: Int64 = 86_400
        /// A source can neither be asked oftener, nor relied upon longer.
        var lifetime: ClosedRange<Int64> = 30...3600
    }

    enum Hit: Sendable {
        case fresh(Value)
        /// It failed lately; what was known before, while that is still good enough.
        case failed(stale: Value?)
    }

    private struct Entry: Sendable {
        var value: Value?
        var freshUntil: Int64 = .min
        var failedUntil: Int64 = .min
        var use: UInt64
    }

    let policy: Policy
    private var entries: [Key: Entry] = [:]
    private var uses: UInt64 = 0

    init(policy: Policy = Policy()) { self.policy = policy }

    var count: Int { entries.count }

    mutating func lookup(_ key: Key, at now: Int64) -> Hit? {
        guard let entry = entries[key] else { return nil }
        uses += 1
        entries[key]?.use = uses
        if let value = entry.value, now < entry.freshUntil { return .fresh(value) }
        guard now < entry.failedUntil else { return nil }
        return .failed(stale: stale(entry, at: now))
    }

    mutating func store(_ key: Key, _ value: Value, lifetime: Int64, at now: Int64) {
        uses += 1
        let lifetime = min(max(lifetime, policy.lifetime.lowerBound), policy.lifetime.upperBound)
        insert(key, Entry(value: value, freshUntil: now + lifetime, use: uses))
    }

    /// - Parameter isGone: the source says that there is nothing any more, which is believed at once.
    /// - Returns: what was known before, while that is still good enough.
    mutating func fail(_ key: Key, isGone: Bool, at now: Int64) -> Value? {
        uses += 1
        var entry = entries[key] ?? Entry(use: uses)
        if isGone { entry.value = nil }
        entry.failedUntil = now + policy.negative
        entry.use = uses
        insert(key, entry)
        return stale(entry, at: now)
    }

    private func stale(_ entry: Entry, at now: Int64) -> Value? {
        entry.value.flatMap { now - policy.grace < entry.freshUntil ? $0 : nil }
    }

    private mutating func insert(_ key: Key, _ entry: Entry) {
        entries[key] = entry
        guard entries.count > policy.capacity else { return }
        // An eighth at once: failures first, then what was not used for longest.
        let ranked = entries.sorted { a, b in
            let (aFailed, bFailed) = (a.value.value == nil, b.value.value == nil)
            return aFailed == bFailed ? a.value.use < b.value.use : aFailed
        }
        for (key, _) in ranked.prefix(max(1, policy.capacity / 8)) { entries[key] = nil }
    }
}
