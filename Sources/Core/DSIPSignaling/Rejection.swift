import DSIPIdentity
import Encoding

/// A refused envelope or payload: the rule that it broke, the token to answer with, and what could be read of it.
///
/// Equal by code and reason; `detail` is for logs and holds no peer data. The fields that were read are not verified unless `code`
/// comes after the signature stages, so they serve for addressing an `error`, never for trust.
public struct Rejection: Error, Hashable, Sendable, CustomStringConvertible {
    public var code: VerdictCode
    /// Sent back where the specification assigns a token to the condition (DSIP §15.4).
    public var reason: Reason?
    public var detail: String
    public var type: MessageType?
    public var id: ULID?
    public var session: ULID?
    public var from: DID?
    /// Unix seconds; tells a wrong clock from an old message.
    public var issuedAt: Int64?
    /// What a relay that kept the frame calls it, where it is an envelope around the message that was refused.
    public var keptAs: ULID?

    public init(
        _ code: VerdictCode,
        reason: Reason? = nil,
        _ detail: String,
        type: MessageType? = nil,
        id: ULID? = nil,
        session: ULID? = nil,
        from: DID? = nil,
        issuedAt: Int64? = nil
    ) {
        self.code = code
        self.reason = reason
        self.detail = detail
        self.type = type
        self.id = id
        self.session = session
        self.from = from
        self.issuedAt = issuedAt
    }

    public static func == (a: Rejection, b: Rejection) -> Bool { a.code == b.code && a.reason == b.reason }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(code)
        hasher.combine(reason)
    }

    public var description: String { "\(code.rawValue): \(detail)" }
}
