import DSIPIdentity
import Encoding

/// What a device does with groups that succeed one whose hub is gone: it stays in the lowest valid one, and nowhere else. M§7.5
public struct SuccessorTracker: Hashable, Sendable {
    public enum Action: Hashable, Sendable {
        case join(GroupID)
        /// A lower one is in use: do not stay, send `mailbox-config` `left`.
        case decline(GroupID)
        /// A lower one appeared: stop using this, send `left`.
        case leave(GroupID)
        /// Not a successor at all: somebody's new conversation, under the rules of first contact. M§14
        case firstContact(GroupID)
        case create(successorOf: GroupID, roster: [DID])
        /// One exists; do not make another.
        case use(GroupID)
        /// This device was never in the predecessor.
        case refuse(GroupID)
    }

    /// Successors remembered of one predecessor; members are few, so more are an attack.
    public static let maximumCandidates = 64

    private var rosters: [GroupID: Set<DID>]
    public private(set) var successors: [GroupID: GroupID] = [:]
    public private(set) var candidates: [GroupID: [GroupID]] = [:]

    /// - Parameter rosters: of the groups this device is in, by identity, as last processed.
    public init(rosters: [GroupID: Set<DID>] = [:]) { self.rosters = rosters }

    /// The roster of a group changed, or the device is in one more group.
    public mutating func processed(_ group: GroupID, roster: Set<DID>) { rosters[group] = roster }

    /// Whether a group may succeed another: made by a member, adding no outsider.
    ///
    /// - Throws: `successor-invalid`.
    public static func check(
        predecessor: Set<DID>,
        creator: DID,
        roster: Set<DID>
    ) throws(MessagingError) {
        guard predecessor.contains(creator), roster.isSubset(of: predecessor) else {
            throw MessagingError(.successorInvalid, "made by, or for, somebody who was not in the predecessor")
        }
    }

    /// A welcome named the group a successor. `creator` is the identity of leaf 0.
    public mutating func receivedWelcome(
        _ group: GroupID,
        successorOf predecessor: GroupID,
        creator: DID,
        roster: Set<DID>
    ) -> [Action] {
        guard let before = rosters[predecessor],
            (try? Self.check(predecessor: before, creator: creator, roster: roster)) != nil
        else { return [.firstContact(group)] }
        if successors[predecessor] == group { return [.use(group)] }
        guard note(group, of: predecessor), let id = group.ulid else { return [.decline(group)] }
        let current = successors[predecessor]
        if let lowest = current?.ulid, lowest < id { return [.decline(group)] }
        successors[predecessor] = group
        rosters[group] = roster
        return (current.map { [.leave($0)] } ?? []) + [.join(group)]
    }

    /// The person, or the outbox, wants the dead group to go on.
    public func create(successorOf predecessor: GroupID) -> [Action] {
        guard let roster = rosters[predecessor] else { return [.refuse(predecessor)] }
        if let successor = successors[predecessor] { return [.use(successor)] }
        return [.create(successorOf: predecessor, roster: roster.sorted())]
    }

    /// This device made a successor.
    public mutating func created(_ group: GroupID, successorOf predecessor: GroupID) -> [Action] {
        guard let roster = rosters[predecessor], note(group, of: predecessor), let id = group.ulid else {
            return [.leave(group)]
        }
        let current = successors[predecessor]
        if let current, let lowest = current.ulid, lowest < id { return [.leave(group), .use(current)] }
        successors[predecessor] = group
        rosters[group] = roster
        return (current.map { [.leave($0)] } ?? []) + [.use(group)]
    }

    private mutating func note(_ group: GroupID, of predecessor: GroupID) -> Bool {
        var known = candidates[predecessor] ?? []
        if known.contains(group) { return true }
        guard known.count < Self.maximumCandidates else { return false }
        known.append(group)
        candidates[predecessor] = known
        return true
    }

    /// The lowest of several, as the decoded ULID; what does not decode cannot win.
    public static func select(_ candidates: [GroupID]) -> (winner: GroupID?, discarded: [GroupID]) {
        let winner = candidates.compactMap { group in group.ulid.map { (group, $0) } }.min { $0.1 < $1.1 }?.0
        return (winner, candidates.filter { $0 != winner })
    }
}
