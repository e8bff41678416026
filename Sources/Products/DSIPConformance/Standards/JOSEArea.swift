import Encoding

/// The JOSE cookbook (RFC 7520, RFC 7797, RFC 8037): one signature in each of its serializations, and keys.
enum JOSEArea {
    static func run(_ vector: JSONValue, id: String) -> ConformanceResult {
        let forms = ["compact", "json", "json_flat"].filter { vector["output"]?[$0] != nil }
        let expected = JSONObject(forms.map { ($0, "accepted" as JSONValue) })
        return StandardVectors.result(
            "jose/\(id)",
            area: "jose",
            expected: .object(expected),
            superseded: clauses[id]
        ) {
            let key = try JWK(vector["input"]?["key"] ?? .null)
            let algorithm = try VectorCryptography.algorithm(vector["input"]?["alg"]?.string ?? "")
            guard let payload = vector["input"]?["payload"]?.string.map({ Array($0.utf8) }) else {
                throw VectorFault("no payload")
            }
            var verdicts = JSONObject()
            for form in forms {
                let member = vector["output"]?[form] ?? .null
                let jws = try member.string.map { try JWS(compact: $0) } ?? JWS(json: member)
                try check(jws, vector, payload, key, algorithm)
                try rewrite(jws, member)
                verdicts[form] = "accepted"
            }
            return .object(verdicts)
        }
    }

    /// Keys keep their numbers; of an RSA private key what follows from them is dropped.
    static func key(_ vector: JSONValue, id: String) -> ConformanceResult {
        var expected = vector.object ?? [:]
        if vector["kty"] == "RSA" { for name in ["p", "q", "dp", "dq", "qi"] { expected[name] = nil } }
        return StandardVectors.result("jose/\(id)", area: "jose", expected: .object(expected)) {
            try JWK(vector).json
        }
    }

    /// An example from before its RFC was finished.
    private static let clauses = [
        "rfc7797/4.2.hmac-sha2_b64_false": "RFC 7797 §6: b64 false without crit is refused"
    ]

    private static func check(
        _ jws: JWS,
        _ vector: JSONValue,
        _ payload: [UInt8],
        _ key: JWK,
        _ algorithm: COSEAlgorithm
    ) throws {
        guard jws.payload == payload, jws.signatures.count == 1 else { throw VectorFault("another payload") }
        let signature = jws.signatures[0]
        try signature.header.checkCritical()
        let input = jws.signingInput()
        guard try VectorCryptography.algorithm(signature.header.algorithm) == algorithm,
            try VectorCryptography.isValid(signature.bytes, for: input, by: key, algorithm)
        else { throw VectorFault("the signature does not verify") }
        if let text = vector["signing"]?["protected_b64u"]?.string, text == signature.header.protectedText {
            guard vector["signing"]?["sig-input"]?.string.map({ Array($0.utf8) }) == input else {
                throw VectorFault("another signing input")
            }
        }
        if let own = try VectorCryptography.reproduce(input, by: key, algorithm), own != signature.bytes {
            throw VectorFault("our own signature differs")
        }
        // The same, the payload apart (RFC 7515 Appendix F).
        if signature.header.unprotected.isEmpty {
            let detached = try JWS(compact: jws.compact(detached: true), detached: payload)
            guard detached == jws else { throw VectorFault("detached, it is another") }
        }
    }

    private static func rewrite(_ jws: JWS, _ member: JSONValue) throws {
        if member.string != nil {
            guard try jws.compact() == member.string else { throw VectorFault("it is written differently") }
        } else if member["signatures"] == nil {
            guard try jws.json() == member else { throw VectorFault("it is written differently") }
        }
    }
}
