/// Why bytes or text could not be decoded. Two errors are equal when their codes are.
public struct EncodingError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// The bytes are not UTF-8.
        case notUTF8 = "not-utf8"
        /// The text breaks the grammar of its format.
        case syntax
        /// An object names one member twice (RFC 7493 §2.3).
        case duplicateKey = "duplicate-key"
        /// A bound of the decoder was reached: size, depth, members.
        case limit
        /// A value lies outside what its type can hold.
        case range
        /// Valid, but not the one encoding that deterministic CBOR allows (RFC 8949 §4.2).
        case notDeterministic = "not-deterministic"
        /// Well-formed, but not of the shape that its COSE or JOSE structure has.
        case structure
        /// A header parameter marked critical is not understood here (RFC 7515 §4.1.11, RFC 9052 §3.1).
        case critical
    }

    public let code: Code
    /// Offset of the offending byte in the input, when one is known.
    public let offset: Int?
    public let reason: String

    public init(_ code: Code, at offset: Int? = nil, _ reason: String) {
        self.code = code
        self.offset = offset
        self.reason = reason
    }

    public static func == (a: EncodingError, b: EncodingError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    public var description: String {
        offset.map { "\(reason) (at byte \($0))" } ?? reason
    }
}
