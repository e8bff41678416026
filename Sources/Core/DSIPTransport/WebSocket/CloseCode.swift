/// Status codes of a WebSocket close (RFC 6455 §7.4.1) that this binding uses.
public enum CloseCode: UInt16, Sendable {
    case normal = 1000
    case goingAway = 1001
    case protocolError = 1002
    /// Anything but text (DSIP §13.2).
    case unsupportedData = 1003
    case notUTF8 = 1007
    case policyViolation = 1008
    /// More than 65,536 bytes (DSIP §13.2).
    case tooLarge = 1009
    case internalError = 1011
    case serviceRestart = 1012
    case tryAgainLater = 1013

    /// Whether a peer may send `code` in a close frame (RFC 6455 §7.4).
    static func isSendable(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
