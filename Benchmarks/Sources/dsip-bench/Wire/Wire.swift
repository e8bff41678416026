import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// A bare WebSocket connection over TLS, of NIO's own handlers: the load costs little beside what it loads.
///
/// It sends one text when the upgrade is done and is bound when the first text comes back. What comes later goes to `receiver`.
struct Wire: Sendable {
    let channel: any Channel
    let bound: EventLoopFuture<Void>

    /// The server is on this machine and certificates are no subject here: none is checked.
    static func context() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .none
        return try NIOSSLContext(configuration: configuration)
    }

    /// - Parameter receiver: told on the loop of each text after the first, and of the end of a burst of them.
    static func connect(
        to port: Int,
        saying greeting: [UInt8],
        on loop: any EventLoop,
        _ context: NIOSSLContext,
        receiver: @escaping @Sendable (WireEvent) -> Void = { _ in }
    ) async throws -> Wire {
        let upgraded = try await ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try configure(channel, context, greeting, receiver)
                }
            }
        return try await upgraded.get()
    }

    private static func configure(
        _ channel: any Channel,
        _ context: NIOSSLContext,
        _ greeting: [UInt8],
        _ receiver: @escaping @Sendable (WireEvent) -> Void
    ) throws -> EventLoopFuture<Wire> {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(try NIOSSLClientHandler(context: context, serverHostname: nil))
        let upgrader = NIOTypedWebSocketClientUpgrader<Wire> { channel, _ in
            channel.eventLoop.makeCompletedFuture {
                let bound = channel.eventLoop.makePromise(of: Void.self)
                try channel.pipeline.syncOperations.addHandler(WireHandler(bound, receiver))
                // In the next turn: the upgrade is still going on in this one.
                channel.eventLoop.execute {
                    Wire.send(greeting, over: channel)
                    channel.flush()
                }
                return Wire(channel: channel, bound: bound.futureResult)
            }
        }
        let upgrade = NIOTypedHTTPClientUpgradeConfiguration(
            upgradeRequestHead: HTTPRequestHead(
                version: .http1_1,
                method: .GET,
                uri: "/dsip",
                headers: ["host": "127.0.0.1", "content-length": "0"]
            ),
            upgraders: [upgrader],
            notUpgradingCompletionHandler: { channel in
                channel.eventLoop.makeFailedFuture(BenchmarkError("the server did not upgrade"))
            }
        )
        return try pipeline.configureUpgradableHTTPClientPipeline(configuration: .init(upgradeConfiguration: upgrade))
    }

    /// Without a flush. Room before the text takes the header, so that a frame leaves in one TLS record.
    static func send(_ text: [UInt8], over channel: any Channel) {
        var buffer = channel.allocator.buffer(capacity: text.count + maximumHeader)
        buffer.moveWriterIndex(to: maximumHeader)
        buffer.moveReaderIndex(to: maximumHeader)
        buffer.writeBytes(text)
        channel.write(WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: buffer), promise: nil)
    }

    /// RFC 6455 §5.2.
    private static let maximumHeader = 14
}

enum WireEvent {
    case text(ByteBuffer)
    case burstEnded
}

private final class WireHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private var binding: EventLoopPromise<Void>?
    private let receiver: (WireEvent) -> Void

    init(_ bound: EventLoopPromise<Void>, _ receiver: @escaping (WireEvent) -> Void) {
        self.binding = bound
        self.receiver = receiver
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = Self.unwrapInboundIn(data)
        switch frame.opcode {
        case .text:
            if let binding {
                self.binding = nil
                return binding.succeed()
            }
            receiver(.text(frame.data))
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.data)
            context.writeAndFlush(Self.wrapOutboundOut(pong), promise: nil)
        case .connectionClose:
            let code = frame.data.getInteger(at: frame.data.readerIndex, as: UInt16.self) ?? 0
            binding?.fail(BenchmarkError("the server closed a connection with status \(code) before it was bound"))
            binding = nil
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { receiver(.burstEnded) }

    func channelInactive(context: ChannelHandlerContext) {
        binding?.fail(BenchmarkError("a connection was closed before it was bound"))
        binding = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        binding?.fail(error)
        binding = nil
        context.close(promise: nil)
    }
}
