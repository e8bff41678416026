import DSIPIdentity
import Encoding
import Libp2p

/// Where somebody can be reached at this moment (proposal 0.3 §5.1), verified.
public struct PresenceRecord: Hashable, Sendable {
    /// Seconds a record may hold.
    public static let lifetime: ClosedRange<Int64> = 60...300
    /// Seconds that the publisher's clock may be ahead.
    static let skew: Int64 = 60
    /// Bytes of a record.
    public static let maximumLength = 16 << 10

    public let subject: DID
    /// What everybody may know.
    public let reach: PresenceReach
    /// The rest, for contacts; nil when there is none.
    public let sealed: SealedReach?
    /// Unix seconds; the record holds while `now < expiresAt`.
    public let expiresAt: Int64
    public let seq: Int64
    /// As signed, to be forwarded byte for byte.
    public let bytes: [UInt8]

    /// - Parameters:
    ///   - now: Unix seconds.
    ///   - documents: what is known of a DID now; not asked for did:keys.
    /// - Throws: `.malformed`, `.signature`, `.unresolved`, `.expired`, `.future` for a record that would hold longer than 300 s.
    public init(
        verifying bytes: [UInt8],
        at now: Int64,
        documents: (DID) -> DocumentLookup = { _ in .unresolvable },
        revocations: Revocations = Revocations()
    ) throws(DiscoveryError) {
        guard bytes.count <= PresenceRecord.maximumLength else {
            throw DiscoveryError(.malformed, "an over-long record")
        }
        let (statement, subject) = try SignedStatement.open(
            bytes,
            at: now,
            documents: documents,
            revocations: revocations
        )
        // Other records of the same form name their type.
        guard statement["type"] == nil, let expiresAt = statement["exp"]?.int, let seq = statement["seq"]?.int, seq >= 0
        else { throw DiscoveryError(.malformed, "no presence record") }
        guard now < expiresAt else { throw DiscoveryError(.expired, "the presence record has expired") }
        guard expiresAt - now <= PresenceRecord.lifetime.upperBound + PresenceRecord.skew else {
            throw DiscoveryError(.future, "the presence record would hold too long")
        }
        self.subject = subject
        self.reach = try PresenceReach(statement)
        self.sealed = try statement["sealed"].map { (json) throws(DiscoveryError) in try SealedReach(json) }
        self.expiresAt = expiresAt
        self.seq = seq
        self.bytes = bytes
    }

    /// Signs a record.
    ///
    /// - Parameters:
    ///   - key: of the subject, or of a device with its `delegation`.
    /// - Throws: `.refused`, `.signature`, `.limit`.
    static func sign(
        _ reach: PresenceReach,
        sealed: SealedReach?,
        of subject: DID,
        seq: Int64,
        expiresAt: Int64,
        by key: SigningKey,
        delegation: Envelope?
    ) throws(DiscoveryError) -> [UInt8] {
        var statement: JSONObject = ["did": .string(subject.string)]
        for member in reach.json.members { statement[member.name] = member.value }
        if let sealed { statement["sealed"] = sealed.json }
        statement["exp"] = .int(expiresAt)
        statement["seq"] = .int(seq)
        let bytes = try SignedStatement.sign(statement, of: subject, by: key, delegation: delegation)
        guard bytes.count <= maximumLength else { throw DiscoveryError(.limit, "the presence record is too large") }
        return bytes
    }
}

/// Endpoints, and where on the earth.
public struct PresenceReach: Hashable, Sendable {
    public struct Geo: Hashable, Sendable {
        public var geohash: Geohash
        /// Such as `gps` or `stated`.
        public var method: String
        /// Unix seconds.
        public var at: Int64

        public init(geohash: Geohash, method: String, at: Int64) {
            self.geohash = geohash
            self.method = method
            self.at = at
        }
    }

    /// Of each kind.
    public static let maximumEndpoints = 8

    /// `wss` URLs of relays.
    public var relays: [String]
    /// Multiaddrs of the devices themselves.
    public var direct: [Multiaddr]
    public var geo: Geo?

    public init(relays: [String] = [], direct: [Multiaddr] = [], geo: Geo? = nil) {
        self.relays = relays
        self.direct = direct
        self.geo = geo
    }

    public var isEmpty: Bool { relays.isEmpty && direct.isEmpty && geo == nil }

    /// What of this a stranger may know when only relays are shown: no address and no place.
    public var relaysOnly: PresenceReach { PresenceReach(relays: relays) }

    /// Endpoints of an unknown kind or form are passed over.
    ///
    /// - Throws: `.malformed` when `endpoints` or `geo` are of another shape.
    init(_ statement: JSONObject) throws(DiscoveryError) {
        let endpoints = statement["endpoints"]
        guard endpoints.map({ $0.object != nil }) ?? true, statement["geo"].map({ $0.object != nil }) ?? true else {
            throw DiscoveryError(.malformed, "endpoints and geo are objects")
        }
        func list(_ name: String) -> [String] {
            (endpoints?[name]?.array ?? []).prefix(PresenceReach.maximumEndpoints).compactMap(\.string)
        }
        self.relays = list("ws").filter { RelayURL.isValid($0) }
        self.direct = list("libp2p").filter { $0.utf8.count <= 512 }.compactMap { try? Multiaddr($0) }
        if let geo = statement["geo"], let hash = geo["geohash"]?.string.flatMap({ Geohash($0) }),
            let method = geo["method"]?.string, method.utf8.count <= 32, let at = geo["ts"]?.int
        {
            self.geo = Geo(geohash: hash, method: method, at: at)
        } else {
            self.geo = nil
        }
    }

    var json: JSONObject {
        var endpoints: JSONObject = [:]
        if !direct.isEmpty { endpoints["libp2p"] = .array(direct.map { .string($0.description) }) }
        if !relays.isEmpty { endpoints["ws"] = .array(relays.map { .string($0) }) }
        var object: JSONObject = ["endpoints": .object(endpoints)]
        if let geo {
            object["geo"] = [
                "geohash": .string(geo.geohash.text), "method": .string(geo.method), "ts": .int(geo.at),
            ]
        }
        return object
    }
}
