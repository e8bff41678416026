import Encoding

/// The record that one verification key of an identity replaces another (DSIP §7.5).
///
/// The DID document stays authoritative; the record is what logs keep, what caches act on early and what people are
/// shown.
public struct KeyRotation: Hashable, Sendable {
    /// Registry `dsip-rotation-reason`; unknown tokens are kept.
    public enum Reason {
        public static let scheduled = "scheduled"
        public static let compromised = "compromised"
        public static let lost = "lost"
        public static let policy = "policy"
    }

    public var id: ULID
    /// Also the record's `from`.
    public var subject: DID
    public var previous: DIDURL
    public var next: DIDURL
    public var nextPublicKey: PublicKey
    public var reason: String
    /// Signed by a recovery method of the subject instead of `previous`.
    public var recovery: Bool
    /// Devices whose delegations are issued again under `next`.
    public var devices: [DID]
    public var issuedAt: Int64
    public var expiresAt: Int64

    public init(
        id: ULID,
        subject: DID,
        previous: DIDURL,
        next: DIDURL,
        nextPublicKey: PublicKey,
        reason: String,
        recovery: Bool = false,
        devices: [DID] = [],
        issuedAt: Int64,
        expiresAt: Int64
    ) {
        self.id = id
        self.subject = subject
        self.previous = previous
        self.next = next
        self.nextPublicKey = nextPublicKey
        self.reason = reason
        self.recovery = recovery
        self.devices = devices
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    /// The `key-rotation` payload.
    public var json: JSONValue {
        var object: JSONObject = [
            "dsip": RecordVersion.json, "type": "key-rotation", "id": .string(id.description),
            "from": .string(subject.string), "subject": .string(subject.string),
            "previous": .string(previous.description), "next": .string(next.description),
            "next_public_key_multibase": .string(nextPublicKey.multibase), "reason": .string(reason),
        ]
        if recovery { object["recovery"] = true }
        if !devices.isEmpty { object["devices"] = .array(devices.map { .string($0.string) }) }
        object["issued_at"] = .int(issuedAt)
        object["expires_at"] = .int(expiresAt)
        return .object(object)
    }

    /// What `envelope` claims, unverified. - Returns: nil when the payload is no such record, or breaks a rule of DSIP
    /// §7.5 by itself.
    public static func decode(_ envelope: Envelope) -> KeyRotation? {
        guard let payload = SignedRecord.payload(of: envelope), payload["type"]?.equals("key-rotation") == true,
            let id = payload["id"]?.string.flatMap({ ULID($0) }), let from = payload.did("from"),
            let subject = payload.did("subject"), from == subject,
            let previous = payload["previous"]?.string.flatMap({ DIDURL($0) }),
            let next = payload["next"]?.string.flatMap({ DIDURL($0) }), previous != next, previous.did == subject,
            next.did == subject,
            let key = payload["next_public_key_multibase"]?.string.flatMap({ PublicKey(multibase: $0) }),
            let reason = payload["reason"]?.string, let issuedAt = payload.timestamp("issued_at"),
            let expiresAt = payload.timestamp("expires_at")
        else { return nil }
        var devices: [DID] = []
        if let list = payload["devices"], list.isArray {
            devices = list.elements.compactMap { $0.string.flatMap { DID($0) } }
        }
        return KeyRotation(
            id: id,
            subject: subject,
            previous: previous,
            next: next,
            nextPublicKey: key,
            reason: reason,
            recovery: payload["recovery"]?.boolean ?? false,
            devices: devices,
            issuedAt: issuedAt,
            expiresAt: expiresAt
        )
    }

    /// Checks the record under the document from before the rotation (DSIP §7.5).
    ///
    /// - Throws: `.malformed`, or `.refused` unless `previous` signed it, or with `recovery` a method designated for that.
    public static func verify(_ envelope: Envelope, document: DIDDocument) throws(IdentityError) -> KeyRotation {
        guard let rotation = decode(envelope) else {
            throw IdentityError(.malformed, "the record is no key rotation")
        }
        guard rotation.subject == document.id,
            let record = SignedRecord(envelope, under: document, allowES256: false),
            rotation.recovery ? document.recovery.contains(record.kid) : record.kid == rotation.previous
        else { throw IdentityError(.refused, "the rotation is not signed by the key that it retires") }
        return rotation
    }

    /// Whether one of `keys` signed `envelope`, which says so itself: `previous`, or with `recovery` any of them.
    static func isSigned(_ envelope: Envelope, _ rotation: KeyRotation, byOneOf keys: some Sequence<PublicKey>) -> Bool
    {
        guard let (kid, algorithm) = SignedRecord.header(of: envelope), kid.did == rotation.subject,
            rotation.recovery || kid == rotation.previous
        else { return false }
        let (signature, input) = (envelope.decodedSignature(), envelope.signingInput)
        return keys.contains { $0.algorithm == algorithm && $0.isValidSignature(signature, for: input) }
    }

    /// Follows published records from keys that are relied upon, each record signed by a key that is or became one.
    ///
    /// - Parameter records: of `subject`, at most ``DIDDocument/Limit/keyRotations``, oldest first; others are passed over.
    /// - Returns: the records of the way, in its order.
    static func path(of subject: DID, from keys: Set<PublicKey>, along records: [Envelope]) -> [KeyRotation] {
        var (relied, path): (Set<PublicKey>, [KeyRotation]) = (keys, [])
        for envelope in records.prefix(DIDDocument.Limit.keyRotations) {
            guard let rotation = decode(envelope), rotation.subject == subject,
                !relied.contains(rotation.nextPublicKey), isSigned(envelope, rotation, byOneOf: relied)
            else { continue }
            relied.insert(rotation.nextPublicKey)
            path.append(rotation)
        }
        return path
    }

    /// - Parameter key: that of `previous`, or with `recovery` one of the subject's recovery methods.
    /// - Throws: `.refused` when the key may not sign, when `next` is `previous`, or for a `did:key`, which cannot
    ///   rotate.
    public func issue(by key: SigningKey) throws(IdentityError) -> Envelope {
        guard subject.method != "key" else {
            throw IdentityError(.refused, "a did:key is its key and cannot rotate it")
        }
        guard next != previous, next.did == subject, previous.did == subject else {
            throw IdentityError(.refused, "a rotation names two different methods of the identity itself")
        }
        guard recovery ? key.did == subject : key.kid == previous else {
            throw IdentityError(.refused, "a rotation is signed by the key that is retired, or by a recovery key")
        }
        return try Envelope(signing: json.utf8, by: key)
    }
}
