#if QUIC
import NIOCore
import NIOPosix

/// One bound UDP socket of an endpoint. Lives on the endpoint's event loop.
final class UDPSocket: ChannelInboundHandler, @unchecked Sendable {
    // Unchecked: touched on the endpoint's event loop only.

    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    /// Datagrams read in one system call.
    private static let readBatch = 32
    private static let bufferSize = 1 << 20

    /// The address bound: what packets through this socket count as coming from, unless the kernel says which of several.
    private(set) var address: SocketAddress?
    private(set) var channel: (any Channel)?
    /// Whether the kernel tells which of our addresses a packet came to, and is told from which to answer.
    private let tellsAddress: Bool
    private weak var endpoint: QUICEndpoint?

    private init(_ endpoint: QUICEndpoint, tellsAddress: Bool) {
        self.endpoint = endpoint
        self.tellsAddress = tellsAddress
    }

    /// Binds `address` and hands what arrives to `endpoint`.
    static func bind(_ address: SocketAddress, for endpoint: QUICEndpoint) -> EventLoopFuture<UDPSocket> {
        let eventLoop = endpoint.eventLoop
        let isWildcard = ["0.0.0.0", "::"].contains(address.ipAddress)
        let isServer = endpoint.server != nil
        let socket = UDPSocket(endpoint, tellsAddress: isWildcard && isServer)
        var bootstrap = DatagramBootstrap(group: eventLoop)
            .channelOption(.datagramVectorReadMessageCount, value: readBatch)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: readBatch * 2048))
            .channelOption(.socketOption(.so_rcvbuf), value: bufferSize)
            .channelOption(.socketOption(.so_sndbuf), value: bufferSize)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(socket) }
            }
        if socket.tellsAddress { bootstrap = bootstrap.channelOption(.receivePacketInfo, value: true) }
        return bootstrap.bind(to: address).map { channel in
            socket.channel = channel
            socket.address = channel.localAddress
            return socket
        }
    }

    var isWritable: Bool { channel?.isWritable ?? false }

    func send(_ bytes: UnsafeRawBufferPointer, along path: NetworkPath) {
        guard let channel else { return }
        let buffer = channel.allocator.buffer(bytes: bytes)
        var metadata: AddressedEnvelope<ByteBuffer>.Metadata?
        if tellsAddress {
            metadata = .init(
                ecnState: .transportNotCapable,
                packetInfo: NIOPacketInfo(destinationAddress: path.local, interfaceIndex: 0)
            )
        }
        channel.write(AddressedEnvelope(remoteAddress: path.remote, data: buffer, metadata: metadata), promise: nil)
    }

    func flush() { channel?.flush() }

    /// Nothing more is handed on, and the loss of the socket is no news.
    func close() {
        endpoint = nil
        channel?.close(promise: nil)
        channel = nil
    }

    // MARK: Handler

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = Self.unwrapInboundIn(data)
        guard let endpoint, var local = address else { return }
        // A reply to port 0 is an error of the socket, not of the packet.
        guard let port = envelope.remoteAddress.port, port != 0 else { return }
        if let told = envelope.metadata?.packetInfo?.destinationAddress {
            local = told
            local.port = address?.port
        }
        let path = NetworkPath(local: local, remote: envelope.remoteAddress)
        envelope.data.withUnsafeReadableBytes { endpoint.received($0, along: path) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { endpoint?.readCycleEnded() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { endpoint?.becameWritable() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A single datagram's trouble; what is lost is sent again.
    }

    func channelInactive(context: ChannelHandlerContext) {
        channel = nil
        endpoint?.lost(self)
    }
}
#endif
