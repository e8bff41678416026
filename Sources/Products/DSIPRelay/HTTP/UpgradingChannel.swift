import DSIPTransport
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOPosix
import NIOSSL

/// A TLS connection that becomes either a signaling connection or an HTTP/1.1 one.
///
/// A WebSocket handshake for `/dsip` hands the channel to the signaling service, and Hummingbird is done with it: an idle device costs
/// no task and no HTTP handler. Everything else goes to the router.
struct UpgradingChannel: ServerChildChannel, HTTPChannelHandler {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        let negotiation: EventLoopFuture<Negotiated>
    }

    enum Negotiated: Sendable {
        case signaling
        case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>)
    }

    /// How long TLS and the first request may take, and how long an HTTP connection may be silent.
    private static let patience = TimeAmount.seconds(10)

    let tls: TLSIdentity
    let signaling: SignalingService
    let gate: Gatekeeper
    let metrics: RelayMetrics
    let responder: HTTPChannelHandler.Responder

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let address = AddressKey(channel.remoteAddress)
        guard gate.opened(address) else {
            metrics.limited.add("connections")
            return channel.close().flatMapThrowing { throw ChannelError.eof }
        }
        metrics.connections.add(1)
        channel.closeFuture.whenComplete { [gate, metrics] _ in
            gate.closed(address)
            metrics.connections.add(-1)
        }
        return channel.eventLoop.makeCompletedFuture { try configure(channel) }
    }

    private func configure(_ channel: any Channel) throws -> Value {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(tls.makeHandler())
        let timeout = channel.eventLoop.scheduleTask(in: UpgradingChannel.patience) { channel.close(promise: nil) }
        let upgrade = NIOTypedHTTPServerUpgradeConfiguration<Negotiated>(
            upgraders: [signaling.typedUpgrader { _ in Negotiated.signaling }],
            notUpgradingCompletionHandler: { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: true))
                    try pipeline.addHandler(IdleStateHandler(allTimeout: UpgradingChannel.patience))
                    try pipeline.addHandler(CloseWhenIdle())
                    return .http(
                        try NIOAsyncChannel(
                            wrappingChannelSynchronously: channel,
                            configuration: .init(isOutboundHalfClosureEnabled: true)
                        )
                    )
                }
            }
        )
        var configuration = NIOUpgradableHTTPServerPipelineConfiguration(upgradeConfiguration: upgrade)
        configuration.enablePipelining = false
        configuration.decoderConfiguration.maxHeaderListSize = 16 << 10
        configuration.decoderConfiguration.maxHeaderFieldSize = 8 << 10
        configuration.decoderConfiguration.maxHeaderFieldCount = 64
        let negotiation = try pipeline.configureUpgradableHTTPServerPipeline(configuration: configuration)
        negotiation.whenComplete { result in
            timeout.cancel()
            // A failed handshake or a broken request: nothing has taken the channel over.
            if case .failure = result { channel.close(promise: nil) }
        }
        return Value(channel: channel, negotiation: negotiation)
    }

    func handle(value: Value, logger: Logger) async {
        guard case .http(let channel) = try? await value.negotiation.get() else { return }
        await handleHTTP(asyncChannel: channel, logger: logger)
    }
}

/// Closes an HTTP connection on which nothing has moved for a while.
private final class CloseWhenIdle: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
