import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOPosix
import Synchronization

/// A device's connection to one relay, kept alive: dials, says `hello`, delivers what is verified, dials again (DSIP §13.2).
///
/// One client for each relay; a device that holds several is multihomed, and its clients share a `SharedReplayWindow` so that an
/// envelope that comes both ways is seen once. What is sent while there is no connection is refused, not stored.
///
/// ```swift
/// let client = SignalingClient(configuration, source: source)
/// async let _ = client.run()
/// for await event in client.events { … }
/// ```
public final class SignalingClient: Sendable {
    public struct Configuration: Sendable {
        public var address: RelayAddress
        /// Signs the `hello`: the device's key.
        public var key: SigningKey
        /// `on_behalf_of`; nil when the device is its own identity.
        public var identity: DID?
        /// Bind the device to `identity`; put into the protected header of the `hello`.
        public var delegations: [Envelope]
        /// When set, only this relay will do.
        public var relay: DID?
        public var roots = TrustRoots.system
        public var policy = VerificationPolicy()
        /// Reads the messages of profiles; the policy must support those.
        public var profiles = ProfileReader.none
        /// Forms beside DSIP-JOSE that are read; that of the proposal is named in the `hello`, so that the relay hands it on.
        public var codecs: [any WireCodec] = []
        /// Named in the `hello` as well: what else this device understands that a relay has to know of.
        public var extensions: [ProfileID] = []
        /// Spoken instead of DSIP-JOSE; its codec is among `codecs`.
        public var subprotocol: Subprotocol?
        /// Opens sealed bodies.
        public var opener: SealOpener?
        /// When set, only addresses (4 or 16 bytes, network order) for which it holds are dialled: for addresses that strangers chose.
        public var allows: (@Sendable ([UInt8]) -> Bool)?
        public var resolver: any HostResolver = SystemHostResolver()
        public var backoff = Backoff()
        /// UDP port at which the relay is known to speak `quic/1.0`, which is then tried first. A relay's `hello` tells it as well.
        public var quicPort: Int?
        /// Whether `quic/1.0` is used where relay and network permit.
        public var prefersQUIC = QUICBinding.isAvailable
        /// How long a handshake over UDP may take before `ws/1.0` is used instead.
        public var quicTimeout = QUICBinding.connectTimeout
        /// How often it is looked whether the way to the relay leaves by another address.
        public var routeInterval: Duration = .milliseconds(500)
        /// Unix seconds.
        public var clock: @Sendable () -> Int64
        public var group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton

        public init(
            _ address: RelayAddress,
            key: SigningKey,
            identity: DID? = nil,
            delegations: [Envelope] = [],
            clock: @escaping @Sendable () -> Int64
        ) {
            self.address = address
            self.key = key
            self.identity = identity
            self.delegations = delegations
            self.clock = clock
        }
    }

    /// Who answered the `hello`. TLS authenticated a host; this is the relay itself.
    public struct Relay: Hashable, Sendable {
        public let identity: DID
        /// The id of its signed `hello`.
        public let hello: ULID
        public let capabilities: RelayCapabilities
        /// Which binding carries the connection: `ws/1.0` or `quic/1.0`.
        public let binding: String
    }

    /// A signed refusal of the `hello`.
    public struct Refusal: Hashable, Sendable {
        public let relay: DID
        public let report: ErrorReport

        init(by relay: DID, _ report: ErrorReport) {
            self.relay = relay
            self.report = report
        }
    }

    public enum State: Sendable {
        case connecting
        case connected(Relay)
        /// The relay would not have the `hello`; `waiting` follows.
        case refused(Refusal)
        /// No connection, for the reason given; the next attempt follows after the delay.
        case waiting(Duration, TransportError)
        case closed
    }

    public enum Event: Sendable {
        case state(State)
        case message(Verified<Message>)
        /// A message of a profile, as `Configuration.profiles` reads it.
        case profile(Verified<any Sendable>)
        /// An envelope that did not verify.
        case rejected(Rejection)
        /// This device has come to another network; the connection moves, or `connected` follows again.
        case networkChanged
    }

    private struct Live {
        var link: ClientLink?
        var sleeper: Task<Void, Never>?
        var isClosed = false
        /// The port for QUIC that the relay told, and until when UDP counts as blocked.
        var quicPort: Int?
        var quicBlockedUntil: ContinuousClock.Instant?
        /// Where the relay was last reached.
        var destination: SocketAddress?
        /// On another network: delays begin anew.
        var isFresh = false
        var identity: DID?
        var delegations: [Envelope]
    }

    public let configuration: Configuration
    /// What happens, in order; to be iterated once. A listener that falls behind slows the relay down, nothing is dropped.
    public let events: EventStream
    let sink: ClientEvents
    let source: any VerificationSource
    let replay: SharedReplayWindow
    private let live: Mutex<Live>

    public init(
        _ configuration: Configuration,
        source: any VerificationSource,
        replay: SharedReplayWindow = SharedReplayWindow()
    ) {
        self.configuration = configuration
        self.source = source
        self.replay = replay
        self.live = Mutex(Live(identity: configuration.identity, delegations: configuration.delegations))
        let (sink, sequence) = ClientEvents.make()
        self.sink = sink
        self.events = EventStream(sequence)
    }

    /// Keeps the connection until `close()` or cancellation. Call once.
    public func run() async {
        var backoff = configuration.backoff
        var generator = SystemRandomNumberGenerator()
        let follower = Task { await followRoute() }
        defer { follower.cancel() }
        while !isFinished {
            sink.yield(.state(.connecting))
            let (lifetime, failure) = await connect()
            guard !isFinished else { break }
            if takeFreshStart() { backoff = configuration.backoff }
            let delay = backoff.connectionLost(after: lifetime, using: &generator)
            sink.yield(.state(.waiting(delay, failure)))
            await sleep(delay)
        }
        sink.yield(.state(.closed))
        sink.finish()
    }

    /// Sends one envelope; returns when the socket has taken it.
    ///
    /// - Throws: `.notConnected`, `.backpressure` when the relay reads too slowly, `.tooLarge`.
    public func send(_ envelope: Envelope) async throws(TransportError) {
        guard envelope.bytes.count <= Binding.maximumEnvelopeBytes else {
            throw TransportError(.tooLarge, "an envelope is at most \(Binding.maximumEnvelopeBytes) bytes")
        }
        guard let link = live.withLock(\.link) else {
            throw TransportError(.notConnected, "not connected to the relay")
        }
        try await link.send(envelope.bytes)
    }

    /// Speaks for another identity, or under renewed delegations, from now on: says `hello` again where connected.
    public func rebind(identity: DID?, delegations: [Envelope]) {
        let link = live.withLock { live in
            live.identity = identity
            live.delegations = delegations
            return live.link
        }
        link?.perform { $0.sendHello() }
    }

    /// Dials now instead of after the delay, such as when the network has come back.
    public func reconnectNow() { live.withLock(\.sleeper)?.cancel() }

    /// Says goodbye to the relay and ends `run()`.
    public func close() {
        let (link, sleeper) = live.withLock { live in
            live.isClosed = true
            return (live.link, live.sleeper)
        }
        sleeper?.cancel()
        link?.perform { $0.close(.normal) }
    }

    // MARK: One connection

    var isFinished: Bool { Task.isCancelled || live.withLock(\.isClosed) }

    /// - Returns: how long the connection was bound, and why it ended.
    private func connect() async -> (Duration, TransportError) {
        var link: ClientLink
        do throws(TransportError) {
            link = try await dialPreferred()
        } catch {
            return (.zero, error)
        }
        if attach(link) { link.perform { $0.close(.normal) } }
        defer { live.withLock { $0.link = nil } }
        return await withTaskCancellationHandler {
            var lifetime = Duration.zero
            if let relay = try? await link.bound.get() {
                let start = ContinuousClock.now
                if let better = await goOver(from: relay) {
                    link.leave(after: Binding.helloTimeout)
                    link = better
                }
                _ = try? await link.ended.get()
                // Another one may have taken its place.
                while let next = currentLink, next !== link {
                    link = next
                    _ = try? await link.ended.get()
                }
                lifetime = ContinuousClock.now - start
            }
            let failure = try? await link.ended.get()
            return (lifetime, failure ?? TransportError(.unreachable, "the connection to the relay was lost"))
        } onCancel: {
            live.withLock(\.link)?.perform { $0.close(.normal) }
        }
    }

    // MARK: Two bindings

    /// `quic/1.0` where the relay is known to speak it and UDP gets through, else `ws/1.0`.
    private func dialPreferred() async throws(TransportError) -> ClientLink {
        #if QUIC
        if let link = await dialQUICIfOffered() { return link }
        #endif
        return try await dial()
    }

    /// A relay reached by `ws/1.0` that offers `quic/1.0` is dialled so as well. Its `hello` puts the new connection in the old one's
    /// place; the relay then closes the old one behind what it still sends there, so that nothing is lost between the two (DSIP §13.2).
    ///
    /// - Returns: the connection that is used from now on; nil when it remains the one that is.
    func goOver(from relay: Relay) async -> ClientLink? {
        #if QUIC
        guard relay.binding == Binding.identifier,
            case .int(let port)? = relay.capabilities.other[QUICBinding.capability], (1...65_535).contains(port)
        else { return nil }
        live.withLock { $0.quicPort = Int(port) }
        guard let link = await dialQUICIfOffered() else { return nil }
        guard (try? await link.bound.get()) != nil else {
            blockQUIC()
            return nil
        }
        if isFinished { link.perform { $0.close(.normal) } }
        return link
        #else
        return nil
        #endif
    }

    #if QUIC
    private func dialQUICIfOffered() async -> ClientLink? {
        guard configuration.prefersQUIC, configuration.subprotocol == nil else { return nil }
        let port = live.withLock { live in
            live.quicBlockedUntil.map { $0 > .now } == true ? nil : live.quicPort ?? configuration.quicPort
        }
        guard let port else { return nil }
        if let link = try? await dialQUIC(port: port) { return link }
        blockQUIC()
        return nil
    }

    private func blockQUIC() { live.withLock { $0.quicBlockedUntil = .now + QUICBinding.blockedFor } }
    #endif

    var currentLink: ClientLink? { live.withLock(\.link) }

    /// Where the relay was last reached.
    var destination: SocketAddress? {
        get { live.withLock(\.destination) }
        set { live.withLock { $0.destination = newValue } }
    }

    /// On another network what failed before says nothing.
    func startAfresh() {
        live.withLock { live in
            live.isFresh = true
            live.quicBlockedUntil = nil
        }
    }

    private func takeFreshStart() -> Bool {
        live.withLock { live in
            defer { live.isFresh = false }
            return live.isFresh
        }
    }

    /// Makes `link` the connection that `send` and `close` mean.
    ///
    /// - Returns: whether the client has been closed meanwhile.
    @discardableResult
    func attach(_ link: ClientLink) -> Bool {
        live.withLock { live in
            live.link = link
            return live.isClosed
        }
    }

    private func sleep(_ delay: Duration) async {
        let sleeper = Task { _ = try? await Task.sleep(for: delay) }
        let isClosed = live.withLock { live in
            live.sleeper = sleeper
            return live.isClosed
        }
        if isClosed { sleeper.cancel() }
        await withTaskCancellationHandler {
            await sleeper.value
        } onCancel: {
            sleeper.cancel()
        }
        live.withLock { $0.sleeper = nil }
    }

    /// The `hello` for a new connection, and its id.
    func makeHello() -> (ULID, Envelope)? {
        let (identity, delegations) = live.withLock { ($0.identity, $0.delegations) }
        var generator = SystemRandomNumberGenerator()
        let now = configuration.clock()
        let id = ULID(milliseconds: UInt64(max(0, now)) * 1000, using: &generator)
        var hello = Message.hello(
            Message.Stamp(id: id, from: configuration.key.did, issuedAt: now),
            Hello(onBehalfOf: identity)
        )
        let form = configuration.subprotocol?.form ?? .jose
        if form == .jose, configuration.codecs.contains(where: { $0.form == .proposal }) {
            hello.version.extensions.append(.proposalDialect)
        }
        hello.version.extensions += configuration.extensions
        let codec = configuration.codecs.first { $0.form == form }
        guard let envelope = try? hello.signed(by: configuration.key, delegations: delegations, with: codec) else {
            return nil
        }
        return (id, envelope)
    }
}

extension SignalingClient {
    /// The events of a client; one iteration.
    public struct EventStream: AsyncSequence, Sendable {
        private let producer: ClientEvents.Producer

        init(_ producer: ClientEvents.Producer) { self.producer = producer }

        public struct AsyncIterator: AsyncIteratorProtocol {
            fileprivate let iterator: ClientEvents.Producer.AsyncIterator
            public func next() async -> Event? { await iterator.next() }
        }

        public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(iterator: producer.makeAsyncIterator()) }
    }
}
