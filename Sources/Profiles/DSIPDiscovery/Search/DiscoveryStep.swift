import DSIPIdentity

/// One question of a discovery: what was asked, what came of it, and what the answer rests on. For `dsip resolve --explain`.
public struct DiscoveryStep: Hashable, Sendable {
    public let what: String
    public let outcome: String
    /// What makes the answer true; nil for a failure.
    public let basis: String?
    public let isSuccess: Bool
    public let milliseconds: Int64

    init(_ query: Discovery.Query, _ answer: Discovery.Answer, milliseconds: Int64) {
        self.what = DiscoveryStep.text(query)
        self.milliseconds = milliseconds
        switch answer {
        case .document(let resolved) where query.isProof:
            outcome = "it proves the document"
            (basis, isSuccess) = (MethodBasis.text(of: resolved.document.id), true)
        case .claim(let claim): (outcome, basis, isSuccess) = ("it is \(claim.did)", claim.basis.text, true)
        case .document(let resolved):
            (outcome, basis, isSuccess) = ("found", MethodBasis.text(of: resolved.document.id), true)
        case .presence: (outcome, basis, isSuccess) = ("found", "the identity's signature, for minutes", true)
        case .home: (outcome, basis, isSuccess) = ("found", "the identity's signature, for two days at most", true)
        case .records(let records) where records.isEmpty: (outcome, basis, isSuccess) = ("nothing", nil, true)
        case .records(let records):
            (outcome, basis, isSuccess) = ("\(records.count) found", "the identity's signature; a hint only", true)
        case .packet(nil): (outcome, basis, isSuccess) = ("nothing", nil, true)
        case .packet: (outcome, basis, isSuccess) = ("found", "the identity's signature; a hint only", true)
        case .failed(let error): (outcome, basis, isSuccess) = (error.reason, nil, false)
        }
    }

    /// How `source` is asked whom `alias` means.
    public static func alias(_ alias: Alias, _ source: AliasClaim.Source) -> String {
        switch source {
        case .webFinger: "ask \(alias.host) who \(alias) is (WebFinger)"
        case .dns: "ask the DNS for \(AliasDNS.name(of: alias) ?? alias.description)"
        case .wellKnown: "fetch \(AliasFile.url(of: alias))"
        case .ens: "ask an Ethereum node for the text record “\(EthereumNames.key)” of \(alias) (ENS)"
        case .handshake: "ask a Handshake resolver for \(AliasDNS.name(of: alias) ?? alias.description)"
        }
    }

    private static func text(_ query: Discovery.Query) -> String {
        switch query {
        case .alias(let alias, let source): DiscoveryStep.alias(alias, source)
        case .document(let did): DiscoveryStep.document(did)
        case .proof(_, let carrier): "ask \(carrier) for what proves the document"
        case .presence(let did): "look for the presence of \(did)"
        case .home(let did): "look for the home of \(did)"
        case .hint(_, .cache): "look for a hint among those held"
        case .hint(_, .relay(let url)): "ask \(url) for a hint"
        case .hint(_, .overlay): "look for a hint in the DHT"
        case .hint(_, .pkarr(let url)): "ask \(url) for the identity's zone (Pkarr)"
        case .hint(_, .mainline): "look for the identity's zone in the BitTorrent DHT"
        }
    }

    /// How the document of `did` is come by.
    public static func document(_ did: DID) -> String {
        switch did.method {
        case "key", "jwk": "read the key out of the did:\(did.method) itself"
        case "web": "fetch \((try? DIDWeb.url(of: did)) ?? did.string)"
        case "webvh": "verify the log \(WebVHIdentifier(did.string)?.logURL ?? did.string)"
        case "dht": "look for the zone of \(did)"
        case "ion": "read the state out of the did:ion itself"
        case "ethr": "ask an Ethereum node for the registry’s events of \(did.identifier)"
        default: "resolve \(did)"
        }
    }
}

/// What a DID method rests on, in words (DSIP §8.4).
public enum MethodBasis {
    public static func text(of did: DID) -> String {
        switch did.method {
        case "key", "jwk": "the key is the identity; nobody can change it"
        case "web": "DNS and the Web PKI; the host can change it unseen"
        case "webvh": "a signed log; the host can withhold it, not change it or take it back"
        case "dht": "the identity's signature; those who carry it can withhold it or serve an older one"
        case "ion": "the state it was created with; later changes in the ledger are not read"
        case "ethr": "the word of an Ethereum node that was chosen here; the ledger itself is not verified"
        default: "the method did:\(did.method)"
        }
    }
}

extension Discovery.Query {
    fileprivate var isProof: Bool { if case .proof = self { true } else { false } }
}
