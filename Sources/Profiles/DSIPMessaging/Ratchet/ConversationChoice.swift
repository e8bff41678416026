/// How a person can be written to. Nobody has to know which it is.
public enum ConversationChoice: Hashable, Sendable {
    /// The profile's groups: the peer has a mailbox that speaks it.
    case mls
    /// Ratchet conversations: the peer has prekeys and no such mailbox.
    case ratchet
    /// Neither: cannot be written to yet.
    case none

    /// - Parameters:
    ///   - mailbox: what is known of the peer's mailboxes (M§4.2); a hint counts like a document's entry.
    ///   - hasPreKeys: whether the peer's relay offers prekeys (`prekeys` among its capabilities).
    public init(mailbox: MailboxSelection, hasPreKeys: Bool) {
        self = !mailbox.order.isEmpty ? .mls : hasPreKeys ? .ratchet : .none
    }
}
