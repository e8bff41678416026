import DSIPIdentity
import Encoding

/// The members of a `key-rotation` (DSIP §7.5). `DSIPIdentity.KeyRotation` builds and signs one.
public struct KeyRotationStatement: Hashable, Sendable {
    public var subject: DID
    public var previous: DIDURL
    public var next: DIDURL
    /// Multibase base58btc; not decoded.
    public var nextPublicKey: String
    public var reason: String
    /// Whether a recovery method signs in place of `previous`.
    public var recovery: Bool?
    public var devices: [DID]?

    public init(
        subject: DID,
        previous: DIDURL,
        next: DIDURL,
        nextPublicKey: String,
        reason: String,
        recovery: Bool? = nil,
        devices: [DID]? = nil
    ) {
        self.subject = subject
        self.previous = previous
        self.next = next
        self.nextPublicKey = nextPublicKey
        self.reason = reason
        self.recovery = recovery
        self.devices = devices
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.subject = try fields.did("subject")
        self.previous = try fields.required("previous").kid("previous")
        self.next = try fields.required("next").kid("next")
        self.nextPublicKey = try fields.required("next_public_key_multibase")
            .text("next_public_key_multibase", Pattern.base58Multibase)
        self.reason = try fields.token("reason")
        self.recovery = try fields.optional("recovery") { (view) throws(ShapeFault) in try view.boolean("recovery") }
        self.devices = try fields.optional("devices") { (view) throws(ShapeFault) in
            try view.list("devices") { (device) throws(ShapeFault) in try device.did("devices") }
        }
    }

    func write(to object: inout JSONObject) {
        object["subject"] = .string(subject.string)
        object["previous"] = .string(previous.description)
        object["next"] = .string(next.description)
        object["next_public_key_multibase"] = .string(nextPublicKey)
        object["reason"] = .string(reason)
        if let recovery { object["recovery"] = .bool(recovery) }
        if let devices { object["devices"] = .array(devices.map { .string($0.string) }) }
    }
}

/// The members of a `delegation-revocation` (DSIP §7.4). `DSIPIdentity.DelegationRevocation` builds, signs and verifies one.
public struct DelegationRevocationStatement: Hashable, Sendable {
    public var subject: DID
    public var device: DID
    /// Unix seconds; delegations issued at or before it are revoked.
    public var revokedAt: Int64
    public var reason: String

    public init(subject: DID, device: DID, revokedAt: Int64, reason: String) {
        self.subject = subject
        self.device = device
        self.revokedAt = revokedAt
        self.reason = reason
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.subject = try fields.did("subject")
        self.device = try fields.did("device")
        self.revokedAt = try fields.required("revoked_at").integer("revoked_at")
        self.reason = try fields.token("reason")
    }

    func write(to object: inout JSONObject) {
        object["subject"] = .string(subject.string)
        object["device"] = .string(device.string)
        object["revoked_at"] = .int(revokedAt)
        object["reason"] = .string(reason)
    }
}
