/// The registry `dsip-reason`: what a token means, where it is sent, and what an unknown one is taken for (DSIP §15).
public enum ReasonRegistry {
    public struct Entry: Hashable, Sendable {
        public let reason: Reason
        /// In words, for people.
        public let meaning: String
        public let validOn: Set<MessageType>
    }

    /// How a token was read (DSIP §15.1).
    public enum Fallback: String, Hashable, Sendable {
        /// Registered.
        case none
        /// An unregistered condition of a known category.
        case category
        /// Read as `session.failed`.
        case unknownCategory = "unknown-category"
    }

    public static let categories: Set<String> = [
        "user", "endpoint", "identity", "session", "media", "policy", "transport", "gateway", "mailbox",
    ]

    public static func entry(_ reason: Reason) -> Entry? { byToken[reason.token] }

    /// The reason to act on.
    public static func effective(_ reason: Reason) -> (reason: Reason, fallback: Fallback) {
        if byToken[reason.token] != nil { return (reason, .none) }
        return categories.contains(String(reason.category)) ? (reason, .category) : (.sessionFailed, .unknownCategory)
    }

    private static let byToken = Dictionary(uniqueKeysWithValues: entries.map { ($0.reason.token, $0) })

    private static func row(_ token: String, _ validOn: Set<MessageType>, _ meaning: String) -> Entry {
        guard let reason = Reason(token) else { preconditionFailure("not a reason token: \(token)") }
        return Entry(reason: reason, meaning: meaning, validOn: validOn)
    }

    /// DSIP §15.4, in its order.
    public static let entries: [Entry] = [
        row("user.declined", [.reject, .bye], "the person declined"),
        row("user.no-answer", [.reject], "nobody answered"),
        row("user.hangup", [.bye], "the other side hung up"),
        row("user.cancelled", [.cancel], "the caller gave up"),
        row("user.blocked", [.reject], "the person has blocked this identity"),
        row("endpoint.busy", [.reject], "busy with another session"),
        row("endpoint.unavailable", [.reject], "temporarily unavailable"),
        row("endpoint.capability", [.reject], "the device lacks a required capability"),
        row("identity.not-in-service", [.reject, .error], "the identity is no longer in service"),
        row("identity.moved", [.reject], "the identity has moved"),
        row("identity.suspended", [.reject], "the identity is suspended"),
        row("identity.unknown", [.reject, .error], "no such identity"),
        row("session.expired", [.reject], "the invite had expired"),
        row("session.timeout", [.cancel, .bye], "no response in time"),
        row("session.glare", [.reject, .cancel], "both sides called at once"),
        row("session.answered-elsewhere", [.cancel], "answered on another device"),
        row("session.already-answered", [.bye], "another device had answered already"),
        row("session.cancelled", [.bye], "the call had been cancelled"),
        row("session.invalid-state", [.error], "not possible in the state of the session"),
        row("session.unknown-session", [.error], "no such session"),
        row("session.update-pending", [.error], "an update is outstanding"),
        row("session.unsupported-core-version", [.reject, .error], "no core version in common"),
        row("session.unsupported-profile-version", [.reject, .error], "no profile version in common"),
        row("session.unsupported-critical-extension", [.reject, .error], "a critical extension is not supported"),
        row("session.version-downgrade-detected", [.error], "a version downgrade was attempted"),
        row("session.unsupported-wire-format", [.error], "the wire format is not supported"),
        row("session.failed", [.reject, .bye, .error], "the session failed"),
        row("media.unsupported", [.reject, .bye], "no media format in common"),
        row("media.offer-required", [.reject], "the offer of media is missing"),
        row("media.encryption-required", [.reject], "the media would not be encrypted"),
        row("media.failed", [.bye], "the media connection failed"),
        row("policy.trust-insufficient", [.reject], "the identity is not trusted enough"),
        row("policy.first-contact-required", [.reject], "an introduction is required first"),
        row("policy.blocked", [.reject, .cancel], "refused by policy"),
        row("policy.terminated", [.bye], "ended by policy"),
        row("policy.recording-declined", [.reject, .bye], "recording was declined"),
        row("policy.rate-limited", [.reject, .error], "too many requests"),
        row("policy.subscription-lifetime", [.error], "the subscription would last too long"),
        row("transport.envelope-too-large", [.error], "the message is too large"),
        row("transport.hello-required", [.error], "the connection is not identified yet"),
        row("transport.hello-rejected", [.error], "the connection could not be identified"),
        row("transport.routing-refused", [.error], "the relay declines to route this"),
        row("transport.unknown-recipient", [.error], "the relay does not know the recipient"),
        row("transport.rate-limited", [.error], "the relay's rate limit was reached"),
        row("transport.no-response", [.error], "no device responded"),
        row("gateway.unreachable", [.reject, .bye, .error], "the far side of the gateway was not reached"),
        row("gateway.downgraded", [.error], "trust was reduced at the gateway"),
        row("gateway.mapped", [.reject, .bye, .error], "a condition of another network"),
        row("mailbox.commit-conflict", [.error], "a commit for this epoch was already accepted"),
        row("mailbox.stale-epoch", [.error], "the epoch is too old"),
        row("mailbox.unknown-group", [.error], "no such group here"),
        row("mailbox.cursor-invalid", [.error], "the cursor is unknown"),
        row("mailbox.object-too-large", [.error], "the object is too large"),
        row("mailbox.quota-exceeded", [.error], "the mailbox is full"),
        row("mailbox.no-key-packages", [.error], "no key package is left"),
        row("mailbox.unsupported-class", [.error], "the deposit class is not supported"),
        row("mailbox.unsupported-mode", [.error], "the mailbox mode is not supported"),
        row("mailbox.blob-mismatch", [.error], "the upload differs from its authorization"),
        row("mailbox.hub-unreachable", [.error], "the hub of the group was not reached"),
    ]
}
