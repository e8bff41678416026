import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOWebSocket

/// One accepted connection: plain HTTP for Hummingbird's router, or after an upgrade of `/api/v1/events` a page's event socket.
struct LocalChannel: ServerChildChannel, HTTPChannelHandler {
    typealias WebSocket = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>
    typealias HTTP = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    enum Upgrade: Sendable {
        case http(HTTP)
        case webSocket(WebSocket)
    }

    struct Value: ServerChildChannelValue {
        let upgrade: EventLoopFuture<Upgrade>
        let channel: any Channel
    }

    let responder: HTTPChannelHandler.Responder
    let requestGuard: RequestGuard
    /// Speaks with one page until it is gone.
    let serve: @Sendable (WebSocket) async -> Void

    static let path = "/api/v1/events"
    static let maximumMessage = 256 << 10

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let upgrader = NIOTypedWebSocketServerUpgrader<Upgrade>(
                maxFrameSize: LocalChannel.maximumMessage,
                shouldUpgrade: { channel, head in
                    channel.eventLoop.makeSucceededFuture(admit(head))
                },
                upgradePipelineHandler: { channel, _ in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(ConnectionLifetime(idle: nil))
                        try pipeline.addHandler(
                            NIOWebSocketFrameAggregator(
                                minNonFinalFragmentSize: 1,
                                maxAccumulatedFrameCount: 256,
                                maxAccumulatedFrameSize: LocalChannel.maximumMessage
                            )
                        )
                        return .webSocket(try WebSocket(wrappingChannelSynchronously: channel))
                    }
                }
            )
            let configuration = NIOTypedHTTPServerUpgradeConfiguration<Upgrade>(
                upgraders: [upgrader],
                notUpgradingCompletionHandler: { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
                        try pipeline.addHandler(ConnectionLifetime(idle: .seconds(60)))
                        return .http(
                            try HTTP(
                                wrappingChannelSynchronously: channel,
                                configuration: .init(isOutboundHalfClosureEnabled: true)
                            )
                        )
                    }
                }
            )
            var pipelineConfiguration = NIOUpgradableHTTPServerPipelineConfiguration(
                upgradeConfiguration: configuration
            )
            pipelineConfiguration.enablePipelining = false
            pipelineConfiguration.decoderConfiguration.maxHeaderFieldSize = 16 << 10
            pipelineConfiguration.decoderConfiguration.maxHeaderListSize = 32 << 10
            let upgrade = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                configuration: pipelineConfiguration
            )
            let upgradeHandler = try channel.pipeline.syncOperations.handler(
                type: NIOTypedHTTPServerUpgradeHandler<Upgrade>.self
            )
            try channel.pipeline.syncOperations.addHandler(
                RefusedUpgrade { admit($0) == nil },
                position: .before(upgradeHandler)
            )
            return Value(upgrade: upgrade, channel: channel)
        }
    }

    func handle(value: Value, logger: Logger) async {
        switch try? await value.upgrade.get() {
        case .http(let channel): await handleHTTP(asyncChannel: channel, logger: logger)
        case .webSocket(let channel): await serve(channel)
        case nil: try? await value.channel.close()
        }
    }

    /// - Returns: the headers of the 101 reply, or nil to let the router refuse the request with a sentence.
    private func admit(_ head: HTTPRequestHead) -> HTTPHeaders? {
        guard head.uri == LocalChannel.path,
            requestGuard.admits(host: head.headers.first(name: "host"), origin: head.headers.first(name: "origin")),
            requestGuard.accepts(subprotocols: head.headers["sec-websocket-protocol"])
        else { return nil }
        return ["Sec-WebSocket-Protocol": RequestGuard.subprotocol]
    }
}

/// Makes a plain request of an upgrade that is refused, so that the router answers it with a sentence: NIO's upgrade handler forgets the
/// head of a request whose upgrade it has offered and then refuses.
private final class RefusedUpgrade: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    private let refuses: (HTTPRequestHead) -> Bool
    private var hasLooked = false

    init(_ refuses: @escaping (HTTPRequestHead) -> Bool) { self.refuses = refuses }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Only the first request of a connection can be upgraded; behind an admitted one come bytes, not requests.
        guard !hasLooked else { return context.fireChannelRead(data) }
        hasLooked = true
        guard case .head(var head) = Self.unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        if head.headers.contains(name: "upgrade"), refuses(head) { head.headers.remove(name: "upgrade") }
        context.fireChannelRead(Self.wrapInboundOut(.head(head)))
    }
}

/// Ends a connection that has been idle too long, and every connection when the server is shutting down.
private final class ConnectionLifetime: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private let idle: TimeAmount?
    private var deadline: Scheduled<Void>?

    init(idle: TimeAmount?) { self.idle = idle }

    func handlerAdded(context: ChannelHandlerContext) { restart(context) }
    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        restart(context)
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func restart(_ context: ChannelHandlerContext) {
        guard let idle else { return }
        deadline?.cancel()
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: idle) { context.close(promise: nil) }
    }
}
