import DSIPSignaling

/// The proposal's numbers and the core's tokens (proposal 0.3 §21.A, DSIP §15): 4xx is the caller's, 5xx the callee's or a relay's, 6xx
/// holds everywhere. Within a class the numbers are SIP's where SIP has the condition.
///
/// A number says less than a token: several tokens share one. So both are sent, and the token decides where it can be read.
public enum ReasonCode {
    /// The number for a reason; of one that is not registered, that of its category.
    public static func code(for reason: Reason) -> Int64 {
        if let row = table.first(where: { $0.token == reason.token }) { return row.code }
        return switch reason.category {
        case "policy": 403
        case "identity": 604
        case "media": 488
        case "user": 603
        case "endpoint": 503
        case "gateway": 502
        case "mailbox": 507
        case "transport": 503
        default: 500
        }
    }

    /// What a number is taken for when no token can be read beside it; nil outside 400…699.
    public static func reason(for code: Int64) -> Reason? {
        if let row = table.first(where: { $0.code == code }) { return Reason(row.token) }
        return switch code {
        case 400..<500: .sessionFailed
        case 500..<600: .endpointUnavailable
        case 600..<700: .policyBlocked
        default: nil
        }
    }

    /// `policy:reputation-too-low`, as the proposal writes reasons; `hangup` and its like go without a category.
    public static func text(_ reason: Reason) -> String {
        if let word = words.first(where: { $0.token == reason.token }) { return word.text }
        return reason.token.split(separator: ".").joined(separator: ":")
    }

    /// - Returns: nil for what is no reason.
    public static func reason(_ text: String) -> Reason? {
        if let word = words.first(where: { $0.text == text }) { return Reason(word.token) }
        guard let colon = text.firstIndex(of: ":") else { return Reason(text) }
        return Reason("\(text[..<colon]).\(text[text.index(after: colon)...])")
    }

    private static let words: [(text: String, token: String)] = [
        ("hangup", "user.hangup"), ("cancelled", "user.cancelled"), ("busy", "endpoint.busy"),
        ("declined", "user.declined"), ("timeout", "session.timeout"), ("failed", "session.failed"),
    ]

    /// The first row of a number is what the number means by itself.
    static let table: [(code: Int64, token: String)] = [
        (400, "session.failed"),
        (401, "transport.hello-required"), (401, "transport.hello-rejected"),
        (402, "policy.payment-required"),
        (403, "policy.trust-insufficient"), (403, "policy.reputation-too-low"), (403, "policy.terminated"),
        (403, "policy.recording-declined"), (403, "transport.routing-refused"),
        (403, "policy.subscription-lifetime"),
        (404, "transport.unknown-recipient"), (404, "mailbox.unknown-group"),
        (408, "session.timeout"), (408, "session.expired"),
        (409, "session.invalid-state"), (409, "mailbox.commit-conflict"), (409, "mailbox.stale-epoch"),
        (409, "mailbox.cursor-invalid"),
        (413, "transport.envelope-too-large"), (413, "mailbox.object-too-large"),
        (415, "session.unsupported-wire-format"), (415, "mailbox.unsupported-class"),
        (415, "mailbox.unsupported-mode"),
        (420, "session.unsupported-critical-extension"), (420, "session.unsupported-profile-version"),
        (426, "session.unsupported-core-version"),
        (428, "policy.first-contact-required"),
        (429, "transport.rate-limited"), (429, "policy.rate-limited"),
        (438, "session.version-downgrade-detected"), (438, "mailbox.blob-mismatch"),
        (481, "session.unknown-session"),
        (487, "user.cancelled"), (487, "user.hangup"), (487, "session.cancelled"),
        (487, "session.answered-elsewhere"), (487, "session.already-answered"),
        (488, "media.unsupported"), (488, "media.offer-required"), (488, "media.failed"),
        (491, "session.glare"), (491, "session.update-pending"),
        (493, "media.encryption-required"),
        (501, "endpoint.capability"),
        (502, "gateway.unreachable"), (502, "gateway.downgraded"), (502, "gateway.mapped"),
        (503, "endpoint.unavailable"), (503, "mailbox.hub-unreachable"),
        (504, "transport.no-response"), (504, "user.no-answer"),
        (507, "mailbox.quota-exceeded"), (507, "mailbox.no-key-packages"),
        (586, "endpoint.busy"),
        (603, "user.declined"),
        (604, "identity.unknown"), (604, "identity.not-in-service"), (604, "identity.moved"),
        (604, "identity.suspended"),
        (607, "user.blocked"),
        (608, "policy.blocked"),
    ]
}
