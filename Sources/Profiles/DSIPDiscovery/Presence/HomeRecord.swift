import DSIPIdentity
import Encoding

/// Where a did:key identity lives: what a document would say, for identities that have none. Signed by the identity, it holds up to 48
/// hours, and its relay may announce it again while its owner sleeps.
///
/// ```json
/// {"type":"home","did":"did:key:…","relays":["wss://…"],"mailboxes":["wss://…"],"prekeys":["https://…"],"exp":…,"seq":…,"sig":"…"}
/// ```
public struct HomeRecord: Hashable, Sendable {
    /// Seconds.
    public static let maximumLifetime: Int64 = 48 * 3600
    /// Of each list.
    public static let maximumPlaces = 8

    public let subject: DID
    public let places: Places
    /// Unix seconds; the record holds while `now < expiresAt`.
    public let expiresAt: Int64
    public let seq: Int64
    /// As signed.
    public let bytes: [UInt8]

    public struct Places: Hashable, Sendable {
        /// `wss` URLs at which the identity is signalled.
        public var relays: [String]
        /// `wss` URLs of its mailboxes.
        public var mailboxes: [String]
        /// `https` URLs of prekeys.
        public var prekeys: [String]

        public init(relays: [String] = [], mailboxes: [String] = [], prekeys: [String] = []) {
            self.relays = relays
            self.mailboxes = mailboxes
            self.prekeys = prekeys
        }

        var isValid: Bool {
            [relays, mailboxes, prekeys].allSatisfy { $0.count <= HomeRecord.maximumPlaces }
                && (relays + mailboxes).allSatisfy { RelayURL.isValid($0) }
                && prekeys.allSatisfy { $0.hasPrefix("https://") && RelayURL.isValid("wss" + $0.dropFirst(5)) }
        }
    }

    /// - Parameter now: Unix seconds.
    /// - Throws: `.malformed`, `.notDIDKey`, `.signature`, `.expired`, `.future` for a record that would hold longer than 48 h.
    public init(verifying bytes: [UInt8], at now: Int64, revocations: Revocations = Revocations())
        throws(DiscoveryError)
    {
        let (statement, subject) = try SignedStatement.open(
            bytes,
            at: now,
            documents: { _ in .unresolvable },
            revocations: revocations
        )
        guard subject.method == "key" else { throw DiscoveryError(.notDIDKey, "others have a document") }
        guard statement["type"]?.string == "home", let expiresAt = statement["exp"]?.int,
            let seq = statement["seq"]?.int, seq >= 0
        else { throw DiscoveryError(.malformed, "no home record") }
        guard now < expiresAt else { throw DiscoveryError(.expired, "the home record has expired") }
        guard expiresAt - now <= HomeRecord.maximumLifetime + PresenceRecord.skew else {
            throw DiscoveryError(.future, "the home record would hold too long")
        }
        func list(_ name: String) -> [String] {
            (statement[name]?.array ?? []).prefix(HomeRecord.maximumPlaces).compactMap(\.string)
        }
        let places = Places(relays: list("relays"), mailboxes: list("mailboxes"), prekeys: list("prekeys"))
        guard places.isValid else { throw DiscoveryError(.malformed, "a home that cannot be reached") }
        self.subject = subject
        self.places = places
        self.expiresAt = expiresAt
        self.seq = seq
        self.bytes = bytes
    }

    /// Signs a home record.
    ///
    /// - Parameters:
    ///   - seq: higher than every one before; the clock's seconds will do.
    ///   - lifetime: seconds, at most 48 h.
    ///   - key: of the subject, or of a device with its `delegation`.
    /// - Throws: `.badEndpoint`, `.refused` for an identity that has a document or a lifetime over 48 h, `.signature`.
    public static func sign(
        _ places: Places,
        of subject: DID,
        at now: Int64,
        seq: Int64,
        lifetime: Int64 = maximumLifetime,
        by key: SigningKey,
        delegation: Envelope? = nil
    ) throws(DiscoveryError) -> [UInt8] {
        guard subject.method == "key", (1...maximumLifetime).contains(lifetime) else {
            throw DiscoveryError(.refused, "a home record is a did:key's, for 48 hours at most")
        }
        guard places.isValid else { throw DiscoveryError(.badEndpoint, "a place that nobody could reach") }
        func list(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
        return try SignedStatement.sign(
            [
                "type": "home", "did": .string(subject.string), "relays": list(places.relays),
                "mailboxes": list(places.mailboxes), "prekeys": list(places.prekeys), "exp": .int(now + lifetime),
                "seq": .int(seq),
            ],
            of: subject,
            by: key,
            delegation: delegation
        )
    }
}
