/// Why an MLS value could not be decoded, verified, built or applied. Two errors are equal when their codes are.
public struct MLSError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// The bytes are no well-formed encoding of the structure (RFC 9420 §2.1, §3).
        case malformed
        /// A bound of this implementation was reached: size, depth, generations, count.
        case limit
        /// The protocol version or cipher suite is not supported here (suites 4 and 6 need X448, which is not to be had).
        case unsupported
        /// A primitive refused its input: a public key off its curve, a shared secret of zero.
        case cryptography
        /// A signature does not verify.
        case signature
        /// A message, a membership or a confirmation tag does not authenticate.
        case authentication
        /// The value belongs to another group, or to an epoch that is not held (any more).
        case wrongEpoch = "wrong-epoch"
        /// The secret that would open the message was used before, or is too far away.
        case secretConsumed = "secret-consumed"
        /// A leaf node or key package breaks a rule of RFC 9420 §7.3 or §10.1.
        case leafNode = "leaf-node"
        /// The ratchet tree breaks a rule of RFC 9420 §7.
        case tree
        /// A proposal, or the list of a commit, breaks a rule of RFC 9420 §12.
        case proposal
        /// A commit breaks a rule of RFC 9420 §12.4.
        case commit
        /// A Welcome or GroupInfo cannot be joined with (RFC 9420 §12.4.3).
        case join
        /// A pre-shared key that was named is not known here.
        case unknownPreSharedKey = "unknown-psk"
        /// A proposal that was named by reference is not known here.
        case unknownProposal = "unknown-proposal"
        /// The application refused a credential.
        case credential
        /// The group no longer admits the operation: it was re-initialised, or this member was removed.
        case inactive
        /// The operation asks for something the caller may not do now.
        case usage
    }

    public let code: Code
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (a: MLSError, b: MLSError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    public var description: String { "\(code.rawValue): \(reason)" }
}
