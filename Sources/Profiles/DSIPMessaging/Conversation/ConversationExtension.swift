import DSIPIdentity
import Encoding

/// The GroupContext extension `dsip_conversation`: which conversation a group carries, and who orders it. M§6.3
public struct ConversationExtension: Hashable, Sendable {
    /// Private use until registered. M§17
    public static let extensionType: UInt16 = 0xf0d2

    /// Stable across successor groups.
    public var conversation: ULID
    public var kind: ConversationKind
    public var hub: HubReference
    public var successorOf: GroupID?

    public init(conversation: ULID, kind: ConversationKind, hub: HubReference, successorOf: GroupID? = nil) {
        self.conversation = conversation
        self.kind = kind
        self.hub = hub
        self.successorOf = successorOf
    }

    /// From the extension's data.
    ///
    /// - Throws: `payload-not-utf8`, `payload-not-json`, `payload-float` or `schema-invalid`.
    public init(decoding data: [UInt8]) throws(MessagingError) {
        let value = try Read.payload(data, limits: .init(bytes: 4096))
        guard !value.holdsNonInteger else { throw MessagingError(.payloadFloat, "a number is no integer") }
        try self.init(value)
    }

    public init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "dsip_conversation")
        conversation = try members.required("conversation", Read.ulid)
        kind = ConversationKind(checked: try members.required("kind", Read.token))
        hub = try members.required("hub", HubReference.read)
        successorOf = try members.nullable("successor_of", Read.group)
        try members.finish()
    }

    public var json: JSONValue {
        [
            "conversation": .string(conversation.description), "kind": .string(kind.token), "hub": hub.json,
            "successor_of": successorOf.map { .string($0.text) } ?? .null,
        ]
    }

    /// What a GroupContextExtensions commit does to a group: only the hub may change. M§7.4
    ///
    /// - Returns: the DID of the hub the group moves to; nil when it stays, be it at a new address.
    /// - Throws: `conversation-immutable`.
    public func update(to after: ConversationExtension) throws(MessagingError) -> DID? {
        guard after.conversation == conversation, after.kind == kind, after.successorOf == successorOf else {
            throw MessagingError(.conversationImmutable, "only the hub of a conversation may change")
        }
        return after.hub.did == hub.did ? nil : after.hub.did
    }
}
