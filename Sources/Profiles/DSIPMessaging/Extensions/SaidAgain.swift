import DSIPIdentity
import Encoding

/// What its sender said before and somebody could not open, said once more with the place that it had (`docs/messaging.md`).
public struct SaidAgain: Hashable, Sendable {
    public static let objectName = "said-again"

    public var id: ULID
    public var conversation: ULID
    public var sender: DID
    public var sentAt: Int64
    /// The group in which it was said, and its `seq` there.
    public var group: GroupID
    public var seq: Int64
    /// The object, of this sender.
    public var payload: JSONObject

    public init(
        id: ULID,
        conversation: ULID,
        sender: DID,
        sentAt: Int64,
        group: GroupID,
        seq: Int64,
        payload: JSONObject
    ) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.sentAt = sentAt
        self.group = group
        self.seq = seq
        self.payload = payload
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, Self.objectName)
        (id, conversation, sender, sentAt) = try members.head(Self.objectName)
        group = try members.required("group", Read.group)
        seq = try members.required("seq", Read.positive)
        guard let said = try members.required("payload").object, said["object"] != nil else {
            throw Members.fault("payload is no object of the profile")
        }
        payload = said
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": .string(Self.objectName), "id": .string(id.description),
            "conversation": .string(conversation.description), "sender": .string(sender.string),
            "sent_at": .int(sentAt), "group": .string(group.text), "seq": .int(seq), "payload": .object(payload),
        ]
    }
}
