import DSIPIdentity
import Encoding

/// That an identity has, has read or has played something. M§10
public struct Receipt: Hashable, Sendable {
    public enum Statement: Hashable, Sendable {
        /// Some device of the identity has decrypted and stored these. M§10.2
        case delivered([ULID])
        /// Everything up to and including this content has been read. M§10.3
        case read(through: ULID)
        /// M§10.4
        case played([ULID])
        /// A kind nobody here knows; it is ignored.
        case unknown(String)

        public var kind: String {
            switch self {
            case .delivered: "delivered"
            case .read: "read"
            case .played: "played"
            case .unknown(let token): token
            }
        }
    }

    /// Targets of one receipt; more are split over several. M§10.2
    public static let maximumTargets = 256

    public var id: ULID
    /// Of a `read` in the personal group: the conversation that was read. M§10.5
    public var conversation: ULID
    public var sender: DID
    public var sentAt: Int64
    public var statement: Statement

    public init(id: ULID, conversation: ULID, sender: DID, sentAt: Int64, _ statement: Statement) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.sentAt = sentAt
        self.statement = statement
    }

    public var json: JSONValue {
        var object: JSONObject = [
            "object": "receipt", "id": .string(id.description), "conversation": .string(conversation.description),
            "sender": .string(sender.string), "sent_at": .int(sentAt), "kind": .string(statement.kind),
        ]
        switch statement {
        case .delivered(let targets), .played(let targets):
            object["targets"] = .array(targets.map { .string($0.description) })
        case .read(let through): object["through"] = .string(through.description)
        case .unknown: break
        }
        return .object(object)
    }
}

/// A receipt of the right shape, whose kind and members are not matched yet.
struct ReceiptDraft {
    let id: ULID
    let conversation: ULID
    let sender: DID
    let sentAt: Int64
    let kind: String
    let targets: [ULID]?
    let through: ULID?

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "receipt")
        (id, conversation, sender, sentAt) = try members.head("receipt")
        kind = try members.required("kind", Read.token)
        targets = try members.optional(
            "targets",
            Read.list(atLeast: 1, atMost: Receipt.maximumTargets, Read.ulid)
        )
        through = try members.optional("through", Read.ulid)
        try members.finish()
    }

    func checked() throws(MessagingError) -> Receipt {
        let statement: Receipt.Statement
        switch (kind, targets, through) {
        case ("delivered", let targets?, nil): statement = .delivered(targets)
        case ("played", let targets?, nil): statement = .played(targets)
        case ("read", nil, let through?): statement = .read(through: through)
        case ("delivered", _, _), ("played", _, _), ("read", _, _):
            throw MessagingError(.receiptShape, "\(kind) does not carry what it is about")
        default: statement = .unknown(kind)
        }
        return Receipt(id: id, conversation: conversation, sender: sender, sentAt: sentAt, statement)
    }
}
