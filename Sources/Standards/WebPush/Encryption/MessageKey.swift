import Crypto

/// What the two ends of a subscription agree on for one message (RFC 8291 §3.3, §3.4).
enum MessageKey {
    /// Bytes of an uncompressed point of P-256.
    static let publicKeySize = 65
    static let secretSize = 16

    /// - Parameters:
    ///   - receiver: the user agent's public key, 65 bytes.
    ///   - sender: the application server's, 65 bytes.
    static func derive(
        _ shared: SharedSecret,
        authenticationSecret: [UInt8],
        receiver: [UInt8],
        sender: [UInt8]
    ) -> SymmetricKey {
        shared.hkdfDerivedSymmetricKey(
            using: SHA256.self,
            salt: authenticationSecret,
            sharedInfo: Array("WebPush: info\u{0}".utf8) + receiver + sender,
            outputByteCount: 32
        )
    }

    /// - Throws: `.key` unless the bytes are an uncompressed point on the curve.
    static func publicKey(_ bytes: [UInt8]) throws(WebPushError) -> P256.KeyAgreement.PublicKey {
        guard bytes.count == publicKeySize, let key = try? P256.KeyAgreement.PublicKey(x963Representation: bytes) else {
            throw WebPushError(.key, "not an uncompressed point of P-256")
        }
        return key
    }

    /// - Throws: `.key` for zero and for numbers beyond the order of the group.
    static func privateKey(_ bytes: [UInt8]) throws(WebPushError) -> P256.KeyAgreement.PrivateKey {
        guard let key = try? P256.KeyAgreement.PrivateKey(rawRepresentation: bytes) else {
            throw WebPushError(.key, "not a private key of P-256")
        }
        return key
    }

    /// A key from injected randomness: numbers are drawn until one is in range, which nearly every one is.
    static func privateKey(using random: inout some RandomNumberGenerator) -> P256.KeyAgreement.PrivateKey {
        while true {
            if let key = try? P256.KeyAgreement.PrivateKey(rawRepresentation: draw(32, using: &random)) { return key }
        }
    }

    static func draw(_ count: Int, using random: inout some RandomNumberGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }
}
