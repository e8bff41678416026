/// The header parameters of one JWS signature: what it protects and what it does not (RFC 7515 §4).
public struct JOSEHeader: Hashable, Sendable {
    /// What the signature covers.
    public let protected: JSONObject
    /// The protected header as it stands in the message, base64url: that text is signed, whatever the object would be written as here.
    public let protectedText: String
    /// What the JSON serialization carries beside it.
    public let unprotected: JSONObject

    /// - Parameter protected: written in the order of its members.
    public init(protected: JSONObject, unprotected: JSONObject = [:]) {
        self.protected = protected
        self.protectedText = protected.isEmpty ? "" : Base64URL.encode(JSONValue.object(protected).utf8)
        self.unprotected = unprotected
    }

    /// - Throws: `.structure` for parameters in both parts, no `alg`, or a malformed `crit` or `b64`; what `JSONDocument` throws.
    init(
        protectedText: String,
        unprotected: JSONObject = [:],
        limits: JSONDocument.Limits
    ) throws(EncodingError) {
        self.protectedText = protectedText
        self.unprotected = unprotected
        if protectedText.isEmpty {
            self.protected = [:]
        } else {
            guard let bytes = Base64URL.decode(protectedText) else {
                throw EncodingError(.syntax, "the protected header is not base64url")
            }
            guard let object = try JSONValue(parsing: bytes, limits: limits).object else {
                throw EncodingError(.structure, "the protected header is no JSON object")
            }
            self.protected = object
        }
        try check()
    }

    private func check() throws(EncodingError) {
        // RFC 7515 §4: the names of the two parts are disjoint.
        for member in unprotected.members where protected[member.name] != nil {
            throw EncodingError(.duplicateKey, "a header parameter is both protected and unprotected")
        }
        guard self["alg"]?.string != nil else { throw EncodingError(.structure, "no alg") }
        for name in ["kid", "typ", "cty"] {
            if let value = self[name], value.string == nil {
                throw EncodingError(.structure, "a header parameter that should be text")
            }
        }
        // RFC 7515 §4.1.11: protected, not empty, nothing twice, nothing the specification itself defines, nothing absent.
        guard unprotected["crit"] == nil else { throw EncodingError(.structure, "crit must be protected") }
        if let value = protected["crit"] {
            guard let names = value.array?.map({ $0.string ?? "" }), !names.isEmpty, Set(names).count == names.count,
                names.allSatisfy({ self[$0] != nil && !Self.defined.contains($0) })
            else { throw EncodingError(.structure, "a malformed crit") }
        }
        // RFC 7797 §3, §6: protected, boolean, and critical when false.
        guard unprotected["b64"] == nil else { throw EncodingError(.structure, "b64 must be protected") }
        if let value = protected["b64"] {
            guard let encoded = value.bool, encoded || critical.contains("b64") else {
                throw EncodingError(.structure, "b64 must be boolean, and critical when false")
            }
        }
    }

    /// Parameters that RFC 7515 and RFC 7518 define, which `crit` must not list.
    private static let defined: Set = [
        "alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit", "epk", "apu", "apv", "iv",
        "tag", "p2s", "p2c", "enc", "zip",
    ]

    /// The parameter, from whichever part holds it.
    public subscript(_ name: String) -> JSONValue? { protected[name] ?? unprotected[name] }

    /// The algorithm. Decide by the key what it may be before calling any of them.
    public var algorithm: String { self["alg"]?.string ?? "" }
    public var keyIdentifier: String? { self["kid"]?.string }
    public var type: String? { self["typ"]?.string }
    public var contentType: String? { self["cty"]?.string }
    public var critical: [String] { protected["crit"]?.array?.compactMap(\.string) ?? [] }
    /// Whether the payload is base64url-encoded, in the message and under the signature (RFC 7797 §3).
    public var encodesPayload: Bool { protected["b64"]?.bool ?? true }

    /// Refuses what only somebody who knows an extension may accept. `b64` is understood here.
    ///
    /// - Throws: `.critical`.
    public func checkCritical(understood: Set<String> = []) throws(EncodingError) {
        for name in critical where name != "b64" && !understood.contains(name) {
            throw EncodingError(.critical, "a critical header parameter is not understood")
        }
    }
}
