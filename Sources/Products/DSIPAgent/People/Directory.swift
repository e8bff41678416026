import DSIPDiscovery
import DSIPIdentity
import DSIPTransport
import Encoding
import NIOConcurrencyHelpers

/// Finds people: what a person typed becomes a DID and the relay to dial, in the order of authority of DSIP §8.1.
///
/// Documents are cached as their sources allow; a lookup that verification needs never waits.
final class Directory: Sendable {
    struct Resolved: Sendable {
        var did: DID
        /// Of the DID document, else of the link or alias, which are hints.
        var relay: String?
        var alias: String?
        var suggestedName: String?
        var token: String?
        var steps: [String]
    }

    let resolver: CachingResolver
    /// Those whose documents are kept at hand.
    let contacts: PrefetchingResolver
    /// Documents of contacts, each time one was looked at anew.
    let fresh: AsyncStream<DIDDocument>
    /// Our own host in the DHT, or the one we share.
    let overlay: Overlay?
    private let fetcher: HTTPDocumentFetcher
    private let clock: @Sendable () -> Int64
    private let seen: SeenMemory
    private let aliases: AliasPlaces
    let pkarr: PkarrPlaces
    /// Those who look for people without a document, by the relay they ask.
    /// Relays of ours, which may carry what proves a document.
    private let relays: NIOLockedValueBox<[String]>
    private let discoverers = NIOLockedValueBox<[String: Discoverer]>([:])

    init(
        fetcher: HTTPDocumentFetcher,
        ethereum: [EthereumNetwork],
        dht: AgentConfiguration.DHT,
        aliases: AliasPlaces,
        pkarr: PkarrPlaces,
        seen: SeenMemory,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.fetcher = fetcher
        self.clock = clock
        let relays = NIOLockedValueBox<[String]>([])
        self.pkarr = pkarr
        let mesh = MeshResolver(
            MethodResolver(
                fetcher: fetcher,
                pkarr: pkarr.source,
                ethereum: ethereum,
                memory: seen,
                clock: clock
            ),
            carriers: { relays.withLockedValue { $0 }.map { RelayCarrier($0, fetcher: fetcher) } },
            memory: seen,
            clock: clock
        )
        let (fresh, noted) = AsyncStream.makeStream(of: DIDDocument.self, bufferingPolicy: .bufferingNewest(1024))
        self.fresh = fresh
        let contacts = PrefetchingResolver(mesh, clock: clock) { noted.yield($0) }
        let resolver = CachingResolver(upstream: contacts, clock: clock)
        self.relays = relays
        self.contacts = contacts
        self.seen = seen
        self.aliases = aliases
        self.resolver = resolver
        self.overlay =
            switch dht {
            case .off: nil
            case .own(let configuration): Overlay(configuration, documents: { resolver.lookup($0) })
            case .shared(let overlay): overlay
            }
    }

    /// Relays that may be asked for what proves a document, `wss://…`: those of the person's own identities, the current one's first.
    func carry(by relays: [String]) {
        let bases = relays.compactMap { RelayDirectory.base(of: $0) }
        self.relays.withLockedValue { known in
            known = bases.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        }
    }

    /// - Parameter relay: whom to ask for the relay of an address that names none.
    /// - Throws: `.badRequest` for what is no address, `.unresolvable` with the step that failed.
    func find(_ input: String, asking relay: String?) async throws(AgentError) -> Resolved {
        let uri: IdentityURI
        do {
            uri = try IdentityURI(entered: input)
        } catch {
            throw AgentError(.badRequest, "This is no address: \(error.reason).")
        }
        var steps: [String] = []
        var found: Resolved
        switch uri.target {
        case .did(let did): found = Resolved(did: did, relay: uri.relay, steps: [])
        case .alias(let alias):
            let claim = try await claim(alias, &steps)
            found = Resolved(did: claim.did, relay: claim.relay ?? uri.relay, alias: alias.description, steps: [])
        }
        found.suggestedName = uri.name
        found.token = uri.token
        switch found.did.method {
        case "key":
            guard DIDKey.document(of: found.did) != nil else {
                throw AgentError(.unresolvable, "This address is damaged: it holds no usable key. Ask for it again.")
            }
            steps.append("The address is its own key.")
            if found.relay == nil, let route = await published(found.did, asking: relay)?.relay {
                found.relay = route.url
                steps.append("Its relay was found \(route.origin.text).")
            }
        default:
            do {
                let document = try await resolver.resolve(found.did).document
                steps.append("The identity document was found.")
                // The document goes before every hint (DSIP §8.1 rule 4).
                found.relay = document.signalingEndpoint ?? found.relay
            } catch {
                throw AgentError(.unresolvable, "The identity document could not be read: \(error.reason).")
            }
        }
        found.steps = steps
        return found
    }

    /// Whom an alias means, as all say who are asked at once. Where they differ nobody is found, and it is said (DSIP §8.3).
    private func claim(_ alias: Alias, _ steps: inout [String]) async throws(AgentError) -> AliasClaim {
        // The file at the host rests on the same certificate as WebFinger, and says no more.
        let sources = aliases.sources.filter { $0 != .wellKnown }
        let finding = await aliases.finding(of: alias, from: sources, fetcher: fetcher)
        steps += finding.suspicions.map { "\($0.rawValue) gave an answer that must not be believed." }
        do {
            let claim = try finding.agreed()
            for claim in finding.claims {
                let who = alias.form == .account ? "\(alias.host) says who \(alias) is, by" : "Who \(alias) is says"
                steps.append("\(who) \(claim.source.rawValue): \(claim.basis.text).")
            }
            return claim
        } catch {
            throw AgentError(
                .unresolvable,
                error.code == .refused && !finding.claims.isEmpty
                    ? "\(error.reason)." : "\(alias) could not be found: \(error.reason)."
            )
        }
    }

    /// What somebody without a document says of where they are, in records and hints that they signed; nil when nobody whom `relay` or we
    /// ourselves can ask knows.
    func published(_ did: DID, asking relay: String?) async -> Published? {
        guard did.method == "key", let discoverer = discoverer(asking: relay),
            let found = try? await discoverer.find(.did(did))
        else { return nil }
        for route in found.routes {
            if case .relay(let url) = route.way {
                return Published(relay: (url, route.origin), presence: found.presence)
            }
        }
        return found.presence.map { Published(relay: nil, presence: $0) }
    }

    struct Published: Sendable {
        var relay: (url: String, origin: DiscoveredRoute.Origin)?
        var presence: PresenceRecord?
    }

    private func discoverer(asking relay: String?) -> Discoverer? {
        let base = relay.flatMap { RelayDirectory.base(of: $0) }
        guard base != nil || overlay != nil || !pkarr.isEmpty else { return nil }
        let relay = relay ?? ""
        return discoverers.withLockedValue { discoverers in
            if let known = discoverers[relay] { return known }
            var source = NetworkSource(resolver: resolver, fetcher: fetcher, clock: clock)
            source.sequences = seen
            source.mainline = pkarr.mainline
            var places: [any RecordDirectory] = overlay.map { [$0] } ?? []
            if base != nil { places.append(RelayDirectory(fetcher: fetcher, relay: relay)) }
            source.directory = JoinedDirectory(
                places,
                documents: { [resolver] in resolver.lookup($0) },
                sequences: seen,
                clock: clock
            )
            var sources = Discovery.Sources()
            sources.hints = (base.map { [.relay($0)] } ?? []) + (overlay == nil ? [] : [.overlay])
            sources.hints += pkarr.hints
            sources.directory = true
            let made = Discoverer(source: source, sources: sources, verifier: HintVerifier()) { [clock] in
                clock() * 1000
            }
            // One for each relay of an identity of ours, which are few.
            if discoverers.count >= 16 { discoverers = [:] }
            discoverers[relay] = made
            return made
        }
    }

    /// What is known of a DID now, without waiting.
    func document(of did: DID) -> DIDDocument? {
        if did.method == "key" { return DIDKey.document(of: did) }
        if case .found(let document) = resolver.lookup(did) { return document }
        return nil
    }

    func keys(of did: DID) -> [PublicKey] { document(of: did)?.verificationMethods.map(\.publicKey) ?? [] }

    func signalingEndpoint(of did: DID) -> String? { document(of: did)?.signalingEndpoint }
}
