/// Why an envelope or a payload was not accepted, one word a rule.
///
/// The names are those of the published conformance vectors, in the order in which the rules are applied: of several faults the
/// first decides.
public enum VerdictCode: String, Hashable, Sendable, CaseIterable {
    // 1–3: the envelope and its protected header (DSIP §10.2, §13.2)
    case frameTooLarge = "frame-too-large"
    case envelopeShape = "envelope-shape"
    case headerInvalid = "header-invalid"
    case algUnsupported = "alg-unsupported"
    case kidInvalid = "kid-invalid"
    // 4–5: the key and the signature (§8.1, §10.2)
    case kidUnresolvable = "kid-unresolvable"
    case signatureInvalid = "signature-invalid"
    // 6: the payload as JSON (§10.3)
    case payloadNotUTF8 = "payload-not-utf8"
    case payloadNotJSON = "payload-not-json"
    case payloadFloat = "payload-float"
    case payloadShape = "payload-shape"
    // 7: whom the signer acts for (§7.4)
    case signerMismatch = "signer-mismatch"
    case delegationInvalid = "delegation-invalid"
    case delegationCapability = "delegation-capability"
    case delegationExpired = "delegation-expired"
    case delegationRevoked = "delegation-revoked"
    // 8–11: time and repetition (§12.9, §20.6)
    case expiryOrder = "expiry-order"
    case introductionValidity = "introduction-validity"
    case hintValidity = "hint-validity"
    case replayWindow = "replay-window"
    case expired
    case duplicateID = "duplicate-id"
    case ulidIssuedAtMismatch = "ulid-issued-at-mismatch"
    case helloRequired = "hello-required"
    // 12–13: versions and shape (§11, schemas)
    case versionUnsupported = "version-unsupported"
    case unknownType = "unknown-type"
    case schemaInvalid = "schema-invalid"
    // 12a: what is sealed to this receiver (§10.4)
    case sealedNotCritical = "sealed-not-critical"
    case sealedAlgUnsupported = "sealed-alg-unsupported"
    case sealedOpenFailed = "sealed-open-failed"
    case sealedPlaintextInvalid = "sealed-plaintext-invalid"
    case sealedFieldForbidden = "sealed-field-forbidden"
    case sealedFieldDuplicate = "sealed-field-duplicate"
    // 14: what the fields say together
    case selectionNotSubset = "selection-not-subset"
    case subscriptionLifetimeExceeded = "subscription-lifetime-exceeded"
    case introductionTooLarge = "introduction-too-large"
    case introductionPurposeAndSealed = "introduction-purpose-and-sealed"
    case grantUnknownIntroduction = "grant-unknown-introduction"
    case helloInReplyToMismatch = "hello-in-reply-to-mismatch"
    case rotationSubjectMismatch = "rotation-subject-mismatch"
    case rotationNextSameAsPrevious = "rotation-next-same-as-previous"
    case rotationSignerNotPrevious = "rotation-signer-not-previous"
    case revocationSubjectMismatch = "revocation-subject-mismatch"
    case revocationSignerNotSubject = "revocation-signer-not-subject"
    case hintSubjectMismatch = "hint-subject-mismatch"
}
