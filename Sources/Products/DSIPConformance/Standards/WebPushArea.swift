import Crypto
import Encoding
import WebPush

/// Web Push as its RFCs print it: RFC 8188 §3 (an array of bodies), RFC 8291 Appendix A, RFC 8292 §2.4. Binary members are base64url.
enum WebPushArea {
    /// - Returns: nil when the file is none of the three.
    static func run(_ root: JSONView, name: String) -> [ConformanceResult]? {
        let file = name.hasSuffix(".json") ? String(name.dropLast(".json".count)) : name
        if root.isArray, let first = root.elements.first(where: { _ in true }), first["keyid"]?.string != nil,
            first["rs"] != nil, first["salt"] != nil
        {
            return root.elements.enumerated().map { at, element in
                result(element["id"]?.string ?? "\(file)/\(at)", element.value, coding)
            }
        }
        guard root.isObject else { return nil }
        if root["ua_public"] != nil, root["auth_secret"] != nil { return [result(file, root.value, message)] }
        if root["jwt"]?.string != nil, root["k"]?.string != nil { return [result(file, root.value, token)] }
        return nil
    }

    private static func result(
        _ id: String,
        _ vector: JSONValue,
        _ run: (JSONValue) throws -> (expected: JSONValue, actual: JSONValue)
    ) -> ConformanceResult {
        do {
            let (expected, actual) = try run(vector)
            return StandardVectors.result("webpush/\(id)", area: "webpush", expected: expected) { actual }
        } catch {
            return ConformanceResult(id: "webpush/\(id)", area: "webpush", outcome: .failed("\(error)"))
        }
    }

    /// Decoded, and encoded to the same bytes.
    private static func coding(_ vector: JSONValue) throws -> (JSONValue, JSONValue) {
        let key = SymmetricKey(data: try bytes(vector, "key"))
        let body = try bytes(vector, "body")
        let plaintext = Array((vector["plaintext"]?.string ?? "").utf8)
        let opened = try ContentDecoder.decode(body) { _ in key }
        let written = try ContentEncoder.encode(
            plaintext,
            key: key,
            salt: bytes(vector, "salt"),
            keyIdentifier: Array((vector["keyid"]?.string ?? "").utf8),
            recordSize: Int(vector["rs"]?.int ?? 0),
            padding: Int(vector["pad"]?.int ?? 0)
        )
        return (
            ["plaintext": vector["plaintext"] ?? .null, "body": vector["body"] ?? .null],
            [
                "plaintext": .string(String(decoding: opened, as: UTF8.self)),
                "body": .string(Base64URL.encode(written)),
            ]
        )
    }

    private static func message(_ vector: JSONValue) throws -> (JSONValue, JSONValue) {
        let receiver = try PushReceiver(
            privateKey: bytes(vector, "ua_private"),
            authenticationSecret: bytes(vector, "auth_secret")
        )
        let endpoint = try PushEndpoint("https://push.example.net/push")
        let subscription = try receiver.subscription(at: endpoint)
        let opened = try receiver.decrypt(bytes(vector, "body"))
        let written = try subscription.encrypt(
            bytes(vector, "plaintext"),
            privateKey: bytes(vector, "as_private"),
            salt: bytes(vector, "salt")
        )
        // The sender's public key stands in the header as the key's identifier.
        let sender = written[21..<86]
        let members = ["ua_public", "as_public", "plaintext", "body"]
        return (
            .object(JSONObject(members.map { ($0, vector[$0] ?? .null) })),
            [
                "ua_public": .string(Base64URL.encode(receiver.publicKey)),
                "as_public": .string(Base64URL.encode(sender)),
                "plaintext": .string(Base64URL.encode(opened)), "body": .string(Base64URL.encode(written)),
            ]
        )
    }

    /// Verified a second before it expires, and refused at that second.
    private static func token(_ vector: JSONValue) throws -> (JSONValue, JSONValue) {
        let token = vector["jwt"]?.string ?? ""
        let credentials = try VAPIDCredentials(
            authorization: "vapid t=\(token), k=\(vector["k"]?.string ?? "")"
        )
        guard let claims = try? JSONValue(parsing: JWS(compact: token).payload), let expires = claims["exp"]?.int,
            let audience = claims["aud"]?.string
        else { throw VectorFault("no claims") }
        let verified = try credentials.verified(for: audience, at: expires - 1)
        let isExpired = (try? credentials.verified(for: audience, at: expires)) == nil
        return (
            ["aud": .string(audience), "exp": .int(expires), "sub": claims["sub"] ?? .null, "expires": true],
            [
                "aud": .string(verified.audience), "exp": .int(verified.expires),
                "sub": verified.subject.map { .string($0) } ?? .null, "expires": .bool(isExpired),
            ]
        )
    }

    private static func bytes(_ vector: JSONValue, _ name: String) throws -> [UInt8] {
        guard let bytes = vector[name]?.string.flatMap({ Base64URL.decode($0) }) else {
            throw VectorFault("\(name) is missing")
        }
        return bytes
    }
}
