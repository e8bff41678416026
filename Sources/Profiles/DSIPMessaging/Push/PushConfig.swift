import DSIPIdentity
import DSIPSignaling
import Encoding

/// A device tells its relay how it is woken: an extension of ours, `push-wake/1.0`, signed by the device.
///
/// ```
/// { …, "type": "push-config", "from": <device>, "to": <relay>, "endpoints": [ {"kind": "webpush", …} ] }
/// ```
///
/// It replaces what the device said before; no endpoints end it. The relay answers `accepted` or `error`.
public struct PushConfig: Hashable, Sendable {
    public static let type = "push-config"
    public static let extensionID: ProfileID = "push-wake/1.0"
    /// Targets of one device.
    public static let maximumTargets = 4

    public var head: ExtensionHead
    public var targets: [PushTarget]

    public init(
        id: ULID,
        from device: DID,
        to relay: DID,
        issuedAt: Int64,
        expiresAt: Int64,
        targets: [PushTarget]
    ) {
        head = ExtensionHead(
            naming: Self.extensionID,
            id: id,
            from: device,
            to: relay,
            issuedAt: issuedAt,
            expiresAt: expiresAt
        )
        self.targets = targets
    }

    /// From a payload inside the verification pipeline: the `reading` of `EnvelopeVerifier.verify`.
    public init(_ payload: JSONView) throws(MessagingError) { try self.init(payload.value) }

    public init(decoding payload: [UInt8]) throws(MessagingError) {
        try self.init(try Read.payload(payload, limits: .init(bytes: ProtocolLimits.frame)))
    }

    /// - Throws: `schema-invalid`, `lifetime-exceeded`.
    public init(_ payload: JSONValue) throws(MessagingError) {
        var members = try Members(payload, "the payload")
        head = try ExtensionHead(&members, type: Self.type, lifetime: MessagingProfile.maximumLifetime)
        targets = try members.required("endpoints", Read.list(atMost: Self.maximumTargets, PushTarget.read))
        try members.finish()
        guard Set(targets).count == targets.count else { throw Members.fault("one target twice") }
    }

    public var json: JSONValue {
        head.object(type: Self.type) { object in object["endpoints"] = .array(targets.map(\.json)) }
    }
}

/// What a relay says of push in the capabilities of its `hello`, under `push`.
public struct PushCapability: Hashable, Sendable {
    public var kinds: [PushTarget.Kind]
    /// The key of RFC 8292 that browsers subscribe with, 65 bytes.
    public var vapidKey: [UInt8]?

    public init(kinds: [PushTarget.Kind], vapidKey: [UInt8]?) {
        self.kinds = kinds
        self.vapidKey = vapidKey
    }

    /// - Returns: nil unless it is well formed. Kinds not known here are passed over.
    public init?(_ json: JSONValue) {
        guard let words = json["kinds"]?.array, words.count <= 16 else { return nil }
        kinds = words.compactMap { $0.string.flatMap(PushTarget.Kind.init(rawValue:)) }
        if let value = json["vapid"] {
            guard let key = value.string.flatMap({ Base64URL.decode($0) }), key.count == 65 else { return nil }
            vapidKey = key
        }
    }

    public var json: JSONValue {
        var object: JSONObject = ["kinds": .array(kinds.map { .string($0.rawValue) })]
        if let vapidKey { object["vapid"] = .string(Base64URL.encode(vapidKey)) }
        return .object(object)
    }
}
