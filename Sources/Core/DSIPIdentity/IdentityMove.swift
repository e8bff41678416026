import Encoding

/// That whoever was one identity is another from now on: what a did:key, which is its key, has in place of a rotation (DSIP §7.5 leaves
/// room for a signed redirection credential).
///
/// Both identities say it, or it is nothing: the old one alone could hand its callers to anybody, the new one alone could claim anybody's.
/// Nothing follows from it by itself; whoever knows the old identity decides.
public struct IdentityMove: Hashable, Sendable {
    public var id: ULID
    public var old: DID
    public var new: DID
    /// The `wss` URL at which `new` is reached; a hint.
    public var relay: String?
    /// Nobody moves after all. Either identity may say so, by itself.
    public var isWithdrawn: Bool
    /// Unix seconds; of two about one old identity, the later one stands.
    public var issuedAt: Int64
    public var expiresAt: Int64

    /// Seconds for which a statement holds at most.
    public static let maximumLifetime: Int64 = 400 * 86_400

    public init(
        id: ULID,
        old: DID,
        new: DID,
        relay: String? = nil,
        isWithdrawn: Bool = false,
        issuedAt: Int64,
        expiresAt: Int64
    ) {
        self.id = id
        self.old = old
        self.new = new
        self.relay = relay
        self.isWithdrawn = isWithdrawn
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    /// The `identity-move` payload, as `signer` says it.
    func json(by signer: DID) -> JSONValue {
        var object: JSONObject = [
            "dsip": RecordVersion.json, "type": "identity-move", "id": .string(id.description),
            "from": .string(signer.string), "old": .string(old.string), "new": .string(new.string),
            "issued_at": .int(issuedAt), "expires_at": .int(expiresAt),
        ]
        object["relay"] = relay.map { .string($0) }
        if isWithdrawn { object["withdrawn"] = true }
        return .object(object)
    }

    /// - Parameter key: of `old` or of `new` itself, not of a device; `.refused` for any other.
    public func signed(by key: SigningKey) throws(IdentityError) -> Envelope {
        guard old != new, key.did == old || key.did == new else {
            throw IdentityError(.refused, "a move is between two identities, and said by them")
        }
        return try Envelope(signing: json(by: key.did).utf8, by: key)
    }

    fileprivate init?(_ payload: JSONView) {
        guard payload["type"]?.equals("identity-move") == true, let id = payload["id"]?.string.flatMap({ ULID($0) }),
            let old = payload.did("old"), let new = payload.did("new"), old != new,
            let issuedAt = payload.timestamp("issued_at"), let expiresAt = payload.timestamp("expires_at")
        else { return nil }
        self.init(
            id: id,
            old: old,
            new: new,
            relay: payload["relay"]?.string.flatMap { RelayURL.isValid($0) ? $0 : nil },
            isWithdrawn: payload["withdrawn"]?.boolean ?? false,
            issuedAt: issuedAt,
            expiresAt: expiresAt
        )
    }
}

/// An ``IdentityMove`` with the words of both, as it travels: `{"old": compact, "new": compact}`.
public struct MoveStatement: Hashable, Sendable {
    /// Signed by the old identity; with a withdrawal one of the two may be missing.
    public let old: Envelope?
    public let new: Envelope?

    public init(old: Envelope?, new: Envelope?) {
        self.old = old
        self.new = new
    }

    /// - Throws: `.refused` when a key is not that of its identity.
    public init(_ move: IdentityMove, old: SigningKey, new: SigningKey) throws(IdentityError) {
        guard old.did == move.old, new.did == move.new else {
            throw IdentityError(.refused, "each identity says so itself")
        }
        self.init(old: try move.signed(by: old), new: try move.signed(by: new))
    }

    public var json: JSONValue {
        var object: JSONObject = [:]
        object["old"] = old.map { .string($0.compact) }
        object["new"] = new.map { .string($0.compact) }
        return .object(object)
    }

    public init?(json: JSONValue) {
        guard json.object != nil else { return nil }
        func envelope(_ name: String) -> Envelope? { json[name]?.string.flatMap { Envelope(compact: $0) } }
        self.init(old: envelope("old"), new: envelope("new"))
        guard old != nil || new != nil else { return nil }
    }

    /// Whose documents verification needs, unverified: at most two.
    public var parties: Set<DID> {
        var parties: Set<DID> = []
        for case let envelope? in [old, new] {
            guard let move = SignedRecord.payload(of: envelope).flatMap(IdentityMove.init) else { continue }
            parties.formUnion([move.old, move.new])
        }
        return parties.count <= 2 ? parties : []
    }

    /// The move, when both say the same (DSIP §10.2, §10.3), or one takes it back.
    ///
    /// - Parameters:
    ///   - now: Unix seconds; a clock ahead by 300 s is borne.
    ///   - document: what is known of a DID; not asked for a did:key.
    /// - Throws: `.refused`, with why.
    public func verified(at now: Int64, document: (DID) -> DIDDocument?) throws(IdentityError) -> IdentityMove {
        func read(_ envelope: Envelope?, as side: KeyPath<IdentityMove, DID>) throws(IdentityError) -> IdentityMove? {
            guard let envelope else { return nil }
            guard let claim = SignedRecord.payload(of: envelope).flatMap(IdentityMove.init),
                let own = DIDKey.document(of: claim[keyPath: side]) ?? document(claim[keyPath: side]),
                let record = SignedRecord(envelope, under: own, allowES256: false),
                record.payload.did("from") == own.id
            else { throw IdentityError(.refused, "the statement is not signed by the identity it is from") }
            return claim
        }
        let (first, second) = (try read(old, as: \.old), try read(new, as: \.new))
        if let first, let second, first != second {
            throw IdentityError(.refused, "the old and the new identity do not say the same")
        }
        guard let move = first ?? second, move.isWithdrawn || (first != nil && second != nil) else {
            throw IdentityError(.refused, "only one of the two identities says so")
        }
        guard move.issuedAt <= now.adding(300), now < move.expiresAt,
            move.expiresAt <= move.issuedAt.adding(IdentityMove.maximumLifetime)
        else { throw IdentityError(.refused, "the statement is not of this time") }
        return move
    }
}
