import Crypto
import FoundationEssentials

/// A private X25519 key with its public one (RFC 7748 §6.1).
package struct AgreementKey: Sendable {
    private let key: Curve25519.KeyAgreement.PrivateKey
    /// 32 bytes.
    package let publicKey: [UInt8]

    package init(_ secret: Secret) {
        // 32 bytes are the only condition.
        guard let key = try? secret.withUnsafeBytes({ try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: $0) })
        else { preconditionFailure("a key of 32 bytes") }
        self.init(key)
    }

    private init(_ key: Curve25519.KeyAgreement.PrivateKey) {
        self.key = key
        publicKey = Array(key.publicKey.rawRepresentation)
    }

    package init(using random: inout some RandomNumberGenerator) {
        // The system's generator enters the kernel for every eight bytes; the library draws from the same source at once.
        if random is SystemRandomNumberGenerator {
            self.init(Curve25519.KeyAgreement.PrivateKey())
        } else {
            self.init(Secret(using: &random))
        }
    }

    package var secret: Secret { key.rawRepresentation.withUnsafeBytes { Secret(copying: $0) } }

    /// - Throws: `weakKey` when the result is zero, as every point of small order makes it (RFC 7748 §6.1).
    package func agree(_ other: [UInt8]) throws(RatchetError) -> Secret {
        guard let other = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: other),
            let shared = try? key.sharedSecretFromKeyAgreement(with: other)
        else { throw RatchetError(.weakKey, "not a public key") }
        let secret = shared.withUnsafeBytes { Secret(copying: $0) }
        guard secret.withUnsafeBytes({ $0.reduce(0, |) }) != 0 else {
            throw RatchetError(.weakKey, "the agreement is zero")
        }
        return secret
    }
}
