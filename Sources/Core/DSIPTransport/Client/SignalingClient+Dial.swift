import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

extension SignalingClient {
    /// TCP, TLS 1.3 and the WebSocket upgrade, together within `Binding.connectTimeout`. The `hello` is on its way when this returns.
    func dial() async throws(TransportError) -> ClientLink {
        let context = try configuration.roots.context()
        let witness = FailureWitness()
        do {
            let bootstrap = ClientBootstrap(group: configuration.group)
                .connectTimeout(TimeAmount(Binding.connectTimeout))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            let configure: @Sendable (any Channel) -> EventLoopFuture<EventLoopFuture<ClientLink>> = { channel in
                channel.eventLoop.makeCompletedFuture { try self.configure(channel, context, witness) }
            }
            let (host, port) = (configuration.address.host, configuration.address.port)
            guard let place = try await permittedAddress() else {
                return try await bootstrap.connect(host: host, port: port, channelInitializer: configure).get()
            }
            return try await bootstrap.connect(to: place, channelInitializer: configure).get()
        } catch {
            throw failure(witness.first ?? error)
        }
    }

    /// The checked address itself is dialled, so that a second, different answer of the name server changes nothing.
    ///
    /// - Returns: nil when any address will do.
    private func permittedAddress() async throws -> SocketAddress? {
        guard let allows = configuration.allows else { return nil }
        let (host, resolver) = (configuration.address.host, configuration.resolver)
        let addresses = try await withTimeout(Binding.connectTimeout, "\(host) was not resolved in time") {
            () async throws(TransportError) in
            try await resolver.addresses(of: host)
        }
        guard let address = addresses.first(where: allows) else {
            throw TransportError(.address, "\(host) is not at a permitted address")
        }
        return try SocketAddress(packedIPAddress: ByteBuffer(bytes: address), port: configuration.address.port)
    }

    private func configure(
        _ channel: any Channel,
        _ context: NIOSSLContext,
        _ witness: FailureWitness
    ) throws -> EventLoopFuture<ClientLink> {
        let address = configuration.address
        let pipeline = channel.pipeline.syncOperations
        let tls = try NIOSSLClientHandler(context: context, serverHostname: address.isLiteral ? nil : address.host)
        try pipeline.addHandler(tls)
        if !address.isLiteral { try pipeline.addHandler(ServerNameCheck(address.host)) }
        try pipeline.addHandler(FailureWitnessHandler(witness))
        try pipeline.addHandler(UpgradeDeadline(after: TimeAmount(Binding.connectTimeout)))
        let upgrader = ClientHandshake<ClientLink>(configuration.subprotocol) { channel in
            UpgradeDeadline.remove(from: channel)
            let handler = SignalingClientHandler(self, on: channel.eventLoop)
            try channel.pipeline.syncOperations.addHandler(handler)
            return handler.link
        }
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: address.target)
        head.headers.add(name: "Host", value: address.hostHeader)
        var pipelineConfiguration = NIOUpgradableHTTPClientPipelineConfiguration(
            upgradeConfiguration: NIOTypedHTTPClientUpgradeConfiguration(
                upgradeRequestHead: head,
                upgraders: [upgrader],
                notUpgradingCompletionHandler: { channel in
                    let error = TransportError(.upgrade, "the server at \(address) is no DSIP relay")
                    witness.saw(error)
                    channel.close(promise: nil)
                    return channel.eventLoop.makeFailedFuture(error)
                }
            )
        )
        pipelineConfiguration.leftOverBytesStrategy = .forwardBytes
        return try pipeline.configureUpgradableHTTPClientPipeline(configuration: pipelineConfiguration)
    }

    private func failure(_ error: any Error) -> TransportError {
        let host = configuration.address.host
        switch error {
        case let error as TransportError: return error
        case let error as NIOSSLError: return TransportError(.tls, "no secure connection to \(host): \(error)")
        case let error as NIOSSLExtraError: return TransportError(.tls, "the certificate is not for \(host): \(error)")
        case let error as BoringSSLError: return TransportError(.tls, "no secure connection to \(host): \(error)")
        default: return TransportError(.unreachable, "\(host) cannot be reached: \(error)")
        }
    }
}

/// The first error on a connection that is being set up; the upgrade itself only reports that it did not happen.
private final class FailureWitness: Sendable {
    private let box = NIOLockedValueBox<(any Error)?>(nil)
    var first: (any Error)? { box.withLockedValue { $0 } }
    func saw(_ error: any Error) { box.withLockedValue { if $0 == nil { $0 = error } } }
}

private final class FailureWitnessHandler: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private let witness: FailureWitness

    init(_ witness: FailureWitness) { self.witness = witness }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        witness.saw(error)
        context.fireErrorCaught(error)
    }
}
