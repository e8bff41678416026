import DSIPIdentity
import DSIPSignaling
import Encoding

/// Prekey bundles (X3DH, PQXDH): a device leaves them at its relay, the relay hands them out. An extension of ours, `prekeys/1.0`.
///
/// ```
/// { …, "type": "prekeys", "subject": <identity>, "fresh": true, "bundles": [ {"device", "bundle", "delegation"?} ], "last_resort": … }
/// ```
///
/// Uploading, every bundle is the signer's own, and the relay answers `accepted`. Answering a fetch, `in_reply_to` names it, and there
/// is one bundle of each device. A bundle is believed for its signature by the device's key, never for who handed it out.
public struct PreKeys: Hashable, Sendable {
    public static let type = "prekeys"
    public static let extensionID: ProfileID = "prekeys/1.0"
    /// Bundles in one message: with their delegations they fit a frame.
    public static let maximumBundles = 12
    /// Bytes of all bundles of an answer, as they are written: a signed frame holds them.
    public static let maximumBytes = 44_000
    /// Bytes of one, and of a delegation beside it.
    public static let maximumBundle = 4096
    public static let maximumDelegation = 8192

    public struct Bundle: Hashable, Sendable {
        public var device: DID
        /// A `PreKeyBundle` of the ratchet, not judged.
        public var bytes: [UInt8]
        /// The device's delegation, compact; none where the device is the identity.
        public var delegation: String?

        public init(device: DID, bytes: [UInt8], delegation: String? = nil) {
            self.device = device
            self.bytes = bytes
            self.delegation = delegation
        }

        /// Bytes as it is written.
        var size: Int { json.utf8.count + 1 }

        static func read(_ value: JSONValue, _ name: String) throws(MessagingError) -> Bundle {
            var members = try Members(value, name)
            let device = try members.required("device", Read.did)
            let bundle = try members.required("bundle", Read.encoded)
            let delegation = try members.optional("delegation") { (value, name) throws(MessagingError) in
                try Read.string(value, name) { (1...PreKeys.maximumDelegation).contains($0.utf8.count) }
            }
            try members.finish()
            guard bundle.decodedCount <= PreKeys.maximumBundle, let bytes = bundle.bytes else {
                throw Members.fault("\(name) is no bundle")
            }
            return Bundle(device: device, bytes: bytes, delegation: delegation)
        }

        var json: JSONValue {
            var object: JSONObject = ["device": .string(device.string), "bundle": .string(Base64URL.encode(bytes))]
            if let delegation { object["delegation"] = .string(delegation) }
            return .object(object)
        }
    }

    public var head: ExtensionHead
    /// The fetch that this answers; nil when uploading.
    public var inReplyTo: ULID?
    /// The identity that the devices belong to.
    public var subject: DID
    /// Given out once each.
    public var bundles: [Bundle]
    /// Given out when none is left, again and again.
    public var lastResort: Bundle?
    /// Earlier ones of the device are dropped: their signed prekey was replaced.
    public var isFresh: Bool

    public init(
        id: ULID,
        from: DID,
        to: DID,
        issuedAt: Int64,
        inReplyTo: ULID? = nil,
        subject: DID,
        bundles: [Bundle],
        lastResort: Bundle? = nil,
        isFresh: Bool = false
    ) {
        head = ExtensionHead(
            naming: Self.extensionID,
            id: id,
            from: from,
            to: to,
            issuedAt: issuedAt,
            expiresAt: issuedAt + MessagingProfile.maximumLifetime
        )
        self.inReplyTo = inReplyTo
        self.subject = subject
        self.bundles = bundles
        self.lastResort = lastResort
        self.isFresh = isFresh
    }

    public init(_ payload: JSONView) throws(MessagingError) { try self.init(payload.value) }

    public init(decoding payload: [UInt8]) throws(MessagingError) {
        try self.init(try Read.payload(payload, limits: .init(bytes: ProtocolLimits.frame)))
    }

    /// - Throws: `schema-invalid`, `lifetime-exceeded`.
    public init(_ payload: JSONValue) throws(MessagingError) {
        var members = try Members(payload, "the payload")
        head = try ExtensionHead(&members, type: Self.type, lifetime: MessagingProfile.maximumLifetime)
        inReplyTo = try members.optional("in_reply_to", Read.ulid)
        subject = try members.required("subject", Read.did)
        bundles = try members.required("bundles", Read.list(atMost: Self.maximumBundles, Bundle.read))
        lastResort = try members.optional("last_resort", Bundle.read)
        isFresh = try members.optional("fresh", Read.boolean) ?? false
        try members.finish()
    }

    public var json: JSONValue {
        head.object(type: Self.type) { object in
            if let inReplyTo { object["in_reply_to"] = .string(inReplyTo.description) }
            object["subject"] = .string(subject.string)
            object["bundles"] = .array(bundles.map(\.json))
            if let lastResort { object["last_resort"] = lastResort.json }
            if isFresh { object["fresh"] = true }
        }
    }
}

/// Asks an identity's relay for one bundle of each device, or of one.
public struct PreKeyFetch: Hashable, Sendable {
    public static let type = "prekey-fetch"

    public var head: ExtensionHead
    public var target: DID
    /// This one alone, as when a session with it has to be begun anew.
    public var device: DID?

    public init(id: ULID, from: DID, to: DID, issuedAt: Int64, target: DID, device: DID? = nil) {
        head = ExtensionHead(
            naming: PreKeys.extensionID,
            id: id,
            from: from,
            to: to,
            issuedAt: issuedAt,
            expiresAt: issuedAt + MessagingProfile.maximumLifetime
        )
        self.target = target
        self.device = device
    }

    public init(_ payload: JSONView) throws(MessagingError) { try self.init(payload.value) }

    public init(_ payload: JSONValue) throws(MessagingError) {
        var members = try Members(payload, "the payload")
        head = try ExtensionHead(&members, type: Self.type, lifetime: MessagingProfile.maximumLifetime)
        target = try members.required("target", Read.did)
        device = try members.optional("device", Read.did)
        try members.finish()
    }

    public var json: JSONValue {
        head.object(type: Self.type) { object in
            object["target"] = .string(target.string)
            if let device { object["device"] = .string(device.string) }
        }
    }
}
