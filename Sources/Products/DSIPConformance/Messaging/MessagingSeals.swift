import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding

/// Checks of what is sealed. M§6.9, M§8.4, M§11.1, M§12.2, M§14.1
enum MessagingSeals {
    private static func use(_ input: JSONValue) throws -> Seal.Use {
        switch try input.needString("use") {
        case "blob": return .blob
        case "activity":
            return .activity(group: try input.needBytes("group_hex"), epoch: UInt64(try input.needInt("epoch")))
        case "archive":
            return .archive(group: try input.needBytes("group_hex"), seq: UInt64(try input.needInt("seq")))
        case let other: throw VectorFault("no such use: \(other)")
        }
    }

    static func seal(_ input: JSONValue) throws -> JSONValue {
        let sealed = try Seal.seal(
            try input.needBytes("plaintext_hex"),
            key: try input.needBytes("key_hex"),
            nonce: try input.needBytes("nonce_hex"),
            use: try use(input)
        )
        return ["sealed_hex": .string(Hex.encode(sealed))]
    }

    static func open(_ input: JSONValue) throws -> JSONValue {
        let use = try use(input)
        let (sealed, key) = (try input.needBytes("sealed_hex"), try input.needBytes("key_hex"))
        let size = use == .blob ? try input.needInt("size") : 0
        let sha256 = use == .blob ? try input.needString("sha256") : ""
        return MessagingArea.verdict { () throws(MessagingError) in
            let plaintext =
                use == .blob
                ? try Seal.openBlob(sealed, size: size, sha256: sha256, key: key)
                : try Seal.open(sealed, key: key, use: use)
            return ["verdict": "accept", "plaintext_hex": .string(Hex.encode(plaintext))]
        }
    }

    static func hpkeOpen(_ input: JSONValue) throws -> JSONValue {
        let key = try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: try input.needBytes("sk_r_hex"))
        let (ciphertext, encapsulated) = (try input.needBytes("ct_hex"), try input.needBytes("enc_hex"))
        let (info, data) = (try input.needBytes("info_hex"), try input.needBytes("aad_hex"))
        return MessagingArea.verdict { () throws(MessagingError) in
            let plaintext = try HPKESuite.open(
                ciphertext,
                encapsulatedKey: encapsulated,
                privateKey: key,
                info: info,
                additionalData: data
            )
            return ["verdict": "accept", "plaintext_hex": .string(Hex.encode(plaintext))]
        }
    }

    static func deriveKeyPair(_ input: JSONValue) throws -> JSONValue {
        let key = try HPKESuite.deriveKeyPair(try input.needBytes("ikm_hex"))
        return [
            "sk_hex": .string(Hex.encode(key.rawRepresentation)),
            "pk_hex": .string(Hex.encode(key.publicKey.rawRepresentation)),
        ]
    }

    static func keyAgreement(_ input: JSONValue) throws -> JSONValue {
        let key = try agreementKey(seed: try input.needBytes("ed25519_seed_hex"))
        return ["x25519_pk_hex": .string(Hex.encode(key.publicKey.rawRepresentation))]
    }

    /// The X25519 key that did:key derives from an Ed25519 seed. M§6.9
    private static func agreementKey(seed: [UInt8]) throws -> Curve25519.KeyAgreement.PrivateKey {
        var secret = Array(SHA512.hash(data: seed).prefix(32))
        secret[0] &= 248
        secret[31] = secret[31] & 127 | 64
        return try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: secret)
    }

    static func openIntroduction(_ input: JSONValue) throws -> JSONValue {
        let payload = try input.need("payload")
        let key = try agreementKey(seed: try input.needBytes("recipient_ed25519_seed_hex"))
        return MessagingArea.verdict { () throws(MessagingError) in
            let purpose = try SealedIntroduction.purpose(of: payload, privateKey: key)
            return ["verdict": "accept", "purpose": purpose.map { .string($0) } ?? .null]
        }
    }
}
