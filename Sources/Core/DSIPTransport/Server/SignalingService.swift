import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOHTTP1
import Synchronization

/// The server side of signaling: admits connections, verifies what they send and hands it to a delegate (DSIP §13.2).
///
/// It owns no socket. Put it behind a listener of your own with `typedUpgrader(_:)` (on a channel that speaks HTTP/1.1 over TLS) or
/// `install(on:)` (on a channel already upgraded to WebSocket), or use `SignalingServer`. It routes nothing and stores nothing.
public final class SignalingService: Sendable {
    public struct Configuration: Sendable {
        /// Signs the relay's `hello` and `error` messages.
        public var key: SigningKey
        public var capabilities: RelayCapabilities
        public var policy: VerificationPolicy
        /// Reads the messages of profiles; the policy must support those.
        public var profiles = ProfileReader.none
        /// Forms beside DSIP-JOSE that are read and spoken, each under its subprotocol.
        public var codecs: [any WireCodec] = []
        public var path = Binding.defaultPath
        public var maximumConnections = 100_000
        /// Bytes a connection may owe its peer before the peer counts as too slow.
        public var maximumOutboundBytes = 1 << 20
        /// Bytes kept while a frame waits for a document.
        public var maximumPendingBytes = 1 << 19
        /// Refusals in a row after which a connection is closed.
        public var maximumStrikes = 32
        /// Unix seconds.
        public var clock: @Sendable () -> Int64

        public init(
            key: SigningKey,
            capabilities: RelayCapabilities = RelayCapabilities(),
            policy: VerificationPolicy = VerificationPolicy(isRouter: true),
            clock: @escaping @Sendable () -> Int64
        ) {
            self.key = key
            self.capabilities = capabilities
            self.policy = policy
            self.clock = clock
        }
    }

    private struct State {
        var capabilities: RelayCapabilities
        var loops: [ObjectIdentifier: NIOLoopBound<ConnectionLoop>] = [:]
        var connections = 0
        var isDraining = false
        var drained: CheckedContinuation<Void, Never>?
    }

    public let configuration: Configuration
    let source: any VerificationSource
    let delegate: any SignalingServerDelegate
    let replay: SharedReplayWindow
    private let state: Mutex<State>

    /// - Parameter replay: shared with every other way by which the same relay takes envelopes.
    public init(
        _ configuration: Configuration,
        source: any VerificationSource,
        delegate: any SignalingServerDelegate,
        replay: SharedReplayWindow = SharedReplayWindow()
    ) {
        self.configuration = configuration
        self.source = source
        self.delegate = delegate
        self.replay = replay
        self.state = Mutex(State(capabilities: configuration.capabilities))
    }

    /// Says `capabilities` in every `hello` from now on: some are known only once the relay listens.
    public func advertise(_ capabilities: RelayCapabilities) { state.withLock { $0.capabilities = capabilities } }

    // MARK: Admission

    /// Connections upgraded and not yet ended.
    public var connectionCount: Int { state.withLock(\.connections) }

    /// Whether a further connection would be admitted.
    public var isAdmitting: Bool {
        state.withLock { !$0.isDraining && $0.connections < configuration.maximumConnections }
    }

    /// Whether an HTTP request asks for this service's WebSocket, by its path without query.
    public func accepts(_ head: HTTPRequestHead) -> Bool {
        head.method == .GET && head.uri.prefix { $0 != "?" } == configuration.path && isAdmitting
    }

    /// The WebSocket upgrade for NIO's typed HTTP/1.1 server pipeline, such as that of a `ServerChildChannel` that offers HTTP beside.
    ///
    /// - Parameter result: what the upgrade shall produce, made after the connection was installed.
    public func typedUpgrader<Result: Sendable>(
        _ result: @escaping @Sendable (any Channel) -> Result
    ) -> some NIOTypedHTTPServerProtocolUpgrader<Result> {
        ServerHandshake(
            accepts: accepts,
            speaks: { subprotocol in self.codec(subprotocol.form) != nil },
            opened: { channel, subprotocol in
                try self.install(on: channel, speaking: subprotocol)
                return result(channel)
            }
        )
    }

    /// Takes over a channel that has been upgraded to WebSocket and carries bare bytes. Call on the channel's event loop.
    ///
    /// - Parameter subprotocol: what was agreed on; nil for DSIP-JOSE.
    public func install(on channel: any Channel, speaking subprotocol: Subprotocol? = nil) throws {
        try install(on: channel, .webSocket, speaking: subprotocol)
    }

    func install(on channel: any Channel, _ framing: Framing, speaking subprotocol: Subprotocol? = nil) throws {
        let handler = SignalingServerHandler(loop(of: channel.eventLoop), framing, speaking: subprotocol)
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private func loop(of eventLoop: any EventLoop) -> ConnectionLoop {
        eventLoop.preconditionInEventLoop()
        let key = ObjectIdentifier(eventLoop)
        if let loop = state.withLock({ $0.loops[key] }) { return loop.value }
        let loop = ConnectionLoop(self, on: eventLoop)
        let bound = NIOLoopBound(loop, eventLoop: eventLoop)
        state.withLock { $0.loops[key] = bound }
        return loop
    }

    // MARK: Drain

    /// Refuses further connections and closes those that are, each at a random moment within `spread`. Returns when all are gone.
    public func drain(_ code: CloseCode = .goingAway, within spread: Duration) async {
        let loops = state.withLock { state in
            state.isDraining = true
            return Array(state.loops.values)
        }
        for loop in loops {
            loop.eventLoop.execute { loop.value.closeAll(code, within: TimeAmount(spread)) }
        }
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if state.connections > 0 { state.drained = continuation }
                return state.connections == 0
            }
            if isEmpty { continuation.resume() }
        }
    }

    func connectionOpened() { state.withLock { $0.connections += 1 } }

    func connectionClosed() {
        let waiting = state.withLock { state in
            state.connections -= 1
            guard state.connections == 0 else { return nil as CheckedContinuation<Void, Never>? }
            defer { state.drained = nil }
            return state.drained
        }
        waiting?.resume()
    }

    // MARK: What the relay says itself

    /// The relay's answer to a client's `hello` (DSIP §13.2).
    func hello(inReplyTo id: ULID, in form: WireForm = .jose) -> Envelope? {
        sign(.hello(stamp(), Hello(inReplyTo: id, capabilities: state.withLock(\.capabilities))), in: form)
    }

    /// A signed `error` for a refused envelope.
    func error(for rejection: Rejection, isBound: Bool, in form: WireForm = .jose) -> Envelope? {
        guard let recipient = rejection.from else { return nil }
        return error(
            reason(for: rejection, isBound: isBound),
            to: recipient,
            session: rejection.session,
            inReplyTo: rejection.id,
            detail: rejection.code.rawValue,
            in: form
        )
    }

    /// A signed `error` of this relay, for its own refusals as well (DSIP §13.2, §15).
    ///
    /// - Parameter retryAfter: seconds; 0 says that trying again is useless.
    public func error(
        _ reason: Reason,
        to recipient: DID,
        session: ULID? = nil,
        inReplyTo id: ULID? = nil,
        detail: String? = nil,
        retryAfter: Int64? = nil,
        in form: WireForm = .jose
    ) -> Envelope? {
        let report = ErrorReport(
            reason,
            detail: detail.map { .text($0) },
            retryAfter: retryAfter,
            inReplyTo: id
        )
        return sign(.error(stamp(), to: recipient, session: session, report), in: form)
    }

    /// DSIP §15.4: the token of the condition; before a binding, that of the failed `hello`.
    private func reason(for rejection: Rejection, isBound: Bool) -> Reason {
        if let reason = rejection.reason { return reason }
        if !isBound { return .transportHelloRejected }
        return rejection.code == .envelopeShape ? .sessionUnsupportedWireFormat : .sessionFailed
    }

    /// A stamp of this relay: now, thirty seconds, core versions only.
    public func stamp() -> Message.Stamp {
        var generator = SystemRandomNumberGenerator()
        let now = configuration.clock()
        return Message.Stamp(
            id: ULID(milliseconds: UInt64(max(0, now)) * 1000, using: &generator),
            from: configuration.key.did,
            issuedAt: now,
            version: .core
        )
    }

    /// - Returns: nil when the key cannot sign, which only a failing key store brings about.
    public func sign(_ message: Message, in form: WireForm = .jose) -> Envelope? {
        try? message.signed(by: configuration.key, with: codec(form))
    }

    /// - Returns: nil for DSIP-JOSE, and for a form that is not served.
    func codec(_ form: WireForm) -> (any WireCodec)? { configuration.codecs.first { $0.form == form } }
}
