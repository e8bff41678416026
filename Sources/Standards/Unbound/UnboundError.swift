/// Why a question to the DNS has no answer. Equal by code.
public struct UnboundError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Hashable, Sendable {
        /// libunbound is not installed, or an older one is.
        case unavailable
        /// A forwarder, trust anchor or name that cannot be used.
        case malformed
        /// Too many questions at a time.
        case busy
        case timeout
        /// The servers did not give a usable answer.
        case failed
    }

    public let code: Code
    public let reason: String

    init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (a: UnboundError, b: UnboundError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
    public var description: String { reason }
}
