import DSIPIdentity
import Encoding

/// The payload of an envelope, its shape checked (DSIP §10.3, §12.1).
///
/// A `Message` is what was said; who said it is known only of a `Verified<Message>`.
public struct Message: Hashable, Sendable {
    public enum Body: Hashable, Sendable {
        case invite(Invite)
        case progress(Progress)
        case answer(Answer)
        case reject(Reject)
        case cancel(Cancel)
        case update(Update)
        case info(Info)
        case bye(Bye)
        case introduction(Introduction)
        case grant(Grant)
        case publish(Publish)
        case subscribe(Subscribe)
        case notify(Notify)
        case unpublish(Unpublish)
        case provenance(Provenance)
        case keyRotation(KeyRotationStatement)
        case delegationRevocation(DelegationRevocationStatement)
        case error(ErrorReport)
        case hello(Hello)
        case reachabilityHint(ReachabilityHint)
    }

    public var version: VersionBlock
    public var id: ULID
    public var from: DID
    /// Nil for the types that are not addressed: `hello`, records and statements.
    public var to: DID?
    /// The invite's `id` in session messages, the introduction's in a `grant` and in its `reject`.
    public var session: ULID?
    /// Unix seconds.
    public var issuedAt: Int64
    public var expiresAt: Int64
    public var body: Body

    public var type: MessageType { body.type }

    public init(
        version: VersionBlock = .core,
        id: ULID,
        from: DID,
        to: DID? = nil,
        session: ULID? = nil,
        issuedAt: Int64,
        expiresAt: Int64,
        body: Body
    ) {
        self.version = version
        self.id = id
        self.from = from
        self.to = to
        self.session = session
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.body = body
    }

    /// The session that this message belongs to: an invite's own `id`, else `session`.
    public var sessionID: ULID? {
        if case .invite = body { id } else { session }
    }

    /// The body as one type, or nil when it is another.
    public func body<Content: MessageBody>(as _: Content.Type) -> Content? { Content(body) }
}

extension MessageType {
    /// Whether the type has a `to`.
    public var isAddressed: Bool {
        switch self {
        case .hello, .publish, .unpublish, .provenance, .keyRotation, .delegationRevocation, .reachabilityHint: false
        default: true
        }
    }

    enum SessionMember { case required, optional, absent }

    var sessionMember: SessionMember {
        switch self {
        case .progress, .answer, .reject, .cancel, .update, .info, .bye, .grant: .required
        case .error: .optional
        default: .absent
        }
    }
}
