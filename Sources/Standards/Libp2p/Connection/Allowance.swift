/// So many at once, so many a second after that: a bucket that time fills.
struct Allowance: Sendable {
    private let burst: Int
    private let perSecond: Int
    /// Thousandths.
    private var left: Int64
    private var filledAt: Int64

    init(burst: Int, perSecond: Int, at now: Int64) {
        self.burst = burst
        self.perSecond = perSecond
        self.left = Int64(burst) * 1000
        self.filledAt = now
    }

    /// - Returns: false when nothing is left at this time (milliseconds).
    mutating func take(at now: Int64) -> Bool {
        let passed = min(max(0, now - filledAt), 3_600_000)
        filledAt = max(filledAt, now)
        left = min(Int64(burst) * 1000, left + passed * Int64(perSecond))
        guard left >= 1000 else { return false }
        left -= 1000
        return true
    }
}
