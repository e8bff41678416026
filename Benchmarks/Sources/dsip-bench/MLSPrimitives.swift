import Crypto
import Foundation

/// swift-crypto's own operations of the suite MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519; nanoseconds for each.
struct MLSPrimitives {
    private let signer = Curve25519.Signing.PrivateKey()
    private let verifier: Curve25519.Signing.PublicKey
    private let recipient = Curve25519.KeyAgreement.PrivateKey()
    private let suite = HPKE.Ciphersuite(kem: .Curve25519_HKDF_SHA256, kdf: .HKDF_SHA256, aead: .AES_GCM_128)
    private let key = SymmetricKey(size: .bits128)
    private let info = Data(repeating: 3, count: 160)
    private let secret = Data(repeating: 4, count: 32)
    private let encapsulated: Data
    private let ciphertext: Data

    init() throws {
        verifier = signer.publicKey
        var sender = try HPKE.Sender(recipientKey: recipient.publicKey, ciphersuite: suite, info: info)
        encapsulated = sender.encapsulatedKey
        ciphertext = try sender.seal(secret)
    }

    /// An Ed25519 signature over `size` bytes.
    func sign(_ size: Int = 600) throws -> Double {
        let message = Data(repeating: 1, count: size)
        return try timed(size > 10_000 ? 20 : 200) { _ in keep(try signer.signature(for: message)) }
    }

    func verify(_ size: Int = 600) throws -> Double {
        let message = Data(repeating: 1, count: size)
        let signature = try signer.signature(for: message)
        return timed(60) { _ in keep(verifier.isValidSignature(signature, for: message)) }
    }

    func keyPair() throws -> Double {
        timed(200) { _ in keep(Curve25519.KeyAgreement.PrivateKey().publicKey.rawRepresentation) }
    }

    /// HPKE of a secret of 32 bytes.
    func seal() throws -> Double {
        try timed(60) { _ in
            var sender = try HPKE.Sender(recipientKey: recipient.publicKey, ciphersuite: suite, info: info)
            keep(try sender.seal(secret))
        }
    }

    func open() throws -> Double {
        try timed(60) { _ in
            var receiver = try HPKE.Recipient(
                privateKey: recipient,
                ciphersuite: suite,
                info: info,
                encapsulatedKey: encapsulated
            )
            keep(try receiver.open(ciphertext))
        }
    }

    /// HMAC of one label: HKDF-Expand to at most 32 bytes.
    func expand() -> Double {
        let key = SymmetricKey(data: secret)
        let label = Data(repeating: 2, count: 20)
        return timed(500) { _ in keep(HMAC<SHA256>.authenticationCode(for: label, using: key)) }
    }

    func encrypt(_ size: Int) throws -> Double {
        let plaintext = Data(repeating: 9, count: size)
        return try timed(size > 10_000 ? 20 : 500) { _ in
            keep(try AES.GCM.seal(plaintext, using: key, authenticating: info))
        }
    }

    func decrypt(_ size: Int = 1200) throws -> Double {
        let box = try AES.GCM.seal(Data(repeating: 9, count: size), using: key, authenticating: info)
        return try timed(500) { _ in keep(try AES.GCM.open(box, using: key, authenticating: info)) }
    }
}
