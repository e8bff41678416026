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
    private let fetcher: HTTPDocumentFetcher
    private let clock: @Sendable () -> Int64
    /// Those who look for people without a document, by the relay they ask.
    private let discoverers = NIOLockedValueBox<[String: Discoverer]>([:])

    init(fetcher: HTTPDocumentFetcher, clock: @escaping @Sendable () -> Int64) {
        self.fetcher = fetcher
        self.clock = clock
        self.resolver = CachingResolver(upstream: MethodResolver(fetcher: fetcher, clock: clock), clock: clock)
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
            do {
                let resolved = try await WebFinger.resolve(alias, fetcher: fetcher)
                steps.append("\(alias.host) says who \(alias) is.")
                found = Resolved(
                    did: resolved.did,
                    relay: resolved.relay ?? uri.relay,
                    alias: alias.description,
                    steps: []
                )
            } catch {
                throw AgentError(.unresolvable, "\(alias) could not be found: \(error.reason).")
            }
        }
        found.suggestedName = uri.name
        found.token = uri.token
        switch found.did.method {
        case "key":
            guard DIDKey.document(of: found.did) != nil else {
                throw AgentError(.unresolvable, "This address is damaged: it holds no usable key. Ask for it again.")
            }
            steps.append("The address is its own key.")
            if found.relay == nil, let relay, let route = await published(found.did, asking: relay) {
                found.relay = route.relay
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

    /// The relay that somebody without a document says is theirs, by a record or a hint that they signed; nil when nobody whom `relay`
    /// can ask knows.
    func published(_ did: DID, asking relay: String) async -> (relay: String, origin: DiscoveredRoute.Origin)? {
        guard did.method == "key", let discoverer = discoverer(asking: relay),
            let found = try? await discoverer.find(.did(did))
        else { return nil }
        for route in found.routes { if case .relay(let url) = route.way { return (url, route.origin) } }
        return nil
    }

    private func discoverer(asking relay: String) -> Discoverer? {
        guard let base = RelayDirectory.base(of: relay) else { return nil }
        return discoverers.withLockedValue { discoverers in
            if let known = discoverers[relay] { return known }
            var source = NetworkSource(resolver: resolver, fetcher: fetcher, clock: clock)
            source.directory = RelayDirectory(fetcher: fetcher, relay: relay)
            var sources = Discovery.Sources()
            sources.hints = [.relay(base)]
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
