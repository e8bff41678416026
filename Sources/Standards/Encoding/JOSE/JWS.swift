/// A JSON Web Signature (RFC 7515): compact, flattened JSON or general JSON; attached or detached (Appendix F); encoded or not (RFC 7797).
///
/// ```swift
/// let header = JOSEHeader(protected: ["alg": "EdDSA", "b64": false, "crit": ["b64"], "kid": "did:key:z6Mk…"])
/// let jws = try JWS(signing: payload, header: header) { try Array(key.signature(for: $0)) }
/// let text = try jws.compact(detached: true)
///
/// let received = try JWS(compact: text, detached: payload)
/// let valid = key.isValidSignature(received.signatures[0].bytes, for: received.signingInput(0))
/// ```
///
/// Reading checks shape and header rules, never a signature.
public struct JWS: Hashable, Sendable {
    public struct Signature: Hashable, Sendable {
        public let header: JOSEHeader
        public let bytes: [UInt8]
    }

    /// What is signed, decoded.
    public let payload: [UInt8]
    /// At least one; all encode the payload, or none does.
    public private(set) var signatures: [Signature]

    /// The most signatures that are read.
    public static let maximumSignatures = 16

    public init(
        signing payload: [UInt8],
        header: JOSEHeader,
        by sign: ([UInt8]) throws -> [UInt8]
    ) rethrows {
        self.payload = payload
        let input = JWS.signingInput(header, payload)
        self.signatures = [Signature(header: header, bytes: try sign(input))]
    }

    /// Adds a signature, for the general JSON serialization.
    public mutating func sign(header: JOSEHeader, by sign: ([UInt8]) throws -> [UInt8]) throws {
        guard header.encodesPayload == encodesPayload else {
            throw EncodingError(.structure, "b64 must be the same for every signature")
        }
        signatures.append(Signature(header: header, bytes: try sign(JWS.signingInput(header, payload))))
    }

    /// The bytes that a signature is over (RFC 7515 §5.1, RFC 7797 §3).
    public func signingInput(_ index: Int = 0) -> [UInt8] { JWS.signingInput(signatures[index].header, payload) }

    public static func signingInput(_ header: JOSEHeader, _ payload: [UInt8]) -> [UInt8] {
        var input: [UInt8] = []
        input.reserveCapacity(header.protectedText.utf8.count + 1 + payload.count * 4 / 3 + 3)
        input += header.protectedText.utf8
        input.append(UInt8(ascii: "."))
        input += header.encodesPayload ? Base64URL.encodeBytes(payload) : payload
        return input
    }

    private var encodesPayload: Bool { signatures[0].header.encodesPayload }

    // MARK: Compact

    /// - Parameters:
    ///   - text: three parts with two points between.
    ///   - detached: the payload, when `text` has none (RFC 7515 Appendix F).
    /// - Throws: `EncodingError`: `.limit`, `.syntax` for what is not three parts of base64url, `.structure` for a payload that is missing or
    ///   given twice and for header rules, and what `JSONDocument` throws for the header.
    public init(
        compact text: some StringProtocol,
        detached: [UInt8]? = nil,
        limits: JSONDocument.Limits = JSONDocument.Limits()
    ) throws(EncodingError) {
        guard text.utf8.count <= limits.bytes else { throw EncodingError(.limit, "a JWS over \(limits.bytes) bytes") }
        // Three pieces at most are made, whatever the input.
        let parts = text.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, let signature = Base64URL.decode(parts[2]) else {
            throw EncodingError(.syntax, "a compact JWS has three parts")
        }
        let header = try JOSEHeader(protectedText: String(parts[0]), limits: limits)
        let attached = parts[1].isEmpty && detached != nil ? nil : Array(parts[1].utf8)
        self.payload = try JWS.payload(attached, detached, header)
        self.signatures = [Signature(header: header, bytes: signature)]
    }

    /// - Throws: `.structure` when this JWS has no compact form: several signatures, an unprotected header, or an unencoded payload that is
    ///   attached and holds a point or what is not printable ASCII (RFC 7797 §5.2).
    public func compact(detached: Bool = false) throws(EncodingError) -> String {
        let signature = signatures[0]
        guard signatures.count == 1, signature.header.unprotected.isEmpty else {
            throw EncodingError(.structure, "no compact form for several signatures or an unprotected header")
        }
        var middle = ""
        if !detached {
            if encodesPayload {
                middle = Base64URL.encode(payload)
            } else {
                guard payload.allSatisfy({ (0x20..<0x7f).contains($0) && $0 != UInt8(ascii: ".") }) else {
                    throw EncodingError(.structure, "an unencoded payload that the compact form cannot carry")
                }
                middle = String(decoding: payload, as: UTF8.self)
            }
        }
        return signature.header.protectedText + "." + middle + "." + Base64URL.encode(signature.bytes)
    }

    // MARK: JSON

    /// Flattened or general, as the members say.
    public init(
        json bytes: [UInt8],
        detached: [UInt8]? = nil,
        limits: JSONDocument.Limits = JSONDocument.Limits()
    ) throws(EncodingError) {
        try self.init(json: try JSONValue(parsing: bytes, limits: limits), detached: detached, limits: limits)
    }

    public init(
        json: JSONValue,
        detached: [UInt8]? = nil,
        limits: JSONDocument.Limits = JSONDocument.Limits()
    ) throws(EncodingError) {
        guard let object = json.object else { throw EncodingError(.structure, "a JWS is a JSON object") }
        var attached: [UInt8]?
        if let member = object["payload"] {
            guard let text = member.string else { throw EncodingError(.structure, "the payload is no text") }
            attached = Array(text.utf8)
        }
        var signatures: [Signature] = []
        if let list = object["signatures"] {
            // RFC 7515 §7.2.2: the flattened form has no signatures member, the general one none of the others.
            guard let list = list.array, !list.isEmpty, object["signature"] == nil, object["protected"] == nil,
                object["header"] == nil
            else { throw EncodingError(.structure, "neither the flattened nor the general form") }
            guard list.count <= JWS.maximumSignatures else {
                throw EncodingError(.limit, "more than \(JWS.maximumSignatures) signatures")
            }
            for element in list {
                guard let member = element.object else { throw EncodingError(.structure, "a malformed signature") }
                signatures.append(try JWS.signature(member, limits))
            }
        } else {
            signatures = [try JWS.signature(object, limits)]
        }
        let header = signatures[0].header
        // RFC 7797 §3: the same for every signature.
        guard signatures.allSatisfy({ $0.header.encodesPayload == header.encodesPayload }) else {
            throw EncodingError(.structure, "b64 must be the same for every signature")
        }
        self.payload = try JWS.payload(attached, detached, header)
        self.signatures = signatures
    }

    /// The flattened form for one signature, else the general one.
    ///
    /// - Throws: `.structure` when an unencoded payload is attached and is not UTF-8.
    public func json(detached: Bool = false) throws(EncodingError) -> JSONValue {
        var object = JSONObject()
        if !detached {
            if encodesPayload {
                object["payload"] = .string(Base64URL.encode(payload))
            } else {
                guard let text = String(validating: payload, as: UTF8.self) else {
                    throw EncodingError(.structure, "an unencoded payload in JSON is text")
                }
                object["payload"] = .string(text)
            }
        }
        let members = signatures.map { signature -> JSONObject in
            var member = JSONObject()
            let header = signature.header
            if !header.protectedText.isEmpty { member["protected"] = .string(header.protectedText) }
            if !header.unprotected.isEmpty { member["header"] = .object(header.unprotected) }
            member["signature"] = .string(Base64URL.encode(signature.bytes))
            return member
        }
        if members.count == 1 {
            for member in members[0].members { object[member.name] = member.value }
        } else {
            object["signatures"] = .array(members.map { .object($0) })
        }
        return .object(object)
    }

    private static func signature(
        _ object: JSONObject,
        _ limits: JSONDocument.Limits
    ) throws(EncodingError) -> Signature {
        let protected = object["protected"].map(\.string) ?? ""
        let unprotected = object["header"].map(\.object) ?? [:]
        guard let protected, let unprotected, let text = object["signature"]?.string else {
            throw EncodingError(.structure, "a malformed signature")
        }
        guard let bytes = Base64URL.decode(text) else {
            throw EncodingError(.syntax, "the signature is not base64url")
        }
        let header = try JOSEHeader(protectedText: protected, unprotected: unprotected, limits: limits)
        return Signature(header: header, bytes: bytes)
    }

    private static func payload(
        _ attached: [UInt8]?,
        _ detached: [UInt8]?,
        _ header: JOSEHeader
    ) throws(EncodingError) -> [UInt8] {
        switch (attached, detached) {
        case (nil, nil): throw EncodingError(.structure, "the payload is detached and was not given")
        case (_?, _?): throw EncodingError(.structure, "a payload is attached and another was given")
        case (nil, let payload?): return payload
        case (let text?, nil):
            guard header.encodesPayload else { return text }
            guard let payload = text.withUnsafeBytes({ Base64URL.decode($0) }) else {
                throw EncodingError(.syntax, "the payload is not base64url")
            }
            return payload
        }
    }
}
