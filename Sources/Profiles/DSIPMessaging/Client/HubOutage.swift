import DSIPSignaling
import Encoding

/// A device's outbox for one group: what is deposited, what waits while the hub cannot be reached, and when the device gives the
/// hub up for dead and makes a successor group. M§9.4
///
/// Items are deposited again as the same bytes, never encrypted anew (M§9.3). Pending items, the start of the outage and the count
/// of attempts are durable; after a restart the first retry is due at once.
public struct HubOutage: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        case up
        case down
        /// The successor takes over; the dead group takes no more content.
        case abandoned
    }

    public enum Action: Hashable, Sendable {
        /// Deposit it, or deposit it again.
        case deposit(ULID)
        /// It waits behind others.
        case queued(ULID)
        /// The hub has it.
        case sent(ULID)
        /// The hub will not have it, for a reason of its own; the item leaves the outbox.
        case refused(ULID, Reason)
        /// The head is deposited again after so many seconds; an owner adds jitter.
        case retry(after: Int64)
        /// Create the successor group and encrypt these for it, in order. M§7.5
        case createSuccessor(pending: [ULID])
        /// The hand-over failed; it is tried again after so many seconds.
        case retryHandover(after: Int64)
        /// Try the hand-over again now.
        case handOver
        /// The group is abandoned: send in the successor.
        case refuseDeposit(ULID)
    }

    public let timeout: Int64
    public private(set) var state: State = .up
    public private(set) var pending: [ULID] = []
    /// Failures of the current outage.
    public private(set) var attempt = 0
    public private(set) var downSince: Int64?
    public private(set) var handoverAttempt = 0
    private var retryAt: Int64?
    private var handoverAt: Int64?

    /// - Parameter timeout: seconds from the start of an outage until the hub is given up; the client's own.
    public init(timeout: Int64 = MessagingProfile.hubTimeout) { self.timeout = timeout }

    /// An outbox read from disk: whatever was under way is due at once.
    public init(
        timeout: Int64,
        pending: [ULID],
        downSince: Int64?,
        attempt: Int,
        isAbandoned: Bool = false,
        at now: Int64
    ) {
        self.timeout = timeout
        self.pending = pending
        self.attempt = attempt
        self.downSince = downSince ?? (pending.isEmpty ? nil : now)
        state = isAbandoned ? .abandoned : self.downSince == nil ? .up : .down
        if state == .down { retryAt = now }
        if state == .abandoned { handoverAt = now }
    }

    /// When to call ``advance(to:)``.
    public var deadline: Int64? {
        switch state {
        case .up: nil
        // With nothing to deposit there is nothing to find out, and no reason to give a hub up.
        case .down where pending.isEmpty: nil
        case .down: [retryAt, downSince.map { $0 &+ timeout }].compactMap(\.self).min()
        case .abandoned: handoverAt
        }
    }

    /// The person sends something: it has been encrypted, and has this id.
    public mutating func deposit(_ id: ULID, at now: Int64) -> [Action] {
        switch state {
        case .abandoned: return [.refuseDeposit(id)]
        case .up:
            pending.append(id)
            return [.deposit(id)]
        case .down:
            pending.append(id)
            // Everything before it may have left the outbox by refusals; then nothing else would wake the hub.
            if pending.count == 1 { (retryAt, downSince) = (retryAt ?? now, now) }
            return [.queued(id)]
        }
    }

    /// The hub's `accepted`.
    public mutating func receivedAccepted(_ id: ULID) -> [Action] {
        guard let index = pending.firstIndex(of: id) else { return [] }
        pending.remove(at: index)
        guard state == .down else { return [.sent(id)] }
        state = .up
        (attempt, downSince, retryAt) = (0, nil, nil)
        return [.sent(id)] + pending.map(Action.deposit)
    }

    /// An `error` from the hub, or from the mailbox that could not reach it.
    public mutating func receivedRefusal(_ id: ULID, _ reason: Reason, at now: Int64) -> [Action] {
        // M§9.3: a hub that cannot store is not ordering, so its full disk is an outage like any other.
        if reason == .mailboxHubUnreachable || reason == .mailboxQuotaExceeded { return missedAnswer(id, at: now) }
        guard let index = pending.firstIndex(of: id) else { return [] }
        pending.remove(at: index)
        if state == .down, index == 0, retryAt == nil, !pending.isEmpty { retryAt = now }
        return [.refused(id, reason)]
    }

    /// The deposit was not answered at all.
    public mutating func missedAnswer(_ id: ULID, at now: Int64) -> [Action] {
        guard let index = pending.firstIndex(of: id) else { return [] }
        if state == .up {
            state = .down
            downSince = now
        } else if index > 0 || retryAt != nil {
            // Only the head is retried; what was in flight beside it says nothing new.
            return []
        }
        attempt += 1
        let delay = MessagingProfile.backoff(attempt: attempt)
        retryAt = now &+ delay
        return [.retry(after: delay)]
    }

    public mutating func advance(to now: Int64) -> [Action] {
        switch state {
        case .up: return []
        case .down where pending.isEmpty: return []
        case .down:
            if let downSince, now - downSince >= timeout {
                state = .abandoned
                retryAt = nil
                defer { pending = [] }
                return [.createSuccessor(pending: pending)]
            }
            guard let retryAt, retryAt <= now, let head = pending.first else { return [] }
            self.retryAt = nil
            return [.deposit(head)]
        case .abandoned:
            guard let handoverAt, handoverAt <= now else { return [] }
            self.handoverAt = nil
            return [.handOver]
        }
    }

    /// The successor could not be created, or not every item moved into it.
    public mutating func failedHandover(at now: Int64) -> [Action] {
        guard state == .abandoned else { return [] }
        handoverAttempt += 1
        let delay = MessagingProfile.backoff(attempt: handoverAttempt)
        handoverAt = now &+ delay
        return [.retryHandover(after: delay)]
    }
}
