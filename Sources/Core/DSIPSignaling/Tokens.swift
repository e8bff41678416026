/// Who or what answered (DSIP §14.3). Any well-formed token can be held; `effective` is what it is taken for.
public struct AnsweredBy: Hashable, Sendable, CustomStringConvertible {
    public let token: String

    init(checked token: String) { self.token = token }

    public static let user = AnsweredBy(checked: "user")
    public static let service = AnsweredBy(checked: "service")
    public static let screening = AnsweredBy(checked: "screening")
    public static let gateway = AnsweredBy(checked: "gateway")

    /// - Returns: nil unless `token` matches `^[a-z][a-z0-9-]*$`.
    public init?(_ token: String) {
        guard Array(token.utf8).withUnsafeBytes(Pattern.token) else { return nil }
        self.token = token
    }

    /// A registered value; an unknown one is rendered as `service`.
    public var effective: AnsweredBy {
        switch self {
        case .user, .service, .screening, .gateway: self
        default: .service
        }
    }

    public var description: String { token }
}

/// How far a leg has got (DSIP §12.10). Any well-formed token can be held; `effective` is what it is taken for.
public struct ProgressStatus: Hashable, Sendable, CustomStringConvertible {
    public let token: String

    init(checked token: String) { self.token = token }

    public static let trying = ProgressStatus(checked: "trying")
    public static let ringing = ProgressStatus(checked: "ringing")
    public static let queued = ProgressStatus(checked: "queued")
    public static let forwarded = ProgressStatus(checked: "forwarded")

    /// - Returns: nil unless `token` matches `^[a-z][a-z0-9-]*$`.
    public init?(_ token: String) {
        guard Array(token.utf8).withUnsafeBytes(Pattern.token) else { return nil }
        self.token = token
    }

    /// A registered value; an unknown one is `trying`.
    public var effective: ProgressStatus {
        switch self {
        case .trying, .ringing, .queued, .forwarded: self
        default: .trying
        }
    }

    public var description: String { token }
}
