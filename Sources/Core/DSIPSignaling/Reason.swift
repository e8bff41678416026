/// A reason token, `category.condition` (DSIP §15.1). Any well-formed token can be held; what it means is looked up in the registry.
public struct Reason: Hashable, Sendable, CustomStringConvertible {
    public let token: String

    /// - Returns: nil unless `token` matches `^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$`.
    public init?(_ token: some StringProtocol) {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        func isName(_ part: some StringProtocol) -> Bool {
            guard let first = part.utf8.first, (0x61...0x7a).contains(first) else { return false }
            return part.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
        }
        guard token.utf8.count <= 128, parts.count == 2, parts.allSatisfy({ isName($0) }) else { return nil }
        self.token = String(token)
    }

    private init(registered token: StaticString) { self.token = token.description }

    public var category: Substring { token.prefix { $0 != "." } }
    public var description: String { token }
}

extension Reason {
    public static let userDeclined = Reason(registered: "user.declined")
    public static let userNoAnswer = Reason(registered: "user.no-answer")
    public static let userHangup = Reason(registered: "user.hangup")
    public static let userCancelled = Reason(registered: "user.cancelled")
    public static let userBlocked = Reason(registered: "user.blocked")
    public static let endpointBusy = Reason(registered: "endpoint.busy")
    public static let endpointUnavailable = Reason(registered: "endpoint.unavailable")
    public static let endpointCapability = Reason(registered: "endpoint.capability")
    public static let identityNotInService = Reason(registered: "identity.not-in-service")
    public static let identityMoved = Reason(registered: "identity.moved")
    public static let identitySuspended = Reason(registered: "identity.suspended")
    public static let identityUnknown = Reason(registered: "identity.unknown")
    public static let sessionExpired = Reason(registered: "session.expired")
    public static let sessionTimeout = Reason(registered: "session.timeout")
    public static let sessionGlare = Reason(registered: "session.glare")
    public static let sessionAnsweredElsewhere = Reason(registered: "session.answered-elsewhere")
    public static let sessionAlreadyAnswered = Reason(registered: "session.already-answered")
    public static let sessionCancelled = Reason(registered: "session.cancelled")
    public static let sessionInvalidState = Reason(registered: "session.invalid-state")
    public static let sessionUnknownSession = Reason(registered: "session.unknown-session")
    public static let sessionUpdatePending = Reason(registered: "session.update-pending")
    public static let sessionUnsupportedCoreVersion = Reason(registered: "session.unsupported-core-version")
    public static let sessionUnsupportedProfileVersion = Reason(registered: "session.unsupported-profile-version")
    public static let sessionUnsupportedCriticalExtension = Reason(registered: "session.unsupported-critical-extension")
    public static let sessionVersionDowngradeDetected = Reason(registered: "session.version-downgrade-detected")
    public static let sessionUnsupportedWireFormat = Reason(registered: "session.unsupported-wire-format")
    public static let sessionFailed = Reason(registered: "session.failed")
    public static let mediaUnsupported = Reason(registered: "media.unsupported")
    public static let mediaOfferRequired = Reason(registered: "media.offer-required")
    public static let mediaEncryptionRequired = Reason(registered: "media.encryption-required")
    public static let mediaFailed = Reason(registered: "media.failed")
    public static let policyTrustInsufficient = Reason(registered: "policy.trust-insufficient")
    public static let policyFirstContactRequired = Reason(registered: "policy.first-contact-required")
    public static let policyBlocked = Reason(registered: "policy.blocked")
    public static let policyTerminated = Reason(registered: "policy.terminated")
    public static let policyRecordingDeclined = Reason(registered: "policy.recording-declined")
    public static let policyRateLimited = Reason(registered: "policy.rate-limited")
    public static let policySubscriptionLifetime = Reason(registered: "policy.subscription-lifetime")
    public static let transportEnvelopeTooLarge = Reason(registered: "transport.envelope-too-large")
    public static let transportHelloRequired = Reason(registered: "transport.hello-required")
    public static let transportHelloRejected = Reason(registered: "transport.hello-rejected")
    public static let transportRoutingRefused = Reason(registered: "transport.routing-refused")
    public static let transportUnknownRecipient = Reason(registered: "transport.unknown-recipient")
    public static let transportRateLimited = Reason(registered: "transport.rate-limited")
    public static let transportNoResponse = Reason(registered: "transport.no-response")
    public static let gatewayUnreachable = Reason(registered: "gateway.unreachable")
    public static let gatewayDowngraded = Reason(registered: "gateway.downgraded")
    public static let gatewayMapped = Reason(registered: "gateway.mapped")
}
