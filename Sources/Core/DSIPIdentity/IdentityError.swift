/// What can go wrong with identities, documents, wallets. Equal by code; `reason` is a sentence without secrets.
public struct IdentityError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        case malformed
        case unsupported
        case signing
        case notFound = "not-found"
        case unreachable
        case refused
        case tooLarge = "too-large"
        case wrongPassphrase = "wrong-passphrase"
        case damaged
        case storage
    }

    public let code: Code
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (a: IdentityError, b: IdentityError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
    public var description: String { reason }
}
