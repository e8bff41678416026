#if QUIC
import DSIPSignaling
import NIOCore
import QUIC
import SwiftASN1
import Synchronization
import X509

extension SignalingClient {
    /// A QUIC connection with its one stream, within `QUICBinding.connectTimeout`. The `hello` is on its way when this returns.
    func dialQUIC(port: Int) async throws(TransportError) -> ClientLink {
        let host = configuration.address.host
        let address = try await quicAddress(port)
        do {
            let credentials = try QUICCredentials(roots: try configuration.roots.forQUIC())
            let isFour = address.protocol == .inet
            let local = try SocketAddress(ipAddress: isFour ? "0.0.0.0" : "::", port: 0)
            let endpoint = try await QUICEndpoint.bind(to: local, on: configuration.group.next()).get()
            do {
                return try await dialQUIC(endpoint, address, credentials)
            } catch {
                endpoint.close()
                throw error
            }
        } catch let error as TransportError {
            throw error
        } catch let error as QUICError {
            throw TransportError(error, host: host)
        } catch {
            throw TransportError(.unreachable, "\(host) cannot be reached: \(error)")
        }
    }

    private func dialQUIC(
        _ endpoint: QUICEndpoint,
        _ address: SocketAddress,
        _ credentials: QUICCredentials
    ) async throws -> ClientLink {
        var transport = QUICConfiguration(applicationProtocols: [QUICBinding.applicationProtocol])
        transport.maximumStreams = 0
        transport.handshakeTimeout = TimeAmount(QUICBinding.connectTimeout)
        transport.idleTimeout = .nanoseconds(Int64(Liveness.Thresholds.client.close))
        transport.keepAlive = .nanoseconds(Int64(Liveness.Thresholds.client.ping))
        let host = configuration.address.host
        let connection = try await endpoint.connect(to: address, credentials, verification: .name(host), transport)
            .get()
        connection.closed.whenComplete { _ in endpoint.close() }
        try await checkName(connection)
        let follower = RouteFollower(endpoint, toward: address)
        let link = connection.eventLoop.makePromise(of: ClientLink.self)
        do {
            _ = try await connection.openStream { channel in
                let handler = SignalingClientHandler(self, .quic(connection), on: channel.eventLoop)
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHandler(EndTranslator(host: host))
                try pipeline.addHandler(handler)
                handler.link.endpoint.withLock { $0 = endpoint }
                link.succeed(handler.link)
                channel.closeFuture.whenComplete { _ in
                    follower.stop()
                    connection.close(UInt64(CloseCode.normal.rawValue))
                }
            }.get()
        } catch {
            link.fail(error)
            throw error
        }
        follower.start()
        return try await link.futureResult.get()
    }

    /// Moves the connection to a socket at `address`. For tests.
    func moveForTesting(to address: String) async throws {
        let endpoint = currentLink?.endpoint.withLock { $0 }
        try await endpoint?.rebind(to: try SocketAddress(ipAddress: address, port: 0)).get()
    }

    /// A name is held against the certificate's DNS names alone, as the WebSocket binding does (`ServerNameCheck`).
    private func checkName(_ connection: QUICConnection) async throws {
        guard !configuration.address.isLiteral else { return }
        let host = configuration.address.host
        let chain = try await connection.eventLoop.submit { connection.peerCertificates }.get()
        guard let leaf = chain.first, let certificate = try? Certificate(derEncoded: leaf), certificate.names(host)
        else {
            connection.close(UInt64(CloseCode.policyViolation.rawValue))
            throw TransportError(.tls, "the certificate presented is not for \(host)")
        }
    }

    private func quicAddress(_ port: Int) async throws(TransportError) -> SocketAddress {
        let host = configuration.address.host
        do {
            guard let allows = configuration.allows else { return try await SocketAddress.resolved(host, port) }
            let resolver = configuration.resolver
            let addresses = try await withTimeout(Binding.connectTimeout, "\(host) was not resolved in time") {
                () async throws(TransportError) in
                try await resolver.addresses(of: host)
            }
            guard let address = addresses.first(where: allows) else {
                throw TransportError(.address, "\(host) is not at a permitted address")
            }
            return try SocketAddress(packedIPAddress: ByteBuffer(bytes: address), port: port)
        } catch let error as TransportError {
            throw error
        } catch {
            throw TransportError(.unreachable, "\(host) cannot be resolved: \(error)")
        }
    }
}

extension TrustRoots {
    fileprivate func forQUIC() throws(TransportError) -> QUICCredentials.Roots {
        var roots = QUICCredentials.Roots(includesSystem: true)
        for path in additionalFiles {
            guard let pem = try? FileBytes.read(path) else {
                throw TransportError(.credentials, "the root certificate \(path) cannot be read")
            }
            roots.pem.append(pem)
        }
        return roots
    }
}

/// Tells the handler behind it why the connection ended, in its own terms.
private final class EndTranslator: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private let host: String

    init(host: String) { self.host = host }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let end = event as? QUICError {
            context.fireUserInboundEventTriggered(TransportError(end, host: host))
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
#endif
