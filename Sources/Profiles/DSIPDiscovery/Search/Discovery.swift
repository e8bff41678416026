import DSIPIdentity
import DSIPSignaling
import Libp2p

/// From an alias or a DID to a document and the ways to reach it: what is asked of whom, in which order, and what each answer is worth
/// (DSIP §8). Pure; fed and drained, with every step kept for whoever wants to know.
///
/// Whatever can be asked is asked together. Only hints wait where there is a document, which decides over them: asking for them tells
/// strangers of one's interest for nothing.
public struct Discovery: Sendable {
    public enum Query: Hashable, Sendable {
        case alias(Alias, AliasClaim.Source)
        case document(DID)
        /// What proves the document, from who may carry it.
        case proof(DID, carrier: String)
        case presence(DID)
        case home(DID)
        case hint(DID, HintSearch.Place)
    }

    public enum Answer: Sendable {
        case claim(AliasClaim)
        case document(ResolvedDocument)
        case presence(PresenceRecord)
        case home(HomeRecord)
        /// Records of the overlay's form (§2 of the hints profile), unverified.
        case records([[UInt8]])
        /// A Pkarr payload, unverified; nil for none.
        case packet([UInt8]?)
        case failed(IdentityError)
    }

    public enum Output: Sendable {
        case ask(Query)
        /// A way to reach the identity that was not known before; dialing may begin.
        case route(DiscoveredRoute)
        /// Put a newer hint where an older one was.
        case repair(HintSearch.Place, bytes: [UInt8])
        case finished(Discovered)
    }

    /// What there is to ask.
    public struct Sources: Hashable, Sendable {
        public var aliases: [AliasClaim.Source] = [.webFinger]
        /// Empty where no DHT is joined.
        public var hints: [HintSearch.Place] = []
        /// By name, who is asked for what proves a document.
        public var carriers: [String] = []
        /// Whether presence and home records can be asked for.
        public var directory = false

        public init() {}
    }

    /// Milliseconds for the whole.
    public static let patience: Int64 = 10_000

    public let sources: Sources
    public private(set) var steps: [DiscoveryStep] = []
    private(set) var result = Discovered()
    private var asked: [Query: Int64] = [:]
    private var claims: [AliasClaim] = []
    private var failures: [AliasClaim.Source: IdentityError] = [:]
    private var carried: (document: DIDDocument, carrier: String)?
    private var hints: HintSearch?
    private var asksHints = false
    private var verifier: HintVerifier
    private let deadline: Int64
    private var outputs: [Output] = []
    private var isFinished = false

    /// - Parameters:
    ///   - relay: that a link or a person named; a hint.
    ///   - now: Unix milliseconds.
    public init(
        _ target: IdentityURI.Target,
        relay: String? = nil,
        sources: Sources,
        verifier: HintVerifier,
        at now: Int64
    ) {
        self.sources = sources
        self.verifier = verifier
        self.deadline = now + Discovery.patience
        if let relay { take(DiscoveredRoute(.relay(relay), from: .link)) }
        switch target {
        case .did(let did): begin(did, at: now)
        case .alias(let alias):
            result.alias = AliasFinding(alias: alias, claims: [])
            for source in sources.aliases where source.knows(alias.form) { ask(.alias(alias, source), at: now) }
            if asked.isEmpty { proceed(at: now) }
        }
    }

    public mutating func pollOutput() -> Output? { outputs.isEmpty ? nil : outputs.removeFirst() }

    /// When `advance` is due, Unix milliseconds; nil when finished.
    public var nextDeadline: Int64? { isFinished ? nil : deadline }

    /// - Parameter now: Unix milliseconds.
    public mutating func answered(_ query: Query, _ answer: Answer, at now: Int64) {
        guard let since = asked.removeValue(forKey: query), !isFinished else { return }
        note(query, answer, milliseconds: max(0, now - since))
        switch (query, answer) {
        case (.alias(_, let source), .failed(let error)): failures[source] = error
        case (.alias, .claim(let claim)): claims.append(claim)
        case (.document(let did), .document(let resolved)) where resolved.document.id == did:
            take(resolved.document, at: now)
        case (.document, .document): result.failure = IdentityError(.malformed, "the document is of another identity")
        case (.document, .failed(let error)): documentFailed(error, at: now)
        case (.proof(let did, let carrier), .document(let resolved)) where resolved.document.id == did:
            carried = carried ?? (resolved.document, carrier)
            if let failure = result.failure { documentFailed(failure, at: now) }
        case (.presence(let did), .presence(let record)) where record.subject == did: take(record)
        case (.home(let did), .home(let record)) where record.subject == did: take(record)
        case (.hint(_, let place), .records(let values)):
            hints?.answered(place, records: values, at: now / 1000)
        case (.hint(_, let place), .packet(let packet)): hints?.answered(place, packet: packet, at: now / 1000)
        case (.hint(_, let place), _): hints?.failed(place, at: now / 1000)
        default: break
        }
        drainHints()
        proceed(at: now)
    }

    /// Ends what takes too long.
    public mutating func advance(to now: Int64) {
        guard !isFinished, now >= deadline else { return }
        for (query, since) in asked {
            note(query, .failed(IdentityError(.unreachable, "no answer in time")), milliseconds: now - since)
            if case .alias(_, let source) = query {
                failures[source] = IdentityError(.unreachable, "no answer in time")
            }
            if case .document = query { documentFailed(IdentityError(.unreachable, "no answer in time"), at: now) }
        }
        asked = [:]
        hints?.advance(to: deadline / 1000)
        drainHints()
        proceed(at: now)
        // What the alias only now led to is not begun any more.
        if !isFinished { finish() }
    }

    // MARK: Order

    private mutating func ask(_ query: Query, at now: Int64) {
        guard asked.updateValue(now, forKey: query) == nil else { return }
        outputs.append(.ask(query))
    }

    private mutating func begin(_ did: DID, at now: Int64) {
        result.did = did
        ask(.document(did), at: now)
        if DocumentProof.exists(for: did) {
            for carrier in sources.carriers.prefix(MeshResolver.maximumCarriers) {
                ask(.proof(did, carrier: carrier), at: now)
            }
        }
        guard sources.directory else { return beginHints(did, at: now) }
        ask(.presence(did), at: now)
        if did.method == "key" { ask(.home(did), at: now) }
        beginHints(did, at: now)
    }

    /// Hints serve identities whose document names no endpoint (hints profile §2): those without a document at once, others when that is
    /// known.
    private mutating func beginHints(_ did: DID, at now: Int64) {
        guard !asksHints, !sources.hints.isEmpty,
            did.method == "key" || result.document.map({ $0.signalingEndpoint == nil }) ?? false
        else { return }
        asksHints = true
        hints = HintSearch(did, asking: sources.hints, until: deadline / 1000, verifier: verifier)
        for place in sources.hints.prefix(HintSearch.maximumPlaces) { ask(.hint(did, place), at: now) }
    }

    private mutating func proceed(at now: Int64) {
        if result.did == nil, asked.isEmpty, let alias = result.alias?.alias {
            let finding = AliasFinding(alias: alias, claims: claims, failures: failures)
            result.alias = finding
            switch finding.verdict {
            case .agreed(let did):
                if let relay = finding.relay { take(DiscoveredRoute(.relay(relay), from: .alias)) }
                if now < deadline { begin(did, at: now) } else { result.did = did }
            case .conflict(let dids, _):
                result.failure = IdentityError(.refused, "the alias means \(dids.count) different identities")
            case .nobody: result.failure = finding.reason
            }
        }
        if asked.isEmpty { finish() }
    }

    private mutating func finish() {
        guard !isFinished else { return }
        isFinished = true
        result.steps = steps
        result.routes.sort { $0.origin < $1.origin }
        outputs.append(.finished(result))
    }

    // MARK: Answers

    private mutating func take(_ document: DIDDocument, at now: Int64) {
        result.document = document
        result.failure = nil
        if let endpoint = document.signalingEndpoint {
            take(DiscoveredRoute(.relay(endpoint), from: .document))
            // The document decides: what only hints say is not used beside it (DSIP §8.1).
            result.routes.removeAll { $0.origin == .hint }
            hints = nil
        } else {
            beginHints(document.id, at: now)
        }
    }

    /// The document's own place decides; where it does not answer, what another carries and proves is as good.
    private mutating func documentFailed(_ error: IdentityError, at now: Int64) {
        result.failure = error
        guard let carried, MeshResolver.mayStandIn(for: error) else { return }
        result.carrier = carried.carrier
        take(carried.document, at: now)
    }

    private mutating func take(_ record: PresenceRecord) {
        result.presence = record
        for address in record.reach.direct { take(DiscoveredRoute(.direct(address), from: .presence)) }
        for relay in record.reach.relays { take(DiscoveredRoute(.relay(relay), from: .presence)) }
    }

    private mutating func take(_ record: HomeRecord) {
        result.home = record
        for relay in record.places.relays { take(DiscoveredRoute(.relay(relay), from: .home)) }
    }

    private mutating func drainHints() {
        while let output = hints?.pollOutput() {
            switch output {
            case .candidate(let hint):
                for endpoint in hint.endpoints where endpoint.isSignaling && RelayURL.isValid(endpoint.uri) {
                    take(DiscoveredRoute(.relay(endpoint.uri), from: .hint))
                }
            case .conflict: result.hasConflictingHints = true
            case .repair(let place, let bytes): outputs.append(.repair(place, bytes: bytes))
            case .finished(let hint): result.hint = hint
            }
        }
    }

    /// The same way is told once, at its best origin.
    private mutating func take(_ route: DiscoveredRoute) {
        if let index = result.routes.firstIndex(where: { $0.way == route.way }) {
            if route.origin < result.routes[index].origin { result.routes[index] = route }
            return
        }
        guard result.routes.count < Discovered.maximumRoutes else { return }
        result.routes.append(route)
        outputs.append(.route(route))
    }

    private mutating func note(_ query: Query, _ answer: Answer, milliseconds: Int64) {
        steps.append(DiscoveryStep(query, answer, milliseconds: milliseconds))
    }
}
