import DSIPIdentity
import DSIPSignaling
import Encoding

/// Held envelopes by recipient, in arrival order, within bounds (DSIP §13.3, §19.4).
struct HoldingQueue: Sendable {
    /// Arrival order across all recipients.
    typealias Position = UInt64

    private struct Inbox: Sendable {
        /// Ascending; those removed out of order are gone from `rows` and skipped.
        var positions: [Position] = []
        var count = 0
        var introductions = 0
    }

    private var rows: [Position: Held] = [:]
    private var inboxes: [DID: Inbox] = [:]
    private var invites: [ULID: Position] = [:]
    private var deadlines = DeadlineQueue<Position>()
    private var next: Position = 0
    private(set) var introductionCount = 0

    var count: Int { rows.count }
    var nextDeadline: Int64? { deadlines.next }
    /// Envelopes held by recipient.
    var counts: [DID: Int] { inboxes.mapValues(\.count) }

    func count(for recipient: DID) -> Int { inboxes[recipient]?.count ?? 0 }
    func introductions(for recipient: DID) -> Int { inboxes[recipient]?.introductions ?? 0 }

    mutating func append(_ held: Held) {
        next += 1
        rows[next] = held
        inboxes[held.to, default: Inbox()].positions.append(next)
        inboxes[held.to]?.count += 1
        if held.type == .introduction {
            inboxes[held.to]?.introductions += 1
            introductionCount += 1
        }
        if held.type == .invite && !held.isMissed { invites[held.id] = next }
        deadlines.set(next, to: held.deadline)
    }

    /// The held invite of a session.
    func invite(_ session: ULID) -> Held? { invites[session].flatMap { rows[$0] } }

    mutating func removeInvite(_ session: ULID) -> Held? {
        guard let position = invites[session] else { return nil }
        return remove(position)
    }

    /// Searches one recipient's inbox, which is bounded.
    mutating func remove(_ parcel: any Parcel, for recipient: DID) -> Held? {
        inboxes[recipient]?.positions.last { rows[$0]?.parcel === parcel }.flatMap { remove($0) }
    }

    /// Takes all that `recipients` have and `admits` holds for, in the order it arrived.
    mutating func drain(_ recipients: [DID], where admits: (Held) -> Bool = { _ in true }) -> [Held] {
        var positions: [Position] = []
        for recipient in recipients { positions += inboxes[recipient]?.positions ?? [] }
        return positions.sorted().compactMap { rows[$0].map(admits) == true ? remove($0) : nil }
    }

    /// Takes all that is due, in recipient order and then in arrival order.
    mutating func expire(at now: Int64) -> [Held] {
        var due: [(Position, Held)] = []
        while let position = deadlines.pop(at: now) {
            if let held = remove(position) { due.append((position, held)) }
        }
        return due.sorted { ($0.1.to, $0.0) < ($1.1.to, $1.0) }.map(\.1)
    }

    private mutating func remove(_ position: Position) -> Held? {
        guard let held = rows.removeValue(forKey: position) else { return nil }
        deadlines.cancel(position)
        if held.type == .introduction { introductionCount -= 1 }
        if invites[held.id] == position { invites[held.id] = nil }
        guard var inbox = inboxes.removeValue(forKey: held.to) else { return held }
        inbox.count -= 1
        if held.type == .introduction { inbox.introductions -= 1 }
        guard inbox.count > 0 else { return held }
        if inbox.positions.count > 2 * inbox.count + 8 {
            inbox.positions.removeAll { rows[$0] == nil }
        }
        inboxes[held.to] = inbox
        return held
    }
}
