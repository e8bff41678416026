import DSIPSignaling

/// One change to a group, from proposal to the hub's word, with its bounded retries. M§6.5
///
/// A commit is merged only when the hub has accepted it. Feed it the hub's answer, and after each `sync` whether the change is
/// still wanted.
public struct CommitAttempt: Hashable, Sendable {
    public enum State: String, Hashable, Sendable {
        /// Deposited, not answered.
        case pending
        /// Refused; reading what happened meanwhile.
        case syncing
        case merged, done, surfaced
    }

    public enum Action: Hashable, Sendable {
        /// Apply the pending commit.
        case merge
        /// Forget it.
        case discard
        /// Read the mailbox until the group has passed the epoch of the commit.
        case sync
        /// Make the commit anew in the group's present epoch, and deposit it.
        case repropose(attempt: Int)
        /// Somebody else did it.
        case done
        /// Tell the person.
        case surface(Reason)
    }

    /// Proposals for one change. M§6.5
    public static let maximumAttempts = 3

    public let maximum: Int
    public private(set) var state: State = .pending
    /// Proposals made, from 1.
    public private(set) var attempt = 1
    private var usedFallback = false
    /// The refusal that only a moved hub explains. M§7.4
    private var needsMove: Reason?

    /// The first proposal has been deposited.
    public init(maximumAttempts: Int = CommitAttempt.maximumAttempts) { maximum = max(1, maximumAttempts) }

    /// The hub's `accepted`.
    public mutating func receivedAccepted() -> [Action] {
        guard state == .pending else { return [] }
        state = .merged
        return [.merge]
    }

    /// The hub's `error`.
    public mutating func receivedRefusal(_ reason: Reason) -> [Action] {
        guard state == .pending else { return [] }
        guard attempt < maximum, mayRetry(reason) else {
            state = .surfaced
            return [.discard, .surface(reason)]
        }
        state = .syncing
        return [.discard, .sync]
    }

    private mutating func mayRetry(_ reason: Reason) -> Bool {
        switch reason {
        case .mailboxCommitConflict, .mailboxStaleEpoch: return true
        case .mailboxUnknownGroup:
            needsMove = reason
            return true
        default:
            // DSIP §15.3: a condition of `mailbox` that is not registered is met with a re-sync and one retry.
            let fallback = ReasonRegistry.effective(reason).fallback
            guard reason.category == "mailbox", fallback == .category, !usedFallback else { return false }
            usedFallback = true
            return true
        }
    }

    /// The mailbox has been read.
    ///
    /// - Parameters:
    ///   - stillNeeded: whether what happened meanwhile leaves anything to do.
    ///   - hubMoved: whether the group has another hub now.
    public mutating func synced(stillNeeded: Bool, hubMoved: Bool = false) -> [Action] {
        guard state == .syncing else { return [] }
        defer { needsMove = nil }
        guard stillNeeded else {
            state = .done
            return [.done]
        }
        if let needsMove, !hubMoved {
            state = .surfaced
            return [.surface(needsMove)]
        }
        state = .pending
        attempt += 1
        return [.repropose(attempt: attempt)]
    }
}
