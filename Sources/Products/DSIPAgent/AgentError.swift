/// Why the agent did not do what it was asked. Equal by code; `message` is a sentence for people that says what to do next.
public struct AgentError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        case badRequest = "bad-request"
        case unauthorized
        case notFound = "not-found"
        /// The state of the call, contact or request does not permit it.
        case notAllowed = "not-allowed"
        case wrongPassphrase = "wrong-passphrase"
        case damaged
        case unresolvable
        case unreachable
        case rateLimited = "rate-limited"
        case tooLarge = "too-large"
        case busy
        /// The offer or answer breaks the WebRTC binding.
        case media
        case `internal`
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public static func == (a: AgentError, b: AgentError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
    public var description: String { message }
}
