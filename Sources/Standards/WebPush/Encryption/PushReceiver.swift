import Crypto

/// The user agent's end of a subscription (RFC 8291): its key pair and authentication secret.
///
/// ```swift
/// let receiver = PushReceiver(using: &random)
/// let subscription = try receiver.subscription(at: PushEndpoint("https://push.example/p/1"))   // give this to the application server
/// let message = try receiver.decrypt(body)
/// ```
public struct PushReceiver: Sendable {
    private let key: P256.KeyAgreement.PrivateKey
    /// 16 bytes.
    public let authenticationSecret: [UInt8]
    /// An uncompressed point, 65 bytes.
    public let publicKey: [UInt8]

    public init(using random: inout some RandomNumberGenerator) {
        self.init(MessageKey.privateKey(using: &random), MessageKey.draw(MessageKey.secretSize, using: &random))
    }

    /// One that was kept.
    ///
    /// - Parameter privateKey: 32 bytes.
    /// - Throws: `.key`.
    public init(privateKey: [UInt8], authenticationSecret: [UInt8]) throws(WebPushError) {
        guard authenticationSecret.count == MessageKey.secretSize else {
            throw WebPushError(.key, "an authentication secret has 16 bytes")
        }
        self.init(try MessageKey.privateKey(privateKey), authenticationSecret)
    }

    private init(_ key: P256.KeyAgreement.PrivateKey, _ secret: [UInt8]) {
        self.key = key
        authenticationSecret = secret
        publicKey = Array(key.publicKey.x963Representation)
    }

    /// 32 bytes; a secret.
    public var privateKey: [UInt8] { Array(key.rawRepresentation) }

    /// What the application server is given.
    public func subscription(at endpoint: PushEndpoint) throws(WebPushError) -> PushSubscription {
        try PushSubscription(
            endpoint: endpoint,
            publicKey: publicKey,
            authenticationSecret: authenticationSecret
        )
    }

    /// The message in the body of a push (RFC 8291 §3).
    ///
    /// - Throws: `.malformed`, `.truncated`, `.authentication`, `.key` when the sender's is no point, `.limit` for a body beyond `limit` or of
    ///   several records, which no sender makes (RFC 8291 §4).
    public func decrypt(_ body: [UInt8], limit: Int = 65_536) throws(WebPushError) -> [UInt8] {
        let (key, receiver, secret) = (key, publicKey, authenticationSecret)
        let limits = ContentDecoder.Limits(record: limit, body: limit)
        return try ContentDecoder.decode(body, limits: limits) { header in
            guard body.count - header.byteCount <= header.recordSize else {
                throw WebPushError(.limit, "a push message has one record")
            }
            let sender = header.keyIdentifier
            let shared = try key.sharedSecretFromKeyAgreement(with: MessageKey.publicKey(sender))
            return MessageKey.derive(shared, authenticationSecret: secret, receiver: receiver, sender: sender)
        }
    }
}
