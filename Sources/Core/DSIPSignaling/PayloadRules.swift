import DSIPIdentity
import Encoding

/// The stages that need no envelope: versions, shape, meaning (12 to 14), for payloads that were decoded elsewhere.
public enum PayloadRules {
    /// Checks a payload in stage order.
    ///
    /// - Throws: what the first broken rule says: `version-unsupported`, `unknown-type`, `schema-invalid`, or one of stage 14.
    public static func check(
        _ payload: JSONDocument,
        policy: VerificationPolicy = VerificationPolicy(),
        context: MeaningContext = MeaningContext()
    ) throws(Rejection) -> Message {
        try check(payload.root, policy: policy, context: context)
    }

    static func check(
        _ root: JSONView,
        as type: MessageType? = nil,
        policy: VerificationPolicy,
        opener: SealOpener? = nil,
        mayLackRecipient: Bool = false,
        context: MeaningContext
    ) throws(Rejection) -> Message {
        // A router forwards what it cannot open: the sealed body's criticality binds the addressee (DSIP §10.4).
        let exempt = policy.isRouter && root["sealed"] != nil ? ProfileID.sealedBody : nil
        if let block = root["dsip"], let reason = policy.supported.refusal(of: block, exempt: exempt) {
            throw Rejection(.versionUnsupported, reason: reason, "no version in common", reading: root)
        }
        let opened = try opener?.open(root)
        let message = try Message(decoding: opened?.root ?? root, as: type, mayLackRecipient: mayLackRecipient)
        try message.check(context)
        return message
    }

    /// Whether `value` has the shape of a published schema.
    ///
    /// - Parameter schema: a message type, `message` for any of them, `envelope`, `webrtc-info-data` or `dtmf-info-data`.
    /// - Returns: nil for a schema unknown here.
    public static func accepts(_ value: JSONDocument, schema: String) -> Bool? {
        switch schema {
        case "envelope": return Envelope(value.root) != nil
        case "message": return (try? Message(decoding: value.root)) != nil
        case "webrtc-info-data": return (try? WebRTCCandidates(value.root)) != nil
        case "dtmf-info-data": return (try? DTMFDigits(value.root)) != nil
        default: return MessageType(rawValue: schema).map { (try? Message($0, value.root)) != nil }
        }
    }
}
