import DSIPIdentity
import Encoding

/// Asks the identity's other devices, in the personal group, for archive keys under which records lie that this device cannot open
/// (`docs/messaging.md`). Who has one says it again, as the profile's `archive-key`.
public struct ArchiveKeyRequest: Hashable, Sendable {
    public static let objectName = "archive-key-request"
    /// Keys of one request.
    public static let maximumKeys = 64

    public var id: ULID
    public var conversation: ULID
    public var sender: DID
    public var sentAt: Int64
    /// 1 to 64 of them.
    public var keys: [ULID]

    public init(id: ULID, conversation: ULID, sender: DID, sentAt: Int64, keys: [ULID]) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.sentAt = sentAt
        self.keys = keys
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, Self.objectName)
        (id, conversation, sender, sentAt) = try members.head(Self.objectName)
        keys = try members.required("keys", Read.list(atLeast: 1, atMost: Self.maximumKeys, Read.ulid))
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": .string(Self.objectName), "id": .string(id.description),
            "conversation": .string(conversation.description), "sender": .string(sender.string),
            "sent_at": .int(sentAt), "keys": .array(keys.map { .string($0.description) }),
        ]
    }
}
