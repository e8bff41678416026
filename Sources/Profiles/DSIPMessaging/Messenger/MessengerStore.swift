import DSIPIdentity
import Encoding

/// Where a ``Messenger`` keeps what must survive: plain rows that only the messenger reads, and the conversations and messages that
/// the owner shows.
///
/// `commit` is atomic and durable when it returns: all changes of one input event, or none. Rows of ``MessengerTable/isSecret`` hold
/// keys and are sealed at rest by the store. Reads see what was committed. The messenger is the only writer.
public protocol MessengerStore: Sendable {
    /// The value of one row, or nil.
    func row(_ table: MessengerTable, _ scope: String, _ key: String) throws(MessagingError) -> [UInt8]?
    /// All rows of a scope, ascending by key (as UTF-8).
    func rows(_ table: MessengerTable, _ scope: String) throws(MessagingError) -> [MessengerRow]

    func conversations() throws(MessagingError) -> [ConversationRecord]
    func conversation(_ id: ULID) throws(MessagingError) -> ConversationRecord?

    func message(_ id: ULID, in conversation: ULID) throws(MessagingError) -> MessageRecord?
    /// Messages of one conversation by ascending `(order, id)`: the last `limit` below `before`, or the first `limit` above `after`
    /// when that is given; both bounds are exclusive.
    func messages(
        in conversation: ULID,
        before: Int64?,
        after: Int64?,
        limit: Int
    ) throws(MessagingError) -> [MessageRecord]

    /// - Throws: `store-failed`; then nothing of it was written.
    func commit(_ changes: [MessengerChange]) throws(MessagingError)
}

/// One row that only the messenger reads.
public struct MessengerRow: Hashable, Sendable {
    public var key: String
    public var value: [UInt8]

    public init(key: String, value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// Kinds of rows. `scope` groups rows that are read together.
public enum MessengerTable: String, Hashable, Sendable, CaseIterable {
    /// Few small values by name.
    case setting
    /// One small row a group: where the device stands in it.
    case group
    /// `MLS.Group.saved`, one row a group.
    case mls
    /// Who is in a group.
    case roster
    /// What is to be sent to a group's hub; the scope is the group.
    case outbox
    /// What is to be said to a mailbox; the scope is the mailbox.
    case errand
    /// Items held until a gap fills or a document is known; the scope is the group.
    case held
    /// KeyPackages that were published, with their private keys.
    case keyPackage
    /// Archive keys. M§12.1
    case archiveKey
    /// Archive records whose key has not come; the scope is the key.
    case archive
    /// The latest GroupInfo of each group. M§6.8
    case groupInfo
    /// How far each identity has read; the scope is the conversation.
    case watermark
    /// What came before the content it is about; the scope is the conversation.
    case early
    /// What is known of other identities: mailboxes, documents, grants.
    case peer
    /// Content that is to disappear.
    case expiry
    /// Own application objects by group and `seq`, to answer `resend-request`; the scope is the group.
    case sent
    /// The past of conversations that a ratchet carries, for own devices that come later, while no mailbox keeps it; the scope is the
    /// peer.
    case history

    /// Whether the rows hold keys or plaintext, which a store seals at rest.
    public var isSecret: Bool {
        switch self {
        case .mls, .keyPackage, .archiveKey, .outbox, .early, .sent, .history: true
        case .setting, .group, .roster, .errand, .held, .archive, .groupInfo, .watermark, .peer, .expiry: false
        }
    }
}

/// One change of the store.
public enum MessengerChange: Hashable, Sendable {
    /// A nil value deletes the row.
    case row(MessengerTable, scope: String, key: String, [UInt8]?)
    /// All rows of a scope are gone.
    case scopeGone(MessengerTable, scope: String)
    case conversation(ConversationRecord)
    /// With all its messages.
    case conversationGone(ULID)
    case message(MessageRecord)
    case messageGone(ULID, in: ULID)
}
