import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// A listener that speaks `ws/1.0` over TLS 1.3 and nothing else; every other request is answered with 404.
///
/// For relays that also serve HTTP, put the same `SignalingService` behind their own listener instead.
///
/// ```swift
/// let server = try await SignalingServer.start(service, identity: identity, host: "0.0.0.0", port: 443)
/// await server.stop(within: .seconds(5))
/// ```
public final class SignalingServer: Sendable {
    public let service: SignalingService
    /// The port bound, which matters where port 0 was asked for.
    public let port: Int
    private let channel: any Channel

    private init(_ service: SignalingService, _ channel: any Channel) {
        self.service = service
        self.channel = channel
        self.port = channel.localAddress?.port ?? 0
    }

    /// - Throws: `.unreachable` when the address cannot be bound.
    public static func start(
        _ service: SignalingService,
        identity: TLSIdentity,
        host: String = "127.0.0.1",
        port: Int = 0,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) async throws(TransportError) -> SignalingServer {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try configure(channel, service, identity) }
            }
        do {
            return SignalingServer(service, try await bootstrap.bind(host: host, port: port).get())
        } catch {
            throw TransportError(.unreachable, "\(host) port \(port) cannot be listened on: \(error)")
        }
    }

    /// Stops listening, then closes the connections at random moments within `spread`.
    public func stop(within spread: Duration = .zero) async {
        try? await channel.close()
        await service.drain(within: spread)
    }

    private static func configure(
        _ channel: any Channel,
        _ service: SignalingService,
        _ identity: TLSIdentity
    ) throws {
        guard service.isAdmitting else {
            channel.close(promise: nil)
            return
        }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(identity.makeHandler())
        try pipeline.addHandler(UpgradeDeadline(after: TimeAmount(Binding.connectTimeout)))
        var configuration = NIOUpgradableHTTPServerPipelineConfiguration(
            upgradeConfiguration: NIOTypedHTTPServerUpgradeConfiguration(
                upgraders: [service.typedUpgrader { UpgradeDeadline.remove(from: $0) }],
                notUpgradingCompletionHandler: { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(NotFound()) }
                }
            )
        )
        configuration.enablePipelining = false
        configuration.enableResponseHeaderValidation = false
        // A connection that ends before it became anything has been dealt with by the channel itself.
        _ = try pipeline.configureUpgradableHTTPServerPipeline(configuration: configuration)
    }
}

/// Closes a connection that has not been upgraded in time.
final class UpgradeDeadline: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny

    private let limit: TimeAmount
    private var timeout: Scheduled<Void>?

    init(after limit: TimeAmount) { self.limit = limit }

    /// The upgrade has come about. Call on the channel's event loop.
    static func remove(from channel: any Channel) {
        let pipeline = channel.pipeline.syncOperations
        if let context = try? pipeline.context(handlerType: UpgradeDeadline.self) {
            pipeline.removeHandler(context: context, promise: nil)
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timeout = context.eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timeout?.cancel()
        timeout = nil
    }
}

/// Answers any request that did not become a WebSocket.
private final class NotFound: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .end = Self.unwrapInboundIn(data) else { return }
        let head = HTTPResponseHead(
            version: .http1_1,
            status: .notFound,
            headers: ["Content-Length": "0", "Connection": "close"]
        )
        let channel = context.channel
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }

    /// A failed TLS handshake or a broken request ends here.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
