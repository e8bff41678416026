import Crypto
import Encoding

/// `Authorization: vapid t=…, k=…` as a push service reads it (RFC 8292 §3): not yet believed.
///
/// ```swift
/// let claims = try VAPIDCredentials(authorization: header).verified(for: "https://push.example", at: now)
/// ```
public struct VAPIDCredentials: Hashable, Sendable {
    /// An uncompressed point, 65 bytes: who sends. A subscription that is restricted to a key takes no other (RFC 8292 §4).
    public let publicKey: [UInt8]
    private let token: JWS

    /// - Throws: `.credentials` for another scheme, a parameter that is missing or twice, a token that is no JWT of ES256; `.key`.
    public init(authorization: String) throws(WebPushError) {
        guard authorization.utf8.count <= 8192, let (token, key) = Self.parameters(authorization) else {
            throw WebPushError(.credentials, "not the vapid scheme with t and k")
        }
        guard let bytes = Base64URL.decode(key) else { throw WebPushError(.credentials, "k is not base64url") }
        try self.init(token: token, publicKey: bytes)
    }

    /// - Parameter token: a compact JWT.
    public init(token: String, publicKey: [UInt8]) throws(WebPushError) {
        guard let jws = try? JWS(compact: token, limits: .init(bytes: 8192, depth: 8, members: 64)),
            jws.signatures[0].header.algorithm == "ES256", jws.signatures[0].header.encodesPayload,
            (try? jws.signatures[0].header.checkCritical()) != nil
        else { throw WebPushError(.credentials, "t is no JWT of ES256") }
        _ = try MessageKey.publicKey(publicKey)
        self.token = jws
        self.publicKey = publicKey
    }

    /// - Parameters:
    ///   - origin: the push service's own.
    ///   - now: Unix seconds.
    /// - Throws: `.signature`; `.claims` for another audience, a token that has expired or lives for more than a day.
    public func verified(for origin: String, at now: Int64) throws(WebPushError) -> VAPIDClaims {
        guard let key = try? P256.Signing.PublicKey(x963Representation: publicKey),
            let signature = try? P256.Signing.ECDSASignature(rawRepresentation: token.signatures[0].bytes),
            key.isValidSignature(signature, for: token.signingInput())
        else { throw WebPushError(.signature, "the token is not signed by its key") }
        let claims = try VAPIDClaims(payload: token.payload)
        guard claims.audience == origin else { throw WebPushError(.claims, "the token is for another push service") }
        guard claims.expires > now else { throw WebPushError(.claims, "the token has expired") }
        guard claims.expires - now <= VAPIDClaims.longestLifetime else {
            throw WebPushError(.claims, "the token is to live for more than a day")
        }
        return claims
    }

    /// `auth-param`s of RFC 9110 §11.2; values may be quoted.
    private static func parameters(_ header: String) -> (token: String, key: String)? {
        guard let space = header.firstIndex(of: " "), header[..<space].lowercased() == "vapid" else { return nil }
        var found: [String: String] = [:]
        for part in header[space...].split(separator: ",", maxSplits: 16) {
            let part = part.drop { $0 == " " || $0 == "\t" }
            guard let equals = part.firstIndex(of: "=") else { return nil }
            let name = part[..<equals].lowercased()
            var value = part[part.index(after: equals)...]
            while let last = value.last, last == " " || last == "\t" { value = value.dropLast() }
            if value.count >= 2, value.first == "\"", value.last == "\"" { value = value.dropFirst().dropLast() }
            guard found.updateValue(String(value), forKey: name) == nil else { return nil }
        }
        guard let token = found["t"], let key = found["k"] else { return nil }
        return (token, key)
    }
}
