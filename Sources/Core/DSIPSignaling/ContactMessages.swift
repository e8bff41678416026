import DSIPIdentity
import Encoding

/// Asks an unknown identity for permission to contact it; never a call (DSIP §19.4).
public struct Introduction: Hashable, Sendable {
    public var identity: IdentityInfo
    /// At most 280 Unicode scalars; a claim.
    public var purpose: String?
    /// Issued out of band by the recipient's authority.
    public var contactToken: String?
    /// The purpose, encrypted to the recipient; never beside `purpose`.
    public var sealed: SealedBody?

    public init(identity: IdentityInfo, purpose: String? = nil, contactToken: String? = nil) {
        self.identity = identity
        self.purpose = purpose
        self.contactToken = contactToken
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.identity = try IdentityInfo(try fields.required("identity"))
        self.purpose = try fields.optional("purpose") { (view) throws(ShapeFault) in
            try view.text("purpose", limit: 280)
        }
        self.contactToken = try fields.optional("contact_token") { (view) throws(ShapeFault) in
            try view.text("contact_token", limit: 2048)
        }
        self.sealed = try fields.sealed()
    }

    func write(to object: inout JSONObject) {
        object["identity"] = identity.json
        if let purpose { object["purpose"] = .string(purpose) }
        if let contactToken { object["contact_token"] = .string(contactToken) }
        if let sealed { object["sealed"] = sealed.json }
    }
}

/// Permits contact, in answer to an introduction, which `session` names (DSIP §19.4).
public struct Grant: Hashable, Sendable {
    public static let inviteScope = "dsip.invite"
    public static let subscribeScope = "dsip.subscribe"
    public static let messageScope = "dsip.message"

    /// Never empty.
    public var scope: [String]
    /// Unix seconds, apart from the envelope's own expiry.
    public var validUntil: Int64

    public init(scope: [String] = [Grant.inviteScope], validUntil: Int64) {
        self.scope = scope
        self.validUntil = validUntil
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.scope = try fields.required("scope").list("scope", atLeast: 1) { (view) throws(ShapeFault) in
            try view.text("scope", Pattern.grantScope)
        }
        self.validUntil = try fields.required("valid_until").integer("valid_until")
    }

    func write(to object: inout JSONObject) {
        object["scope"] = .array(scope.map { .string($0) })
        object["valid_until"] = .int(validUntil)
    }
}
