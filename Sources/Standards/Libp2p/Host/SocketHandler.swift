import NIOCore
import NIOTLS

/// A connection's wire over TCP: the last handler of a channel's pipeline, with TLS in front of it when that was chosen.
final class SocketHandler: ChannelInboundHandler, Wire {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let driver: ConnectionDriver
    private let tls: TLSIdentity?
    private let expected: PeerID?
    private var proof: Result<PublicKey, Libp2pError>?
    private var context: ChannelHandlerContext?

    init(_ driver: ConnectionDriver, tls: TLSIdentity?, expecting expected: PeerID?) {
        self.driver = driver
        self.tls = tls
        self.expected = expected
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { driver.begin(on: self) }
    }

    func channelActive(context: ChannelHandlerContext) { driver.begin(on: self) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        driver.receive(unwrapInboundIn(data).readableBytesView)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { driver.writable() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .failure(let refusal) = proof { driver.refused(refusal) }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { driver.ended() }

    func handlerRemoved(context: ChannelHandlerContext) {
        driver.ended()
        self.context = nil
    }

    // MARK: TLS

    func startTLS(_ role: Connection.Role, received: [UInt8]) {
        guard let context, let tls else { return driver.refused(Libp2pError(.unsupported, "TLS is not offered")) }
        do {
            let handler = try tls.handler(role, expecting: expected) { self.proof = $0 }
            try context.pipeline.syncOperations.addHandler(handler, position: .before(self))
        } catch {
            return driver.refused(Libp2pError(.unsupported, "TLS cannot be spoken"))
        }
        guard !received.isEmpty else { return }
        context.pipeline.fireChannelRead(context.channel.allocator.buffer(bytes: received))
        context.pipeline.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted(let applicationProtocol) = event as? TLSUserEvent else { return }
        switch proof {
        case .success(let key): driver.secured(key, applicationProtocol: applicationProtocol)
        case .failure(let error): driver.refused(error)
        case nil: driver.refused(Libp2pError(.unauthentic, "the peer presented no certificate"))
        }
    }

    // MARK: Wire

    var isWritable: Bool { context?.channel.isWritable ?? false }

    func write(_ bytes: [UInt8]) {
        guard let context else { return }
        context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
    }

    func flush() { context?.flush() }

    func close() { context?.close(promise: nil) }
}
