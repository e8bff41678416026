/// Time that moves when a test says so. Unix seconds, and milliseconds below them.
public struct ManualClock: Hashable, Sendable {
    /// Unix milliseconds.
    public private(set) var milliseconds: Int64

    public init(seconds: Int64 = 1_760_000_000) { self.milliseconds = seconds * 1000 }

    /// Unix seconds, rounded down.
    public var seconds: Int64 { milliseconds / 1000 }

    public mutating func advance(seconds: Int64) { milliseconds += seconds * 1000 }
    public mutating func advance(milliseconds: Int64) { self.milliseconds += milliseconds }

    /// Moves forward to `time`, and never back.
    public mutating func advance(toMilliseconds time: Int64) { milliseconds = max(milliseconds, time) }
}
