import DSIPIdentity
import Encoding

/// Asks those who said something to say it again: items of the group that this device could not open (`docs/messaging.md`).
///
/// Who said one of them says the same object once more, with the same content id, so that nobody sees it twice.
public struct ResendRequest: Hashable, Sendable {
    public static let objectName = "resend-request"
    /// Items of one request.
    public static let maximumItems = 64

    public var id: ULID
    public var conversation: ULID
    public var sender: DID
    public var sentAt: Int64
    public var group: GroupID
    /// 1 to 64 of the group's `seq`.
    public var seqs: [Int64]

    public init(id: ULID, conversation: ULID, sender: DID, sentAt: Int64, group: GroupID, seqs: [Int64]) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.sentAt = sentAt
        self.group = group
        self.seqs = seqs
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, Self.objectName)
        (id, conversation, sender, sentAt) = try members.head(Self.objectName)
        group = try members.required("group", Read.group)
        seqs = try members.required("seqs", Read.list(atLeast: 1, atMost: Self.maximumItems, Read.positive))
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": .string(Self.objectName), "id": .string(id.description),
            "conversation": .string(conversation.description), "sender": .string(sender.string),
            "sent_at": .int(sentAt), "group": .string(group.text), "seqs": .array(seqs.map { .int($0) }),
        ]
    }
}
