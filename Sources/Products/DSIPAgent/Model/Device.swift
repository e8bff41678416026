import DSIPIdentity
import Encoding

/// A device that may act for an identity (DSIP §7.4).
public struct Device: Sendable, Hashable {
    public enum Kind: String, Sendable { case phone, computer, browser, service }

    public var did: DID
    public var name: String
    public var kind: Kind
    public var isThis: Bool
    public var issuedAt: Int64
    public var expiresAt: Int64
    public var revokedAt: Int64?
    public var revokedReason: String?

    public init(
        did: DID,
        name: String,
        kind: Kind,
        isThis: Bool,
        issuedAt: Int64,
        expiresAt: Int64,
        revokedAt: Int64? = nil,
        revokedReason: String? = nil
    ) {
        self.did = did
        self.name = name
        self.kind = kind
        self.isThis = isThis
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.revokedAt = revokedAt
        self.revokedReason = revokedReason
    }

    public var json: JSONValue {
        [
            "did": .string(did.string), "name": .string(name), "kind": .string(kind.rawValue), "this": .bool(isThis),
            "issued_at": .int(issuedAt), "expires_at": .int(expiresAt), "revoked_at": .optional(revokedAt),
            "revoked_reason": .optional(revokedReason),
        ]
    }
}
