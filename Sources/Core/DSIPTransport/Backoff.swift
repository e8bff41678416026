/// When to dial again: exponential backoff with full jitter (DSIP §13.2), as a value without a clock.
///
/// Full jitter draws the delay uniformly from zero to the bound, so that a relay that restarts is not met by all its clients at
/// once. The bound falls back to `initial` only after a connection that lasted: a relay that accepts and drops at once is
/// approached as carefully as one that does not answer.
///
/// ```swift
/// var backoff = Backoff()
/// let delay = backoff.connectionLost(after: lifetime, using: &generator)
/// ```
public struct Backoff: Sendable, Hashable {
    public let initial: Duration
    public let factor: Int
    public let maximum: Duration
    /// A bound connection that lived this long counts as a success.
    public let settled: Duration
    /// Delays drawn since the last success.
    public private(set) var attempts = 0

    public init(
        initial: Duration = .seconds(1),
        factor: Int = 2,
        maximum: Duration = .seconds(60),
        settled: Duration = .seconds(10)
    ) {
        precondition(initial > .zero && factor >= 1 && maximum >= initial, "a backoff grows from a positive delay")
        self.initial = initial
        self.factor = factor
        self.maximum = maximum
        self.settled = settled
    }

    /// The largest delay that can be drawn next.
    public var bound: Duration {
        var bound = initial
        for _ in 0..<attempts {
            bound = bound * factor
            if bound >= maximum { return maximum }
        }
        return bound
    }

    /// - Parameter lifetime: how long the connection was bound; zero when it never was.
    /// - Returns: how long to wait before dialling.
    public mutating func connectionLost(
        after lifetime: Duration,
        using generator: inout some RandomNumberGenerator
    ) -> Duration {
        if lifetime >= settled { attempts = 0 }
        let milliseconds = bound.components.seconds * 1000 + bound.components.attoseconds / 1_000_000_000_000_000
        // Past this many the bound no longer grows.
        attempts = min(attempts + 1, 64)
        return .milliseconds(Int64.random(in: 0...milliseconds, using: &generator))
    }
}
