/// What a receiver insists on beyond the specification's fixed rules, and where it stands.
public struct VerificationPolicy: Hashable, Sendable {
    public var supported: SupportedVersions
    /// ES256 MAY be implemented (DSIP §10.2); refused as `alg-unsupported` unless allowed here.
    public var allowES256: Bool
    /// A relay or mailbox: it forwards sealed bodies that it cannot open (DSIP §10.4, *Routing*).
    public var isRouter: Bool

    public init(supported: SupportedVersions = SupportedVersions(), allowES256: Bool = false, isRouter: Bool = false) {
        self.supported = supported
        self.allowES256 = allowES256
        self.isRouter = isRouter
    }
}

/// The numbers of DSIP §9.3, §12.9, §13.2 and §19.4 that verification applies.
public enum ProtocolLimits {
    /// Bytes of a text frame, a constant of `ws/1.0`.
    public static let frame = 65_536
    /// Seconds before and after now in which `issued_at` must lie; also the distance allowed between `id` and `issued_at`.
    public static let replayWindow: Int64 = 300
    /// Bytes of an encoded introduction.
    public static let introduction = 4_096
    /// Seconds from `issued_at` to `expires_at` of an introduction.
    public static let introductionValidity: Int64 = 604_800
    /// The same of a reachability hint.
    public static let hintValidity: Int64 = 3_600
    /// Seconds an invite is deliverable by default.
    public static let inviteValidity: Int64 = 30
    /// Longest subscription to presence, and to publications.
    public static let presenceSubscription: Int64 = 3_600
    public static let publicationSubscription: Int64 = 86_400
}
