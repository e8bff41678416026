import DSIPIdentity
import Encoding

/// A line of a conversation as one device keeps and shows it: something said, a call, or a change of the roster.
public struct MessageRecord: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        case text, audio, video, image, file, contact, location, call, roster, unsupported
    }

    /// Of what this identity said, how far it came (M§9.2); of what others said, `received`.
    public enum State: String, Hashable, Sendable {
        case pending, accepted, delivered, read, played, failed, received
    }

    public struct Reply: Hashable, Sendable {
        public var id: ULID
        public var sender: DID?
        /// The first characters of what is answered; nil when it is not held.
        public var preview: String?
    }

    public struct Reaction: Hashable, Sendable {
        public var sender: DID
        public var emoji: String
        /// Its place; of several by one identity the highest stands.
        public var order: Int64
    }

    /// What another identity told about it, Unix seconds. M§10
    public struct Receipt: Hashable, Sendable {
        public var identity: DID
        public var deliveredAt: Int64?
        public var deliveredSeq: Int64?
        public var readAt: Int64?
        public var playedAt: Int64?
        public var playedSeq: Int64?
    }

    public struct Attachment: Hashable, Sendable {
        public enum State: String, Hashable, Sendable {
            case none, uploading, downloading, ready, failed
        }

        public var name: String?
        public var contentType: String
        /// Bytes of the plaintext while uploading, of the ciphertext afterwards.
        public var size: Int64
        public var duration: Int64?
        public var width: Int64?
        public var height: Int64?
        public var thumbnail: [UInt8]?
        /// 0 to 100, at most 64 of them.
        public var waveform: [UInt8]
        public var state: State
        /// Once the ciphertext has a place.
        public var reference: BlobReference?
        /// 32 bytes.
        public var key: [UInt8]
        /// 12 bytes, while uploading.
        public var nonce: [UInt8]?
        /// Other places where the ciphertext may be had. M§8.4
        public var sources: [String]
        /// Attempts at fetching that found nothing.
        public var attempts: Int
        /// When to try again, Unix seconds.
        public var retryAt: Int64?
    }

    public struct Call: Hashable, Sendable {
        public var session: ULID
        public var outcome: String
        public var direction: CallEvent.Direction
        /// Unix seconds.
        public var at: Int64
    }

    public struct Roster: Hashable, Sendable {
        /// Whose commit it was.
        public var by: DID
        public var added: [DID]
        public var removed: [DID]
        /// A device of an identity that was in it already came: by itself, or brought by its owner. M§6.8
        public var joinedDevice: Bool
        /// A new title, when that is what changed.
        public var title: String?
    }

    /// Of content its id; of other lines one made from what they tell, the same on every device.
    public var id: ULID
    /// The thread that shows it.
    public var conversation: ULID
    /// `conversation` of the object, when the thread is another's.
    public var group: GroupID?
    public var sender: DID
    public var isMine: Bool
    public var kind: Kind
    public var purpose: ContentPurpose
    public var text: String
    public var contentType: String
    /// Unix seconds; a claim.
    public var sentAt: Int64
    public var receivedAt: Int64
    public var seq: Int64?
    /// Ascending is the order of display; ties are broken by `id`. Below 2^53.
    public var order: Int64
    public var replyTo: Reply?
    public var isEdited = false
    public var isRetracted = false
    /// The `seq`-order of the edit that stands.
    public var editOrder: Int64 = 0
    public var mentions: [Mention] = []
    public var reactions: [Reaction] = []
    public var state: State
    /// Why it failed, for a person.
    public var stateSentence: String?
    public var receipts: [Receipt] = []
    public var attachment: Attachment?
    public var location: ContentBody.Location?
    public var contact: DID?
    public var session: ULID?
    public var call: Call?
    public var roster: Roster?
    /// Seconds it lives after it was read, or sent.
    public var disappearAfter: Int64?
    /// Unix seconds.
    public var expiresAt: Int64?

    init(
        id: ULID,
        conversation: ULID,
        sender: DID,
        isMine: Bool,
        kind: Kind,
        purpose: ContentPurpose = .message,
        text: String = "",
        contentType: String = "text/plain",
        sentAt: Int64,
        receivedAt: Int64,
        order: Int64,
        state: State
    ) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.isMine = isMine
        self.kind = kind
        self.purpose = purpose
        self.text = text
        self.contentType = contentType
        self.sentAt = sentAt
        self.receivedAt = receivedAt
        self.order = order
        self.state = state
    }

    /// Whether it counts as a message that somebody may read: no roster line, no call.
    public var isContent: Bool { kind != .call && kind != .roster }
}
