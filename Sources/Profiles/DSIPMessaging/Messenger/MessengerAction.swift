import DSIPIdentity
import DSIPSignaling
import Encoding

/// What the owner of a ``Messenger`` does next. Everything an action rests on is committed already.
public enum MessengerAction: Hashable, Sendable {
    /// Sign it by the device, with the delegation in the header, and send it over the connection to this mailbox. To a mailbox that
    /// is not the identity's own the owner opens a short connection. When no answer can come, call ``Messenger/missedAnswer(_:at:)``.
    case send(MailboxMessage, via: MailboxRoute)
    /// Seal (unless it is public) and upload; then ``Messenger/blobStored(_:_:at:)`` or ``Messenger/blobFailed(_:at:)``.
    case putBlob(BlobJob)
    /// Fetch, verify, open and keep; then ``Messenger/blobFetched(_:at:)`` or ``Messenger/blobMissing(_:in:tried:at:)``.
    case getBlob(BlobRequest)
    /// Look up the identity's document and mailboxes; then ``Messenger/resolved(_:_:at:)``, or ``Messenger/unresolved(_:at:)``.
    case resolve(DID)
    /// Sign a core `introduction` or `grant` for this identity (DSIP §19.4), then ``Messenger/signed(_:as:at:)``.
    case sign(ContactStatement)
    /// Give it to the ratchet under this id, which tells what becomes of it: ``Messenger/carried(_:at:)``, ``Messenger/carryFailed(_:at:)``.
    case carry(ULID, JSONValue, to: DID)
    /// For the identity's other devices alone, of a conversation that a ratchet carries; lost when it does not arrive.
    case copy(JSONValue, of: DID)
    /// That the person types, or no longer does, over the ratchet.
    case carryTyping(Bool, to: DID)
    /// The conversation is new or changed.
    case conversation(ULID)
    case conversationGone(ULID)
    /// A line is new or changed.
    case message(ULID, in: ULID)
    case messageGone(ULID, in: ULID)
    /// Much of it changed at once: read it again.
    case reset(ULID)
    /// This identity, which may be one’s own on another device, says that it moves, or after all does not; verify it. Said again at each start.
    case moved(MoveStatement, DID)
    /// Something that a person should know and nothing can be done about by the messenger.
    case failed(Failure)

    public enum Failure: Hashable, Sendable {
        /// A change of a group was not to be had.
        case change(conversation: ULID?, Reason)
        /// Nobody of the identity had the archive key: earlier history is lost to this device. M§12.3
        case historyUnreadable
    }
}

/// A mailbox service, and where it listens.
public struct MailboxRoute: Hashable, Sendable {
    public var mailbox: DID
    /// `wss`; nil for one that the owner is bound to by itself.
    public var uri: String?

    public init(mailbox: DID, uri: String? = nil) {
        self.mailbox = mailbox
        self.uri = uri
    }
}

/// Ciphertext to be stored in the identity's own mailbox. M§8.4
public struct BlobJob: Hashable, Sendable {
    public enum Source: Hashable, Sendable {
        /// The plaintext that was handed over with this message: seal it under this key and nonce.
        case attachment(message: ULID, conversation: ULID, key: [UInt8], nonce: [UInt8])
        /// Public group state, as it is. M§6.4
        case bytes([UInt8])
    }

    public var id: ULID
    public var mailbox: DID
    public var source: Source
}

/// Ciphertext that somebody has.
public struct BlobRequest: Hashable, Sendable {
    public var id: ULID
    /// The message whose attachment it is; nil for group state, whose bytes go to ``Messenger/blobFetched(_:bytes:at:)``.
    public var message: ULID?
    public var conversation: ULID?
    /// In the order in which to ask.
    public var sources: [String]
    public var reference: BlobReference
    /// 32 bytes; nil when it is not sealed.
    public var key: [UInt8]?
}

/// A core statement that only the owner can sign.
public enum ContactStatement: Hashable, Sendable {
    /// An introduction with this id and purpose.
    case introduction(ULID, to: DID, purpose: String?)
    /// A grant of `dsip.message` answering the introduction `session`.
    case grant(ULID, to: DID, session: ULID, validUntil: Int64)
}
