/// Bounds and times of a relay's routing.
public struct RouterConfiguration: Hashable, Sendable {
    /// Seconds an envelope is held at most, and for which an identity stays known after its last device left
    /// (`offline_retention_s`, DSIP §13.3).
    public var offlineRetentionSeconds: Int64 = 86_400
    /// Held envelopes for one recipient.
    public var maximumHeldPerRecipient = 256
    /// Held envelopes in total.
    public var maximumHeld = 100_000
    /// Held introductions for one recipient (DSIP §19.4).
    public var maximumIntroductionsPerRecipient = 16
    /// Held introductions in total, so that a flood of them leaves room for calls.
    public var maximumIntroductions = 25_000
    /// Attempts tracked at once; an invite beyond it is refused.
    public var maximumAttempts = 100_000
    /// Devices that share what is addressed to their identity; more of them are reached by their own DID alone.
    public var maximumDevicesPerIdentity = 64
    /// Identities and devices remembered after they left.
    public var maximumKnown = 1_000_000
    public var scope = ServiceScope.open
    /// Seconds after an invite's `expires_at` at which a leg that has said nothing expires; nil leaves expiry to
    /// `expireLeg`.
    public var silentLegGraceSeconds: Int64? = 2
    /// Deliver the invite again to a leg that binds again and has said nothing: its connection may have died with it.
    public var redeliversToSilentLegs = true
    /// Keep the invites that were never delivered as missed calls for the recipient's return (`delivery-report/1.0`).
    public var recordsMissedCalls = true
    /// Note which attempts change, for `takeAttemptChanges`.
    public var tracksAttemptChanges = false

    public init() {}

    /// What DSIP Core says and nothing of our own: no redelivery, no missed calls, legs expired from outside.
    public static var coreOnly: RouterConfiguration {
        var configuration = RouterConfiguration()
        configuration.silentLegGraceSeconds = nil
        configuration.redeliversToSilentLegs = false
        configuration.recordsMissedCalls = false
        return configuration
    }
}
