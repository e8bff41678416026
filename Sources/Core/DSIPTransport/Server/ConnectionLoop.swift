import DSIPIdentity
import DSIPSignaling
import NIOCore

/// What the connections of one event loop share: a verifier with its caches, a read cycle, and one timer. Used on that loop only.
final class ConnectionLoop {
    /// How long a peer may take to go after our close frame.
    static let linger: Duration = .seconds(2)

    let service: SignalingService
    let cycle: ReadCycle
    private let eventLoop: any EventLoop
    private var verifier: EnvelopeVerifier
    private var replay: SharedReplayWindow
    private var handlers: [SignalingServerHandler] = []
    private var timer: RepeatedTask?

    init(_ service: SignalingService, on eventLoop: any EventLoop) {
        self.service = service
        self.cycle = ReadCycle.ofThread
        self.eventLoop = eventLoop
        self.verifier = EnvelopeVerifier(policy: service.configuration.policy, codecs: service.configuration.codecs)
        self.replay = service.replay
    }

    var now: UInt64 { eventLoop.now.uptimeNanoseconds }

    func verify(_ frame: [UInt8], helloVerified: Bool) -> MixedVerdict {
        let now = service.configuration.clock()
        let source = service.source
        return verifier.verify(
            frame,
            at: now,
            replay: &replay,
            helloVerified: helloVerified,
            documents: { source.document(of: $0, at: now) },
            delegations: source.delegations,
            revocations: source.revocations,
            profiles: service.configuration.profiles
        )
    }

    func add(_ handler: SignalingServerHandler) {
        handler.slot = handlers.count
        handlers.append(handler)
        service.connectionOpened()
        guard timer == nil else { return }
        let loop = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in loop.value.tick() }
    }

    func remove(_ handler: SignalingServerHandler) {
        let slot = handler.slot
        handler.slot = -1
        let last = handlers.removeLast()
        if last !== handler {
            handlers[slot] = last
            last.slot = slot
        }
        if handlers.isEmpty {
            handlers = []
            timer?.cancel()
            timer = nil
        }
        service.connectionClosed()
    }

    /// Closes every connection at a random moment within `spread`, so that their clients do not all dial at once.
    func closeAll(_ code: CloseCode, within spread: TimeAmount) {
        for connection in handlers.map(\.connection!) {
            let delay = TimeAmount.nanoseconds(Int64.random(in: 0...max(0, spread.nanoseconds)))
            eventLoop.scheduleTask(in: delay) { connection.close(code) }
        }
    }

    private func tick() {
        let now = now
        // A handler that ends on its turn is replaced by one from the end, which has had its own.
        for index in stride(from: handlers.count - 1, through: 0, by: -1) where index < handlers.count {
            handlers[index].tick(now)
        }
    }
}
