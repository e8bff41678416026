import DSIPIdentity
import Encoding

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
    private let fetcher: any DocumentFetcher
    private let finder: Finder

    init(fetcher: any DocumentFetcher, clock: @escaping @Sendable () -> Int64) {
        self.fetcher = fetcher
        self.finder = Finder(fetcher: fetcher, clock: clock)
        self.resolver = CachingResolver(upstream: MethodResolver(fetcher: fetcher), clock: clock)
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
            if found.relay == nil, let relay, let place = await finder.find(found.did, asking: relay) {
                found.relay = place.relay
                steps.append(place.step)
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

    /// The relay that somebody without a document says is theirs; nil when nobody at `relay` knows.
    func published(_ did: DID, asking relay: String) async -> String? {
        did.method == "key" ? await finder.find(did, asking: relay)?.relay : nil
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
