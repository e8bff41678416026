import Encoding

/// Which of two direct conversations that began at once goes on. M§7.2
public enum DirectConversation {
    public struct Candidate: Hashable, Sendable {
        public var conversation: ULID
        /// Of the deposit that created it, Unix seconds.
        public var issuedAt: Int64

        public init(conversation: ULID, issuedAt: Int64) {
            self.conversation = conversation
            self.issuedAt = issuedAt
        }
    }

    /// The lowest id whose time agrees with its deposit; one that was backdated cannot win. DSIP §20.6
    ///
    /// - Returns: the winner, and the others in their order.
    public static func select(_ candidates: [Candidate]) -> (winner: ULID?, discarded: [ULID]) {
        let winner = candidates.filter {
            $0.conversation.isWithin(MessagingProfile.timeTolerance, of: $0.issuedAt)
        }.map(\.conversation).min()
        return (winner, candidates.map(\.conversation).filter { $0 != winner })
    }
}
