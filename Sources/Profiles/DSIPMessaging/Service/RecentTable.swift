/// What was used last, up to a number: two generations, of which the older goes whole. Looking up and putting cost the same however
/// much is held.
struct RecentTable<Key: Hashable, Value> {
    private let capacity: Int
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]

    init(capacity: Int) { self.capacity = max(2, capacity) }

    mutating func value(for key: Key) -> Value? {
        if let value = young[key] { return value }
        guard let value = old.removeValue(forKey: key) else { return nil }
        put(value, for: key)
        return value
    }

    /// Without counting as use.
    func peek(_ key: Key) -> Value? { young[key] ?? old[key] }

    mutating func put(_ value: Value, for key: Key) {
        if young.count >= capacity / 2 {
            old = young
            young = [:]
        }
        old[key] = nil
        young[key] = value
    }

    mutating func removeAll() {
        young = [:]
        old = [:]
    }
}

extension RecentTable: Sendable where Key: Sendable, Value: Sendable {}

/// How often somebody may do something: a bucket of permits that fills up again.
struct Throttle<Key: Hashable> {
    private struct Bucket: Sendable {
        var permits: Double
        var at: Int64
    }

    private let burst: Double
    private let perSecond: Double
    private var buckets: RecentTable<Key, Bucket>

    init(burst: Int, perSecond: Double, capacity: Int = 16_384) {
        self.burst = Double(max(1, burst))
        self.perSecond = max(0.001, perSecond)
        buckets = RecentTable(capacity: capacity)
    }

    /// - Returns: the seconds until one more may come, or nil when this one counted.
    mutating func admit(_ key: Key, at now: Int64) -> Int64? {
        var bucket = buckets.value(for: key) ?? Bucket(permits: burst, at: now)
        bucket.permits = min(burst, bucket.permits + Double(max(0, now - bucket.at)) * perSecond)
        bucket.at = max(bucket.at, now)
        let isAdmitted = bucket.permits >= 1
        if isAdmitted { bucket.permits -= 1 }
        buckets.put(bucket, for: key)
        return isAdmitted ? nil : Int64(((1 - bucket.permits) / perSecond).rounded(.up))
    }
}

extension Throttle: Sendable where Key: Sendable {}
