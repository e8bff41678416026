import DSIPDialect03
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import Synchronization
import Testing

@testable import DSIPRelay

/// Seconds that a relay and its devices share; moved by hand.
final class SharedClock: Sendable {
    private let offset = Mutex<Int64>(0)

    var now: Int64 { unixNow() + offset.withLock { $0 } }
    func advance(by seconds: Int64) { offset.withLock { $0 += seconds } }
}

/// A device of someone, connected to a relay over TLS on loopback, by the client that agents use.
final class TestDevice: Sendable {
    enum Failure: Error { case timeout(String), unsent(String), ended }

    private struct State {
        var messages: [Verified<Message>] = []
        /// When each came.
        var arrivals: [ULID: ContinuousClock.Instant] = [:]
        var mail: [Verified<MailboxMessage>] = []
        var ratchet: [Verified<any Sendable>] = []
        var states: [SignalingClient.State] = []
    }

    let key: SigningKey
    let owner: SigningKey?
    let delegation: Envelope?
    let client: SignalingClient
    private let clock: SharedClock
    private let state = Mutex(State())
    private let running = Mutex<Task<Void, Never>?>(nil)

    /// - Parameter owner: whose key delegates to the device; nil for a device that is its own identity.
    init(
        _ name: String,
        of owner: SigningKey? = nil,
        at relay: Relay.Running,
        clock: SharedClock = SharedClock(),
        capabilities: [String] = [Delegation.Capability.signaling, Delegation.Capability.messaging],
        source: any VerificationSource = SelfCertifyingSource(),
        speaking subprotocol: Subprotocol? = nil
    ) throws {
        self.key = DSIPRelayTests.key(name)
        self.owner = owner
        self.clock = clock
        self.delegation = try owner.map { [key] owner in
            try Delegation(
                subject: owner.did,
                device: key.did,
                capabilities: capabilities,
                issuedAt: clock.now - 100,
                expiresAt: clock.now + 86_400
            ).issue(by: owner)
        }
        var configuration = SignalingClient.Configuration(
            try RelayAddress("wss://127.0.0.1:\(relay.port)/dsip"),
            key: key,
            identity: owner?.did,
            delegations: delegation.map { [$0] } ?? [],
            clock: { clock.now }
        )
        configuration.policy = .messaging()
        configuration.policy.supported = configuration.policy.supported.withRatchet()
        configuration.profiles = .messaging.joined(with: .ratchet)
        configuration.roots = TrustRoots(additionalFiles: relay.rootPath.map { [$0] } ?? [])
        configuration.quicTimeout = .seconds(60)
        if let subprotocol {
            configuration.subprotocol = subprotocol
            configuration.codecs = [COSECodec(), ProposalCodec.json, ProposalCodec.cbor]
        }
        self.client = SignalingClient(configuration, source: source)
    }

    /// What the device signs in.
    private var codec: (any WireCodec)? {
        client.configuration.codecs.first { $0.form == client.configuration.subprotocol?.form }
    }

    deinit { hangUp() }

    var did: DID { key.did }
    /// Whom others address.
    var identity: DID { owner?.did ?? key.did }

    /// Connects and waits until the relay has answered the hello.
    @discardableResult
    func connect() async throws -> SignalingClient.Relay {
        let client = client
        running.withLock { running in
            running = Task { [weak self] in
                async let run: Void = client.run()
                for await event in client.events {
                    guard let self else { break }
                    self.state.withLock { state in
                        switch event {
                        case .message(let message):
                            state.messages.append(message)
                            state.arrivals[message.body.id] = .now
                        case .profile(let message):
                            if let message = message.narrowed(as: MailboxMessage.self) {
                                state.mail.append(message)
                            } else {
                                state.ratchet.append(message)
                            }
                        case .state(let new): state.states.append(new)
                        case .networkChanged: break
                        case .rejected(let rejection): Issue.record("rejected: \(rejection)")
                        }
                    }
                }
                client.close()
                await run
            }
        }
        return try await wait("a hello") { state in
            for case .connected(let relay) in state.states { return relay }
            return nil
        }
    }

    func hangUp() {
        client.close()
        running.withLock { $0?.cancel() }
    }

    var states: [SignalingClient.State] { state.withLock(\.states) }
    func arrival(of id: ULID) -> ContinuousClock.Instant? { state.withLock { $0.arrivals[id] } }
    var received: [Verified<Message>] { state.withLock(\.messages) }
    func types() -> [MessageType] { received.map(\.body.type) }

    /// Takes the first message that `matches`, in the order received.
    func next(
        _ type: MessageType,
        seconds: Double = 20,
        where matches: @escaping @Sendable (Message) -> Bool = { _ in true }
    ) async throws -> Verified<Message> {
        try await wait("a \(type)", seconds: seconds) { state in
            guard let index = state.messages.firstIndex(where: { $0.body.type == type && matches($0.body) }) else {
                return nil
            }
            return state.messages.remove(at: index)
        }
    }

    func error(_ reason: Reason, about id: ULID? = nil) async throws -> ErrorReport {
        let message = try await next(.error) { message in
            guard case .error(let report) = message.body else { return false }
            return report.reason == reason && (id == nil || report.inReplyTo == id)
        }
        guard case .error(let report) = message.body.body else { throw Failure.ended }
        return report
    }

    func waitForState(_ matches: @escaping @Sendable (SignalingClient.State) -> Bool) async throws {
        _ = try await wait("a state") { $0.states.contains(where: matches) ? true : nil }
    }

    private func wait<R>(_ what: String, seconds: Double = 20, _ take: (inout State) -> R?) async throws -> R {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            if let found = state.withLock({ take(&$0) }) { return found }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw Failure.timeout("\(what); states \(states)")
    }

    // MARK: Ratchet

    /// Sealed messages in the order in which they came; those that came twice are there twice.
    var sealed: [Verified<RatchetMessage>] {
        state.withLock { $0.ratchet.compactMap { $0.narrowed(as: RatchetMessage.self) } }
    }

    func preKeys(answering id: ULID) async throws -> PreKeys {
        try await wait("prekeys") { state in
            state.ratchet.lazy.compactMap { $0.narrowed(as: PreKeys.self)?.body }.first { $0.inReplyTo == id }
        }
    }

    func post(_ payload: JSONValue) async throws {
        try await post(Envelope(signing: payload.utf8, by: key, delegations: delegation.map { [$0] } ?? []))
    }

    // MARK: Mail

    var mail: [Verified<MailboxMessage>] { state.withLock(\.mail) }

    /// Takes the first message of the profile that `take` makes something of, in the order received.
    func mail<R>(_ what: String, seconds: Double = 20, _ take: @Sendable (MailboxMessage) -> R?) async throws -> R {
        try await wait(what, seconds: seconds) { state in
            for (index, message) in state.mail.enumerated() {
                guard let taken = take(message.body) else { continue }
                state.mail.remove(at: index)
                return taken
            }
            return nil
        }
    }

    /// What came of a message: the `accepted`, or the reason of the `error`.
    func answer(to id: ULID, seconds: Double = 20) async throws -> Result<Accepted, Refused> {
        try await wait("an answer", seconds: seconds) { state in
            for (index, message) in state.mail.enumerated() {
                guard case .accepted(let accepted) = message.body.body, accepted.inReplyTo == id else { continue }
                state.mail.remove(at: index)
                return .success(accepted)
            }
            for (index, message) in state.messages.enumerated() {
                guard case .error(let report) = message.body.body, report.inReplyTo == id else { continue }
                state.messages.remove(at: index)
                return .failure(Refused(reason: report.reason, retryAfter: report.retryAfter))
            }
            return nil
        }
    }

    struct Refused: Error, Hashable {
        var reason: Reason
        var retryAfter: Int64?
    }

    func mailboxMessage(_ body: MailboxMessage.Body, to service: DID, lifetime: Int64 = 30) -> MailboxMessage {
        MailboxMessage(
            id: ulid(clock.now),
            from: did,
            to: service,
            issuedAt: clock.now,
            expiresAt: clock.now + lifetime,
            body: body
        )
    }

    func post(_ message: MailboxMessage) async throws {
        try await post(message.signed(by: key, delegations: delegation.map { [$0] } ?? []))
    }

    func post(_ envelope: Envelope) async throws {
        do {
            try await client.send(envelope)
        } catch {
            throw Failure.unsent("\(error); states \(states)")
        }
    }

    /// Sends, and waits for what comes of it.
    func ask(_ body: MailboxMessage.Body, of service: DID, lifetime: Int64 = 30) async throws -> Accepted {
        let message = mailboxMessage(body, to: service, lifetime: lifetime)
        try await post(message)
        return try await answer(to: message.id).get()
    }

    // MARK: Saying things

    func stamp(lifetime: Int64 = 30, version: VersionBlock = .interactive) -> Message.Stamp {
        Message.Stamp(id: ulid(clock.now), from: did, issuedAt: clock.now, lifetime: lifetime, version: version)
    }

    /// - Returns: the id of what was sent.
    @discardableResult
    func send(_ message: Message) async throws -> ULID {
        do {
            try await client.send(
                message.signed(by: key, delegations: delegation.map { [$0] } ?? [], with: codec)
            )
        } catch {
            throw Failure.unsent("\(error); states \(states)")
        }
        return message.id
    }

    @discardableResult
    func invite(_ to: DID, reports: Bool = false) async throws -> ULID {
        var version = VersionBlock.interactive
        if reports { version.extensions = [.deliveryReport] }
        return try await send(
            .invite(
                stamp(version: version),
                to: to,
                Invite(
                    media: [MediaDescriptor(.audio, codecs: [Codec("codec:audio/opus")])],
                    transports: [TransportDescriptor(webRTC: "v=0")]
                )
            )
        )
    }

    @discardableResult
    func say(_ body: some MessageBody, to: DID, session: ULID? = nil, lifetime: Int64 = 300) async throws -> ULID {
        try await send(Message(stamp(lifetime: lifetime), to: to, session: session, body))
    }

    @discardableResult
    func introduce(to: DID) async throws -> ULID {
        try await send(
            Message(
                stamp(lifetime: 86_400),
                to: to,
                Introduction(identity: IdentityInfo(displayName: "Carol"), purpose: "Hello")
            )
        )
    }
}
