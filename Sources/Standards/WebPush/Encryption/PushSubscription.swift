import Crypto
import Encoding

/// Where a user agent is to be reached, and with which keys (Push API, RFC 8291 §2).
///
/// A value has passed every check that can be made without sending: an `https` address, a point on the curve, a secret of the right
/// length.
public struct PushSubscription: Hashable, Sendable {
    public let endpoint: PushEndpoint
    /// Of the user agent: an uncompressed point of P-256, 65 bytes (`p256dh`).
    public let publicKey: [UInt8]
    /// 16 bytes (`auth`). A secret between user agent and application server.
    public let authenticationSecret: [UInt8]

    /// - Throws: `.key`.
    public init(endpoint: PushEndpoint, publicKey: [UInt8], authenticationSecret: [UInt8]) throws(WebPushError) {
        _ = try MessageKey.publicKey(publicKey)
        guard authenticationSecret.count == MessageKey.secretSize else {
            throw WebPushError(.key, "an authentication secret has 16 bytes")
        }
        self.endpoint = endpoint
        self.publicKey = publicKey
        self.authenticationSecret = authenticationSecret
    }

    /// What `PushSubscription.toJSON()` of a browser gives: `{"endpoint", "keys": {"p256dh", "auth"}}`, binary as base64url without padding. Other
    /// members are passed over.
    ///
    /// - Throws: `.subscription`, `.endpoint`, `.key`.
    public init(_ json: JSONValue) throws(WebPushError) {
        guard let endpoint = json["endpoint"]?.string,
            let publicKey = json["keys"]?["p256dh"]?.string.flatMap({ Base64URL.decode($0) }),
            let secret = json["keys"]?["auth"]?.string.flatMap({ Base64URL.decode($0) })
        else { throw WebPushError(.subscription, "endpoint, p256dh and auth are what a subscription has") }
        try self.init(endpoint: PushEndpoint(endpoint), publicKey: publicKey, authenticationSecret: secret)
    }

    public init(parsing text: [UInt8]) throws(WebPushError) {
        let json: JSONValue
        do throws(EncodingError) {
            json = try JSONValue(parsing: text, limits: .init(bytes: 16_384, depth: 8, members: 64))
        } catch {
            throw WebPushError(.subscription, "a subscription is a JSON object")
        }
        try self.init(json)
    }

    public var json: JSONValue {
        [
            "endpoint": .string(endpoint.url),
            "keys": [
                "p256dh": .string(Base64URL.encode(publicKey)), "auth": .string(Base64URL.encode(authenticationSecret)),
            ],
        ]
    }
}
