import Encoding

/// A name for people that is looked up and leads to a DID (DSIP §8.2): `alice@example.com`, for which a host answers, or `alice.eth`, for
/// which a ledger does (proposal 0.3 §4.3).
///
/// The alias finds the identity and is none: what a session is secured by is the DID (DSIP §8.2).
public struct Alias: Hashable, Sendable, CustomStringConvertible {
    public enum Form: Hashable, Sendable {
        /// `user@host`: WebFinger, the DNS or a file at the host tells (RFC 7033).
        case account
        /// `user.host`: the Ethereum Name Service or Handshake tells.
        case ledger
    }

    public let form: Form
    /// Of a ledger's name the first label.
    public let user: String
    /// Lower case, with `:port` when one was given; of a ledger's name what is behind the first label.
    public let host: String

    /// Reads `user@host`, `@user@host` or `acct:user@host`; ASCII only, at most 64 bytes of user.
    public init?(_ text: some StringProtocol) {
        var body = text[...]
        if body.lowercased().hasPrefix("acct:") { body = body.dropFirst(5) }
        if body.first == "@" { body = body.dropFirst() }
        let parts = body.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...64).contains(parts[0].utf8.count),
            parts[0].utf8.allSatisfy({ PercentEncoding.isUnreserved($0) || $0 == UInt8(ascii: "+") }),
            let host = Hostname.normalizedAuthority(parts[1])
        else { return nil }
        self.form = .account
        self.user = String(parts[0])
        self.host = host
    }

    /// Reads `alice.eth`, in lower case whatever it was: 2 to 8 labels of letters, digits, hyphens and leading underscores.
    ///
    /// What is read means the same by ENSIP-15 and in the DNS. Other names that ENSIP-15 allows, those beyond ASCII, are refused: two that
    /// look alike could be two people. So are labels with `--` at their third place, which stand for such names.
    public init?(ledger text: some StringProtocol) {
        guard text.utf8.count <= 253 else { return nil }
        let labels = text.split(separator: ".", maxSplits: 8, omittingEmptySubsequences: false)
        guard (2...8).contains(labels.count), labels.allSatisfy({ Alias.isLedgerLabel(Array($0.utf8)) }),
            let last = labels.last, !last.utf8.allSatisfy(Hostname.isDigit), !last.lowercased().hasPrefix("0x")
        else { return nil }
        self.form = .ledger
        self.user = labels[0].lowercased()
        self.host = labels.dropFirst().joined(separator: ".").lowercased()
    }

    private static func isLedgerLabel(_ label: [UInt8]) -> Bool {
        let (hyphen, underscore) = (UInt8(ascii: "-"), UInt8(ascii: "_"))
        let body = label.drop { $0 == underscore }
        guard (1...63).contains(label.count), let first = body.first, let last = body.last, first != hyphen,
            last != hyphen, !(label.count >= 4 && label[2] == hyphen && label[3] == hyphen)
        else { return false }
        return body.allSatisfy { Hostname.isLetter($0) || Hostname.isDigit($0) || $0 == hyphen }
    }

    public var description: String { form == .account ? "\(user)@\(host)" : "\(user).\(host)" }
    public var resource: String { "acct:\(self)" }

    /// Where an account is asked for (RFC 7033 §4).
    public var webFingerURL: String {
        "https://\(host)/.well-known/webfinger?resource=\(PercentEncoding.encode(resource))"
    }
}

/// What an alias resolved to.
public struct ResolvedAlias: Hashable, Sendable {
    public var did: DID
    /// A `wss` URL at which the identity may be signalled; a hint without authority (DSIP §8.1).
    public var relay: String?

    public init(did: DID, relay: String? = nil) {
        self.did = did
        self.relay = relay
    }
}

/// WebFinger answers (JRD, RFC 7033 §4.4) that name a DID.
public enum WebFinger {
    /// The link relation of an identity's DID.
    public static let identityRelation = "https://dsip.org/rel/did"
    /// The link relation of its signaling endpoint.
    public static let relayRelation = "https://dsip.org/rel/signaling"

    /// Finds the DID: in a link of our relation, else in a link `self`, else as `subject`, else among `aliases`.
    ///
    /// - Throws: `.malformed`, `.notFound` when no DID is named, `.refused` when the deciding place names several (DSIP
    ///   §8.3).
    public static func parse(_ bytes: [UInt8]) throws(IdentityError) -> ResolvedAlias {
        guard
            let document = try? JSONDocument(
                scanning: bytes,
                limits: .init(bytes: FetchLimit.webFingerBytes, depth: 8, members: 128)
            ),
            document.root.isObject
        else { throw IdentityError(.malformed, "the WebFinger answer is not a JSON object") }
        var links: [(relation: String, target: String)] = []
        if let list = document.root["links"], list.isArray {
            for link in list.elements {
                if let relation = link["rel"]?.string, let target = link["href"]?.string {
                    links.append((relation, target))
                }
            }
        }
        func targets(_ relation: String) -> [String] { links.filter { $0.relation == relation }.map(\.target) }
        var aliases: [String] = []
        if let list = document.root["aliases"], list.isArray { aliases = list.elements.compactMap(\.string) }
        let places = [
            targets(identityRelation), targets("self"), [document.root["subject"]?.string].compactMap { $0 }, aliases,
        ]
        for place in places {
            let dids = Set(place.compactMap { DID($0) })
            guard dids.count <= 1 else { throw IdentityError(.refused, "the alias names more than one identity") }
            guard let did = dids.first else { continue }
            return ResolvedAlias(did: did, relay: targets(relayRelation).first(where: RelayURL.isValid))
        }
        throw IdentityError(.notFound, "the alias exists, but names no decentralized identity")
    }

    /// The answer of those who host aliases.
    public static func document(for alias: Alias, did: DID, relay: String? = nil) -> JSONValue {
        var links: [JSONValue] = [["rel": .string(identityRelation), "href": .string(did.string)]]
        if let relay { links.append(["rel": .string(relayRelation), "href": .string(relay)]) }
        return ["subject": .string(alias.resource), "aliases": [.string(did.string)], "links": .array(links)]
    }

    /// Resolves `alias` through `fetcher`.
    public static func resolve(_ alias: Alias, fetcher: any DocumentFetcher) async throws(IdentityError)
        -> ResolvedAlias
    {
        guard alias.form == .account else {
            throw IdentityError(.unsupported, "for the name of a ledger no host answers")
        }
        let fetched = try await fetcher.fetch(url: alias.webFingerURL, limit: FetchLimit.webFingerBytes)
        return try parse(fetched.content(of: "the alias"))
    }
}

/// URLs of signaling endpoints.
public enum RelayURL {
    /// Whether `text` is `wss://host[:port][/path][?query]` without user, fragment, spaces or controls, at most 512
    /// bytes.
    public static func isValid(_ text: some StringProtocol) -> Bool {
        guard text.utf8.count <= 512, text.hasPrefix("wss://"),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && !"#\\\"<>@^`{|}".utf8.contains($0) })
        else { return false }
        let authority = text.dropFirst(6).prefix { $0 != "/" && $0 != "?" }
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]"),
                IPAddress.parse(String(authority[authority.index(after: authority.startIndex)..<end]))?.count == 16
            else { return false }
            let rest = authority[authority.index(after: end)...]
            return rest.isEmpty || rest.first == ":" && Hostname.port(rest.dropFirst()) != nil
        }
        if Hostname.normalizedAuthority(authority) != nil { return true }
        let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard IPAddress.parse(String(parts[0]))?.count == 4 else { return false }
        return parts.count == 1 || Hostname.port(parts[1]) != nil
    }
}
