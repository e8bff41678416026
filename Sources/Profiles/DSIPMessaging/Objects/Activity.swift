import DSIPIdentity
import Encoding

/// "Typing…": said now, stored never. M§11
public struct Activity: Hashable, Sendable {
    public enum State: String, Hashable, Sendable {
        case active, stopped
    }

    public var conversation: ULID
    public var sender: DID
    public var kind: ActivityKind
    public var state: State

    public init(conversation: ULID, sender: DID, kind: ActivityKind, state: State) {
        self.conversation = conversation
        self.sender = sender
        self.kind = kind
        self.state = state
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "activity")
        try members.constant("object", "activity")
        conversation = try members.required("conversation", Read.ulid)
        sender = try members.required("sender", Read.did)
        kind = ActivityKind(checked: try members.required("activity", Read.token))
        guard let state = State(rawValue: try members.required("state", Read.string)) else {
            throw Members.fault("state is none of its values")
        }
        self.state = state
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": "activity", "conversation": .string(conversation.description), "sender": .string(sender.string),
            "activity": .string(kind.token), "state": .string(state.rawValue),
        ]
    }
}
