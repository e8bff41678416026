/// The timers of an endpoint (DSIP §12.9). A session runs at most one at a time.
public enum EndpointTimer: String, Hashable, Sendable, CaseIterable {
    /// Initiator: from `invite` to the first `progress` or `answer`.
    case establish = "T-Establish"
    /// Initiator: how long a person may take to answer.
    case ring = "T-Ring"
    /// Initiator: a bounded wait in a queue (DSIP §12.10).
    case queue = "T-Queue"
    /// Responder: how long this device alerts.
    case ringLocal = "T-Ring-Local"

    /// Seconds, when nothing else is said; a queue always says.
    public var defaultSeconds: Int64 {
        switch self {
        case .establish: 15
        case .ring, .ringLocal: 120
        case .queue: 1800
        }
    }

    /// Seconds.
    public var bounds: ClosedRange<Int64> {
        switch self {
        case .establish: 5...60
        case .ring, .ringLocal: 30...300
        case .queue: 1...1800
        }
    }

    public func clamped(_ seconds: Int64?) -> Int64 {
        min(max(seconds ?? defaultSeconds, bounds.lowerBound), bounds.upperBound)
    }
}
