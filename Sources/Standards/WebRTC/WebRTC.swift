/// Formats and rules of WebRTC that the world already agreed on, usable without anything else of this package.
///
/// * ``SessionDescription``: SDP as browsers speak it (RFC 8866, 8829, 8839, 8842): parse, look at, write back.
/// * ``STUNMessage`` and ``STUNWriter``: STUN (RFC 8489), read over the received bytes and written once.
/// * ``BindingResponder``: what a STUN server answers to one datagram, as a pure function.
///
/// Nothing here opens a socket, reads a clock or draws random bytes. Every decoder is total: any input gives a value or a
/// ``WebRTCError``, within the bounds stated at the decoder.

/// What was wrong with an input of this module. Two errors are equal when their codes are.
public struct WebRTCError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// More bytes, lines, sections or attributes than the decoder accepts.
        case tooLarge
        /// Not valid UTF-8, or a byte that a line may not hold.
        case badText
        /// An SDP line whose letter, place or number of occurrences the grammar does not allow.
        case badLine
        /// An SDP line or known attribute whose value breaks its grammar.
        case badValue
        /// A required SDP line is missing.
        case missingLine
        /// Not a STUN message: header, length or attribute framing.
        case badMessage
        /// A STUN attribute whose value breaks its layout.
        case badAttribute
        /// The integrity or fingerprint attribute is missing or does not verify.
        case notAuthentic
    }

    public let code: Code
    /// One phrase for a log: what was expected, never the offending value.
    public let reason: String
    /// The SDP line it was found on, from 1, where there is one.
    public let line: Int?

    public init(_ code: Code, _ reason: String, line: Int? = nil) {
        self.code = code
        self.reason = reason
        self.line = line
    }

    public static func == (a: WebRTCError, b: WebRTCError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    public var description: String {
        line.map { "\(code.rawValue) on line \($0): \(reason)" } ?? "\(code.rawValue): \(reason)"
    }
}
