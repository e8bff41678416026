import Encoding

/// One way to wake a device that is not connected.
public enum PushTarget: Hashable, Sendable {
    /// The two secrets-and-key of RFC 8291 that a message is encrypted with.
    public struct Keys: Hashable, Sendable {
        /// An uncompressed point of P-256, 65 bytes. Whether it is on the curve is found out when sending.
        public var publicKey: [UInt8]
        /// 16 bytes.
        public var secret: [UInt8]

        public init(publicKey: [UInt8], secret: [UInt8]) {
            self.publicKey = publicKey
            self.secret = secret
        }
    }

    public struct APNs: Hashable, Sendable {
        /// The device token, 8 to 100 bytes.
        public var token: [UInt8]
        /// The bundle identifier; of `voip` pushes without its suffix.
        public var topic: String
        public var isSandbox: Bool
        /// A token of PushKit, for calls; else one for notifications.
        public var isVoIP: Bool

        public init(token: [UInt8], topic: String, isSandbox: Bool = false, isVoIP: Bool = false) {
            self.token = token
            self.topic = topic
            self.isSandbox = isSandbox
            self.isVoIP = isVoIP
        }
    }

    /// A browser's subscription.
    case webPush(endpoint: String, Keys)
    /// A distributor's endpoint; without keys the body is plain, as the first version of UnifiedPush has it.
    case unifiedPush(endpoint: String, Keys?)
    case apns(APNs)
    /// A registration token of Firebase Cloud Messaging.
    case fcm(token: String)

    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case webPush = "webpush"
        case unifiedPush = "unifiedpush"
        case apns, fcm
    }

    public var kind: Kind {
        switch self {
        case .webPush: .webPush
        case .unifiedPush: .unifiedPush
        case .apns: .apns
        case .fcm: .fcm
        }
    }

    /// - Throws: `schema-invalid`.
    public init(_ json: JSONValue) throws(MessagingError) { self = try Self.read(json, "a target") }

    static func read(_ value: JSONValue, _ name: String) throws(MessagingError) -> PushTarget {
        var members = try Members(value, name)
        let word = try members.required("kind", Read.string)
        guard let kind = Kind(rawValue: word) else { throw Members.fault("an unknown kind of push") }
        let target: PushTarget
        switch kind {
        case .webPush: target = .webPush(endpoint: try members.required("endpoint", endpoint), try keys(&members))
        case .unifiedPush:
            let url = try members.required("endpoint", endpoint)
            target = .unifiedPush(endpoint: url, members.has("p256dh") ? try keys(&members) : nil)
        case .apns:
            let token = try members.required("token") { (value, name) throws(MessagingError) in
                guard let bytes = value.string.flatMap({ Base64URL.decode($0) }), (8...100).contains(bytes.count)
                else { throw Members.fault("\(name) is no device token") }
                return bytes
            }
            let topic = try members.required("topic") { (value, name) throws(MessagingError) in
                try Read.string(value, name) { (1...255).contains($0.utf8.count) && $0.utf8.allSatisfy(isTopicByte) }
            }
            target = .apns(
                APNs(
                    token: token,
                    topic: topic,
                    isSandbox: try members.optional("sandbox", Read.boolean) ?? false,
                    isVoIP: try members.optional("voip", Read.boolean) ?? false
                )
            )
        case .fcm:
            target = .fcm(
                token: try members.required("token") { (value, name) throws(MessagingError) in
                    try Read.string(value, name) { text in
                        (16...4096).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
                    }
                }
            )
        }
        try members.finish()
        return target
    }

    /// An `https` URL of at most 2,048 printable characters, without a fragment. RFC 8030 §8.1
    private static func endpoint(_ value: JSONValue, _ name: String) throws(MessagingError) -> String {
        try Read.string(value, name) { text in
            text.hasPrefix("https://") && (9...2048).contains(text.utf8.count)
                && text.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") }
        }
    }

    private static func keys(_ members: inout Members) throws(MessagingError) -> Keys {
        func bytes(_ count: Int) -> (JSONValue, String) throws(MessagingError) -> [UInt8] {
            { (value, name) throws(MessagingError) in
                guard let bytes = value.string.flatMap({ Base64URL.decode($0) }), bytes.count == count else {
                    throw Members.fault("\(name) has another length")
                }
                return bytes
            }
        }
        return Keys(
            publicKey: try members.required("p256dh", bytes(65)),
            secret: try members.required("auth", bytes(16))
        )
    }

    private static func isTopicByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "."), UInt8(ascii: "-"): true
        default: false
        }
    }

    public var json: JSONValue {
        var object: JSONObject = ["kind": .string(kind.rawValue)]
        switch self {
        case .webPush(let endpoint, let keys): Self.write(endpoint, keys, to: &object)
        case .unifiedPush(let endpoint, let keys): Self.write(endpoint, keys, to: &object)
        case .apns(let apns):
            object["token"] = .string(Base64URL.encode(apns.token))
            object["topic"] = .string(apns.topic)
            if apns.isSandbox { object["sandbox"] = true }
            if apns.isVoIP { object["voip"] = true }
        case .fcm(let token): object["token"] = .string(token)
        }
        return .object(object)
    }

    private static func write(_ endpoint: String, _ keys: Keys?, to object: inout JSONObject) {
        object["endpoint"] = .string(endpoint)
        guard let keys else { return }
        object["p256dh"] = .string(Base64URL.encode(keys.publicKey))
        object["auth"] = .string(Base64URL.encode(keys.secret))
    }
}
