import DSIPIdentity
import Encoding

/// That its sender is another identity from now on, or after all not, in a conversation of two (`docs/messaging.md`).
///
/// The statement is a credential of its own, by both identities; the messenger keeps the latest of each sender and hands it out, and
/// neither verifies it nor draws anything from it.
public struct MoveNotice: Hashable, Sendable {
    public static let objectName = "identity-move"
    /// Bytes of a statement.
    public static let maximumStatement = 8192

    public var id: ULID
    public var conversation: ULID
    public var sender: DID
    public var sentAt: Int64
    public var statement: MoveStatement

    public init(id: ULID, conversation: ULID, sender: DID, sentAt: Int64, statement: MoveStatement) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.sentAt = sentAt
        self.statement = statement
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, Self.objectName)
        (id, conversation, sender, sentAt) = try members.head(Self.objectName)
        statement = try members.required("statement") { (value, name) throws(MessagingError) in
            guard value.utf8.count <= Self.maximumStatement, let statement = MoveStatement(json: value) else {
                throw Members.fault("\(name) is no statement of a move")
            }
            return statement
        }
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": .string(Self.objectName), "id": .string(id.description),
            "conversation": .string(conversation.description), "sender": .string(sender.string),
            "sent_at": .int(sentAt), "statement": statement.json,
        ]
    }
}
