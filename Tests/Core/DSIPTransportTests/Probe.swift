import NIOCore
import NIOPosix
import NIOSSL

/// A bare client: connects, asks for the upgrade, and returns what comes back first.
enum Probe {
    /// - Returns: the first bytes, or nil when the connection ended without any.
    static func exchange(port: Int, tls: NIOSSLContext?, _ request: String = Probe.upgrade) async throws -> [UInt8]? {
        let answer = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: [UInt8]?.self)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: "localhost"))
                    }
                    try pipeline.addHandler(FirstBytes(answer))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        channel.writeAndFlush(ByteBuffer(string: request), promise: nil)
        let bytes = try await answer.futureResult.get()
        try? await channel.close()
        return bytes
    }

    static let upgrade = """
        GET /dsip HTTP/1.1\r
        Host: localhost\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
        Sec-WebSocket-Version: 13\r
        Sec-WebSocket-Extensions: permessage-deflate\r
        \r

        """

    private final class FirstBytes: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let answer: EventLoopPromise<[UInt8]?>

        init(_ answer: EventLoopPromise<[UInt8]?>) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            answer.succeed(Array(buffer: Self.unwrapInboundIn(data)))
        }
        func channelInactive(context: ChannelHandlerContext) { answer.succeed(nil) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
