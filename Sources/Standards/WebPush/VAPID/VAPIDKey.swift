import Crypto
import Encoding

/// The key by which an application server is known to push services (RFC 8292).
///
/// A user agent that subscribes is given ``publicKey`` (`applicationServerKey`); the push service then takes messages only with a
/// token signed by it.
public struct VAPIDKey: Sendable {
    private let key: P256.Signing.PrivateKey
    /// An uncompressed point, 65 bytes.
    public let publicKey: [UInt8]

    public init(using random: inout some RandomNumberGenerator) {
        while true {
            let bytes = MessageKey.draw(32, using: &random)
            if let key = try? P256.Signing.PrivateKey(rawRepresentation: bytes) {
                self.init(key)
                return
            }
        }
    }

    /// - Parameter privateKey: 32 bytes.
    /// - Throws: `.key`.
    public init(privateKey: [UInt8]) throws(WebPushError) {
        guard let key = try? P256.Signing.PrivateKey(rawRepresentation: privateKey) else {
            throw WebPushError(.key, "not a private key of P-256")
        }
        self.init(key)
    }

    private init(_ key: P256.Signing.PrivateKey) {
        self.key = key
        publicKey = Array(key.publicKey.x963Representation)
    }

    /// 32 bytes; a secret.
    public var privateKey: [UInt8] { Array(key.rawRepresentation) }

    /// The value of `Authorization` for messages to one push service (RFC 8292 §3). It may be used again until it expires.
    ///
    /// - Parameters:
    ///   - subject: how the operator is reached: a `mailto:` or `https:` URI.
    ///   - now: Unix seconds.
    ///   - lifetime: seconds, at most 86,400.
    /// - Throws: `.claims` for a subject or lifetime that is not admitted.
    public func authorization(
        for endpoint: PushEndpoint,
        subject: String?,
        at now: Int64,
        lifetime: Int64 = 43_200
    ) throws(WebPushError) -> String {
        let claims = try VAPIDClaims(audience: endpoint.origin, expires: now + lifetime, subject: subject)
        guard (1...VAPIDClaims.longestLifetime).contains(lifetime) else {
            throw WebPushError(.claims, "a token lives for a day at most")
        }
        let header = JOSEHeader(protected: ["typ": "JWT", "alg": "ES256"])
        let token = try? JWS(signing: claims.json.utf8, header: header) { input in
            Array(try key.signature(for: input).rawRepresentation)
        }.compact()
        guard let token else { throw WebPushError(.signature, "the token cannot be signed") }
        return "vapid t=\(token), k=\(Base64URL.encode(publicKey))"
    }
}
