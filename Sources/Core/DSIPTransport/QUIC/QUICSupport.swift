#if QUIC
import Foundation
import NIOCore
import NIOPosix
import QUIC

extension Framing {
    static func quic(_ connection: QUICConnection) -> Framing {
        .stream { code in
            connection.close(UInt64(code.rawValue), linger: TimeAmount(QUICBinding.linger))
        }
    }
}

enum FileBytes {
    static func read(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }
}

extension SocketAddress {
    /// An address literal as it is; a name's first address.
    static func resolved(_ host: String, _ port: Int) async throws -> SocketAddress {
        if let literal = try? SocketAddress(ipAddress: host, port: port) { return literal }
        return try await NIOThreadPool.singleton.runIfActive {
            try SocketAddress.makeAddressResolvingHost(host, port: port)
        }
    }
}

extension TransportError {
    /// What a QUIC connection's end is to signaling.
    init(_ error: QUICError, host: String) {
        switch error.code {
        case .closed where error.isFromPeer:
            self.init(.closed, "the relay closed the connection" + (error.closeCode.map { " (\($0))" } ?? ""))
        case .closed: self.init(.closed, "the connection was closed")
        case .certificate: self.init(.tls, "the certificate is not for \(host), or nobody vouches for it: \(error)")
        case .tls, .credentials: self.init(.tls, "no secure connection to \(host): \(error)")
        case .applicationProtocol: self.init(.upgrade, "the server at \(host) is no DSIP relay")
        case .idle: self.init(.timeout, "the relay has been silent for too long")
        case .protocolViolation: self.init(.protocolViolation, "\(error)")
        default: self.init(.unreachable, "\(host) cannot be reached: \(error)")
        }
    }
}
#endif
