import Encoding

/// The COSE working group's examples: messages in all six shapes, right and wrong, with the bytes that were covered.
enum COSEArea {
    static func run(_ vector: JSONValue, id: String) -> ConformanceResult {
        let fails = vector["fail"]?.bool ?? false
        var expected: JSONObject = ["verdict": .string(fails ? "refused" : "accepted")]
        if !fails { expected["covered"] = covered(vector) }
        return StandardVectors.result(
            "cose/\(id)",
            area: "cose",
            expected: .object(expected),
            superseded: clauses[id]
        ) {
            guard let input = vector["input"],
                let (kind, member) = kinds.lazy.compactMap({ k in input[k].map { (k, $0) } }).first,
                let bytes = vector["output"]?["cbor"]?.string.flatMap({ Hex.decode($0) })
            else { throw VectorFault("no input or no output") }
            try checkAlgorithms(member)
            let example = COSEExample(kind: kind, member: member, input: input, bytes: bytes)
            do {
                let covered = try example.accept()
                guard !fails else { return ["verdict": "accepted"] }
                return ["verdict": "accepted", "covered": .array(covered.map { .string(Hex.encode($0)) })]
            } catch let refusal as EncodingError {
                return fails ? ["verdict": "refused"] : ["verdict": "refused", "covered": .string("\(refusal)")]
            } catch is COSEExample.Refused {
                return ["verdict": "refused"]
            }
        }
    }

    /// An intermediate value from before the specification was finished.
    private static let clauses = [
        "chacha-poly-examples/chacha-poly-enc-01":
            "RFC 9052 §5.3: the context is Encrypt0, under which the ciphertext opens, and not Encrypt1"
    ]

    private static let kinds = ["sign0", "sign", "mac0", "mac", "encrypted", "enveloped"]

    /// The bytes that the example says were signed, authenticated or bound.
    private static func covered(_ vector: JSONValue) -> JSONValue {
        let intermediates = vector["intermediates"]
        let single = ["ToBeSign_hex", "ToMac_hex", "AAD_hex"].compactMap { intermediates?[$0]?.string }
        let signers = (intermediates?["signers"]?.array ?? []).compactMap { $0["ToBeSign_hex"]?.string }
        return .array((single + signers).map { .string($0.lowercased()) })
    }

    /// What the library does not have is skipped before anything runs, so that a refusal is a verdict and no gap.
    private static func checkAlgorithms(_ value: JSONValue) throws {
        if let name = value["alg"]?.string { _ = try VectorCryptography.algorithm(name) }
        if let curve = value["crv"]?.string, curve.hasSuffix("448") { throw Unimplemented("the curve \(curve)") }
        for member in value.object?.members ?? [] { try checkAlgorithms(member.value) }
        for element in value.array ?? [] { try checkAlgorithms(element) }
    }
}

/// One message of the examples, and its keys.
struct COSEExample {
    /// A signature, tag or ciphertext that does not hold.
    struct Refused: Error {}

    let kind: String
    let member: JSONValue
    let input: JSONValue
    let bytes: [UInt8]

    private var external: [UInt8] { member["external"]?.string.flatMap { Hex.decode($0) } ?? [] }

    private var content: [UInt8]? {
        input["plaintext_hex"]?.string.flatMap { Hex.decode($0) } ?? input["plaintext"]?.string.map { Array($0.utf8) }
    }

    /// Verifies the whole message.
    ///
    /// - Returns: the bytes covered, one entry a signature.
    func accept() throws -> [[UInt8]] {
        switch kind {
        case "sign0":
            let message = try COSESign1(decoding: bytes)
            try prepare(message)
            let input = try message.signingInput(external: external)
            try check(message.signature, input, message.headers, member)
            try countersigned(message.headers, member, content: message.payload)
            return [input]
        case "sign":
            let message = try COSESign(decoding: bytes)
            try prepare(message)
            let signers = member["signers"]?.array ?? []
            guard signers.count == message.signatures.count else { throw Refused() }
            try countersigned(message.headers, member, content: message.payload)
            return try zip(message.signatures, signers).map { signature, signer in
                let external = signer["external"]?.string.flatMap { Hex.decode($0) } ?? external
                let input = try message.signingInput(of: signature.headers, external: external)
                try check(signature.signature, input, signature.headers, signer)
                try countersigned(signature.headers, signer, content: signature.signature)
                return input
            }
        case "mac0":
            let message = try COSEMac0(decoding: bytes)
            return try authenticated(
                message,
                message.payload,
                message.tag,
                try message.authenticatedInput(external: external)
            )
        case "mac":
            let message = try COSEMac(decoding: bytes)
            return try authenticated(
                message,
                message.payload,
                message.tag,
                try message.authenticatedInput(external: external)
            )
        case "encrypted":
            let message = try COSEEncrypt0(decoding: bytes)
            return try opened(message, message.ciphertext, message.associatedData(external: external))
        default:
            let message = try COSEEncrypt(decoding: bytes)
            return try opened(message, message.ciphertext, message.associatedData(external: external))
        }
    }

    private func authenticated(
        _ message: some COSEStructure,
        _ payload: [UInt8]?,
        _ tag: [UInt8],
        _ input: [UInt8]
    ) throws -> [[UInt8]] {
        try prepare(message)
        try check(tag, input, message.headers, member, key: recipientKey())
        try countersigned(message.headers, member, content: payload)
        return [input]
    }

    private func opened(_ message: some COSEStructure, _ ciphertext: [UInt8]?, _ data: [UInt8]) throws -> [[UInt8]] {
        try prepare(message)
        try open(ciphertext, data, message.headers)
        try countersigned(message.headers, member, content: ciphertext)
        return [data]
    }

    private func prepare(_ message: some COSEStructure) throws {
        try message.headers.checkCritical(understood: ["reserved"])
        // Written again as it was read, where it was deterministic.
        if let value = try? CBORValue(decoding: bytes) {
            let tagged = if case .tagged = value { true } else { false }
            guard message.encoded(tagged: tagged) == bytes else { throw VectorFault("it is written differently") }
        }
    }

    private func check(
        _ signature: [UInt8],
        _ input: [UInt8],
        _ headers: COSEHeaders,
        _ signer: JSONValue,
        key: JWK? = nil
    ) throws {
        let key = try key ?? Self.key(signer["key"])
        // The receiver decides which algorithm the key is for; the message only agrees (RFC 9052 §12).
        guard let algorithm = headers.algorithm, algorithm == (try expectedAlgorithm(signer)),
            try VectorCryptography.isValid(signature, for: input, by: key, algorithm)
        else { throw Refused() }
        if let own = try VectorCryptography.reproduce(input, by: key, algorithm), own != signature {
            throw VectorFault("our own signature differs")
        }
    }

    private func expectedAlgorithm(_ member: JSONValue) throws -> COSEAlgorithm? {
        let buckets = ["protected", "unprotected", "unsent"].lazy.compactMap { member[$0]?["alg"] }
        return try (member["alg"] ?? buckets.first)?.string.map(VectorCryptography.algorithm)
    }

    private func open(_ ciphertext: [UInt8]?, _ associatedData: [UInt8], _ headers: COSEHeaders) throws {
        let unsent = member["unsent"]?["IV_hex"]?.string.flatMap { Hex.decode($0) }
        guard let algorithm = headers.algorithm, algorithm == (try expectedAlgorithm(member)), let ciphertext,
            let nonce = headers[COSEHeaderMap.Label.initializationVector]?.bytes ?? unsent,
            let content = try VectorCryptography.open(
                ciphertext,
                nonce: nonce,
                associatedData: associatedData,
                key: recipientKey(),
                algorithm
            ), content == self.content
        else { throw Refused() }
    }

    /// Countersignatures of version 1 (RFC 8152 §4.5): label 9 bare, label 7 with headers.
    private func countersigned(_ headers: COSEHeaders, _ member: JSONValue, content: [UInt8]?) throws {
        if let signer = member["countersign0"]?["signers"]?[0] {
            guard let signature = headers.unprotected[9]?.bytes, let content,
                let algorithm = try expectedAlgorithm(signer),
                try VectorCryptography.isValid(
                    signature,
                    for: COSECovered.signature(
                        .counterSignature0,
                        body: headers,
                        signer: COSEHeaders(),
                        external: [],
                        payload: content
                    ),
                    by: Self.key(signer["key"]),
                    algorithm
                )
            else { throw Refused() }
        }
        if let signer = member["countersign"]?["signers"]?[0] {
            guard let value = headers.unprotected[7], let content else { throw Refused() }
            let signature = try COSESignature(value)
            let input = COSECovered.signature(
                .counterSignature,
                body: headers,
                signer: signature.headers,
                external: [],
                payload: content
            )
            try check(signature.signature, input, signature.headers, signer)
        }
    }

    private func recipientKey() throws -> JWK { try Self.key(member["recipients"]?[0]?["key"]) }

    /// A JWK whose numbers may be base16 under names that end in `_hex`.
    static func key(_ json: JSONValue?) throws -> JWK {
        guard let object = json?.object else { throw VectorFault("no key") }
        var plain = JSONObject()
        for (name, value) in object.members {
            if name.hasSuffix("_hex"), let bytes = value.string.flatMap({ Hex.decode($0) }) {
                plain[String(name.dropLast(4))] = .string(Base64URL.encode(bytes))
            } else {
                plain[name] = value
            }
        }
        return try JWK(.object(plain))
    }
}

/// Another set of COSE_Sign1 examples: messages to sign and messages to verify, RSASSA-PSS among them.
enum COSESign1Area {
    static func run(_ vector: JSONValue, id: String) -> ConformanceResult {
        let signing = vector["sign1::sign"]
        let expected: JSONValue =
            signing.map { signing in
                [
                    "covered": signing["tbsHex"]?["cborHex"] ?? .null,
                    "output": signing["expectedOutput"]?["cborHex"] ?? .null, "valid": true,
                ]
            } ?? ["valid": vector["sign1::verify"]?["shouldVerify"] ?? .null]
        return StandardVectors.result("cose/\(id)", area: "cose", expected: expected) {
            let algorithm = try VectorCryptography.algorithm(vector["alg"]?.string ?? "")
            let key = try JWK(vector["key"] ?? .null)
            let body = signing ?? vector["sign1::verify"]
            let external = try bytes(body?["external"]) ?? []
            let text = signing?["expectedOutput"] ?? vector["sign1::verify"]?["taggedCOSESign1"]
            guard let encoded = try bytes(text?["cborHex"]) else { throw VectorFault("no message") }
            let message = try COSESign1(decoding: encoded, tagging: .tagged)
            let input = try message.signingInput(external: external)
            let valid =
                try message.headers.algorithm == algorithm
                && VectorCryptography.isValid(message.signature, for: input, by: key, algorithm)
            guard let signing else { return ["valid": .bool(valid)] }
            // The message put together from its parts; the signature, which is random, is the published one.
            let protected = try map(signing["protectedHeaders"])
            let unprotected = try map(signing["unprotectedHeaders"])
            var covered: [UInt8] = []
            let own = COSESign1(
                signing: try bytes(signing["payload"]) ?? [],
                headers: COSEHeaders(
                    protected: COSEHeaderMap(protected),
                    unprotected: COSEHeaderMap(unprotected)
                ),
                detached: signing["detached"]?.bool ?? false,
                external: external
            ) {
                covered = $0
                return message.signature
            }
            return [
                "covered": .string(Hex.encode(covered)), "output": .string(Hex.encode(own.encoded())),
                "valid": .bool(valid),
            ]
        }
    }

    private static func bytes(_ value: JSONValue?) throws -> [UInt8]? { value?.string.flatMap { Hex.decode($0) } }

    private static func map(_ value: JSONValue?) throws -> CBORMap {
        guard let bytes = try bytes(value?["cborHex"]), let map = try CBORValue(decoding: bytes, as: .valid).map else {
            throw VectorFault("no header map")
        }
        return map
    }
}
