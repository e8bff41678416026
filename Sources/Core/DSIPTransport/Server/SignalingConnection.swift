import DSIPIdentity
import DSIPSignaling
import NIOCore
import Synchronization

/// One accepted connection as the rest of a relay sees it: who is bound to it, and a way to send. Usable from any thread.
public final class SignalingConnection: Sendable {
    /// The device a verified `hello` bound to the connection (DSIP §13.2).
    public struct Device: Hashable, Sendable {
        public let device: DID
        /// `on_behalf_of`, or the device itself.
        public let identity: DID
        public let principal: DID

        public init(device: DID, identity: DID, principal: DID) {
            self.device = device
            self.identity = identity
            self.principal = principal
        }
    }

    private struct State {
        var outbox = Outbox()
        var device: Device?
        var reads: Set<WireForm>
    }

    public let eventLoop: any EventLoop
    /// Address of the peer in network order, 4 or 16 bytes; empty when unknown.
    public let remoteAddress: [UInt8]
    /// What is spoken to the peer.
    public let form: WireForm
    private let outboundLimit: Int
    private let state: Mutex<State>
    private let handler: NIOLoopBoundBox<SignalingServerHandler?>

    init(
        _ channel: any Channel,
        handler: SignalingServerHandler,
        subprotocol: Subprotocol? = nil,
        outboundLimit: Int
    ) {
        self.form = subprotocol?.form ?? .jose
        self.state = Mutex(State(reads: WireForm.read(over: subprotocol)))
        self.eventLoop = channel.eventLoop
        self.remoteAddress = channel.remoteAddress.flatMap { HostAddress($0)?.bytes } ?? []
        self.outboundLimit = outboundLimit
        self.handler = NIOLoopBoundBox(handler, eventLoop: channel.eventLoop)
    }

    /// Nil until a `hello` has been verified, and after the connection ended.
    public var device: Device? { state.withLock(\.device) }

    /// The forms that the peer takes: those of its subprotocol, and those its `hello` names.
    public var reads: Set<WireForm> { state.withLock(\.reads) }

    /// Queues one envelope, unchanged. All that is queued in one turn of the event loop leaves in one flush, and so does what one
    /// read of another connection brings.
    ///
    /// - Returns: false when the connection has ended, or ends now because its peer reads too slowly: the envelope is not going to
    ///   arrive. True says that it will, or that the connection fails (DSIP §13.2).
    @discardableResult
    public func send(_ envelope: [UInt8]) -> Bool {
        switch state.withLock({ $0.outbox.append(envelope, limit: outboundLimit) }) {
        case .queued: return true
        case .queuedFirst:
            if let cycle = ReadCycle.current { cycle.add(self) } else { drainSoon(inTurn: true) }
            return true
        case .overflow:
            eventLoop.execute { self.handler.value?.abandon() }
            return false
        case .closed: return false
        }
    }

    /// Runs `body` once the socket has taken all that was queued so far, with true; with false when it never will. On any thread.
    public func whenTaken(_ body: @escaping @Sendable (_ taken: Bool) -> Void) {
        if let isTaken = state.withLock({ $0.outbox.wait(body) }) { eventLoop.execute { body(isTaken) } }
    }

    /// Ends the connection: what is queued goes first, then a close frame.
    public func close(_ code: CloseCode = .normal) {
        eventLoop.execute { self.handler.value?.close(code) }
    }

    // MARK: For the handler

    /// - Parameter inTurn: whether what else this turn of the loop queues shall leave together with what is queued now.
    func drainSoon(inTurn: Bool = false) {
        if !inTurn, eventLoop.inEventLoop {
            handler.value?.drain()
        } else {
            eventLoop.execute { self.handler.value?.drain() }
        }
    }

    /// A document that a frame of this connection waited for has been resolved, or not.
    func resume() { eventLoop.execute { self.handler.value?.resume() } }

    func takeBatch() -> Outbox.Batch? { state.withLock { $0.outbox.take() } }
    func settled(_ bytes: Int, taken: Bool) {
        for waiter in state.withLock({ $0.outbox.settled(bytes, taken: taken) }) { waiter(true) }
    }
    func bind(_ device: Device, readsProposal: Bool = false) {
        state.withLock { state in
            state.device = device
            if readsProposal { state.reads.insert(.proposal) }
        }
    }

    /// Nothing more is taken; the device stays known for `closed(_:)`.
    func closeOutbox() { state.withLock { $0.outbox.close() } }

    func detach() {
        let waiting = state.withLock { state in
            state.device = nil
            return state.outbox.end()
        }
        handler.value = nil
        for waiter in waiting { waiter(false) }
    }
}

extension SignalingConnection: Hashable {
    public static func == (a: SignalingConnection, b: SignalingConnection) -> Bool { a === b }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
