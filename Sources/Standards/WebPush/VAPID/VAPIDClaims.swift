import Encoding

/// What a VAPID token says (RFC 8292 §2).
public struct VAPIDClaims: Hashable, Sendable {
    /// Seconds from now to the expiry.
    public static let longestLifetime: Int64 = 86_400

    /// The origin of the push service.
    public let audience: String
    /// Unix seconds.
    public let expires: Int64
    /// A `mailto:` or `https:` URI of the operator. RFC 8292 §2.1
    public let subject: String?

    init(audience: String, expires: Int64, subject: String?) throws(WebPushError) {
        if let subject {
            guard subject.utf8.count <= 512, subject.hasPrefix("mailto:") || subject.hasPrefix("https:") else {
                throw WebPushError(.claims, "a subject is a mailto or https URI")
            }
        }
        self.audience = audience
        self.expires = expires
        self.subject = subject
    }

    init(payload: [UInt8]) throws(WebPushError) {
        guard let json = try? JSONValue(parsing: payload, limits: .init(bytes: 4096, depth: 8, members: 64)),
            let audience = json["aud"]?.string, let expires = json["exp"]?.int
        else { throw WebPushError(.claims, "aud and exp are what a token says") }
        guard json["sub"].map({ $0.string != nil }) ?? true else { throw WebPushError(.claims, "sub is no text") }
        try self.init(audience: audience, expires: expires, subject: json["sub"]?.string)
    }

    var json: JSONValue {
        var object: JSONObject = ["aud": .string(audience), "exp": .int(expires)]
        if let subject { object["sub"] = .string(subject) }
        return .object(object)
    }
}
