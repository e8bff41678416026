import DSIPIdentity
import Encoding

extension Message {
    /// Reads a payload, with the shape rules of the DSIP schemas.
    ///
    /// - Throws: `unknown-type`, or `schema-invalid` naming the member at fault.
    public init(decoding document: JSONDocument) throws(Rejection) {
        try self.init(decoding: document.root)
    }

    /// - Parameters:
    ///   - type: read before, or nil when that has not been done or it is unknown.
    ///   - mayLackRecipient: of a form whose messages need not name whom their session names.
    init(
        decoding root: JSONView,
        as type: MessageType? = nil,
        mayLackRecipient: Bool = false
    ) throws(Rejection) {
        guard let type = type ?? root["type"]?.string.flatMap(MessageType.init(rawValue:)) else {
            throw Rejection(.unknownType, "not a message type known here", reading: root)
        }
        do {
            try self.init(type, root, mayLackRecipient: mayLackRecipient)
        } catch {
            throw Rejection(.schemaInvalid, error.detail, reading: root)
        }
    }

    /// Reads a payload that must be of `type`.
    init(_ type: MessageType, _ root: JSONView, mayLackRecipient: Bool = false) throws(ShapeFault) {
        var fields = try Fields(root, "payload")
        self.version = try VersionBlock(try fields.required("dsip"))
        guard try fields.required("type").equals(type.rawValue) else { throw ShapeFault("type is another") }
        self.id = try fields.ulid("id")
        self.from = try fields.did("from")
        let belongsToSession = mayLackRecipient && type != .invite
        self.to = type.isAddressed ? belongsToSession ? try fields.optionalDID("to") : try fields.did("to") : nil
        self.session =
            switch type.sessionMember {
            case .required: try fields.ulid("session")
            case .optional: try fields.optionalULID("session")
            case .absent: nil
            }
        self.body = try Body(type, &fields)
        self.issuedAt = try fields.required("issued_at").integer("issued_at")
        self.expiresAt = try fields.required("expires_at").integer("expires_at")
        try fields.finish()
    }

    /// The payload as JSON, in the member order of the specification's examples.
    public var json: JSONValue {
        var object: JSONObject = [
            "dsip": version.json, "type": .string(type.rawValue), "id": .string(id.description),
            "from": .string(from.string),
        ]
        if let to { object["to"] = .string(to.string) }
        if let session { object["session"] = .string(session.description) }
        body.coded.write(to: &object)
        object["issued_at"] = .int(issuedAt)
        object["expires_at"] = .int(expiresAt)
        return .object(object)
    }

    /// The bytes to sign.
    public func payload() -> [UInt8] { json.utf8 }

    /// Signs the message.
    ///
    /// - Parameters:
    ///   - key: of `from`, or of a device that one of `delegations` lets act for it.
    ///   - delegations: put into the protected header (DSIP §7.4).
    /// - Throws: `.signing`; nothing else is checked here.
    public func signed(by key: SigningKey, delegations: [Envelope] = []) throws(IdentityError) -> Envelope {
        try Envelope(signing: payload(), by: key, delegations: delegations)
    }
}

extension Rejection {
    /// A rejection that carries what can be read of the payload.
    init(_ code: VerdictCode, reason: Reason? = nil, _ detail: String, reading root: JSONView) {
        self.init(
            code,
            reason: reason,
            detail,
            type: root["type"]?.string.flatMap(MessageType.init(rawValue:)),
            id: root["id"]?.ulid,
            session: root["session"]?.ulid,
            from: root["from"]?.did,
            issuedAt: root["issued_at"]?.integer
        )
    }
}
