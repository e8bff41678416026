#if QUIC
import DSIPSignaling
import NIOCore
import QUIC
import SwiftASN1
import Synchronization
import X509

extension SignalingClient {
    /// A QUIC connection with its one stream, within `Configuration.quicTimeout`. The `hello` is on its way when this returns.
    func dialQUIC(port: Int) async throws(TransportError) -> ClientLink {
        let host = configuration.address.host
        do {
            let addresses = try await quicAddresses(port)
            let credentials = try QUICCredentials(roots: try configuration.roots.forQUIC())
            let (endpoint, connection) = try await firstAnswer(of: addresses, credentials)
            do {
                try await checkName(connection)
                return try await openStream(endpoint, connection)
            } catch {
                connection.close(UInt64(CloseCode.policyViolation.rawValue))
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

    private typealias Answer = (endpoint: QUICEndpoint, connection: QUICConnection)

    /// Dials both families, the second a little later, and keeps who answers first (RFC 8305).
    private func firstAnswer(of addresses: [SocketAddress], _ credentials: QUICCredentials) async throws -> Answer {
        try await withThrowingTaskGroup(of: Answer.self) { group in
            for (place, address) in addresses.enumerated() {
                group.addTask {
                    try await Task.sleep(for: .milliseconds(250 * place))
                    return try await self.shakeHands(with: address, credentials)
                }
            }
            var answer: Answer?
            var failure: any Error = TransportError(.unreachable, "no address to dial")
            while let result = await group.nextResult() {
                switch result {
                case .success(let late) where answer != nil: late.connection.close()
                case .success(let first):
                    answer = first
                    group.cancelAll()
                case .failure(let error) where !(error is CancellationError): failure = error
                case .failure: break
                }
                if let answer, addresses.count == 1 { return answer }
            }
            guard let answer else { throw failure }
            return answer
        }
    }

    private func shakeHands(with address: SocketAddress, _ credentials: QUICCredentials) async throws -> Answer {
        let local = try SocketAddress(ipAddress: address.protocol == .inet ? "0.0.0.0" : "::", port: 0)
        let endpoint = try await QUICEndpoint.bind(to: local, on: configuration.group.next()).get()
        var transport = QUICConfiguration(applicationProtocols: [QUICBinding.applicationProtocol])
        transport.maximumStreams = 0
        transport.handshakeTimeout = TimeAmount(configuration.quicTimeout)
        transport.idleTimeout = .nanoseconds(Int64(Liveness.Thresholds.client.close))
        transport.keepAlive = .nanoseconds(Int64(Liveness.Thresholds.client.ping))
        let dialled = endpoint.connect(
            to: address,
            credentials,
            verification: .name(configuration.address.host),
            transport
        )
        do {
            let connection = try await withTaskCancellationHandler {
                try await dialled.get()
            } onCancel: {
                endpoint.close()
            }
            connection.closed.whenComplete { _ in endpoint.close() }
            return (endpoint, connection)
        } catch {
            endpoint.close()
            throw error
        }
    }

    private func openStream(
        _ endpoint: QUICEndpoint,
        _ connection: QUICConnection
    ) async throws -> ClientLink {
        let host = configuration.address.host
        let link = connection.eventLoop.makePromise(of: ClientLink.self)
        do {
            _ = try await connection.openStream { channel in
                let handler = SignalingClientHandler(self, .quic(connection), on: channel.eventLoop)
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHandler(EndTranslator(host: host))
                try pipeline.addHandler(handler)
                handler.link.endpoint.withLock { $0 = endpoint }
                link.succeed(handler.link)
                channel.closeFuture.whenComplete { _ in connection.close(UInt64(CloseCode.normal.rawValue)) }
            }.get()
        } catch {
            link.fail(error)
            throw error
        }
        return try await link.futureResult.get()
    }

    /// Moves a connection over QUIC to a fresh socket.
    ///
    /// - Returns: false for one over WebSocket.
    func migrate(_ link: ClientLink, toward destination: SocketAddress) async -> Bool {
        guard let endpoint = link.endpoint.withLock({ $0 }) else { return false }
        let any = destination.protocol == .inet ? "0.0.0.0" : "::"
        // Another port as well: what the old path still brings arrives at the old socket.
        if let local = try? SocketAddress(ipAddress: any, port: 0) { _ = try? await endpoint.rebind(to: local).get() }
        return true
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
            throw TransportError(.tls, "the certificate presented is not for \(host)")
        }
    }

    /// Where to dial: one address of each family, of those that are permitted.
    private func quicAddresses(_ port: Int) async throws -> [SocketAddress] {
        let (host, resolver) = (configuration.address.host, configuration.resolver)
        var addresses = [HostAddress(host)?.bytes].compactMap { $0 }
        if addresses.isEmpty {
            addresses = try await withTimeout(Binding.connectTimeout, "\(host) was not resolved in time") {
                () async throws(TransportError) in
                try await resolver.addresses(of: host)
            }
        }
        if let allows = configuration.allows { addresses = addresses.filter(allows) }
        let chosen = [16, 4].compactMap { size in addresses.first { $0.count == size } }
        guard !chosen.isEmpty else { throw TransportError(.address, "\(host) is not at a permitted address") }
        return try chosen.map { try SocketAddress(packedIPAddress: ByteBuffer(bytes: $0), port: port) }
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
