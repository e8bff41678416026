import DSIPIdentity

/// How a person can be written to. Nobody has to know which it is.
public enum ConversationChoice: Hashable, Sendable {
    /// The profile's groups: both have a mailbox that speaks it.
    case mls
    /// Ratchet conversations: the peer has prekeys, and one of the two no such mailbox.
    case ratchet
    /// Neither: cannot be written to yet.
    case none

    /// - Parameters:
    ///   - own: the mailboxes of the identity that writes, usable ones.
    ///   - peer: those that are known of the peer (M§4.2); a hint counts like a document's entry.
    ///   - hasPreKeys: whether the peer's document or relay offers prekeys.
    public init(own: [MailboxService], peer: [MailboxService], hasPreKeys: Bool) {
        self = !own.isEmpty && !peer.isEmpty ? .mls : hasPreKeys ? .ratchet : .none
    }
}
