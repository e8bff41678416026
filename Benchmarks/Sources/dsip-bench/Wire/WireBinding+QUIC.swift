#if QUIC
import DSIPTransport
import NIOCore
import QUIC

extension WireBinding {
    /// `quic/1.0` (docs/quic.md): a socket of its own for each connection, as a device has it. Certificates are no subject here.
    static func quic() throws -> WireBinding {
        let credentials = try QUICCredentials()
        return WireBinding(
            dial: { port, greeting, loop, receiver in
                let any = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
                let endpoint = try await QUICEndpoint.bind(to: any, on: loop).get()
                var transport = QUICConfiguration(applicationProtocols: [QUICBinding.applicationProtocol])
                transport.maximumStreams = 0
                let connection = try await endpoint.connect(
                    to: try SocketAddress(ipAddress: "127.0.0.1", port: port),
                    credentials,
                    verification: .chain { _ in true },
                    transport
                ).get()
                connection.closed.whenComplete { _ in endpoint.close() }
                let bound = loop.makePromise(of: Void.self)
                let channel = try await connection.openStream { channel in
                    try channel.pipeline.syncOperations.addHandler(StreamHandler(bound, receiver))
                    channel.closeFuture.whenComplete { _ in connection.close() }
                }.get()
                send(greeting, over: channel)
                channel.flush()
                return Wire(channel: channel, bound: bound.futureResult)
            },
            send: { send($0, over: $1) }
        )
    }

    private static func send(_ envelope: [UInt8], over channel: any Channel) {
        var buffer = channel.allocator.buffer(capacity: envelope.count + 4)
        // RFC 9000 §16: what the two high bits announce is four bytes.
        buffer.writeInteger(UInt32(envelope.count) | 0x8000_0000)
        buffer.writeBytes(envelope)
        channel.write(buffer, promise: nil)
    }
}

private final class StreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var binding: EventLoopPromise<Void>?
    private let receiver: (WireEvent) -> Void
    private var unread = ByteBuffer()

    init(_ bound: EventLoopPromise<Void>, _ receiver: @escaping (WireEvent) -> Void) {
        self.binding = bound
        self.receiver = receiver
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Self.unwrapInboundIn(data)
        unread.writeBuffer(&bytes)
        while let envelope = next() {
            guard let binding else {
                receiver(.text(envelope))
                continue
            }
            self.binding = nil
            binding.succeed()
        }
        unread.discardReadBytes()
    }

    private func next() -> ByteBuffer? {
        guard let first = unread.getInteger(at: unread.readerIndex, as: UInt8.self) else { return nil }
        let header = 1 << Int(first >> 6)
        guard let start = unread.getBytes(at: unread.readerIndex, length: header) else { return nil }
        let length = start.dropFirst().reduce(Int(first & 0x3f)) { $0 << 8 | Int($1) }
        guard unread.readableBytes >= header + length else { return nil }
        unread.moveReaderIndex(forwardBy: header)
        return unread.readSlice(length: length)
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
#endif
