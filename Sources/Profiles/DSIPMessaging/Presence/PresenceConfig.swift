import DSIPIdentity
import DSIPSignaling
import Encoding

/// A device tells its identity's relay who may subscribe to the identity's presence (DSIP §9.3): an extension of ours,
/// `presence-policy/1.0`, signed by the device.
///
/// ```
/// { …, "type": "presence-config", "from": <device>, "to": <relay>, "audience": "nobody" | "everyone" }
/// { …, "audience": "listed", "salt": <base64url of 16 bytes>, "listed": <base64url of 8 bytes for each person> }
/// ```
///
/// It replaces what any device of the identity said before. Nothing answers it but an `error`.
public struct PresenceConfig: Hashable, Sendable {
    public static let type = "presence-config"
    public static let extensionID: ProfileID = "presence-policy/1.0"
    public static let saltSize = 16
    /// People listed.
    public static let maximumListed = 1_024

    public enum Audience: Hashable, Sendable {
        case nobody
        case everyone
        /// Those whose tag is among `tags`: the first 8 bytes of SHA-256 over `salt` and the DID's UTF-8, big-endian.
        case listed(salt: [UInt8], tags: [UInt64])
    }

    public var head: ExtensionHead
    public var audience: Audience

    public init(
        id: ULID,
        from device: DID,
        to relay: DID,
        issuedAt: Int64,
        expiresAt: Int64,
        audience: Audience
    ) {
        head = ExtensionHead(
            naming: Self.extensionID,
            id: id,
            from: device,
            to: relay,
            issuedAt: issuedAt,
            expiresAt: expiresAt
        )
        self.audience = audience
    }

    /// From a payload inside the verification pipeline: the `reading` of `EnvelopeVerifier.verify`.
    public init(_ payload: JSONView) throws(MessagingError) { try self.init(payload.value) }

    /// - Throws: `schema-invalid`, `lifetime-exceeded`.
    public init(_ payload: JSONValue) throws(MessagingError) {
        var members = try Members(payload, "the payload")
        head = try ExtensionHead(&members, type: Self.type, lifetime: MessagingProfile.maximumLifetime)
        switch try members.required("audience", Read.string) {
        case "nobody": audience = .nobody
        case "everyone": audience = .everyone
        case "listed":
            let salt = try members.required("salt", Self.bytes)
            let listed = try members.required("listed", Self.bytes)
            guard salt.count == Self.saltSize, listed.count.isMultiple(of: 8), listed.count / 8 <= Self.maximumListed
            else { throw Members.fault("the list is malformed") }
            let tags = stride(from: 0, to: listed.count, by: 8).map { start in
                listed[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
            }
            audience = .listed(salt: salt, tags: tags)
        default: throw Members.fault("audience is not known")
        }
        try members.finish()
    }

    private static func bytes(_ value: JSONValue, _ name: String) throws(MessagingError) -> [UInt8] {
        guard let bytes = value.string.flatMap({ Base64URL.decode($0) }) else {
            throw Members.fault("\(name) is no base64url")
        }
        return bytes
    }

    public var json: JSONValue {
        head.object(type: Self.type) { object in
            switch audience {
            case .nobody: object["audience"] = "nobody"
            case .everyone: object["audience"] = "everyone"
            case .listed(let salt, let tags):
                object["audience"] = "listed"
                object["salt"] = .string(Base64URL.encode(salt))
                let bytes = tags.flatMap { tag in (0..<8).map { UInt8(truncatingIfNeeded: tag >> (56 - 8 * $0)) } }
                object["listed"] = .string(Base64URL.encode(bytes))
            }
        }
    }
}
