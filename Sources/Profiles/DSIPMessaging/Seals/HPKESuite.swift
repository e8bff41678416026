import Crypto
import DSIPIdentity
import FoundationEssentials

/// HPKE (RFC 9180) as the profile uses it: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, one message. M§6.9
public enum HPKESuite {
    public static let identifier = "hpke-base-x25519-sha256-aes128gcm"

    /// - Throws: `hpke-open-failed`.
    public static func open(
        _ ciphertext: [UInt8],
        encapsulatedKey: [UInt8],
        privateKey: Curve25519.KeyAgreement.PrivateKey,
        info: [UInt8],
        additionalData: [UInt8]
    ) throws(MessagingError) -> [UInt8] {
        do {
            var recipient = try HPKE.Recipient(
                privateKey: privateKey,
                ciphersuite: DeviceSeal.suite,
                info: .init(info),
                encapsulatedKey: .init(encapsulatedKey)
            )
            return Array(try recipient.open(ciphertext, authenticating: additionalData))
        } catch {
            throw MessagingError(.hpkeOpenFailed, "the seal does not open")
        }
    }

    /// - Returns: the encapsulated key and the ciphertext.
    /// - Throws: `hpke-open-failed` when the public key is no point to seal to.
    public static func seal(
        _ plaintext: [UInt8],
        to publicKey: [UInt8],
        info: [UInt8],
        additionalData: [UInt8]
    ) throws(MessagingError) -> (encapsulatedKey: [UInt8], ciphertext: [UInt8]) {
        do {
            var sender = try HPKE.Sender(
                recipientKey: Curve25519.KeyAgreement.PublicKey(rawRepresentation: publicKey),
                ciphersuite: DeviceSeal.suite,
                info: .init(info)
            )
            let ciphertext = try sender.seal(plaintext, authenticating: additionalData)
            return (Array(sender.encapsulatedKey), Array(ciphertext))
        } catch {
            throw MessagingError(.hpkeOpenFailed, "not a key to seal to")
        }
    }

    /// DeriveKeyPair of RFC 9180 §7.1.3 for X25519.
    ///
    /// - Parameter material: at least 32 bytes of key material.
    public static func deriveKeyPair(
        _ material: [UInt8]
    ) throws(MessagingError) -> Curve25519.KeyAgreement.PrivateKey {
        // suite_id is "KEM" and the id of DHKEM(X25519, HKDF-SHA256).
        let suiteID = Array("KEM".utf8) + [0x00, 0x20]
        let version = Array("HPKE-v1".utf8)
        let labeled = version + suiteID + Array("dkp_prk".utf8) + material
        let key = HKDF<SHA256>.extract(inputKeyMaterial: SymmetricKey(data: labeled), salt: [UInt8]())
        let info = [0x00, 0x20] + version + suiteID + Array("sk".utf8)
        let secret = HKDF<SHA256>.expand(pseudoRandomKey: key, info: info, outputByteCount: 32)
        do {
            return try secret.withUnsafeBytes { try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: Array($0)) }
        } catch {
            throw MessagingError(.hpkeOpenFailed, "no key comes of it")
        }
    }
}
