#if QUIC
import CNgtcp2

/// Why a QUIC connection or stream failed or ended. Equal by code; `reason` is a sentence without secrets.
public struct QUICError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// A certificate, key or root could not be read.
        case credentials
        /// A socket could not be bound, or was lost.
        case socket
        /// Nothing answered in time.
        case unreachable
        /// The peer's certificate was refused, by us or by the peer for ours.
        case certificate
        /// The two ends have no application protocol in common (RFC 9001 §8.1).
        case applicationProtocol = "application-protocol"
        /// TLS failed otherwise.
        case tls
        /// The peer broke the protocol, or said that we did.
        case protocolViolation = "protocol-violation"
        /// The application at one of the ends closed the connection; `closeCode` is what it said (RFC 9000 §20.2).
        case closed
        /// Nothing was heard for the idle timeout.
        case idle
        /// The peer has forgotten the connection (RFC 9000 §10.3).
        case reset
        /// The peer aborted the stream; `closeCode` is what it said.
        case streamReset = "stream-reset"
        /// A bound of this implementation or of the peer was reached.
        case limit
        /// The library failed, which only a lack of memory brings about.
        case failure
    }

    public let code: Code
    public let reason: String
    /// The code of an application's or the transport's close, or of a stream's reset.
    public let closeCode: UInt64?
    /// Whether the peer said it, rather than we ourselves.
    public let isFromPeer: Bool

    public init(_ code: Code, _ reason: String, closeCode: UInt64? = nil, isFromPeer: Bool = false) {
        self.code = code
        self.reason = reason
        self.closeCode = closeCode
        self.isFromPeer = isFromPeer
    }

    public static func == (a: QUICError, b: QUICError) -> Bool { a.code == b.code && a.closeCode == b.closeCode }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(code)
        hasher.combine(closeCode)
    }
    public var description: String { reason }
}

extension QUICError {
    /// TLS alerts that say what was wrong (RFC 8446 §6).
    private static let noApplicationProtocol: UInt64 = 120
    private static let certificateAlerts: Set<UInt64> = [42, 43, 44, 45, 46, 48, 116]

    /// A transport error code, TLS alerts among them (RFC 9000 §20.1).
    static func transport(_ code: UInt64, _ detail: String, isFromPeer: Bool) -> QUICError {
        let sayer = isFromPeer ? "the peer" : "this end"
        guard code & ~0xff == UInt64(NGTCP2_CRYPTO_ERROR) else {
            return QUICError(
                .protocolViolation,
                "\(sayer) closed the connection with transport error \(code)\(detail)",
                closeCode: code,
                isFromPeer: isFromPeer
            )
        }
        let alert = code & 0xff
        if alert == noApplicationProtocol {
            return QUICError(
                .applicationProtocol,
                "the two ends have no application protocol in common",
                closeCode: code,
                isFromPeer: isFromPeer
            )
        }
        return QUICError(
            certificateAlerts.contains(alert) ? .certificate : .tls,
            "\(sayer) ended the handshake with TLS alert \(alert)\(detail)",
            closeCode: code,
            isFromPeer: isFromPeer
        )
    }

    /// An error of the library itself.
    static func library(_ result: Int32) -> QUICError {
        switch result {
        case NGTCP2_ERR_IDLE_CLOSE: QUICError(.idle, "nothing was heard for the idle timeout")
        case NGTCP2_ERR_HANDSHAKE_TIMEOUT: QUICError(.unreachable, "the handshake was not over in time")
        case NGTCP2_ERR_DROP_CONN: QUICError(.protocolViolation, "the first packet of a connection was malformed")
        case NGTCP2_ERR_NO_VIABLE_PATH: QUICError(.unreachable, "no path to the peer is left")
        default: QUICError(.failure, "QUIC failed: \(String(cString: ngtcp2_strerror(result)))")
        }
    }
}
#endif
