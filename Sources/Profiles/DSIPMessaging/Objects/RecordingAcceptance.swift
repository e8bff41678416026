import DSIPIdentity
import Encoding

/// That the user accepts a conversation being recorded, told to the user's own devices (Recording Profile C§5).
public struct RecordingAcceptance: Hashable, Sendable {
    /// The recorded conversation, not the personal group's own.
    public var conversation: ULID
    /// At least one, all different.
    public var recorders: [DID]
    /// Unix seconds.
    public var acceptedAt: Int64

    public init(conversation: ULID, recorders: [DID], acceptedAt: Int64) {
        self.conversation = conversation
        self.recorders = recorders
        self.acceptedAt = acceptedAt
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "recording-acceptance")
        try members.constant("object", "recording-acceptance")
        conversation = try members.required("conversation", Read.ulid)
        recorders = try members.required("recorders", Read.list(atLeast: 1, Read.did))
        guard Set(recorders).count == recorders.count else { throw Members.fault("recorders are not all different") }
        acceptedAt = try members.required("accepted_at", Read.natural)
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": "recording-acceptance", "conversation": .string(conversation.description),
            "recorders": .array(recorders.map { .string($0.string) }), "accepted_at": .int(acceptedAt),
        ]
    }
}
