import Encoding

/// The record that ends a device's delegations before they expire (DSIP §7.4).
public struct DelegationRevocation: Hashable, Sendable {
    /// Registry `dsip-revocation-reason`; unknown tokens are kept.
    public enum Reason {
        public static let lost = "lost"
        public static let compromised = "compromised"
        public static let retired = "retired"
        public static let policy = "policy"
    }

    public var id: ULID
    /// Also the record's `from`.
    public var subject: DID
    public var device: DID
    /// Unix seconds: delegations issued at or before this instant are revoked; a later one enrols the device again.
    public var revokedAt: Int64
    public var reason: String
    public var issuedAt: Int64
    public var expiresAt: Int64

    public init(
        id: ULID,
        subject: DID,
        device: DID,
        revokedAt: Int64,
        reason: String,
        issuedAt: Int64,
        expiresAt: Int64
    ) {
        self.id = id
        self.subject = subject
        self.device = device
        self.revokedAt = revokedAt
        self.reason = reason
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    /// The `delegation-revocation` payload.
    public var json: JSONValue {
        [
            "dsip": RecordVersion.json, "type": "delegation-revocation", "id": .string(id.description),
            "from": .string(subject.string), "subject": .string(subject.string), "device": .string(device.string),
            "revoked_at": .int(revokedAt), "reason": .string(reason), "issued_at": .int(issuedAt),
            "expires_at": .int(expiresAt),
        ]
    }

    /// - Parameter key: a verification key of `subject`; `.refused` for any other.
    public func issue(by key: SigningKey) throws(IdentityError) -> Envelope {
        guard key.did == subject else {
            throw IdentityError(.refused, "only a key of the identity itself can revoke a delegation")
        }
        return try Envelope(signing: json.utf8, by: key)
    }

    /// What `envelope` claims, unverified. - Returns: nil when the payload is no such record, or `from` is not
    /// `subject`.
    public static func decode(_ envelope: Envelope) -> DelegationRevocation? {
        SignedRecord.payload(of: envelope).flatMap(DelegationRevocation.init)
    }

    private init?(_ payload: JSONView) {
        guard payload["type"]?.equals("delegation-revocation") == true,
            let id = payload["id"]?.string.flatMap({ ULID($0) }), let from = payload.did("from"),
            let subject = payload.did("subject"), from == subject, let device = payload.did("device"),
            let revokedAt = payload.timestamp("revoked_at"), let reason = payload["reason"]?.string,
            let issuedAt = payload.timestamp("issued_at"), let expiresAt = payload.timestamp("expires_at")
        else { return nil }
        self.init(
            id: id,
            subject: subject,
            device: device,
            revokedAt: revokedAt,
            reason: reason,
            issuedAt: issuedAt,
            expiresAt: expiresAt
        )
    }

    /// Checks the record as the credential it is: by signature and subject, not by a delivery window (DSIP §7.4).
    ///
    /// - Parameter document: of the record's subject.
    /// - Throws: `.malformed` or `.refused`.
    public static func verify(
        _ envelope: Envelope,
        document: DIDDocument,
        allowES256: Bool = false
    ) throws(IdentityError) -> DelegationRevocation {
        guard let revocation = decode(envelope) else {
            throw IdentityError(.malformed, "the record is no delegation revocation")
        }
        guard revocation.subject == document.id, SignedRecord(envelope, under: document, allowES256: allowES256) != nil
        else {
            throw IdentityError(.refused, "the revocation is not signed by a key of the identity it speaks for")
        }
        return revocation
    }

    public func covers(_ delegation: Delegation) -> Bool {
        subject == delegation.subject && device == delegation.device && delegation.issuedAt <= revokedAt
    }
}

/// The verified revocations that someone holds: for each device of a subject the latest instant.
///
/// Bounded: when full, the revocation with the earliest instant goes, because the delegations that it covers expire
/// first.
public struct Revocations: Sendable {
    private struct Key: Hashable {
        let subject: DID
        let device: DID
    }

    private var revokedAt: [Key: Int64] = [:]
    private let capacity: Int

    public init(capacity: Int = 4096) { self.capacity = max(1, capacity) }

    public var count: Int { revokedAt.count }

    /// - Parameter revocation: a verified one.
    public mutating func insert(_ revocation: DelegationRevocation) {
        let key = Key(subject: revocation.subject, device: revocation.device)
        revokedAt[key] = max(revokedAt[key] ?? 0, revocation.revokedAt)
        if revokedAt.count > capacity, let oldest = revokedAt.min(by: { $0.value < $1.value }) {
            revokedAt[oldest.key] = nil
        }
    }

    public func cover(_ delegation: Delegation) -> Bool {
        guard !revokedAt.isEmpty,
            let instant = revokedAt[Key(subject: delegation.subject, device: delegation.device)]
        else { return false }
        return delegation.issuedAt <= instant
    }
}

/// The `dsip` block of the records this module writes (DSIP §11.1).
enum RecordVersion {
    static let json: JSONValue = [
        "core": "1.0", "min_core": "1.0", "profiles": [], "extensions": [], "critical": [],
    ]
}
