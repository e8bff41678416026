import DSIPIdentity
import Encoding

/// The method `did:jwk`: the identifier is a JSON Web Key in base64url, the document is derived from it. It rests on the key alone, and
/// cannot change.
public struct JWKResolver: Resolver {
    public init() {}

    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        ResolvedDocument(document: try JWKResolver.document(of: did), lifetime: .max)
    }

    /// - Throws: `.unsupported` for another method, `.malformed` for what is no public key that DSIP verifies or seals with.
    public static func document(of did: DID) throws(IdentityError) -> DIDDocument {
        guard did.method == "jwk" else { throw IdentityError(.unsupported, "\(did.method) is not the method did:jwk") }
        guard let bytes = Base64URL.decode(did.identifier), let json = IJSON.read(bytes, limits: .init(bytes: 1024)),
            let key = try? JWK(json), !key.isPrivate
        else { throw IdentityError(.malformed, "the did:jwk is not a public key") }
        let method: JSONValue = [
            "id": "#0", "type": "JsonWebKey2020", "controller": .string(did.string), "publicKeyJwk": json,
        ]
        var document: JSONObject = ["id": .string(did.string), "verificationMethod": [method]]
        if key.use != "sig" { document["keyAgreement"] = ["#0"] }
        let read = try DIDDocument(json: .object(document), expecting: did)
        guard !read.verificationMethods.isEmpty || !read.keyAgreement.isEmpty else {
            throw IdentityError(.malformed, "the key of the did:jwk is of a kind that is not used here")
        }
        return read
    }
}
