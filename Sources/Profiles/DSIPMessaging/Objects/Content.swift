import DSIPIdentity
import Encoding

/// A message: what one person says to others. M§8.1
public struct Content: Hashable, Sendable {
    public var id: ULID
    public var conversation: ULID
    /// The identity, not the device.
    public var sender: DID
    /// Unix seconds; shown, but it never orders anything. M§8.5
    public var sentAt: Int64
    public var purpose: ContentPurpose
    public var body: ContentBody
    /// Content of the same conversation.
    public var replyTo: ULID?
    /// The invite that went unanswered, of a voicemail. M§13.2
    public var session: ULID?
    /// Members of ours: mentions, disappearance. Others pass them over.
    public var extensions: ContentExtensions

    /// Bytes of the emoji of a reaction. M§8.2
    public static let maximumReaction = 32

    public init(
        id: ULID,
        conversation: ULID,
        sender: DID,
        sentAt: Int64,
        purpose: ContentPurpose = .message,
        body: ContentBody,
        replyTo: ULID? = nil,
        session: ULID? = nil,
        extensions: ContentExtensions = ContentExtensions()
    ) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.sentAt = sentAt
        self.purpose = purpose
        self.body = body
        self.replyTo = replyTo
        self.session = session
        self.extensions = extensions
    }

    /// One that an identity cannot say twice: what is deduplicated by. M§8.5
    public var key: ContentKey { ContentKey(conversation: conversation, sender: sender, id: id) }

    /// Whether the emoji is a reaction's withdrawal.
    public var isReactionWithdrawn: Bool {
        if purpose == .reaction, case .text("", _) = body { true } else { false }
    }

    public var json: JSONValue {
        var object: JSONObject = [
            "object": "content", "id": .string(id.description), "conversation": .string(conversation.description),
            "sender": .string(sender.string), "sent_at": .int(sentAt),
        ]
        body.write(to: &object)
        object["purpose"] = .string(purpose.token)
        object["reply_to"] = replyTo.map { .string($0.description) } ?? .null
        if let session { object["session"] = .string(session.description) }
        extensions.write(to: &object)
        return .object(object)
    }
}

/// What makes two copies of content one. M§8.5
public struct ContentKey: Hashable, Sendable {
    public var conversation: ULID
    public var sender: DID
    public var id: ULID

    public init(conversation: ULID, sender: DID, id: ULID) {
        self.conversation = conversation
        self.sender = sender
        self.id = id
    }
}

/// Content of the right shape, its body not judged yet: the rules about a body come after those about who sent it and where.
struct ContentDraft {
    let id: ULID
    let conversation: ULID
    let sender: DID
    let sentAt: Int64
    let kind: ContentKind
    let purpose: ContentPurpose
    let replyTo: ULID?
    let session: ULID?
    let fields: ContentFields
    let extensions: ContentExtensions

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "content")
        (id, conversation, sender, sentAt) = try members.head("content")
        kind = ContentKind(checked: try members.required("kind", Read.token))
        purpose = ContentPurpose(checked: try members.required("purpose", Read.token))
        replyTo = try members.nullable("reply_to", Read.ulid)
        session = try members.optional("session", Read.ulid)
        fields = try ContentFields(&members)
        extensions = ContentExtensions(reading: value)
    }

    /// The content, its body checked. M§8.2, M§13.2
    func checked() throws(MessagingError) -> Content {
        guard let body = fields.body(of: kind) else {
            throw MessagingError(.contentBody, "a member that this kind carries is missing")
        }
        if purpose == .voicemail {
            guard session != nil, kind == .audio || kind == .video else {
                throw MessagingError(.contentBody, "a voicemail is a recording and names the call it answers")
            }
        }
        if purpose == .reaction {
            guard case .text(let emoji, _) = body, replyTo != nil, Self.isReaction(emoji) else {
                throw MessagingError(.reactionInvalid, "a reaction is one emoji, or nothing, to some content")
            }
        }
        return Content(
            id: id,
            conversation: conversation,
            sender: sender,
            sentAt: sentAt,
            purpose: purpose,
            body: body,
            replyTo: replyTo,
            session: session,
            extensions: extensions
        )
    }

    private static func isReaction(_ text: String) -> Bool {
        if text.isEmpty { return true }
        return text.utf8.count <= Content.maximumReaction && text.count == 1
            && text.unicodeScalars.contains { $0.properties.isEmoji }
    }
}
