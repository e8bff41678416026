import NIOCore
import NIOSSL
import NIOTLS
import SwiftASN1
import X509

/// Holds a server's certificate against the name that was dialled, and against nothing else (RFC 9525 §6.3).
///
/// The TLS layer below also accepts a certificate for the *address* of the connection. Who answers for a name would then be whoever
/// the name server points to, with any certificate for an address of his own, and `did:web` rests on the name alone. So the name is
/// checked once more here, right after the handshake and before anything read reaches the handlers behind.
final class ServerNameCheck: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private let name: String

    init(_ name: String) { self.name = name }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        let tls = try? context.pipeline.syncOperations.handler(type: NIOSSLClientHandler.self)
        if let presented = tls?.peerCertificate, let bytes = try? presented.toDERBytes(),
            let certificate = try? Certificate(derEncoded: bytes), certificate.names(name)
        {
            context.fireUserInboundEventTriggered(event)
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } else {
            context.fireErrorCaught(TransportError(.tls, "the certificate presented is not for \(name)"))
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Nothing comes before the handshake is over, and after a refusal nothing counts.
    }
}

extension Certificate {
    /// Whether a DNS name of the subject matches `host`: label by label, a wildcard for the whole first label only.
    func names(_ host: String) -> Bool {
        guard let listed = try? extensions.subjectAlternativeNames else { return false }
        let wanted = Certificate.labels(host)
        return listed.contains { entry in
            guard case .dnsName(let pattern) = entry else { return false }
            let labels = Certificate.labels(pattern)
            guard labels.count == wanted.count else { return false }
            if labels.first == "*" { return labels.count > 2 && labels.dropFirst() == wanted.dropFirst() }
            return labels == wanted
        }
    }

    private static func labels(_ name: String) -> [Substring] {
        let name = name.hasSuffix(".") ? String(name.dropLast()) : name
        return name.lowercased().split(separator: ".", omittingEmptySubsequences: false)
    }
}
