import DSIPSignaling

/// The stages of `EnvelopeVerifier`, in their order, as a person may follow them. Of several faults the first stage decides.
enum VerificationStage: CaseIterable {
    case frame, envelope, header, key, signature, payload, binding, time, identifier, connection, versions, shape,
        meaning

    var sentence: String {
        switch self {
        case .frame: "fits a frame of 64 KiB"
        case .envelope: "is an object of protected, payload and signature"
        case .header: "has a protected header with a supported algorithm and a kid"
        case .key: "names a key that resolves"
        case .signature: "is signed by that key"
        case .payload: "carries a strict JSON payload"
        case .binding: "speaks for whom its signer may speak for"
        case .time: "is valid at this time"
        case .identifier: "has an identifier that fits its time"
        case .connection: "may come on this connection"
        case .versions: "speaks a supported version"
        case .shape: "has the shape of its type"
        case .meaning: "makes sense as a whole"
        }
    }

    var section: String {
        switch self {
        case .frame: "§13.2"
        case .envelope, .header, .signature: "§10.2"
        case .key: "§8.1"
        case .payload: "§10.3"
        case .binding: "§7.4"
        case .time, .identifier: "§12.9"
        case .connection: "§13.2"
        case .versions: "§11"
        case .shape: "§12"
        case .meaning: "§12–§20"
        }
    }

    /// The stage whose rule a verdict names.
    init(_ code: VerdictCode) {
        switch code {
        case .frameTooLarge: self = .frame
        case .envelopeShape: self = .envelope
        case .headerInvalid, .algUnsupported, .kidInvalid: self = .header
        case .kidUnresolvable: self = .key
        case .signatureInvalid: self = .signature
        case .payloadNotUTF8, .payloadNotJSON, .payloadFloat, .payloadShape: self = .payload
        case .signerMismatch, .delegationInvalid, .delegationCapability, .delegationExpired, .delegationRevoked:
            self = .binding
        case .expiryOrder, .introductionValidity, .hintValidity, .replayWindow, .expired, .duplicateID: self = .time
        case .ulidIssuedAtMismatch: self = .identifier
        case .helloRequired: self = .connection
        case .versionUnsupported: self = .versions
        case .unknownType, .schemaInvalid, .sealedNotCritical, .sealedAlgUnsupported, .sealedOpenFailed,
            .sealedPlaintextInvalid, .sealedFieldForbidden, .sealedFieldDuplicate:
            self = .shape
        case .selectionNotSubset, .subscriptionLifetimeExceeded, .introductionTooLarge, .introductionPurposeAndSealed,
            .grantUnknownIntroduction, .helloInReplyToMismatch, .rotationSubjectMismatch, .rotationNextSameAsPrevious,
            .rotationSignerNotPrevious, .revocationSubjectMismatch, .revocationSignerNotSubject, .hintSubjectMismatch:
            self = .meaning
        }
    }

    /// What may be done about a verdict; nil when nothing but asking the sender.
    static func advice(_ code: VerdictCode) -> String? {
        switch code {
        case .replayWindow, .expired: "It was good at another time: try --at issued."
        case .kidUnresolvable: "Give the signer’s document with --document FILE."
        case .algUnsupported: "ES256 is accepted with --allow-es256."
        case .delegationExpired: "The device needs a new delegation from the identity."
        default: nil
        }
    }
}
