/// The constants of the binding `quic/1.0` (DSIP §13.4), which the specification leaves to implementations: docs/quic.md.
public enum QUICBinding {
    public static let identifier = "quic/1.0"
    public static let applicationProtocol = "dsip/1"
    /// Member of a relay's capabilities (DSIP §13.2): the UDP port at which it speaks `quic/1.0`, on the host that was dialled.
    public static let capability = "quic_port"
    /// How long a handshake may take before the WebSocket binding is tried instead.
    public static let connectTimeout: Duration = .seconds(3)
    /// How long UDP counts as blocked after that.
    static let blockedFor: Duration = .seconds(300)
    /// How long an end that closes waits for what it has written to arrive.
    static let linger: Duration = .seconds(2)

    /// Whether this build speaks it.
    public static var isAvailable: Bool {
        #if QUIC
        true
        #else
        false
        #endif
    }
}
