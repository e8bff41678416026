import DSIPIdentity
import DSIPSignaling
import Encoding

public enum SubscriberEvent: Hashable, Sendable {
    /// Subscribe, or renew: a fresh subscription for the same authority, target and events replaces the one before.
    /// `expiresIn` in seconds; 0 ends it.
    case subscribe(id: ULID, to: DID, target: String, events: [String], expiresIn: Int64)
    /// A verified `notify`; `identity` is the one its signer acts for, `event` and `state` come from its body.
    case receivedNotify(
        subscription: ULID,
        from: DID,
        identity: DID,
        seq: Int64,
        isTerminal: Bool,
        reason: Reason?,
        event: String?,
        state: String?
    )
    /// A verified `reject` whose `session` is a subscription.
    case receivedReject(subscription: ULID, from: DID, identity: DID, reason: Reason)
}

public enum SubscriberAction: Hashable, Sendable {
    case sendSubscribe(id: ULID, to: DID, target: String, events: [String], expiresIn: Int64)
    case changed(subscription: ULID, event: String?, state: String?)
    case terminated(subscription: ULID, reason: Reason?)
    case rejected(subscription: ULID, reason: Reason)
    /// It was not renewed in time.
    case lapsed(subscription: ULID)
    case refused(Refusal)
    case drop(SubscriberDrop)
}

public enum SubscriberDrop: String, Hashable, Sendable {
    case staleSeq = "stale-seq"
    case terminatedSubscription = "terminated-subscription"
    case unknownSubscription = "unknown-subscription"
}

/// The subscriber's side of DSIP §9.3: soft state that lapses, notifies in order, an end that is final.
public struct Subscriber: Sendable {
    public enum State: String, Hashable, Sendable {
        case pending, active, rejected, terminated, lapsed, replaced
    }

    public struct Snapshot: Hashable, Sendable {
        public let id: ULID
        public let target: String
        public let state: State
        public let seq: Int64
    }

    private struct Entry: Sendable {
        let authority: DID
        let target: String
        let events: Set<String>
        var state = State.pending
        var seq: Int64 = 0
        /// The subscription this one renews, until the authority confirms it.
        var renews: ULID?
    }

    /// Subscriptions that are over are kept for this long, to tell their late notifies from unknown ones. Seconds.
    static let memorySeconds: Int64 = 86_400
    static let maximumEntries = 4_096

    private var entries: [ULID: Entry] = [:]
    private var deadlines = DeadlineQueue<ULID>()

    public init() {}

    /// Unix seconds at which `advance(to:)` has something to do.
    public var nextDeadline: Int64? { deadlines.next }

    /// In id order.
    public var subscriptions: [Snapshot] {
        entries.map { Snapshot(id: $0.key, target: $0.value.target, state: $0.value.state, seq: $0.value.seq) }
            .sorted { $0.id < $1.id }
    }

    public mutating func handle(_ event: SubscriberEvent, at now: Int64) -> [SubscriberAction] {
        switch event {
        case .subscribe(let id, let to, let target, let events, let expiresIn):
            subscribe(id, to: to, target: target, events: events, expiresIn: expiresIn, at: now)
        case .receivedNotify(let id, let from, let identity, let seq, let isTerminal, let reason, let event, let state):
            [
                receiveNotify(
                    id,
                    from: [from, identity],
                    seq: seq,
                    end: isTerminal ? .some(reason) : nil,
                    event: event,
                    state: state,
                    at: now
                )
            ]
        case .receivedReject(let id, let from, let identity, let reason):
            [receiveReject(id, from: [from, identity], reason: reason, at: now)]
        }
    }

    public mutating func advance(to now: Int64) -> [SubscriberAction] {
        var out: [SubscriberAction] = []
        while let id = deadlines.pop(at: now) {
            guard var entry = entries[id] else { continue }
            guard entry.state == .active || entry.state == .pending else {
                entries[id] = nil
                continue
            }
            entry.state = .lapsed
            keep(entry, id, at: now)
            out.append(.lapsed(subscription: id))
        }
        return out
    }

    private mutating func subscribe(
        _ id: ULID,
        to: DID,
        target: String,
        events: [String],
        expiresIn: Int64,
        at now: Int64
    ) -> [SubscriberAction] {
        guard entries[id] == nil else { return [.refused(.invalidState)] }
        guard entries.count < Subscriber.maximumEntries else { return [.refused(.tooMany)] }
        var entry = Entry(authority: to, target: target, events: Set(events))
        entry.renews =
            entries.first {
                $0.value.state == .active && $0.value.authority == to && $0.value.target == target
                    && $0.value.events == entry.events
            }?.key
        if expiresIn == 0 {
            if let ended = entry.renews, var previous = entries[ended] {
                previous.state = .terminated
                keep(previous, ended, at: now)
            }
        } else {
            entries[id] = entry
            deadlines.set(id, to: now + expiresIn)
        }
        return [.sendSubscribe(id: id, to: to, target: target, events: events, expiresIn: expiresIn)]
    }

    private mutating func receiveNotify(
        _ id: ULID,
        from senders: [DID],
        seq: Int64,
        end: Reason??,
        event: String?,
        state: String?,
        at now: Int64
    ) -> SubscriberAction {
        guard var entry = entries[id], senders.contains(entry.authority) else { return .drop(.unknownSubscription) }
        guard entry.state == .pending || entry.state == .active else { return .drop(.terminatedSubscription) }
        guard seq > entry.seq else { return .drop(.staleSeq) }
        entry.seq = seq
        if let reason = end {
            entry.state = .terminated
            keep(entry, id, at: now)
            return .terminated(subscription: id, reason: reason?.effective)
        }
        entry.state = .active
        if let renewed = entry.renews, var previous = entries[renewed], previous.state == .active {
            previous.state = .replaced
            keep(previous, renewed, at: now)
        }
        entry.renews = nil
        entries[id] = entry
        return .changed(subscription: id, event: event, state: state)
    }

    private mutating func receiveReject(
        _ id: ULID,
        from senders: [DID],
        reason: Reason,
        at now: Int64
    ) -> SubscriberAction {
        guard var entry = entries[id], senders.contains(entry.authority) else { return .drop(.unknownSubscription) }
        guard entry.state == .pending || entry.state == .active else { return .drop(.terminatedSubscription) }
        entry.state = .rejected
        keep(entry, id, at: now)
        return .rejected(subscription: id, reason: reason.effective)
    }

    private mutating func keep(_ entry: Entry, _ id: ULID, at now: Int64) {
        entries[id] = entry
        deadlines.set(id, to: now + Subscriber.memorySeconds)
    }
}
