import DSIPIdentity
import Encoding

/// A conversation as one device keeps and shows it: one thread, through whatever groups it has run (M§7.2, M§7.5).
///
/// The personal group is none. Who is typing is not kept; ask ``Messenger/activity(in:)``.
public struct ConversationRecord: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        case direct, group
    }

    /// What stands in the way, for a person to read.
    public enum Notice: String, Hashable, Sendable {
        /// The hub does not answer; what was said waits. M§9.4
        case hubUnreachable = "hub-unreachable"
        /// This device lost its place in the group and is on its way back. M§6.8
        case rejoining
        /// Something could not be opened yet; it was asked for again.
        case waitingForKey = "waiting-for-key"
        /// The peer takes messages after an introduction only, and has been asked. M§14.2
        case inviteOnly = "invite-only"
        /// The group takes nothing more.
        case closed
    }

    /// `dsip_conversation.conversation`; of duplicates the one that goes on.
    public var id: ULID
    public var kind: Kind
    /// Of a group; nil for a direct conversation.
    public var title: String?
    /// The other identities; of a direct conversation one.
    public var members: [DID]
    /// Whether this identity is out of it: it left or was removed.
    public var isRemoved: Bool
    /// Messages of others behind the read watermark.
    public var unread: Int
    /// The latest by order.
    public var lastMessage: ULID?
    /// Unix seconds of the last thing that happened in it.
    public var lastActivity: Int64
    public var isMuted: Bool
    /// Seconds after which what is said in it disappears, for what this device says.
    public var disappearAfter: Int64?
    public var draft: String
    public var notice: Notice?
    /// Begun by a stranger: shown among requests until accepted.
    public var isRequest: Bool
    /// Of a request that is an introduction: what the stranger said.
    public var purpose: String?
    /// Order up to which the person has read.
    public var readOrder: Int64

    public init(
        id: ULID,
        kind: Kind,
        title: String? = nil,
        members: [DID],
        at now: Int64
    ) {
        self.id = id
        self.kind = kind
        self.title = title
        self.members = members
        isRemoved = false
        unread = 0
        lastActivity = now
        isMuted = false
        draft = ""
        isRequest = false
        readOrder = 0
    }

    /// The other person of a direct conversation.
    public var peer: DID? { kind == .direct ? members.first : nil }
}
