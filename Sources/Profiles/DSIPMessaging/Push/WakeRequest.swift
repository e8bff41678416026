import DSIPIdentity
import DSIPSignaling
import Encoding

/// A device that is here and that nobody looks at asks its relay for a push to itself: an extension of ours, `push-wake/1.0`, signed by
/// the device. So a browser whose page is closed hears what the agent has, and nothing of receipts or what is muted.
///
/// ```
/// { …, "type": "wake-request", "from": <device>, "to": <relay>, "kind": "message" | "call", "envelope_id": <ULID> }
/// ```
///
/// It goes to what the device registered with ``PushConfig``, as often as ``WakePlan`` lets it. Nothing answers it: the page, when it is
/// opened, shows what there is.
public struct WakeRequest: Hashable, Sendable {
    public static let type = "wake-request"

    public var head: ExtensionHead
    public var kind: Wake.Kind
    /// What the push names; the device alone knows what it is.
    public var envelope: ULID

    public init(
        id: ULID,
        from device: DID,
        to relay: DID,
        issuedAt: Int64,
        expiresAt: Int64,
        kind: Wake.Kind,
        envelope: ULID
    ) {
        head = ExtensionHead(
            naming: PushConfig.extensionID,
            id: id,
            from: device,
            to: relay,
            issuedAt: issuedAt,
            expiresAt: expiresAt
        )
        self.kind = kind
        self.envelope = envelope
    }

    /// From a payload inside the verification pipeline: the `reading` of `EnvelopeVerifier.verify`.
    public init(_ payload: JSONView) throws(MessagingError) { try self.init(payload.value) }

    /// - Throws: `schema-invalid`, `lifetime-exceeded`.
    public init(_ payload: JSONValue) throws(MessagingError) {
        var members = try Members(payload, "the payload")
        head = try ExtensionHead(&members, type: Self.type, lifetime: MessagingProfile.maximumLifetime)
        kind = try members.required("kind") { (value, name) throws(MessagingError) in
            guard let kind = value.string.flatMap(Wake.Kind.init(rawValue:)) else {
                throw Members.fault("\(name) is neither message nor call")
            }
            return kind
        }
        envelope = try members.required("envelope_id", Read.ulid)
        try members.finish()
    }

    public var json: JSONValue {
        head.object(type: Self.type) { object in
            object["kind"] = .string(kind.rawValue)
            object["envelope_id"] = .string(envelope.description)
        }
    }
}
