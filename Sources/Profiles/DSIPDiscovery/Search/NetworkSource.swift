import DSIPIdentity
import Encoding

/// Records by key, as a DHT keeps them.
public protocol RecordDirectory: Sendable {
    /// All the values that were found, unverified.
    ///
    /// - Throws: `.unreachable`.
    func values(_ key: [UInt8]) async throws(IdentityError) -> [[UInt8]]
    func put(_ key: [UInt8], _ value: [UInt8]) async
}

/// The network as a discovery asks it: the web by a fetcher, aliases by those who know them, records by a directory. What is absent is
/// simply not asked.
public struct NetworkSource: DiscoverySource {
    private let resolver: any Resolver
    private let fetcher: any DocumentFetcher
    private let clock: @Sendable () -> Int64
    public var aliases = AliasPlaces()
    /// Presence, home records, and hints where the DHT sorts its keys by namespaces.
    public var directory: (any RecordDirectory)?
    /// What was seen of the directory's records; to be kept, so that nobody can take a record back after a restart.
    public var sequences: any SequenceMemory = ShortSequenceMemory()
    /// Asked for what proves a document.
    public var carriers: [any ProofCarrier] = []
    /// What was seen of such documents; the resolver's own.
    public var versions: any VersionMemory = ShortVersionMemory()
    /// The BitTorrent DHT, for zones of keys.
    public var mainline: (any PkarrSource)?
    /// Hints held already.
    public var heldHint: (@Sendable (DID) async -> [UInt8]?)?

    /// - Parameter clock: Unix seconds.
    public init(resolver: any Resolver, fetcher: any DocumentFetcher, clock: @escaping @Sendable () -> Int64) {
        self.resolver = resolver
        self.fetcher = fetcher
        self.clock = clock
    }

    public func answer(_ query: Discovery.Query) async -> Discovery.Answer {
        do throws(IdentityError) {
            switch query {
            case .alias(let alias, let source): return .claim(try await aliases.claim(alias, source, fetcher: fetcher))
            case .document(let did): return .document(try await resolver.resolve(did))
            case .proof(let did, let name):
                guard let carrier = carriers.first(where: { $0.name == name }) else {
                    throw IdentityError(.unsupported, "nobody of that name is known")
                }
                return .document(try await MeshResolver.verified(carrier, did, versions, clock))
            case .presence(let did): return .presence(try await presence(did))
            case .home(let did): return .home(try await home(did))
            case .hint(let did, let place): return try await hint(did, place)
            }
        } catch {
            return .failed(error)
        }
    }

    public func repair(_ place: HintSearch.Place, _ did: DID, bytes: [UInt8]) async {
        guard place == .overlay else { return }
        await directory?.put(HintKey.path(of: did), bytes)
    }

    // MARK: Records

    private func presence(_ did: DID) async throws(IdentityError) -> PresenceRecord {
        let document = did.method == "key" ? nil : try await resolver.resolve(did).document
        let now = clock()
        let records = try await values(DiscoveryKey.presence(did)).compactMap { bytes in
            try? PresenceRecord(
                verifying: bytes,
                at: now,
                documents: { $0 == did ? document.map { .found($0) } ?? .unresolvable : .unresolvable }
            )
        }
        guard let best = records.filter({ $0.subject == did }).max(by: { $0.seq < $1.seq }) else {
            throw IdentityError(.notFound, "no presence is published")
        }
        try await note(best.seq, under: DiscoveryKey.presence(did))
        return best
    }

    /// - Throws: `.refused` for less than what was seen before.
    private func note(_ seq: Int64, under key: [UInt8]) async throws(IdentityError) {
        guard await sequences.sequence(under: key).map({ seq >= $0 }) ?? true else {
            throw IdentityError(.refused, "only an older record than one that was seen is there")
        }
        await sequences.remember(seq, under: key)
    }

    private func home(_ did: DID) async throws(IdentityError) -> HomeRecord {
        let now = clock()
        let records = try await values(DiscoveryKey.home(did)).compactMap { try? HomeRecord(verifying: $0, at: now) }
        guard let best = records.filter({ $0.subject == did }).max(by: { $0.seq < $1.seq }) else {
            throw IdentityError(.notFound, "no home is published")
        }
        try await note(best.seq, under: DiscoveryKey.home(did))
        return best
    }

    private func values(_ key: [UInt8]) async throws(IdentityError) -> ArraySlice<[UInt8]> {
        guard let directory else { throw IdentityError(.unsupported, "no DHT is joined") }
        return try await directory.values(key).prefix(HintSearch.maximumRecords)
    }

    // MARK: Hints

    private func hint(_ did: DID, _ place: HintSearch.Place) async throws(IdentityError) -> Discovery.Answer {
        switch place {
        case .cache: return .records(await heldHint?(did).map { [$0] } ?? [])
        case .overlay: return .records(Array(try await values(HintKey.path(of: did))))
        case .relay(let url):
            let fetched = try await fetcher.fetch(url: "\(url)/dsip/v1/hints/\(did)", limit: 1 << 18)
            guard fetched.status == 200, let json = try? JSONValue(parsing: fetched.body) else {
                throw IdentityError(.unreachable, "the node answered with HTTP status \(fetched.status)")
            }
            return .records((json["hints"]?.array ?? []).compactMap { $0.string.map { Array($0.utf8) } })
        case .pkarr(let url): return .packet(try await packet(did, PkarrRelays([url], fetcher: fetcher)))
        case .mainline:
            guard let mainline else { throw IdentityError(.unsupported, "no node of the BitTorrent DHT is known") }
            return .packet(try await packet(did, mainline))
        }
    }

    private func packet(_ did: DID, _ source: any PkarrSource) async throws(IdentityError) -> [UInt8]? {
        guard let key = try? PkarrKey(did) else {
            throw IdentityError(.unsupported, "only an Ed25519 did:key has a zone")
        }
        return try await source.packets(key.zone).first
    }
}

extension MethodResolver {
    /// Every method that is resolved here: key, jwk, ion (long form), web, webvh, dht where there are Pkarr relays, and ethr where there are
    /// nodes.
    ///
    /// - Parameters:
    ///   - pkarr: for did:dht.
    ///   - ethereum: for did:ethr.
    ///   - memory: what was verified before; to be kept, so that a host cannot take it back after a restart.
    ///   - clock: Unix seconds.
    public init(
        fetcher: any DocumentFetcher,
        pkarr: (any PkarrSource)? = nil,
        ethereum: [EthereumNetwork] = [],
        memory: any VersionMemory = ShortVersionMemory(),
        clock: @escaping @Sendable () -> Int64
    ) {
        var methods: [String: any Resolver] = [
            "key": DIDKeyResolver(), "jwk": JWKResolver(), "ion": SidetreeResolver(),
            "web": DIDWebResolver(fetcher: fetcher),
            "webvh": WebVHResolver(fetcher: fetcher, memory: memory, clock: clock),
        ]
        if let pkarr { methods["dht"] = PkarrResolver(source: pkarr, memory: memory, clock: clock) }
        if !ethereum.isEmpty {
            methods["ethr"] = EthrResolver(networks: ethereum, memory: memory, clock: clock)
        }
        self.init(methods)
    }
}
