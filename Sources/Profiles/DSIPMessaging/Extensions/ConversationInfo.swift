import DSIPIdentity
import Encoding

/// What a conversation is called, as a member says it; the one with the highest `seq` stands (`docs/messaging.md`).
public struct ConversationInfo: Hashable, Sendable {
    public static let objectName = "conversation-info"
    /// Unicode scalars.
    public static let longestTitle = 256

    public var id: ULID
    public var conversation: ULID
    public var sender: DID
    public var sentAt: Int64
    /// Empty for none.
    public var title: String

    public init(id: ULID, conversation: ULID, sender: DID, sentAt: Int64, title: String) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.sentAt = sentAt
        self.title = title
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, Self.objectName)
        (id, conversation, sender, sentAt) = try members.head(Self.objectName)
        title = try members.required("title") { (value, name) throws(MessagingError) in
            try Read.string(value, name) { $0.unicodeScalars.count <= Self.longestTitle }
        }
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": .string(Self.objectName), "id": .string(id.description),
            "conversation": .string(conversation.description), "sender": .string(sender.string),
            "sent_at": .int(sentAt), "title": .string(title),
        ]
    }
}
