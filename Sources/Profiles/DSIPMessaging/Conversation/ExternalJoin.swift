import DSIPIdentity

/// Whether an external commit may join a group; hub and members check alike. M§6.8
public enum ExternalJoin {
    /// - Parameters:
    ///   - owner: of a personal group.
    ///   - joiner: the leaf that the commit's update path installs.
    /// - Throws: `external-join-adds`, `external-join-not-member` or `external-join-removes-other`.
    public static func check(
        kind: ConversationKind,
        owner: DID?,
        members: Set<DID>,
        joiner: Leaf,
        adds: [Leaf],
        removes: [Leaf]
    ) throws(MessagingError) {
        guard adds.count == 1, adds[0].identity == joiner.identity, adds[0].device == joiner.device else {
            throw MessagingError(.externalJoinAdds, "the commit adds another device than the joiner's, or more")
        }
        guard members.contains(joiner.identity) || (kind.effective == .personal && owner == joiner.identity) else {
            throw MessagingError(.externalJoinNotMember, "the joiner's identity is not in the group")
        }
        // A stale leaf of the joiner's own device counts as the joiner's even when it no longer authenticates.
        guard removes.allSatisfy({ $0.identity == joiner.identity || $0.device == joiner.device }) else {
            throw MessagingError(.externalJoinRemovesOther, "the commit removes somebody else")
        }
    }

    /// Whether a removed device tells its mailbox that the identity has left: only when it was the last. M§5.7
    public static func hasLeft(_ identity: DID, remaining: Set<DID>) -> Bool { !remaining.contains(identity) }
}
