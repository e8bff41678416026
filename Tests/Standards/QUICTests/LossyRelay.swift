#if QUIC
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A UDP relay between one client and one server that loses, delays and reorders packets, by a seed.
final class LossyRelay: @unchecked Sendable {
    // Unchecked: but for what is behind its lock, everything is touched on one event loop.

    struct Faults: Sendable {
        /// Of 100 packets, how many are lost, held back, doubled.
        var lost = 0
        var heldBack = 0
        var doubled = 0
    }

    let address: SocketAddress
    let counts = NIOLockedValueBox((passed: 0, lost: 0, heldBack: 0))
    private let outer: any Channel
    private let inner: any Channel

    private init(_ outer: any Channel, _ inner: any Channel) {
        self.outer = outer
        self.inner = inner
        self.address = outer.localAddress!
    }

    static func start(to server: SocketAddress, _ faults: Faults, seed: UInt64) async throws -> LossyRelay {
        let loop = Peers.group.next()
        let client = NIOLockedValueBox<SocketAddress?>(nil)
        let side = Side(faults, seed)
        let back = Side(faults, seed ^ 0x5555)
        let outer = try await DatagramBootstrap(group: loop)
            .channelInitializer { $0.pipeline.addHandler(side) }
            .bind(to: Peers.loopback).get()
        let inner = try await DatagramBootstrap(group: loop)
            .channelInitializer { $0.pipeline.addHandler(back) }
            .bind(to: Peers.loopback).get()
        let relay = LossyRelay(outer, inner)
        try await loop.submit {
            side.counts = relay.counts
            back.counts = relay.counts
            side.forward = { envelope in
                client.withLockedValue { $0 = envelope.remoteAddress }
                inner.writeAndFlush(AddressedEnvelope(remoteAddress: server, data: envelope.data), promise: nil)
            }
            back.forward = { envelope in
                guard let client = client.withLockedValue({ $0 }) else { return }
                outer.writeAndFlush(AddressedEnvelope(remoteAddress: client, data: envelope.data), promise: nil)
            }
        }.get()
        return relay
    }

    func stop() {
        outer.close(promise: nil)
        inner.close(promise: nil)
    }

    private final class Side: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>

        var forward: (AddressedEnvelope<ByteBuffer>) -> Void = { _ in }
        var counts: NIOLockedValueBox<(passed: Int, lost: Int, heldBack: Int)>?
        private let faults: Faults
        private var generator: SplitMix
        private var held: AddressedEnvelope<ByteBuffer>?

        init(_ faults: Faults, _ seed: UInt64) {
            self.faults = faults
            self.generator = SplitMix(state: seed)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = Self.unwrapInboundIn(data)
            switch Int.random(in: 0..<100, using: &generator) {
            case ..<faults.lost:
                counts?.withLockedValue { $0.lost += 1 }
                return
            case ..<(faults.lost + faults.heldBack) where held == nil:
                counts?.withLockedValue { $0.heldBack += 1 }
                held = envelope
                return
            case (100 - faults.doubled)...: forward(envelope)
            default: break
            }
            counts?.withLockedValue { $0.passed += 1 }
            forward(envelope)
            // What was held back comes after one that was sent later.
            if let held { forward(held) }
            held = nil
        }
    }
}

/// Seeded random numbers.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
#endif
