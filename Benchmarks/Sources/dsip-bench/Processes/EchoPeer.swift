import DSIPTransport
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// The peer of `memory`: NIO's WebSocket server over TLS with an echo, and nothing else. Certificate, TLS version and buffers of the
/// TLS handler are those of the relay.
enum EchoPeer {
    static let name = "peer-echo"

    /// - Parameter arguments: certificate and key.
    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 2 else { throw BenchmarkError("\(name) CERTIFICATE KEY") }
        let identity = try TLSIdentity(certificatePath: arguments[0], keyPath: arguments[1])
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(identity.makeHandler())
                    let upgrader = NIOWebSocketServerUpgrader(
                        shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture(HTTPHeaders()) },
                        upgradePipelineHandler: { channel, _ in
                            channel.eventLoop.makeCompletedFuture {
                                try channel.pipeline.syncOperations.addHandler(EchoHandler())
                            }
                        }
                    )
                    try pipeline.configureHTTPServerPipeline(
                        withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in })
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        print("listening \(server.localAddress?.port ?? 0)")
        fflush(nil)
        try await server.closeFuture.get()
    }
}

private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = Self.unwrapInboundIn(data)
        guard frame.opcode == .text else { return }
        let echo = WebSocketFrame(fin: true, opcode: .text, data: frame.unmaskedData)
        context.writeAndFlush(Self.wrapOutboundOut(echo), promise: nil)
    }
}
