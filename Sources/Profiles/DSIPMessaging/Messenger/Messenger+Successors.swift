import DSIPIdentity
import Encoding

extension Messenger {
    /// The hub is gone for good: the conversation goes on in a group of its own, hosted here. M§7.5, M§9.4
    mutating func succeed(_ id: GroupID) throws(MessagingError) {
        guard let group = groups[id] else { return }
        if let known = groups.values.first(where: { $0.successorOf == id && $0.phase != .left }) {
            try give(id, to: known.id)
            return
        }
        let roster = try roster(of: id).identities
        guard roster.contains(identity), !group.isPersonal || primary != group.hub.did else { return }
        let successor = GroupID(newULID())
        try found(
            successor,
            thread: group.thread,
            kind: group.kind,
            members: roster.filter { $0 != identity },
            conversation: group.conversation,
            successorOf: id
        )
        if group.isPersonal {
            personal = successor
            ledger.set(.setting, "", "personal", Array(successor.text.utf8))
            try resendArchiveKeys()
        }
        try give(id, to: successor)
    }

    /// The dead group takes no more; what it did not take is said in its successor.
    private mutating func give(_ id: GroupID, to successor: GroupID) throws(MessagingError) {
        try moveOutbox(from: id)
        try cleared(.hubUnreachable, in: successor)
    }

    /// A welcome named its group a successor of one this device is, or was, in. M§7.5
    mutating func converge(
        _ id: GroupID,
        successorOf predecessor: GroupID,
        _ roster: GroupRoster
    ) throws(MessagingError) {
        guard groups[predecessor] != nil else { return }
        var tracker = SuccessorTracker(rosters: [predecessor: Set(try self.roster(of: predecessor).identities)])
        for rival in groups.values where rival.successorOf == predecessor && rival.id != id && rival.phase != .left {
            _ = tracker.created(rival.id, successorOf: predecessor)
        }
        let creator = roster.entries.first { $0.index == 0 }?.identity ?? identity
        for action in tracker.receivedWelcome(
            id,
            successorOf: predecessor,
            creator: creator,
            roster: Set(roster.identities)
        ) {
            switch action {
            case .decline(let group), .leave(let group):
                try moveOutbox(from: group)
                try leave(group)
                configure(group, .left)
            case .firstContact(let group):
                // Somebody's new conversation that only calls itself a successor.
                update(group) { $0.generation = GroupState.firstGeneration / 4 }
            case .join, .use, .create, .refuse: break
            }
        }
        if groups[id]?.phase == .active {
            try moveOutbox(from: predecessor)
            try cleared(.hubUnreachable, in: id)
        }
    }
}
