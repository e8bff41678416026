import DSIPIdentity

/// What a validating resolver found of an answer (RFC 4035 §4.3).
public enum DNSSECVerdict: Hashable, Sendable {
    case secure
    /// The zone is not signed, and its parent says so.
    case insecure
    /// There should be signatures, and they are not right: the answer is forged or broken.
    case bogus
    /// It could not be told.
    case indeterminate
}

/// TXT records of a name, each with its character-strings joined.
public struct DNSTexts: Sendable {
    public var texts: [String]
    public var verdict: DNSSECVerdict

    public init(_ texts: [String], verdict: DNSSECVerdict) {
        self.texts = texts
        self.verdict = verdict
    }
}

/// One SRV record (RFC 2782).
public struct DNSService: Hashable, Sendable {
    public var priority: Int
    public var port: Int
    public var target: String

    public init(priority: Int, port: Int, target: String) {
        self.priority = priority
        self.port = port
        self.target = target
    }
}

/// A resolver that validates DNSSEC and says what came of it. The library asks; sockets are the shell's.
public protocol ValidatingDNS: Sendable {
    /// - Throws: `.notFound` when the name or the type does not exist, `.unreachable`.
    func texts(_ name: String) async throws(IdentityError) -> DNSTexts
    /// - Throws: as `texts`.
    func services(_ name: String) async throws(IdentityError) -> (services: [DNSService], verdict: DNSSECVerdict)
}

/// Aliases in the DNS: `_did.alice.voice.example TXT "did=did:web:voice.example:users:alice"` (proposal 0.3 §4.3, §21.D).
public enum AliasDNS {
    /// Records that are read of one answer.
    private static let maximumRecords = 16

    /// The name to ask.
    ///
    /// - Returns: nil for an alias with a port, or whose user is no single label: a point in it would name another's zone.
    public static func name(of alias: Alias) -> String? {
        let user = alias.user.lowercased()
        guard !alias.host.contains(":"), (1...63).contains(user.utf8.count), user.first != "-", user.last != "-",
            user.utf8.allSatisfy({ $0 &- 0x61 < 26 || $0 &- 0x30 < 10 || $0 == 0x2d || $0 == 0x5f })
        else { return nil }
        return "_did.\(user).\(alias.host)"
    }

    /// Reads the claim of a TXT answer.
    ///
    /// - Throws: `.refused` for a bogus answer and for one that names several identities, `.notFound` when it names none.
    public static func claim(_ answer: DNSTexts, relay: String? = nil) throws(IdentityError) -> AliasClaim {
        guard answer.verdict != .bogus else {
            throw IdentityError(.refused, "the answer of the DNS does not carry the signatures it should (DNSSEC)")
        }
        let dids = Set(
            answer.texts.prefix(maximumRecords).filter { $0.utf8.starts(with: "did=".utf8) }
                .compactMap { DID($0.dropFirst(4)) }
        )
        guard dids.count <= 1 else { throw IdentityError(.refused, "the DNS names more than one identity") }
        guard let did = dids.first else { throw IdentityError(.notFound, "the DNS names no identity") }
        return AliasClaim(
            source: .dns,
            did: did,
            relay: relay,
            basis: answer.verdict == .secure ? .signedDNS : .unsignedDNS
        )
    }

    /// The relay that SRV records of the same name point to: the first of the lowest priority.
    public static func relay(_ services: [DNSService]) -> String? {
        let usable = services.prefix(maximumRecords).sorted { $0.priority < $1.priority }.lazy.map { service in
            let host = service.target.last == "." ? service.target.dropLast() : service.target[...]
            return "wss://\(host):\(service.port)/dsip"
        }
        return usable.first { RelayURL.isValid($0) }
    }

    /// Asks for both, the relay being no reason to fail.
    public static func resolve(_ alias: Alias, through dns: any ValidatingDNS) async throws(IdentityError) -> AliasClaim
    {
        guard let name = name(of: alias) else { throw IdentityError(.notFound, "the alias has no name in the DNS") }
        async let services = try? dns.services(name)
        let texts = try await dns.texts(name)
        let found = await services
        let relay = found.flatMap { $0.verdict == .bogus ? nil : self.relay($0.services) }
        return try claim(texts, relay: relay)
    }
}
