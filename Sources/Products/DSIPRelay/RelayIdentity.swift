import Crypto
import DSIPIdentity
import Encoding
import FoundationEssentials

/// Who the relay is: an Ed25519 key in the state folder, named by did:key, or by did:web when the relay has a hostname.
struct RelayIdentity: Sendable {
    let key: SigningKey
    /// The relay's DID document as JSON text; nil for a did:key, whose document is the DID.
    let document: [UInt8]?

    var did: DID { key.did }

    /// - Parameter seed: 32 bytes.
    init(seed: [UInt8], authority: Authority?, offering offered: HostedServices = []) throws(RelayError) {
        guard let privateKey = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            throw RelayError(
                .storage,
                "the relay's key is damaged; restore it from a backup, or remove it to become a new identity."
            )
        }
        guard let authority else {
            self.key = SigningKey(selfIssued: privateKey)
            self.document = nil
            return
        }
        let did = authority.did
        let publicKey = PublicKey.ed25519(privateKey.publicKey)
        let kid = DIDURL(did: did, fragment: publicKey.multibase)
        self.key = SigningKey(kid: kid, key: privateKey)
        self.document =
            DIDDocument(
                id: did,
                verificationMethods: [.init(id: kid, controller: did, publicKey: publicKey)],
                services: authority.services(of: did, offering: offered),
                alsoKnownAs: [DIDKey.did(of: publicKey).string]
            ).json.utf8
    }

    /// Opens the key kept in the state folder, or makes one.
    static func open(
        in folder: StateFolder,
        authority: Authority?,
        offering offered: HostedServices
    ) throws(RelayError) -> RelayIdentity {
        if let stored = try folder.read("relay.key", limit: 32) {
            return try RelayIdentity(seed: stored, authority: authority, offering: offered)
        }
        let seed = Array(Curve25519.Signing.PrivateKey().rawRepresentation)
        try folder.write(seed, to: "relay.key")
        return try RelayIdentity(seed: seed, authority: authority, offering: offered)
    }
}
