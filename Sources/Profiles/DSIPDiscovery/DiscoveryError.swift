/// Why a record, packet or alias is not used. Equal by code; the raw values of the codes are the reason tokens of the conformance
/// vectors, where those name one.
public struct DiscoveryError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        case malformed
        case signature
        case expired
        /// Signed further ahead of the clock than 300 s.
        case future
        /// Not about, or not by, the identity it is kept under.
        case subject
        case notDIDKey = "not-did-key"
        case nonCanonical = "non-canonical"
        case badKey = "bad-key"
        case badEndpoint = "bad-endpoint"
        case noEndpoints = "no-endpoints"
        case ttlTooLong = "ttl-too-long"
        case badPointer = "bad-pointer"
        case noDevices = "no-devices"
        case exhausted
        /// Over a bound of this module.
        case limit
        /// Our own policy does not publish this.
        case refused
        /// A document is needed that is not known yet.
        case unresolved
    }

    public let code: Code
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (a: DiscoveryError, b: DiscoveryError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
    public var description: String { reason }
}
