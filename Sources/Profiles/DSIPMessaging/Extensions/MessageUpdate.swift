import DSIPIdentity
import Encoding

/// An edit or a retraction of content already said: the proposal's `dsip.msgUpdate` as an object of its own
/// (proposal 0.3 §8; `docs/messaging.md`).
///
/// An implementation that does not know it ignores the object, as M§8.1 asks, and goes on showing what was said first.
public struct MessageUpdate: Hashable, Sendable {
    public static let objectName = "dsip.msgUpdate"

    public enum Patch: Hashable, Sendable {
        /// The text stands in place of the old one; content of another kind changes nothing.
        case text(String)
        /// The content is gone; a placeholder stays in its place.
        case retraction
    }

    public var id: ULID
    public var conversation: ULID
    public var sender: DID
    public var sentAt: Int64
    /// The content that is changed: of this conversation, and by this sender.
    public var target: ULID
    public var patch: Patch

    public init(id: ULID, conversation: ULID, sender: DID, sentAt: Int64, for target: ULID, _ patch: Patch) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.sentAt = sentAt
        self.target = target
        self.patch = patch
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, Self.objectName)
        (id, conversation, sender, sentAt) = try members.head(Self.objectName)
        target = try members.required("for", Read.ulid)
        let patch = try members.required("patch")
        if patch["retracted"]?.bool == true {
            self.patch = .retraction
        } else if let text = patch["text"]?.string, !text.isEmpty {
            self.patch = .text(text)
        } else {
            throw MessagingError(.updateInvalid, "the patch neither edits nor retracts")
        }
        try members.finish()
    }

    public var json: JSONValue {
        let patch: JSONValue =
            switch patch {
            case .text(let text): ["text": .string(text)]
            case .retraction: ["retracted": true]
            }
        return [
            "object": .string(Self.objectName), "id": .string(id.description),
            "conversation": .string(conversation.description), "sender": .string(sender.string),
            "sent_at": .int(sentAt), "for": .string(target.description), "patch": patch,
        ]
    }
}
