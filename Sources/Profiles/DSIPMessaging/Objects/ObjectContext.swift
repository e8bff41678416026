import DSIPIdentity
import Encoding

/// Where an object was found: the group that carried it and the leaf that signed it.
public struct ObjectContext: Hashable, Sendable {
    /// The group's `dsip_conversation.conversation`.
    public var conversation: ULID
    public var kind: ConversationKind
    /// The identity of the MLS sender leaf, its delegation verified. M§6.2
    public var sender: DID

    public init(conversation: ULID, kind: ConversationKind, sender: DID) {
        self.conversation = conversation
        self.kind = kind
        self.sender = sender
    }

    var isPersonal: Bool { kind.effective == .personal }
}
