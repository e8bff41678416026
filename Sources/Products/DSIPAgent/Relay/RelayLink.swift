import DSIPDialect03
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging
import NIOConcurrencyHelpers

/// One device's connection to one relay, with an outbox in front of it.
///
/// The transport refuses what it cannot send at once; a call must survive a relay that restarts. So the outbox keeps what is not yet
/// sent, in order, until it expires, and sends again what went out in the last moments before a connection was lost: whether the relay
/// had it is unknown then, and every receiver drops a message it has seen (DSIP §12.9).
final class RelayLink: Sendable {
    struct Item: Sendable {
        var envelope: Envelope
        var expiresAt: Int64
        var type: MessageType?
        var session: ULID?
        /// A message of the messaging profile: whoever made it sends it again when the connection is back, so it is not kept.
        var isMail = false
        /// It may have reached the relay, whether or not that is known here.
        var isTried = false

        init(envelope: Envelope, expiresAt: Int64, type: MessageType? = nil, session: ULID? = nil) {
            self.envelope = envelope
            self.expiresAt = expiresAt
            self.type = type
            self.session = session
        }

        init(envelope: Envelope, message: Message) {
            self.init(
                envelope: envelope,
                expiresAt: message.expiresAt,
                type: message.type,
                session: message.sessionID
            )
        }
    }

    /// Who answered, and the signed `hello` that says so.
    struct Relay: Sendable, Hashable {
        var identity: DID
        var hello: ULID
    }

    enum State: Sendable {
        case connecting
        case connected(Relay, RelayCapabilities)
        case waiting(until: Int64, TransportError)
        case refused(String)
    }

    enum Output: Sendable {
        case message(Verified<Message>)
        case mail(Verified<MailboxMessage>)
        /// Of ratchet conversations.
        case ratchet(Verified<any Sendable>)
        case state(State)
        /// The relay's transport will never take this message.
        case undeliverable(Item)
        /// The relay keeps something that can never be read here.
        case unreadable(ULID)
        /// Nothing has gone either way for a while.
        case idle
        /// This device has come to another network.
        case networkChanged
    }

    struct Environment: Sendable {
        var roots: TrustRoots
        var source: KnownDocuments
        var replay: SharedReplayWindow
        var clock: @Sendable () -> Int64
        var log: Logger
    }

    static let maximumQueued = 512
    /// What was sent this short a time before a connection was lost is sent again.
    static let doubtful: Duration = .seconds(3)

    private struct Box {
        var queue: [Item] = []
        var recent: [(item: Item, at: ContinuousClock.Instant)] = []
        var state = State.connecting
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
        var lastUse = ContinuousClock.now
        var tasks: [Task<Void, Never>] = []
        var isStarted = false
        /// On another network since the last `hello`: what went out before may have gone nowhere.
        var hasMoved = false
        var isClosed = false
    }

    let url: String
    private let persistent: Bool
    private let client: SignalingClient?
    private let environment: Environment
    private let deliver: @Sendable (Output) -> Void
    private let box = NIOLockedValueBox(Box())
    private let wake: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    init(
        url: String,
        owner: DID,
        key: SigningKey?,
        delegations: [Envelope],
        persistent: Bool,
        environment: Environment,
        deliver: @escaping @Sendable (Output) -> Void
    ) {
        self.url = url
        self.persistent = persistent
        self.environment = environment
        self.deliver = deliver
        (wake, waker) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        if let key, let address = try? RelayAddress(url) {
            var configuration = SignalingClient.Configuration(
                address,
                key: key,
                identity: key.did == owner ? nil : owner,
                delegations: delegations,
                clock: environment.clock
            )
            configuration.roots = environment.roots
            configuration.policy = .messaging()
            configuration.policy.supported = configuration.policy.supported.withRatchet()
            configuration.profiles = .messaging.joined(with: .ratchet)
            configuration.codecs = [ProposalCodec.json(opening: [key])]
            configuration.extensions = [StoredMessage.extensionID]
            configuration.policy.supported.extensions.append(.sealedBody)
            configuration.opener = SealOpener([key])
            client = SignalingClient(configuration, source: environment.source, replay: environment.replay)
        } else {
            client = nil
        }
    }

    var lastUse: ContinuousClock.Instant { box.withLockedValue(\.lastUse) }

    func touch() { box.withLockedValue { $0.lastUse = .now } }

    func start() {
        let isFirst = box.withLockedValue { box in
            defer { box.isStarted = true }
            return !box.isStarted
        }
        guard isFirst else { return }
        guard let client else {
            change(.refused("the address \(url) cannot be dialled"))
            return
        }
        let tasks = [
            Task { await client.run() },
            Task { [weak self] in
                for await event in client.events { self?.handle(event) }
            },
            Task { [weak self, wake] in
                for await _ in wake { await self?.flush(client) }
            },
        ]
        box.withLockedValue { $0.tasks += tasks }
        guard !persistent else { return }
        let watch = Task { [weak self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(60))
                guard let self else { return }
                if ContinuousClock.now - lastUse > RelayLinks.idleLimit { deliver(.idle) }
            }
        }
        box.withLockedValue { $0.tasks.append(watch) }
    }

    /// Takes a message to send. A `cancel` takes an unsent invite of its session with it: then neither need go out.
    func enqueue(_ item: Item) {
        box.withLockedValue { box in
            box.lastUse = .now
            if item.type == .cancel, let session = item.session,
                let unsent = box.queue.firstIndex(where: { $0.type == .invite && $0.session == session && !$0.isTried })
            {
                box.queue.remove(at: unsent)
                return
            }
            if box.queue.count >= RelayLink.maximumQueued { box.queue.removeFirst() }
            box.queue.append(item)
        }
        waker.yield()
    }

    /// Waits until the link is connected.
    /// - Returns: the relay, or nil when time is up.
    func ready(within limit: Duration) async -> Relay? {
        if let relay = box.withLockedValue(\.state).relay { return relay }
        let id = box.withLockedValue { box in
            box.nextWaiter += 1
            return box.nextWaiter
        }
        let timeout = Task { [weak self] in
            try? await Task.sleep(for: limit)
            self?.resume(id)
        }
        client?.reconnectNow()
        await withCheckedContinuation { continuation in
            let isReady = box.withLockedValue { box in
                if case .connected = box.state { return true }
                box.waiters[id] = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
        timeout.cancel()
        return box.withLockedValue(\.state).relay
    }

    /// Who answered, while connected.
    var state: State { box.withLockedValue(\.state) }
    var relay: Relay? { state.relay }

    /// Waits until the link is connected, for what the relay says of itself.
    func answer(within limit: Duration) async -> (relay: Relay, capabilities: RelayCapabilities)? {
        guard await ready(within: limit) != nil,
            case .connected(let relay, let capabilities) = box.withLockedValue(\.state)
        else { return nil }
        return (relay, capabilities)
    }

    /// Why nothing this device signs is accepted, when that is its clock.
    var clockFault: TransportError? {
        if case .waiting(_, let error) = box.withLockedValue(\.state), error.code == .clock { return error }
        return nil
    }

    /// Says hello anew, under renewed delegations of the same device.
    func rebind(owner: DID, delegations: [Envelope]) {
        client?.rebind(identity: client?.configuration.key.did == owner ? nil : owner, delegations: delegations)
    }

    /// Tells the state again.
    func report() { deliver(.state(box.withLockedValue(\.state))) }

    /// Lets what is queued go out, the last word of a call among it, then closes.
    func drain() async {
        let deadline = ContinuousClock.now + .seconds(3)
        while ContinuousClock.now < deadline, box.withLockedValue({ !$0.queue.isEmpty && $0.state.isConnected }) {
            try? await Task.sleep(for: .milliseconds(10))
        }
        close()
    }

    func close() {
        let tasks = box.withLockedValue { box in
            box.isClosed = true
            defer { box.tasks = [] }
            return box.tasks
        }
        client?.close()
        waker.finish()
        // The first task is the client's own: it ends by itself once it has said goodbye.
        for task in tasks.dropFirst(2) { task.cancel() }
        for id in box.withLockedValue({ Array($0.waiters.keys) }) { resume(id) }
    }

    // MARK: Parts

    private func resume(_ id: UInt64) { box.withLockedValue { $0.waiters.removeValue(forKey: id) }?.resume() }

    private func handle(_ event: SignalingClient.Event) {
        switch event {
        case .message(let message):
            touch()
            deliver(.message(message))
        case .profile(let message):
            touch()
            if let mail = message.narrowed(as: MailboxMessage.self) {
                deliver(.mail(mail))
            } else {
                deliver(.ratchet(message))
            }
        case .rejected(let rejection):
            environment.log.info("envelope rejected", metadata: ["code": "\(rejection.code.rawValue)"])
            // A signer whose document cannot be had now may be known by the next connection.
            if let id = rejection.keptAs, rejection.code != .kidUnresolvable { deliver(.unreadable(id)) }
        case .networkChanged:
            box.withLockedValue { $0.hasMoved = true }
            deliver(.networkChanged)
        case .state(.connecting): break
        case .state(.connected(let relay)):
            if takeMove() {
                requeueDoubtful()
                change(.waiting(until: environment.clock(), TransportError(.unreachable, "the network changed")))
            }
            change(.connected(Relay(identity: relay.identity, hello: relay.hello), relay.capabilities))
            waker.yield()
        case .state(.refused(let refusal)):
            change(.refused(Sentences.table(refusal.report.reason)))
        case .state(.waiting(let delay, let error)):
            requeueDoubtful()
            if case .refused = box.withLockedValue(\.state) { return }
            change(.waiting(until: environment.clock() + delay.components.seconds + 1, error))
        case .state(.closed): break
        }
    }

    private func takeMove() -> Bool {
        box.withLockedValue { box in
            defer { box.hasMoved = false }
            return box.hasMoved && box.state.isConnected
        }
    }

    private func change(_ state: State) {
        let waiters = box.withLockedValue { box in
            box.state = state
            guard state.isConnected else { return [CheckedContinuation<Void, Never>]() }
            defer { box.waiters = [:] }
            return Array(box.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
        deliver(.state(state))
    }

    private func requeueDoubtful() {
        box.withLockedValue { box in
            let since = ContinuousClock.now - RelayLink.doubtful
            box.queue.removeAll(where: \.isMail)
            box.queue.insert(contentsOf: box.recent.filter { $0.at >= since }.map(\.item), at: 0)
            box.recent = []
        }
    }

    private func flush(_ client: SignalingClient) async {
        while let item = next() {
            do throws(TransportError) {
                try await client.send(item.envelope)
                sent(item)
            } catch {
                switch error.code {
                case .tooLarge:
                    sent(item)
                    deliver(.undeliverable(item))
                case .backpressure: try? await Task.sleep(for: .milliseconds(100))
                default: return
                }
            }
        }
    }

    /// The first item still worth sending; it stays in the queue until it is sent.
    private func next() -> Item? {
        let now = environment.clock()
        return box.withLockedValue { box in
            guard !box.isClosed || box.state.isConnected else { return nil }
            box.queue.removeAll { $0.expiresAt <= now }
            guard !box.queue.isEmpty else { return nil }
            box.queue[0].isTried = true
            return box.queue[0]
        }
    }

    private func sent(_ item: Item) {
        box.withLockedValue { box in
            if let index = box.queue.firstIndex(where: { $0.envelope == item.envelope }) { box.queue.remove(at: index) }
            let since = ContinuousClock.now - RelayLink.doubtful
            box.recent.removeAll { $0.at < since }
            if !item.isMail { box.recent.append((item, .now)) }
        }
    }
}

extension RelayLink.State {
    var isConnected: Bool { relay != nil }

    var relay: RelayLink.Relay? { if case .connected(let relay, _) = self { relay } else { nil } }
}

/// What verification may know: documents of the directory's cache, and the revocations that have come in.
final class KnownDocuments: VerificationSource {
    private let resolver: CachingResolver
    private let held = NIOLockedValueBox(Revocations())

    init(resolver: CachingResolver) { self.resolver = resolver }

    func document(of did: DID, at now: Int64) -> DocumentLookup { resolver.lookup(did) }

    func resolve(_ did: DID) async { _ = try? await resolver.resolve(did) }

    var revocations: Revocations { held.withLockedValue { $0 } }

    func add(_ revocation: DelegationRevocation) { held.withLockedValue { $0.insert(revocation) } }
}
