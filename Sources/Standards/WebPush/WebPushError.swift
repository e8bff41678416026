/// Why something of Web Push could not be read, verified or made. Two errors are equal when their codes are.
public struct WebPushError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// The bytes are no body of the content coding (RFC 8188 §2.1).
        case malformed
        /// The body ends before its last record does (RFC 8188 §2).
        case truncated
        /// A record does not authenticate, or its padding is not as it has to be.
        case authentication
        /// A bound was reached: the bytes of a record, of a body, of a message.
        case limit
        /// No key is known by the identifier in the header.
        case unknownKey = "unknown-key"
        /// A public key is none of P-256, or a secret has another length.
        case key
        /// An address that a push message cannot be sent to (RFC 8030 §8.1: `https` only).
        case endpoint
        /// A subscription that lacks a member, or has one that is malformed.
        case subscription
        /// Credentials that are not of the `vapid` scheme (RFC 8292 §3).
        case credentials
        /// A VAPID signature that does not verify.
        case signature
        /// A VAPID token for another push service, from the past, or for longer than a day (RFC 8292 §2).
        case claims
        /// A parameter that the standard does not admit: a record size, a topic.
        case parameter
    }

    public let code: Code
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (a: WebPushError, b: WebPushError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    public var description: String { "\(code.rawValue): \(reason)" }
}
