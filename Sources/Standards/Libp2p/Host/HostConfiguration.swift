/// How a host is run. Times in milliseconds.
public struct HostConfiguration: Sendable {
    /// `name/version`, told by identify.
    public var agentVersion = "swift-libp2p/1"
    public var protocolVersion = "ipfs/0.1.0"
    /// How connections are secured, in the order of preference.
    public var securities: [Connection.Security] = [.noise, .tls]
    public var gate = ConnectionGate.Limits()
    public var connection = Connection.Limits()
    public var dialTime: Int64 = 5_000
    /// A connection without a stream for so long is closed.
    public var idleTime: Int64 = 120_000
    /// Whether hole punching dials private addresses that a peer names; for networks of one's own.
    public var punchesPrivateAddresses = false
    /// Peers whose addresses are remembered.
    public var maximumKnownPeers = 4_096

    public init() {}
}

/// Unix time in milliseconds that never goes back: the wall clock read once, then the monotonic one.
struct HostClock: Sendable {
    private let start = ContinuousClock.now
    private let unix: Int64

    init(unixMilliseconds: Int64) { self.unix = unixMilliseconds }

    var now: Int64 {
        let (seconds, attoseconds) = start.duration(to: .now).components
        return unix + seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
