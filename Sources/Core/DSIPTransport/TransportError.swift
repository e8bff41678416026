/// What can go wrong between two ends of a signaling connection, and around it. Equal by code; `reason` is a sentence without secrets.
public struct TransportError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// The address is no `wss` URL, or names no host.
        case address
        /// Nothing answered, or the connection ended.
        case unreachable
        /// The certificate was refused, or the peer speaks no TLS 1.3.
        case tls
        /// The server did not upgrade to WebSocket.
        case upgrade
        /// The peer broke the framing or the `hello` exchange (DSIP §13.2).
        case protocolViolation = "protocol-violation"
        /// The clocks of the two ends are too far apart for either to accept what the other signs (DSIP §12.9).
        case clock
        /// The peer refused us with a signed reason.
        case refused
        /// Not connected at the moment.
        case notConnected = "not-connected"
        /// The other end reads too slowly; what it was owed exceeded the bound.
        case backpressure
        case timeout
        /// A certificate or key could not be read, made or written.
        case credentials
        /// Larger than the binding admits.
        case tooLarge = "too-large"
        case closed
    }

    public let code: Code
    public let reason: String

    /// - Parameter ahead: seconds by which our clock goes before theirs.
    static func clock(ahead: Int64) -> TransportError {
        let minutes = max(1, (ahead.magnitude + 30) / 60)
        let distance =
            minutes < 120
            ? "\(minutes) minute\(minutes == 1 ? "" : "s")"
            : minutes < 2880 ? "\(minutes / 60) hours" : "\(minutes / 1440) days"
        return TransportError(
            .clock,
            "this device’s clock is \(distance) \(ahead > 0 ? "ahead of" : "behind") the relay’s"
        )
    }

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (a: TransportError, b: TransportError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
    public var description: String { reason }
}
