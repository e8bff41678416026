/// A rate as a bucket: `burst` tokens at most, refilled at `perSecond`. Time is passed in, in seconds.
public struct Rate: Hashable, Sendable {
    /// Tokens a full bucket holds: what may happen at once.
    public var burst: Double
    public var perSecond: Double

    public init(burst: Double, perSecond: Double) {
        self.burst = burst
        self.perSecond = perSecond
    }

    /// `count` every `seconds`, all of which may come at once.
    public init(_ count: Int, per seconds: Double) {
        self.init(burst: Double(max(count, 0)), perSecond: Double(max(count, 0)) / seconds)
    }

    public static func perMinute(_ count: Int) -> Rate { Rate(count, per: 60) }
    public static func perDay(_ count: Int) -> Rate { Rate(count, per: 86_400) }
}

/// What is left of one `Rate` for one key.
struct TokenBucket: Sendable {
    private var tokens: Double
    private var updatedAt: Double

    init(_ rate: Rate, at now: Double) {
        self.tokens = rate.burst
        self.updatedAt = now
    }

    /// Takes one token.
    /// - Returns: nil when there was one, else the whole seconds until there is (never 0; a rate of zero gives a day).
    mutating func take(_ rate: Rate, at now: Double) -> Int? {
        // A clock that steps back refills nothing and takes nothing away.
        tokens = min(rate.burst, tokens + max(0, now - updatedAt) * rate.perSecond)
        updatedAt = max(updatedAt, now)
        if tokens >= 1 {
            tokens -= 1
            return nil
        }
        guard rate.perSecond > 0 else { return 86_400 }
        return max(1, Int(((1 - tokens) / rate.perSecond).rounded(.up)))
    }

    /// Gives one token back, for an attempt that another limit refused.
    mutating func giveBack(_ rate: Rate) { tokens = min(rate.burst, tokens + 1) }
}
