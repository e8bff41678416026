import Crypto
import FoundationEssentials

/// Seals bytes to one device, so that a relay that carries them learns nothing: HPKE base mode, the suite of DSIP §10.4, to the key
/// agreement key that belongs to the device's `did:key`.
///
/// It says nothing of who sealed: what carries the bytes is signed, or the bytes are.
public enum DeviceSeal {
    /// The suite of everything that DSIP seals. DSIP §10.4, M§6.9
    package static let suite = HPKE.Ciphersuite(kem: .Curve25519_HKDF_SHA256, kdf: .HKDF_SHA256, aead: .AES_GCM_128)

    /// - Parameters:
    ///   - purpose: keeps what is sealed for one use from being opened for another.
    ///   - context: authenticated, not carried.
    /// - Returns: the encapsulated key, 32 bytes, and the ciphertext.
    /// - Throws: `.signing` when the device's key cannot be sealed to.
    public static func seal(
        _ plaintext: [UInt8],
        to device: DID,
        purpose: String,
        context: [UInt8]
    ) throws(IdentityError) -> [UInt8] {
        guard let agreement = DIDKey.keyAgreement(of: device),
            let key = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: agreement.publicKey),
            var sender = try? HPKE.Sender(recipientKey: key, ciphersuite: suite, info: Data(purpose.utf8)),
            let ciphertext = try? sender.seal(plaintext, authenticating: context)
        else { throw IdentityError(.signing, "nothing can be sealed to the device") }
        return Array(sender.encapsulatedKey + ciphertext)
    }

    /// - Throws: `.refused` for what was sealed to another device, for another purpose, or in another context.
    public static func open(
        _ sealed: [UInt8],
        with device: SigningKey,
        purpose: String,
        context: [UInt8]
    ) throws(IdentityError) -> [UInt8] {
        let key = try device.keyAgreementKey()
        guard sealed.count > 32,
            var recipient = try? HPKE.Recipient(
                privateKey: key,
                ciphersuite: suite,
                info: Data(purpose.utf8),
                encapsulatedKey: Data(sealed[..<32])
            ),
            let plaintext = try? recipient.open(sealed[32...], authenticating: context)
        else { throw IdentityError(.refused, "this was not sealed to this device, or not for this") }
        return Array(plaintext)
    }
}
