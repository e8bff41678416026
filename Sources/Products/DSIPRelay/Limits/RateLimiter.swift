/// Token buckets by key, in bounded memory.
///
/// Two generations of at most `capacity / 2` keys: a key that is used moves into the young one; when that is full, the old one is
/// dropped whole and the young one takes its place. A dropped key starts afresh with a full bucket, so a flood of invented keys can
/// only ever make this limiter kinder, never make it forget to answer; what bounds the flood is the limiter of whoever sends it.
struct RateLimiter<Key: Hashable & Sendable>: Sendable {
    let capacity: Int
    private var young: [Key: TokenBucket] = [:]
    private var old: [Key: TokenBucket] = [:]

    init(capacity: Int) { self.capacity = max(2, capacity) }

    /// Keys remembered now.
    var count: Int { young.count + old.count }

    /// Takes a token of `key` under `rate`.
    /// - Returns: nil when it may go ahead, else the seconds after which it may try again.
    mutating func take(_ key: Key, _ rate: Rate, at now: Double) -> Int? {
        if young[key] != nil { return young[key]!.take(rate, at: now) }
        var bucket = old.removeValue(forKey: key) ?? TokenBucket(rate, at: now)
        let wait = bucket.take(rate, at: now)
        if young.count >= capacity / 2 {
            old = young
            young = [:]
        }
        young[key] = bucket
        return wait
    }

    mutating func giveBack(_ key: Key, _ rate: Rate) {
        young[key]?.giveBack(rate)
    }
}
