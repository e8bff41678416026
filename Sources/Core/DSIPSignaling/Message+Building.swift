import DSIPIdentity
import Encoding

extension Message {
    /// What every message of one sender at one moment shares. Time and identifier come from the caller.
    public struct Stamp: Hashable, Sendable {
        public var id: ULID
        public var from: DID
        /// Unix seconds.
        public var issuedAt: Int64
        public var expiresAt: Int64
        public var version: VersionBlock

        public init(
            id: ULID,
            from: DID,
            issuedAt: Int64,
            lifetime: Int64 = ProtocolLimits.inviteValidity,
            version: VersionBlock = .interactive
        ) {
            self.id = id
            self.from = from
            self.issuedAt = issuedAt
            self.expiresAt = issuedAt + lifetime
            self.version = version
        }
    }

    /// Any message; `to` and `session` as the type needs them.
    public init(_ stamp: Stamp, to: DID? = nil, session: ULID? = nil, _ body: some MessageBody) {
        self.init(
            version: stamp.version,
            id: stamp.id,
            from: stamp.from,
            to: to,
            session: session,
            issuedAt: stamp.issuedAt,
            expiresAt: stamp.expiresAt,
            body: body.body
        )
    }

    public static func invite(_ stamp: Stamp, to: DID, _ invite: Invite) -> Message { Message(stamp, to: to, invite) }

    /// - Parameter session: the id of the session, or of the introduction for a `Grant` or its `Reject`.
    public static func inSession(_ session: ULID, _ stamp: Stamp, to: DID, _ body: some MessageBody) -> Message {
        Message(stamp, to: to, session: session, body)
    }

    /// An `error`; session-scoped when `session` is given.
    public static func error(_ stamp: Stamp, to: DID, session: ULID? = nil, _ report: ErrorReport) -> Message {
        Message(stamp, to: to, session: session, report)
    }

    public static func hello(_ stamp: Stamp, _ hello: Hello) -> Message {
        var message = Message(stamp, hello)
        message.version = .core
        return message
    }
}
