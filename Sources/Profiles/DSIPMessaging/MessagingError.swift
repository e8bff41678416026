import DSIPSignaling

/// Why a message or an object of the profile is refused: one word a rule, in the order in which the rules are applied.
///
/// Equal by code; `detail` names the member at fault and holds no peer data.
public struct MessagingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The verdict codes of the conformance suite.
    public enum Code: String, Hashable, Sendable, CaseIterable {
        // Text, M§8.1
        case payloadNotUTF8 = "payload-not-utf8"
        case payloadNotJSON = "payload-not-json"
        case payloadFloat = "payload-float"
        // Messages, M§5
        case unknownType = "unknown-type"
        case schemaInvalid = "schema-invalid"
        case lifetimeExceeded = "lifetime-exceeded"
        case depositClassUnsupported = "deposit-class-unsupported"
        case depositFields = "deposit-fields"
        case objectTooLarge = "object-too-large"
        case introductionTooLarge = "introduction-too-large"
        case mailboxModeUnsupported = "mailbox-mode-unsupported"
        case keyPackagesEmpty = "key-packages-empty"
        // Objects, M§8, M§10, M§12
        case senderMismatch = "sender-mismatch"
        case conversationMismatch = "conversation-mismatch"
        case ulidSentAtMismatch = "ulid-sent-at-mismatch"
        case personalGroupOnly = "personal-group-only"
        case contentBody = "content-body"
        case reactionInvalid = "reaction-invalid"
        case receiptShape = "receipt-shape"
        case updateInvalid = "update-invalid"
        // Groups, M§6.8, M§7.4, M§7.5
        case conversationImmutable = "conversation-immutable"
        case externalJoinAdds = "external-join-adds"
        case externalJoinNotMember = "external-join-not-member"
        case externalJoinRemovesOther = "external-join-removes-other"
        case successorInvalid = "successor-invalid"
        // MLS bytes, M§6.2, RFC 9420 §2.1.2
        case mlsTruncated = "mls-truncated"
        case mlsLengthInvalid = "mls-length-invalid"
        case mlsLengthNonMinimal = "mls-length-non-minimal"
        case mlsTrailingBytes = "mls-trailing-bytes"
        case credentialType = "credential-type"
        case credentialIdentity = "credential-identity"
        case delegationMissing = "delegation-missing"
        case delegationInvalid = "delegation-invalid"
        case delegationCapability = "delegation-capability"
        case delegationExpired = "delegation-expired"
        case delegationRevoked = "delegation-revoked"
        case credentialKeyMismatch = "credential-key-mismatch"
        // Seals, M§6.9, M§8.4, M§11.1, M§12.2, M§14.1
        case blobSizeMismatch = "blob-size-mismatch"
        case blobHashMismatch = "blob-hash-mismatch"
        case sealedTooShort = "sealed-too-short"
        case aeadOpenFailed = "aead-open-failed"
        case sealedAlgUnsupported = "sealed-alg-unsupported"
        case sealedOpenFailed = "sealed-open-failed"
        case sealedPlaintextInvalid = "sealed-plaintext-invalid"
        case purposeTooLong = "purpose-too-long"
        case hpkeOpenFailed = "hpke-open-failed"
        // A device of ours, not a peer's doing
        /// The command makes no sense now; the detail says why, for a person.
        case refused
        case storeFailed = "store-failed"
    }

    public let code: Code
    public let detail: String

    public init(_ code: Code, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    /// The token for the `error` that answers a refused message, where the profile assigns one. M§16
    public var reason: Reason? {
        switch code {
        case .depositClassUnsupported: .mailboxUnsupportedClass
        case .objectTooLarge: .mailboxObjectTooLarge
        case .introductionTooLarge: .transportEnvelopeTooLarge
        case .mailboxModeUnsupported: .mailboxUnsupportedMode
        default: nil
        }
    }

    public static func == (a: MessagingError, b: MessagingError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }

    public var description: String { "\(code.rawValue): \(detail)" }
}
