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
    }

    public enum Basis: Hashable, Sendable {
        /// The domain's certificate.
        case certificate
        /// Signatures from the root of the DNS down to the record.
        case signedDNS
        /// The word of whoever answered the query.
        case unsignedDNS

        /// For people.
        public var text: String {
            switch self {
            case .certificate: "the domain's certificate (Web PKI)"
            case .signedDNS: "DNSSEC, from the root to the record"
            case .unsignedDNS: "unsigned DNS; anybody between here and the domain could have said so"
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
        let signed = AliasFinding.distinct(claims.filter { $0.basis != .unsignedDNS })
        return .conflict(named, signed: signed.count == 1 ? signed[0] : nil)
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

    /// Whether the identity's own document names the alias too, so that the link holds in both directions.
    public func isConfirmed(by document: DIDDocument) -> Bool {
        document.alsoKnownAs.contains { Alias($0) == alias }
    }

    private static func distinct(_ claims: [AliasClaim]) -> [DID] {
        claims.reduce(into: []) { if !$0.contains($1.did) { $0.append($1.did) } }
    }
}
