import Crypto

extension PushSubscription {
    /// Bytes of a body that every push service takes (RFC 8030 §7.2).
    public static let maximumBody = 4096
    /// Bytes of a message that fit it: header with key, delimiter and tag come on top.
    public static let maximumMessage = maximumBody - 21 - MessageKey.publicKeySize - RecordCipher.overhead

    /// The body of a push message (RFC 8291 §4): `Content-Encoding: aes128gcm`, one record.
    ///
    /// - Parameters:
    ///   - padding: zero bytes beside the message, which the push service cannot tell from it.
    ///   - random: 32 bytes for a key that is used this once, and 16 for the salt.
    /// - Throws: `.limit` when message and padding exceed ``maximumMessage``.
    public func encrypt(
        _ message: [UInt8],
        padding: Int = 0,
        using random: inout some RandomNumberGenerator
    ) throws(WebPushError) -> [UInt8] {
        let key = MessageKey.privateKey(using: &random)
        return try encrypt(message, padding: padding, key: key, salt: MessageKey.draw(16, using: &random))
    }

    /// The same with a key and salt of the caller's, for published vectors. A key or salt used twice gives the message away.
    ///
    /// - Parameter privateKey: 32 bytes.
    public func encrypt(
        _ message: [UInt8],
        padding: Int = 0,
        privateKey: [UInt8],
        salt: [UInt8]
    ) throws(WebPushError) -> [UInt8] {
        try encrypt(message, padding: padding, key: MessageKey.privateKey(privateKey), salt: salt)
    }

    private func encrypt(
        _ message: [UInt8],
        padding: Int,
        key: P256.KeyAgreement.PrivateKey,
        salt: [UInt8]
    ) throws(WebPushError) -> [UInt8] {
        guard padding >= 0, message.count <= Self.maximumMessage, padding <= Self.maximumMessage - message.count else {
            throw WebPushError(.limit, "message and padding have \(Self.maximumMessage) bytes at most")
        }
        let sender = Array(key.publicKey.x963Representation)
        guard let shared = try? key.sharedSecretFromKeyAgreement(with: MessageKey.publicKey(publicKey)) else {
            throw WebPushError(.key, "no agreement comes of the public key")
        }
        let material = MessageKey.derive(
            shared,
            authenticationSecret: authenticationSecret,
            receiver: publicKey,
            sender: sender
        )
        // RFC 8291 §4: a record size greater than the one record is. The body's bound is.
        return try ContentEncoder.encode(
            message,
            key: material,
            salt: salt,
            keyIdentifier: sender,
            recordSize: Self.maximumBody,
            padding: padding
        )
    }
}
