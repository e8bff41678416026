import NIOCore
import NIOPosix
import WebRTC

/// Answers STUN binding requests on UDP (RFC 8489), so that two homes can connect without a third party.
final class STUNListener: Sendable {
    /// Where it listens.
    let address: SocketAddress
    private let channel: any Channel

    private init(channel: any Channel, address: SocketAddress) {
        self.channel = channel
        self.address = address
    }

    static func start(
        host: String,
        port: Int,
        group: any EventLoopGroup,
        metrics: RelayMetrics
    ) async throws(RelayError) -> STUNListener {
        do {
            let channel = try await DatagramBootstrap(group: group)
                .channelOption(.socketOption(.so_reuseaddr), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(STUNHandler(metrics: metrics))
                    }
                }
                .bind(host: host, port: port).get()
            guard let address = channel.localAddress else {
                throw RelayError(.address, "the UDP socket has no address")
            }
            return STUNListener(channel: channel, address: address)
        } catch let error as RelayError {
            throw error
        } catch {
            throw RelayError(
                .address,
                "STUN cannot listen on UDP \(host):\(port): \(error). Choose another stun.port, or set stun.enabled to false."
            )
        }
    }

    func stop() async { try? await channel.close() }
}

private final class STUNHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let responder = BindingResponder()
    private let metrics: RelayMetrics
    private var wrote = false

    init(metrics: RelayMetrics) { self.metrics = metrics }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let datagram = unwrapInboundIn(data)
        guard datagram.data.readableBytes <= BindingResponder.maximumRequest,
            let source = TransportAddress(datagram.remoteAddress),
            let answer = responder.respond(to: Array(datagram.data.readableBytesView), from: source)
        else { return }
        metrics.stun.add()
        wrote = true
        let reply = AddressedEnvelope(remoteAddress: datagram.remoteAddress, data: ByteBuffer(bytes: answer))
        context.write(wrapOutboundOut(reply), promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if wrote { context.flush() }
        wrote = false
    }

    /// A socket error of one peer (an ICMP refusal) must not end the service for all.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

extension TransportAddress {
    fileprivate init?(_ address: SocketAddress) {
        let bytes: [UInt8]
        switch address {
        // struct sockaddr_in and sockaddr_in6: the address at byte 4 and byte 8, in network order.
        case .v4(let v4): bytes = withUnsafeBytes(of: v4.address) { Array($0[4..<8]) }
        case .v6(let v6): bytes = withUnsafeBytes(of: v6.address) { Array($0[8..<24]) }
        case .unixDomainSocket: return nil
        }
        guard let number = address.port, let port = UInt16(exactly: number), let ip = IPAddress(bytes: bytes) else {
            return nil
        }
        self.init(ip, port: port)
    }
}
