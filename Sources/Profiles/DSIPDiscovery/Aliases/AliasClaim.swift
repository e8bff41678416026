import DSIPIdentity

/// What one place says whom an alias means, and what its word rests on (DSIP §8.2).
public struct AliasClaim: Hashable, Sendable {
    public enum Source: String, Hashable, Sendable, CaseIterable {
        /// RFC 7033.
        case webFinger = "WebFinger"
        /// A TXT record `_did.<user>.<domain>` (proposal 0.3 §4.3).
        case dns = "DNS"
        /// A file under the domain's `/.well-known/`.
        case wellKnown = "HTTPS well-known"
        /// A text record of a name of the Ethereum Name Service.
        case ens = "ENS"
        /// A TXT record `_did.<name>` below Handshake's root.
        case handshake = "Handshake"

        /// Names of ledgers are asked of ledgers, and accounts of their hosts: no question goes where it means something else.
        public func knows(_ form: Alias.Form) -> Bool {
            switch self {
            case .webFinger, .dns, .wellKnown: form == .account
            case .ens, .handshake: form == .ledger
            }
        }
    }

    public enum Basis: Hashable, Sendable {
        /// The domain's certificate.
        case certificate
        /// Signatures from the root of the DNS down to the record.
        case signedDNS
        /// The word of whoever answered the query.
        case unsignedDNS
        /// The word of an Ethereum node.
        case ethereumNode
        /// The word of a resolver of Handshake names.
        case handshakeResolver

        /// Whether who may speak for the name is proved here (DSIP §8.3).
        public var isSigned: Bool { self == .certificate || self == .signedDNS }

        /// For people.
        public var text: String {
            switch self {
            case .certificate: "the domain's certificate (Web PKI)"
            case .signedDNS: "DNSSEC, from the root to the record"
            case .unsignedDNS: "unsigned DNS; anybody between here and the domain could have said so"
            case .ethereumNode: "the word of an Ethereum node that was chosen here; the ledger itself is not verified"
            case .handshakeResolver:
                "the word of a Handshake resolver that was chosen here; the ledger itself is not verified"
            }
        }
    }

    public let source: Source
    public let did: DID
    /// A `wss` URL at which the identity may be signalled; a hint without authority.
    public let relay: String?
    public let basis: Basis

    public init(source: Source, did: DID, relay: String? = nil, basis: Basis) {
        self.source = source
        self.did = did
        self.relay = relay
        self.basis = basis
    }
}

/// What all places together say of an alias. Where they differ it is said so, and never decided in silence (DSIP §8.3).
public struct AliasFinding: Hashable, Sendable {
    public enum Verdict: Hashable, Sendable {
        /// All that answered name one identity.
        case agreed(DID)
        /// They name several. `signed` is the one that signed records name, when only one is: they beat unsigned ones, but a person
        /// decides.
        case conflict([DID], signed: DID?)
        /// Nobody names an identity.
        case nobody
    }

    public let alias: Alias
    public let claims: [AliasClaim]
    /// Places that gave no claim, and why.
    public let failures: [AliasClaim.Source: IdentityError]

    public init(alias: Alias, claims: [AliasClaim], failures: [AliasClaim.Source: IdentityError] = [:]) {
        self.alias = alias
        self.claims = claims
        self.failures = failures
    }

    public var verdict: Verdict {
        let named = AliasFinding.distinct(claims)
        guard let first = named.first else { return .nobody }
        guard named.count > 1 else { return .agreed(first) }
        let signed = AliasFinding.distinct(claims.filter(\.basis.isSigned))
        return .conflict(named, signed: signed.count == 1 ? signed[0] : nil)
    }

    /// What is agreed upon, with the first relay that is named for it.
    ///
    /// - Throws: `.refused` where several identities are named, telling by whom (DSIP §8.3); why nobody names one.
    public func agreed() throws(IdentityError) -> AliasClaim {
        switch verdict {
        case .agreed(let did):
            return AliasClaim(source: claims[0].source, did: did, relay: relay, basis: claims[0].basis)
        case .conflict:
            let words = claims.map { "\($0.source.rawValue) says \($0.did) (\($0.basis.text))" }
            throw IdentityError(
                .refused,
                "\(alias) means different identities: \(words.joined(separator: "; ")). Ask them which is right"
            )
        case .nobody: throw reason
        }
    }

    /// Of the identity agreed upon: the relay that a claim names.
    public var relay: String? {
        guard case .agreed = verdict else { return nil }
        return claims.lazy.compactMap(\.relay).first
    }

    /// A place whose answer was forged or broken on the way: to be shown, whatever the others say.
    public var suspicions: [AliasClaim.Source] {
        AliasClaim.Source.allCases.filter { failures[$0]?.code == .refused }
    }

    /// Why nobody names an identity, of those who were asked the first that said.
    public var reason: IdentityError {
        AliasClaim.Source.allCases.lazy.compactMap { failures[$0] }.first
            ?? (alias.form == .account
                ? IdentityError(.notFound, "nobody knows the alias")
                : IdentityError(
                    .unsupported,
                    "for a name such as this an Ethereum node or a Handshake resolver is asked, and none is named here"
                ))
    }

    /// Whether the identity's own document names the alias too, so that the link holds in both directions.
    public func isConfirmed(by document: DIDDocument) -> Bool {
        document.alsoKnownAs.contains { (Alias($0) ?? Alias(ledger: $0)) == alias }
    }

    private static func distinct(_ claims: [AliasClaim]) -> [DID] {
        claims.reduce(into: []) { if !$0.contains($1.did) { $0.append($1.did) } }
    }
}
