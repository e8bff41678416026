import Crypto
import Encoding

/// The `did:key` method: the identifier is the key, the document is derived from it (did:key v0.9 §3).
public enum DIDKey {
    /// The DID whose identifier is `key`.
    public static func did(of key: PublicKey) -> DID {
        // A multibase string holds only characters of the DID grammar.
        DID("did:key:" + key.multibase)!
    }

    /// The one verification method of a `did:key` signing identity: the fragment repeats the identifier.
    public static func kid(of key: PublicKey) -> DIDURL {
        DIDURL(did: did(of: key), fragment: key.multibase)
    }

    /// - Returns: the signing key that `did` is, or nil when it is not a `did:key` of an Ed25519 or P-256 key.
    public static func publicKey(of did: DID) -> PublicKey? {
        // base58btc is the method's one spelling; another base would give one key two names.
        guard did.method == "key", did.identifier.first == "z" else { return nil }
        return PublicKey(multibase: did.identifier)
    }

    /// The X25519 key that messages to `did` are sealed to (DSIP §10.4): 32 bytes, derived when `did` is an Ed25519 key.
    public static func keyAgreement(of did: DID) -> DIDDocument.KeyAgreement? {
        guard did.method == "key", did.identifier.first == "z", let bytes = Multibase.decode(did.identifier),
            let (codec, body) = Multicodec.split(bytes), body.count == 32
        else { return nil }
        let key: [UInt8]
        switch codec {
        case .ed25519Public:
            guard let derived = EdwardsKey.keyAgreement(of: Array(body)) else { return nil }
            key = derived
        case .x25519Public: key = Array(body)
        case .p256Public, .secp256k1Public: return nil
        }
        let fragment = Multibase.encode(Multicodec.x25519Public.prefixed(key))
        return DIDDocument.KeyAgreement(id: DIDURL(did: did, fragment: fragment), publicKey: key)
    }

    /// The document of an Ed25519, P-256 or X25519 `did:key`; for Ed25519 with its derived key agreement key.
    ///
    /// - Returns: nil when `did` is no such DID, or its key is no point of the curve.
    public static func document(of did: DID) -> DIDDocument? {
        let agreement = keyAgreement(of: did)
        guard let key = publicKey(of: did) else {
            return agreement.map { DIDDocument(id: did, verificationMethods: [], keyAgreement: [$0]) }
        }
        if case .ed25519 = key, agreement == nil { return nil }
        let method = DIDDocument.VerificationMethod(
            id: DIDURL(did: did, fragment: String(did.identifier)),
            controller: did,
            publicKey: key
        )
        return DIDDocument(id: did, verificationMethods: [method], keyAgreement: agreement.map { [$0] } ?? [])
    }
}
