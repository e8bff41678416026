import Crypto
import DSIPIdentity
import Encoding

/// A DID document as `did:dht` keeps it in the identity's own zone: TXT records that name keys and services.
///
/// ```
/// _did.<z32>.  v=0;vm=k0,k1;auth=k0;asm=k0;agm=k1;inv=k0;del=k0;svc=s0
/// _k0._did.    id=0;t=0;k=<base64url>
/// _s0._did.    id=dsip;t=DSIPSignaling;se=wss://relay.example/dsip;b=ws/1.0
/// _aka._did.   did:example:other
/// ```
///
/// `b` is ours: the bindings of a signaling endpoint, which the method has no place for. The first key must be the one the DID names.
struct PkarrDocument {
    let document: DIDDocument
    /// Of the root record, seconds.
    let ttl: Int64

    /// Of each kind.
    private static let maximumEntries = 32

    /// - Throws: `.malformed` for a message without a document of `did`, `.refused` for one whose first key is another's.
    init(_ message: DNSMessage, of did: DID, _ key: PkarrKey) throws(IdentityError) {
        let zone = PkarrZoneText(message, key)
        guard let root = zone.record(["_did"]) else {
            throw IdentityError(.notFound, "the zone of the identity holds no document")
        }
        let properties = PkarrDocument.properties(root.text)
        guard properties["v"] == "0" || properties["v"] == nil else {
            throw IdentityError(.unsupported, "a document of a later did:dht")
        }
        var names: [Substring: String] = [:]
        var methods: [JSONValue] = []
        for (index, name) in PkarrDocument.list(properties["vm"]).enumerated() {
            guard let record = zone.record(["_\(name)", "_did"]) else { continue }
            let entry = PkarrDocument.properties(record.text)
            guard let jwk = PkarrDocument.jwk(entry) else { continue }
            if index == 0, PublicKey(ed25519: Base64URL.decode(entry["k"] ?? "") ?? []) != key.publicKey {
                throw IdentityError(.refused, "the first key of the document is not the identity's")
            }
            let fragment = entry["id"].map(String.init) ?? (index == 0 ? "0" : JWKThumbprint.of(jwk))
            names[name] = "#\(fragment)"
            methods.append(
                [
                    "id": .string("#\(fragment)"), "type": "JsonWebKey", "controller": .string(did.string),
                    "publicKeyJwk": jwk,
                ]
            )
        }
        guard !methods.isEmpty, names[PkarrDocument.list(properties["vm"])[0]] != nil else {
            throw IdentityError(.malformed, "the document of the identity names no key")
        }
        func references(_ property: Substring) -> JSONValue {
            .array(PkarrDocument.list(properties[property]).compactMap { names[$0].map { .string($0) } })
        }
        var json: JSONObject = [
            "id": .string(did.string), "verificationMethod": .array(methods), "authentication": references("auth"),
            "assertionMethod": references("asm"), "keyAgreement": references("agm"),
        ]
        json["service"] = .array(PkarrDocument.list(properties["svc"]).compactMap { PkarrDocument.service($0, zone) })
        if let other = zone.record(["_aka", "_did"]) {
            json["alsoKnownAs"] = .array(PkarrDocument.list(other.text[...]).map { .string(String($0)) })
        }
        self.document = try DIDDocument(json: .object(json), expecting: did)
        self.ttl = Int64(root.ttl)
    }

    private static func service(_ name: Substring, _ zone: PkarrZoneText) -> JSONValue? {
        guard let record = zone.record(["_\(name)", "_did"]) else { return nil }
        let entry = properties(record.text)
        guard let id = entry["id"], let type = entry["t"] else { return nil }
        let bindings = JSONValue.array(list(entry["b"]).map { .string(String($0)) })
        let endpoints = list(entry["se"]).map { uri -> JSONValue in
            ["uri": .string(String(uri)), "bindings": bindings]
        }
        return ["id": .string("#\(id)"), "type": .string(String(type)), "serviceEndpoint": .array(endpoints)]
    }

    /// Types 0 Ed25519, 2 P-256 and 3 X25519 of the method's registry; secp256k1 is not used here.
    private static func jwk(_ entry: [Substring: Substring]) -> JSONValue? {
        guard let key = entry["k"].flatMap({ Base64URL.decode($0) }) else { return nil }
        func octets(_ curve: JSONValue) -> JSONValue? {
            key.count == 32 ? ["kty": "OKP", "crv": curve, "x": .string(Base64URL.encode(key))] : nil
        }
        switch entry["t"] ?? "0" {
        case "0": return octets("Ed25519")
        case "3": return octets("X25519")
        case "2":
            guard let point = try? P256.Signing.PublicKey(compressedRepresentation: key).rawRepresentation else {
                return nil
            }
            return [
                "kty": "EC", "crv": "P-256", "x": .string(Base64URL.encode(point.prefix(32))),
                "y": .string(Base64URL.encode(point.suffix(32))),
            ]
        default: return nil
        }
    }

    private static func properties(_ text: String) -> [Substring: Substring] {
        var properties: [Substring: Substring] = [:]
        for part in text.split(separator: ";").prefix(maximumEntries) {
            guard let equals = part.firstIndex(of: "=") else { continue }
            properties[part[..<equals]] = part[part.index(after: equals)...]
        }
        return properties
    }

    private static func list(_ text: Substring?) -> [Substring] {
        Array((text ?? "").split(separator: ",").prefix(maximumEntries))
    }
}

/// RFC 7638.
private enum JWKThumbprint {
    static func of(_ json: JSONValue) -> String {
        guard let key = try? JWK(json) else { return "" }
        return Base64URL.encode(Array(SHA256.hash(data: key.thumbprintInput)))
    }
}

/// The TXT records of a zone as text.
private struct PkarrZoneText {
    let message: DNSMessage
    let key: PkarrKey

    init(_ message: DNSMessage, _ key: PkarrKey) {
        self.message = message
        self.key = key
    }

    /// The record under `labels`, with the zone behind them or without.
    func record(_ labels: [String]) -> (text: String, ttl: UInt32)? {
        for name in [labels + [key.zone], labels] {
            guard let name = DNSName(name), let record = message.texts(name).first,
                let strings = try? message.strings(of: record),
                let text = String(validating: strings.joined(), as: UTF8.self)
            else { continue }
            return (text, record.ttl)
        }
        return nil
    }
}
