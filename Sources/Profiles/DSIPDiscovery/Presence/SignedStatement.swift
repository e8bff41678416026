import DSIPIdentity
import Encoding

/// The proposal's signed records (§5.1): a JSON object whose `sig` is the Ed25519 signature, in base64url, over the canonical form
/// (RFC 8785) of all its other members.
///
/// The signer is the identity's key; or one of its devices, which then names itself as `device` and shows its `delegation`.
enum SignedStatement {
    private static let limits = JSONDocument.Limits(bytes: 16 << 10, depth: 8, members: 64)

    static func sign(
        _ statement: JSONObject,
        of subject: DID,
        by key: SigningKey,
        delegation: Envelope?
    ) throws(DiscoveryError) -> [UInt8] {
        var signed = statement
        if key.did != subject {
            guard let delegation else {
                throw DiscoveryError(.refused, "a device speaks for its identity with a delegation only")
            }
            signed["device"] = .string(key.did.string)
            signed["delegation"] = .string(delegation.compact)
        }
        do {
            signed["sig"] = .string(Base64URL.encode(try key.sign(JSONValue.object(signed).canonical)))
        } catch {
            throw DiscoveryError(.signature, error.reason)
        }
        return JSONValue.object(signed).utf8
    }

    /// - Parameters:
    ///   - now: Unix seconds.
    ///   - documents: not asked for did:keys.
    /// - Returns: the members that the signature covers, and whose record it is.
    /// - Throws: `.malformed`, `.signature`, `.unresolved`.
    static func open(
        _ bytes: [UInt8],
        at now: Int64,
        documents: (DID) -> DocumentLookup,
        revocations: Revocations
    ) throws(DiscoveryError) -> (statement: JSONObject, subject: DID) {
        guard let json = IJSON.read(bytes, limits: limits), var statement = json.object,
            let subject = statement["did"]?.string.flatMap({ DID($0) }),
            let signature = statement["sig"]?.string.flatMap({ Base64URL.decode($0) }), signature.count == 64
        else { throw DiscoveryError(.malformed, "no signed record") }
        statement["sig"] = nil
        let document = try document(of: subject, documents)
        let covered = JSONValue.object(statement).canonical
        for key in try keys(statement, document, at: now, revocations)
        where key.algorithm == .edDSA && key.isValidSignature(signature, for: covered) {
            return (statement, subject)
        }
        throw DiscoveryError(.signature, "the record is not signed by its subject")
    }

    private static func document(of did: DID, _ documents: (DID) -> DocumentLookup) throws(DiscoveryError)
        -> DIDDocument
    {
        switch did.method == "key"
            ? DIDKey.document(of: did).map(DocumentLookup.found) ?? .unresolvable : documents(did)
        {
        case .found(let document): return document
        case .unresolvable: throw DiscoveryError(.signature, "the subject cannot be resolved")
        case .unknown: throw DiscoveryError(.unresolved, "the document of \(did) is not known")
        }
    }

    /// The keys that may have signed: the delegated device's, else those of the document that are not for recovery only.
    private static func keys(
        _ statement: JSONObject,
        _ document: DIDDocument,
        at now: Int64,
        _ revocations: Revocations
    ) throws(DiscoveryError) -> [PublicKey] {
        guard let device = statement["device"] else {
            return document.verificationMethods.filter { !document.recovery.contains($0.id) }.prefix(16).map(
                \.publicKey
            )
        }
        guard let did = device.string.flatMap({ DID($0) }), let key = DIDKey.publicKey(of: did),
            let envelope = statement["delegation"]?.string.flatMap({ Envelope(compact: $0) }),
            (try? Delegation.verify(
                envelope,
                device: did,
                subject: document.id,
                at: now,
                document: document,
                revocations: revocations
            )) != nil
        else { throw DiscoveryError(.signature, "the device is not delegated by the subject") }
        return [key]
    }
}
