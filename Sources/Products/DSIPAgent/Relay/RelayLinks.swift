import DSIPBroadcast
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging
import NIOConcurrencyHelpers

/// The connections to relays: one for good to each of our identities' own relay, others on demand, closed when idle.
///
/// Every link is one device's connection to one relay. What comes in on any of them goes to one stream, in order.
final class RelayLinks: Sendable {
    enum Event: Sendable {
        case message(Verified<Message>, owner: DID, path: String)
        case mail(Verified<MailboxMessage>, owner: DID, path: String)
        case ratchet(Verified<any Sendable>, owner: DID, path: String)
        case status(owner: DID, url: String, RelayLink.State)
        case undeliverable(RelayLink.Item, owner: DID)
        /// What the relay keeps under this id can never be read.
        case unreadable(ULID, owner: DID, path: String)
        /// Close it with `drop`, or `touch` it to keep it.
        case idle(owner: DID, url: String)
        case networkChanged
    }

    /// Links beside the persistent ones; the one longest unused goes for a new one.
    static let maximumForeign = 16
    static let idleLimit: Duration = .seconds(300)

    private struct Owner: Sendable {
        var key: SigningKey
        var delegations: [Envelope]
        var home: String
    }

    private struct Key: Hashable {
        var owner: DID
        var url: String
    }

    private struct State {
        var owners: [DID: Owner] = [:]
        var links: [Key: RelayLink] = [:]
        var relays: [String: RelayLink.Relay] = [:]
        var capabilities: [String: RelayCapabilities] = [:]
        var closed = false
    }

    let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation
    private let state = NIOLockedValueBox(State())
    private let environment: RelayLink.Environment
    private let known: KnownDocuments
    private let dials: Bool

    /// - Parameter dials: false keeps every link unconnected.
    init(
        roots: TrustRoots,
        resolver: CachingResolver,
        clock: @escaping @Sendable () -> Int64,
        log: Logger,
        dials: Bool = true
    ) {
        self.dials = dials
        (events, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .unbounded)
        known = KnownDocuments(resolver: resolver)
        environment = RelayLink.Environment(
            roots: roots,
            source: known,
            replay: SharedReplayWindow(ReplayWindow(capacity: 1 << 14)),
            clock: clock,
            log: log
        )
    }

    /// Opens the persistent link of one of our identities.
    func add(owner: DID, key: SigningKey, delegations: [Envelope], home: String) {
        state.withLockedValue { $0.owners[owner] = Owner(key: key, delegations: delegations, home: home) }
        _ = link(owner: owner, url: home)
    }

    /// A key of the moment, under which links can be asked for; none is opened, and none stays.
    func add(mask key: SigningKey) {
        state.withLockedValue { $0.owners[key.did] = Owner(key: key, delegations: [], home: "") }
    }

    /// A device's delegation was renewed: say hello anew on every link it has.
    func rebind(owner: DID, delegations: [Envelope]) {
        let links = state.withLockedValue { state in
            state.owners[owner]?.delegations = delegations
            return state.links.filter { $0.key.owner == owner }.map(\.value)
        }
        for link in links { link.rebind(owner: owner, delegations: delegations) }
    }

    func remove(owner: DID) {
        let old = state.withLockedValue { state in
            state.owners[owner] = nil
            let keys = state.links.keys.filter { $0.owner == owner }
            return keys.compactMap { state.links.removeValue(forKey: $0) }
        }
        for link in old { link.close() }
    }

    /// The link to `url` as the device of `owner`; dialled when there is none yet.
    func link(owner: DID, url: String) -> RelayLink {
        let key = Key(owner: owner, url: url)
        let (link, evicted) = state.withLockedValue { state -> (RelayLink, RelayLink?) in
            if let link = state.links[key] {
                link.touch()
                return (link, nil)
            }
            let foreign = state.links.filter { state.owners[$0.key.owner]?.home != $0.key.url }
            var evicted: RelayLink?
            if foreign.count >= RelayLinks.maximumForeign,
                let oldest = foreign.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                evicted = state.links.removeValue(forKey: oldest.key)
            }
            let owned = state.owners[owner]
            let link = RelayLink(
                url: url,
                owner: owner,
                key: owned?.key,
                delegations: owned?.delegations ?? [],
                persistent: owned?.home == url,
                environment: environment,
                deliver: { [weak self] in self?.deliver($0, key: key) }
            )
            state.links[key] = link
            return (link, evicted)
        }
        evicted?.close()
        // Once closed, nobody takes this device's place at the relay any more.
        if dials, !state.withLockedValue(\.closed) { link.start() }
        return link
    }

    /// Who answers on a link that is there and connected.
    func connected(owner: DID, url: String) -> RelayLink.Relay? {
        state.withLockedValue { $0.links[Key(owner: owner, url: url)] }?.relay
    }

    /// What the relay at `url` says of itself, asked over a connection as the device of `owner`; nil when there is no answer in time.
    func ask(_ url: String, as owner: DID) async -> (relay: RelayLink.Relay, capabilities: RelayCapabilities)? {
        await link(owner: owner, url: url).answer(within: .seconds(10))
    }

    /// Closes a link that is no longer needed.
    func drop(owner: DID, url: String) {
        state.withLockedValue { $0.links.removeValue(forKey: Key(owner: owner, url: url)) }?.close()
    }

    /// Verifies an envelope that a relay kept for us, as of when it was issued (`EnvelopeVerifier.verifyKept`).
    ///
    /// Documents it needs are fetched, a few at most.
    /// - Returns: nil when it is refused.
    func verifyKept(_ envelope: [UInt8], issued: ClosedRange<Int64>) async -> Verified<Message>? {
        let (known, clock) = (known, environment.clock)
        var policy = VerificationPolicy()
        policy.supported.extensions.append(.sealedBody)
        let opener = SealOpener(state.withLockedValue { $0.owners.values.map(\.key) })
        for _ in 0..<3 {
            var verifier = EnvelopeVerifier(policy: policy, opener: opener, cacheBytes: 1 << 14)
            let now = clock()
            let verdict = verifier.verifyKept(
                envelope,
                issued: issued,
                documents: { known.document(of: $0, at: now) },
                delegations: known.delegations,
                revocations: known.revocations
            )
            switch verdict {
            case .accepted(let message): return message
            case .rejected(let rejection):
                environment.log.info("kept envelope rejected", metadata: ["code": "\(rejection.code.rawValue)"])
                return nil
            case .needs(let did): await known.resolve(did)
            }
        }
        return nil
    }

    /// A record that an authority keeps, with the statements about it.
    struct Published: Sendable {
        var record: PublicationRecord
        var statements: [ProvenanceRecord] = []
        /// The codes of statements that were refused.
        var refused: [String] = []
    }

    /// Verifies what an authority enclosed. Documents it needs are fetched, a few at most.
    func verify(_ record: [UInt8], statements: [[UInt8]]) async -> Result<Published, BroadcastError> {
        let verified: PublicationRecord
        switch await verify({ verifier, now, knowledge in verifier.publication(record, at: now, knowledge) }) {
        case .success(let record): verified = record
        case .failure(let error): return .failure(error)
        }
        var published = Published(record: verified)
        for statement in statements {
            let result = await verify { verifier, now, knowledge in
                verifier.provenance(statement, about: verified, at: now, knowledge)
            }
            switch result {
            case .success(let record): published.statements.append(record)
            case .failure(let error): published.refused.append(error.code)
            }
        }
        return .success(published)
    }

    private func verify<Record>(
        _ ask: (inout BroadcastVerifier, Int64, BroadcastVerifier.Knowledge) -> BroadcastVerifier.Verdict<Record>
    ) async -> Result<Record, BroadcastError> {
        var verifier = BroadcastVerifier()
        for _ in 0..<3 {
            let (known, now) = (known, environment.clock())
            let knowledge = BroadcastVerifier.Knowledge(
                documents: { known.document(of: $0, at: now) },
                delegations: known.delegations,
                revocations: known.revocations
            )
            switch ask(&verifier, now, knowledge) {
            case .accepted(let record): return .success(record)
            case .refused(let error): return .failure(error)
            case .needs(let did): await known.resolve(did)
            }
        }
        return .failure(.envelope(Rejection(.kidUnresolvable, "a document that is needed cannot be had")))
    }

    var revocations: Revocations { known.revocations }

    /// A verified revocation: nothing the device signs counts from now on.
    func add(_ revocation: DelegationRevocation) { known.add(revocation) }

    /// Who the relay at `url` said it is, in its signed hello.
    func relay(at url: String) -> RelayLink.Relay? { state.withLockedValue { $0.relays[url] } }

    /// What it said of itself in it.
    func capabilities(at url: String) -> RelayCapabilities? { state.withLockedValue { $0.capabilities[url] } }

    var isClosed: Bool { state.withLockedValue(\.closed) }

    /// Lets what is queued go out, then closes.
    func close() async {
        let links = state.withLockedValue { state in
            state.closed = true
            defer { state.links = [:] }
            return Array(state.links.values)
        }
        for link in links { await link.drain() }
        continuation.finish()
    }

    private func deliver(_ output: RelayLink.Output, key: Key) {
        switch output {
        case .message(let message): continuation.yield(.message(message, owner: key.owner, path: key.url))
        case .mail(let message): continuation.yield(.mail(message, owner: key.owner, path: key.url))
        case .ratchet(let message): continuation.yield(.ratchet(message, owner: key.owner, path: key.url))
        case .state(let linkState):
            if case .connected(let relay, let capabilities) = linkState {
                state.withLockedValue { state in
                    // Bounded as the links are: relays no longer linked are forgotten beyond a few.
                    if state.relays.count > 256 { (state.relays, state.capabilities) = ([:], [:]) }
                    state.relays[key.url] = relay
                    state.capabilities[key.url] = capabilities
                }
            }
            continuation.yield(.status(owner: key.owner, url: key.url, linkState))
        case .undeliverable(let item): continuation.yield(.undeliverable(item, owner: key.owner))
        case .unreadable(let id): continuation.yield(.unreadable(id, owner: key.owner, path: key.url))
        case .idle: continuation.yield(.idle(owner: key.owner, url: key.url))
        case .networkChanged: continuation.yield(.networkChanged)
        }
    }
}
