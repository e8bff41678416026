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
        guard did.method == "key" else { return nil }
        return PublicKey(multibase: did.identifier)
    }
}
