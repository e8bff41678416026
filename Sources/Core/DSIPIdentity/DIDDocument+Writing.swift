import Encoding

extension DIDDocument {
    /// The document as JSON: `Multikey` methods, absolute ids, empty properties left out.
    public var json: JSONValue {
        var object: JSONObject = [
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
            "id": .string(id.string),
        ]
        func set(_ name: String, _ elements: [JSONValue]) {
            if !elements.isEmpty { object[name] = .array(elements) }
        }
        set("alsoKnownAs", alsoKnownAs.map { .string($0) })
        set(
            "verificationMethod",
            verificationMethods.map { method in
                [
                    "id": .string(method.id.description), "type": "Multikey",
                    "controller": .string(method.controller.string),
                    "publicKeyMultibase": .string(method.publicKey.multibase),
                ]
            }
        )
        // A method that only recovers does not sign sessions.
        let recoveryOnly = Set(recovery)
        let signing = verificationMethods.map(\.id).filter { !recoveryOnly.contains($0) }
        let references = (signing.isEmpty ? verificationMethods.map(\.id) : signing).map {
            JSONValue.string($0.description)
        }
        set("authentication", references)
        set("assertionMethod", references)
        set("capabilityInvocation", recovery.map { .string($0.description) })
        set(
            "keyAgreement",
            keyAgreement.map { method in
                [
                    "id": .string(method.id.description), "type": "Multikey", "controller": .string(id.string),
                    "publicKeyMultibase": .string(Multibase.encode(Multicodec.x25519Public.prefixed(method.publicKey))),
                ]
            }
        )
        set(
            "service",
            services.map { service in
                [
                    "id": .string(service.id), "type": .string(service.type),
                    "serviceEndpoint": .object(service.endpoint),
                ]
            }
        )
        set("dsipDelegationRevocations", delegationRevocations.map { .string($0.compact) })
        set("dsipDelegations", delegations.map { .string($0.compact) })
        set("dsipKeyRotations", keyRotations.map { .string($0.compact) })
        return .object(object)
    }
}
