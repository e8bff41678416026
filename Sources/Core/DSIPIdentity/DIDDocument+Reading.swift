import Crypto
import Encoding
import FoundationEssentials

/// Reading documents that others publish. What is unknown or malformed inside is left out; the shape of the whole, the
/// `id` and the bounds are not negotiable.
extension DIDDocument {
    /// Bounds on what one document may hold; the rest is ignored.
    public enum Limit {
        /// Bytes of a document as fetched.
        public static let bytes = 256 << 10
        public static let verificationMethods = 64
        public static let services = 32
        public static let alsoKnownAs = 16
        public static let delegationRevocations = 256
        public static let delegations = 64
        public static let keyRotations = 16
    }

    /// - Parameter did: the DID that was asked for; a document with another `id` is refused (DID Core §3.1).
    /// - Throws: `.tooLarge`, or `.malformed` for text that is no JSON object or a document of another DID.
    public init(parsing bytes: [UInt8], expecting did: DID) throws(IdentityError) {
        guard bytes.count <= Limit.bytes else {
            throw IdentityError(.tooLarge, "the DID document exceeds \(Limit.bytes) bytes")
        }
        let json: JSONValue
        do {
            json = try JSONValue(parsing: bytes, limits: .init(bytes: Limit.bytes, depth: 16, members: 512))
        } catch {
            throw IdentityError(.malformed, "the DID document is not JSON: \(error)")
        }
        try self.init(json: json, expecting: did)
    }

    public init(json: JSONValue, expecting did: DID) throws(IdentityError) {
        guard let object = json.object else { throw IdentityError(.malformed, "the DID document is not an object") }
        guard object["id"]?.string == did.string else {
            throw IdentityError(.malformed, "the DID document is of another identity than the one asked for")
        }
        var reader = DIDDocumentReader(did: did)
        reader.readMethods(object)
        func envelopes(_ name: String, _ limit: Int) -> [Envelope] {
            (object[name]?.array ?? []).prefix(limit).compactMap(Envelope.init(published:))
        }
        self.init(
            id: did,
            verificationMethods: reader.methods,
            keyAgreement: reader.keyAgreement,
            services: DIDDocumentReader.services(object["service"], of: did),
            recovery: reader.references(object["capabilityInvocation"]),
            alsoKnownAs: (object["alsoKnownAs"]?.array ?? []).prefix(Limit.alsoKnownAs).compactMap(\.string)
                .filter { $0.utf8.count <= 512 },
            delegationRevocations: envelopes("dsipDelegationRevocations", Limit.delegationRevocations),
            delegations: envelopes("dsipDelegations", Limit.delegations),
            keyRotations: envelopes("dsipKeyRotations", Limit.keyRotations)
        )
    }
}

/// Collects the keys of a document, wherever it names them.
private struct DIDDocumentReader {
    let did: DID
    private(set) var methods: [DIDDocument.VerificationMethod] = []
    private(set) var keyAgreement: [DIDDocument.KeyAgreement] = []
    /// X25519 methods of `verificationMethod`, which `keyAgreement` may refer to.
    private var agreementMethods: [DIDDocument.KeyAgreement] = []
    private var seen: Set<DIDURL> = []

    init(did: DID) { self.did = did }

    mutating func readMethods(_ object: JSONObject) {
        // The list first, so that an id defined there wins over one embedded in a relationship.
        for list in ["verificationMethod", "publicKey", "authentication", "assertionMethod", "capabilityInvocation"] {
            for entry in object[list]?.array ?? [] { add(entry, toAgreement: false) }
        }
        for entry in (object["keyAgreement"]?.array ?? []).prefix(DIDDocument.Limit.verificationMethods) {
            if let text = entry.string {
                guard let id = DIDURL(text, relativeTo: did),
                    let method = agreementMethods.first(where: { $0.id == id }),
                    !keyAgreement.contains(where: { $0.id == id })
                else { continue }
                keyAgreement.append(method)
            } else {
                add(entry, toAgreement: true)
            }
        }
    }

    /// The ids that a relationship names, by reference or embedded.
    func references(_ list: JSONValue?) -> [DIDURL] {
        (list?.array ?? []).prefix(DIDDocument.Limit.verificationMethods).compactMap { entry in
            (entry.string ?? entry["id"]?.string).flatMap { DIDURL($0, relativeTo: did) }
        }
    }

    private mutating func add(_ entry: JSONValue, toAgreement: Bool) {
        guard seen.count < DIDDocument.Limit.verificationMethods, let object = entry.object,
            // A method with the id of another DID is that DID's to publish.
            let id = object["id"]?.string.flatMap({ DIDURL($0, relativeTo: did) }), id.did == did, !seen.contains(id),
            let key = DIDDocumentReader.key(object)
        else { return }
        switch key {
        case .signing(let key):
            guard !toAgreement else { return }
            let controller = object["controller"]?.string.flatMap { DID($0) } ?? did
            methods.append(DIDDocument.VerificationMethod(id: id, controller: controller, publicKey: key))
        case .agreement(let bytes):
            let method = DIDDocument.KeyAgreement(id: id, publicKey: bytes)
            if toAgreement { keyAgreement.append(method) } else { agreementMethods.append(method) }
        }
        seen.insert(id)
    }

    private enum Key {
        case signing(PublicKey)
        case agreement([UInt8])
    }

    private static func key(_ method: JSONObject) -> Key? {
        let multibase = method["publicKeyMultibase"]?.string
        switch method["type"]?.string {
        case "Multikey":
            guard let multibase else { return nil }
            return PublicKey(multibase: multibase).map(Key.signing) ?? agreement(multibase)
        case "Ed25519VerificationKey2020":
            guard let multibase, case .ed25519(let key)? = PublicKey(multibase: multibase) else { return nil }
            return .signing(.ed25519(key))
        case "X25519KeyAgreementKey2020": return multibase.flatMap(agreement)
        case "JsonWebKey2020", "JsonWebKey": return method["publicKeyJwk"]?.object.flatMap(jwk)
        default: return nil
        }
    }

    private static func agreement(_ multibase: String) -> Key? {
        guard let bytes = Multibase.decode(multibase), let (codec, body) = Multicodec.split(bytes),
            codec == .x25519Public,
            body.count == 32
        else { return nil }
        return .agreement(Array(body))
    }

    // RFC 8037 §2, RFC 7518 §6.2
    private static func jwk(_ jwk: JSONObject) -> Key? {
        guard let x = jwk["x"]?.string.flatMap({ Base64URL.decode($0) }), x.count == 32 else { return nil }
        switch (jwk["kty"]?.string, jwk["crv"]?.string) {
        case ("OKP", "Ed25519"): return PublicKey(ed25519: x).map(Key.signing)
        case ("OKP", "X25519"): return .agreement(x)
        case ("EC", "P-256"):
            guard let y = jwk["y"]?.string.flatMap({ Base64URL.decode($0) }), y.count == 32,
                let key = try? P256.Signing.PublicKey(rawRepresentation: x + y)
            else { return nil }
            return .signing(.p256(key))
        default: return nil
        }
    }

    /// An endpoint is a URL, an object with `uri` and `bindings` (DSIP §13.2), or a list of either.
    static func services(_ list: JSONValue?, of did: DID) -> [DIDDocument.Service] {
        var services: [DIDDocument.Service] = []
        for entry in list?.array ?? [] {
            guard let id = entry["id"]?.string, id.utf8.count <= 1024, let endpoint = entry["serviceEndpoint"],
                let type = entry["type"]?.string ?? entry["type"]?.array?.first?.string, type.utf8.count <= 128
            else { continue }
            for endpoint in endpoint.array ?? [endpoint] {
                guard services.count < DIDDocument.Limit.services else { return services }
                guard let uri = endpoint.string ?? endpoint["uri"]?.string, uri.utf8.count <= 2048 else { continue }
                let bindings = (endpoint["bindings"]?.array ?? []).prefix(16).compactMap(\.string)
                services.append(
                    DIDDocument.Service(
                        id: id.hasPrefix("#") ? did.string + id : id,
                        type: type,
                        uri: uri,
                        bindings: bindings,
                        parameters: parameters(of: endpoint)
                    )
                )
            }
        }
        return services
    }

    /// Members that a profile reads; endpoints that say more than any would are taken to say nothing.
    private static func parameters(of endpoint: JSONValue) -> JSONObject {
        guard let members = endpoint.object?.members, members.count <= 32 else { return [:] }
        return JSONObject(members: members.filter { $0.0 != "uri" && $0.0 != "bindings" })
    }
}

extension Envelope {
    /// An envelope as documents publish it: the compact text `protected.payload.signature` (RFC 7515 §7.1), or an object
    /// of the three.
    public init?(published value: JSONValue) {
        if let text = value.string {
            self.init(compact: text)
        } else {
            guard value.object?.count == 3, let protected = value["protected"]?.string,
                let payload = value["payload"]?.string, let signature = value["signature"]?.string
            else { return nil }
            self.init(protected: protected, payload: payload, signature: signature)
        }
    }

    /// Reads `protected.payload.signature` (RFC 7515 §7.1).
    public init?(compact text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        self.init(protected: String(parts[0]), payload: String(parts[1]), signature: String(parts[2]))
    }

    /// `protected.payload.signature` (RFC 7515 §7.1).
    public var compact: String { "\(protectedText).\(payloadText).\(signatureText)" }
}
