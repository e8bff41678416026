import Crypto
import DSIPIdentity
import Encoding

/// The long form of `did:ion` (Sidetree v1.0 §7): the identifier carries the state it was created with, and is the hash of it.
///
/// ```
/// did:ion:<suffix>:<base64url of {"delta":{"patches":[…],"updateCommitment":…},"suffixData":{"deltaHash":…,"recoveryCommitment":…}}>
/// ```
///
/// It rests on the keys it was made with alone: what was changed later stands in the ledger, which is not read here. The short form is
/// therefore not resolved.
public struct SidetreeResolver: Resolver {
    public init() {}

    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        ResolvedDocument(document: try SidetreeResolver.document(of: did), lifetime: .max)
    }

    private static let limits = JSONDocument.Limits(bytes: 8192, depth: 12, members: 128)
    private static let maximumEntries = 32

    /// - Throws: `.unsupported` for the short form, `.malformed`, `.refused` when the state is not the one that the identifier names.
    public static func document(of did: DID) throws(IdentityError) -> DIDDocument {
        let parts = did.identifier.split(separator: ":", omittingEmptySubsequences: false)
        guard did.method == "ion", (1...2).contains(parts.count) else {
            throw IdentityError(.malformed, "not an identifier of did:ion")
        }
        guard parts.count == 2 else {
            throw IdentityError(.unsupported, "the short form of did:ion stands in a ledger that is not read here")
        }
        guard let bytes = Base64URL.decode(parts[1]), let state = IJSON.read(bytes, limits: limits),
            state.object?.count == 2, let delta = state["delta"], let suffixData = state["suffixData"],
            let deltaHash = suffixData["deltaHash"]?.string
        else { throw IdentityError(.malformed, "the did:ion does not carry its state") }
        guard hash(suffixData).utf8.elementsEqual(parts[0].utf8), hash(delta).utf8.elementsEqual(deltaHash.utf8) else {
            throw IdentityError(.refused, "the state is not the one that the identifier names")
        }
        var builder = SidetreeState()
        for patch in (delta["patches"]?.array ?? []).prefix(maximumEntries) { try builder.apply(patch) }
        return try DIDDocument(json: builder.json(did), expecting: did)
    }

    /// base64url of the sha2-256 multihash of the canonical form (Sidetree §6.2).
    static func hash(_ json: JSONValue) -> String {
        Base64URL.encode([0x12, 0x20] + Array(SHA256.hash(data: json.canonical)))
    }

    /// The document as the patches leave it (Sidetree §12).
    private struct SidetreeState {
        private var keys: [(id: String, key: JSONValue)] = []
        private var services: [(id: String, service: JSONValue)] = []

        mutating func apply(_ patch: JSONValue) throws(IdentityError) {
            switch patch["action"]?.string {
            case "replace":
                (keys, services) = ([], [])
                try add(keys: patch["document"]?["publicKeys"])
                try add(services: patch["document"]?["services"])
            case "add-public-keys": try add(keys: patch["publicKeys"])
            case "add-services": try add(services: patch["services"])
            case "remove-public-keys":
                let ids = Set((patch["ids"]?.array ?? []).compactMap(\.string))
                keys.removeAll { ids.contains($0.id) }
            case "remove-services":
                let ids = Set((patch["ids"]?.array ?? []).compactMap(\.string))
                services.removeAll { ids.contains($0.id) }
            default: throw IdentityError(.malformed, "a patch of an unknown kind")
            }
        }

        private mutating func add(keys list: JSONValue?) throws(IdentityError) {
            for key in list?.array ?? [] {
                let id = try SidetreeState.identifier(key)
                keys.removeAll { $0.id == id }
                keys.append((id, key))
            }
            try checkBounds()
        }

        private mutating func add(services list: JSONValue?) throws(IdentityError) {
            for service in list?.array ?? [] {
                let id = try SidetreeState.identifier(service)
                services.removeAll { $0.id == id }
                services.append((id, service))
            }
            try checkBounds()
        }

        private func checkBounds() throws(IdentityError) {
            guard max(keys.count, services.count) <= maximumEntries else {
                throw IdentityError(.tooLarge, "the state of the did:ion holds too much")
            }
        }

        private static func identifier(_ json: JSONValue) throws(IdentityError) -> String {
            guard let id = json["id"]?.string, (1...50).contains(id.utf8.count),
                id.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") })
            else { throw IdentityError(.malformed, "an entry of the state has no id") }
            return id
        }

        func json(_ did: DID) -> JSONValue {
            func with(_ purpose: String) -> JSONValue {
                .array(
                    keys.filter { ($0.key["purposes"]?.array ?? []).contains(.string(purpose)) }
                        .map { .string("#\($0.id)") }
                )
            }
            let methods = keys.map { entry -> JSONValue in
                var method: JSONObject = [
                    "id": .string("#\(entry.id)"), "controller": .string(did.string),
                    "type": entry.key["type"] ?? .null,
                ]
                method["publicKeyJwk"] = entry.key["publicKeyJwk"]
                method["publicKeyMultibase"] = entry.key["publicKeyMultibase"]
                return .object(method)
            }
            let endpoints = services.map { entry -> JSONValue in
                [
                    "id": .string("#\(entry.id)"), "type": entry.service["type"] ?? .null,
                    "serviceEndpoint": entry.service["serviceEndpoint"] ?? .null,
                ]
            }
            return [
                "id": .string(did.string), "verificationMethod": .array(methods),
                "authentication": with("authentication"), "assertionMethod": with("assertionMethod"),
                "keyAgreement": with("keyAgreement"), "service": .array(endpoints),
            ]
        }
    }
}
