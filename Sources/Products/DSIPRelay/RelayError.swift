/// What can go wrong in the relay product. Equal by code; `reason` is a sentence for the operator, without keys or user data.
public struct RelayError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// A setting is missing, malformed or contradicts another one.
        case configuration
        /// The state folder or its database cannot be used.
        case storage
        /// The store has no room: the disk is full, or its configured size is reached.
        case full
        /// The port is taken or the address is not ours.
        case address
        /// A request of a peer is malformed.
        case malformed
        /// A request of a peer is well-formed and not allowed.
        case refused
        /// A name is held by someone else.
        case taken
        case notFound = "not-found"
        /// The relay is not running, or is shutting down.
        case notRunning = "not-running"
    }

    public let code: Code
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (a: RelayError, b: RelayError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
    public var description: String { reason }
}
