import DSIPIdentity
import DSIPSignaling
import Encoding

/// What a message of ours has in common with those of the profile: a type the profile does not have, and the members that all have (M§5.1).
///
/// Who does not know the type refuses it as unknown (DSIP §12.1) and loses nothing.
public struct ExtensionHead: Hashable, Sendable {
    public var version: VersionBlock
    public var id: ULID
    public var from: DID
    public var to: DID
    /// Unix seconds.
    public var issuedAt: Int64
    public var expiresAt: Int64

    public init(
        naming extensionID: ProfileID,
        id: ULID,
        from: DID,
        to: DID,
        issuedAt: Int64,
        expiresAt: Int64
    ) {
        self.version = VersionBlock(profiles: [MessagingProfile.id], extensions: [extensionID])
        self.id = id
        self.from = from
        self.to = to
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    /// - Parameter lifetime: seconds from issue to expiry at most.
    init(_ members: inout Members, type: String, lifetime: Int64) throws(MessagingError) {
        try members.constant("type", type)
        version = try members.required("dsip", Read.version)
        id = try members.required("id", Read.ulid)
        from = try members.required("from", Read.did)
        to = try members.required("to", Read.did)
        issuedAt = try members.required("issued_at", Read.natural)
        expiresAt = try members.required("expires_at", Read.natural)
        guard expiresAt - issuedAt <= lifetime else {
            throw MessagingError(.lifetimeExceeded, "the message is to live for longer than its type may")
        }
    }

    /// The object of a message: these members, then its own.
    func object(type: String, _ write: (inout JSONObject) -> Void) -> JSONValue {
        var object: JSONObject = [
            "dsip": MailboxMessage.json(version), "type": .string(type), "id": .string(id.description),
            "from": .string(from.string), "to": .string(to.string),
        ]
        write(&object)
        object["issued_at"] = .int(issuedAt)
        object["expires_at"] = .int(expiresAt)
        return .object(object)
    }
}
