import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

extension Messenger {
    // MARK: By a welcome

    /// This device was added to a group.
    mutating func join(
        _ welcome: Welcome,
        _ reference: String,
        _ item: StoredItem,
        tree: [UInt8]? = nil
    ) throws(MessagingError) {
        guard let id = item.group, groups[id].map({ $0.phase == .left }) ?? true else { return }
        guard let row = try ledger.row(.keyPackage, "", reference).flatMap({ RowReader($0) }),
            let saved = row.bytes("bundle"), let bundle = try? KeyPackageBundle(restoring: Secret(saved))
        else { return try giveUpJoining(id) }
        if tree == nil, let blob = item.blobs.first {
            waitToJoin(id, item)
            fetchTree(blob, for: item)
            return
        }
        let ratchetTree = tree.flatMap { try? UnverifiedRatchetTree(decoding: $0) }
        guard
            let group = try? MLS.Group(
                joining: welcome,
                with: bundle,
                ratchetTree: ratchetTree,
                configuration: Self.groupConfiguration,
                validator: DeviceCredentials()
            ), group.id == id.bytes, let data = group.extensions[Self.conversationExtension],
            let conversation = try? ConversationExtension(decoding: data),
            groups[id].map({ $0.leftEpoch < group.epoch }) ?? true
        else { return try giveUpJoining(id) }
        let (roster, needs) = rosterAtEntry(of: group)
        guard needs.isEmpty else {
            // Their documents first; then the same welcome again.
            waitToJoin(id, item)
            for did in needs.sorted() { awaitDocument(of: did) }
            return
        }
        _ = try takeBundle(reference)
        // Whoever was there at the beginning knows when that was: after its KeyPackage, before the welcome lay here.
        let made = row.int("made") ?? 0
        let isFirst = group.epoch == 1 && made <= item.storedAt
        let claimed = conversation.conversation.seconds
        try enter(
            group,
            conversation,
            roster,
            id,
            at: item.seq,
            createdAt: isFirst ? min(max(claimed, made), item.storedAt) : claimed
        )
    }

    // MARK: In the group

    /// This device is in a group that others made, by a welcome.
    mutating func enter(
        _ mls: MLS.Group,
        _ context: ConversationExtension,
        _ roster: GroupRoster,
        _ id: GroupID,
        at seq: Int64?,
        createdAt: Int64
    ) throws(MessagingError) {
        let kind = context.kind.effective
        let others = roster.identities.filter { $0 != identity }
        // A personal group is of one, a direct conversation of two.
        guard kind == .group || others.isEmpty == (kind == .personal), roster.identities.contains(identity) else {
            return try giveUpJoining(id)
        }
        var group = GroupState(
            id,
            thread: try thread(for: context, others),
            conversation: context.conversation,
            kind: context.kind,
            hub: context.hub,
            phase: .active,
            outage: HubOutage(timeout: configuration.hubTimeout),
            at: createdAt
        )
        group.joinedEpoch = mls.epoch
        // Whoever brought it in has that, and archives it.
        _ = takePassed(of: id)
        groups[id] = group
        dirtyGroups.insert(id)
        set(mls, for: id)
        set(roster, for: id)
        try learnMailboxes(from: mls, roster)
        try renewalPlanned(id, mls)
        if kind == .personal {
            try enteredPersonal(id)
        } else {
            try takePlace(of: id, context, roster, creator: roster.entries.first { $0.index == 0 }?.identity)
        }
        try readKept(of: id, from: seq)
    }

    /// What came while the welcome waited, as if it came now.
    private mutating func readKept(of id: GroupID, from seq: Int64?) throws(MessagingError) {
        guard stopWaiting(id), let primary else { return }
        inbox.welcomed(to: id, at: seq)
        let cursors = inbox.cursors
        for row in try ledger.rows(.held, Self.keptScope(id)) {
            ledger.set(.held, Self.keptScope(id), row.key, nil)
            guard let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }) else { continue }
            try received(item, from: primary)
        }
        inbox.cursors = cursors
    }

    /// Shows a group that this device is in now, where its conversation is shown, and as one with what else is of that.
    mutating func takePlace(
        of id: GroupID,
        _ context: ConversationExtension,
        _ roster: GroupRoster,
        creator: DID?
    ) throws(MessagingError) {
        let others = roster.identities.filter { $0 != identity }
        // Who joins by itself learns only now whose conversation it is.
        let thread = try thread(for: context, others)
        let before = context.successorOf.flatMap { groups[$0] }
        update(id) { group in
            group.thread = thread
            group.successorOf = context.successorOf
            if let before { group.generation = min(before.generation + 1, 8000) }
        }
        guard let group = groups[id] else { return }
        try showJoined(group, others, creator: creator)
        if let predecessor = context.successorOf { try converge(id, successorOf: predecessor, roster) }
        if group.kind.effective == .direct { try convergeDirect(thread) }
        try openWaiting(for: context.conversation)
        try keepSiblings(of: id)
    }

    /// The conversation record that a group belongs to; made when there is none.
    private mutating func thread(for context: ConversationExtension, _ others: [DID]) throws(MessagingError) -> ULID {
        for known in groups.values where known.conversation == context.conversation {
            if try ledger.conversation(known.thread) != nil { return known.thread }
        }
        if context.kind.effective == .direct, let peer = others.first, let thread = directs[peer] { return thread }
        return context.conversation
    }

    private mutating func showJoined(_ group: GroupState, _ others: [DID], creator: DID?) throws(MessagingError) {
        if var record = try ledger.conversation(group.thread) {
            record.members = others
            record.isRemoved = false
            if record.notice == .rejoining || record.notice == .closed { record.notice = nil }
            show(record)
            if !record.isRequest { configure(group.id, .joined) }
            return
        }
        var record = ConversationRecord(
            id: group.thread,
            kind: group.kind.effective == .direct ? .direct : .group,
            members: others,
            at: now
        )
        // M§14.2: whoever is not known asks.
        let isByStranger = creator.map { $0 != identity && !contacts.contains($0) } ?? true
        let isAsked = try creator.map { did throws(MessagingError) in try peer(did).granted > now } ?? false
        record.isRequest = isByStranger && !isAsked
        if record.kind == .direct, let peer = others.first { directs[peer] = record.id }
        show(record)
        if !record.isRequest { configure(group.id, .joined) }
    }

    // MARK: Convergence

    /// Of several direct conversations with one person the lowest goes on; the others are read to their end. M§7.2
    mutating func convergeDirect(_ thread: ULID) throws(MessagingError) {
        let now = now
        var rivals = groups.values.filter {
            $0.thread == thread && $0.kind.effective == .direct && $0.phase != .left && $0.successorOf == nil
                && !$0.isLeaving
        }
        // One that the peer was never brought into gives way to one that they are in.
        var empty: [GroupState] = []
        for rival in rivals where rival.commitItem == nil {
            if try roster(of: rival.id).identities == [identity] { empty.append(rival) }
        }
        if empty.count < rivals.count {
            for rival in empty { try abandon(rival.id) }
            rivals.removeAll { rival in empty.contains { $0.id == rival.id } }
        }
        let present = generation(in: thread)
        if let only = rivals.first, rivals.count == 1, only.generation < present {
            update(only.id) { group in
                group.generation = present
                group.retryAt = nil
            }
        }
        guard rivals.count > 1 else { return }
        let candidates = rivals.map {
            DirectConversation.Candidate(conversation: $0.conversation, issuedAt: $0.createdAt)
        }
        let winner = DirectConversation.select(candidates).winner ?? candidates.map(\.conversation).min()
        for rival in rivals.sorted(by: { $0.id < $1.id }) {
            let generation = rival.conversation == winner ? present : present / 2
            guard rival.generation != generation else { continue }
            update(rival.id) { group in
                group.generation = generation
                // It is left once nothing of it can be on its way any more.
                if rival.conversation != winner { group.leaveAt = now + 604_800 }
            }
            // What was deposited is ordered where it was; what was not yet encrypted is said in the one that goes on.
            if rival.conversation != winner, rival.commitItem == nil { update(rival.id) { $0.changes = [] } }
        }
    }

    /// That of a direct conversation which goes on in a thread: it stands behind those that were left.
    func generation(in thread: ULID) -> Int64 {
        let parted = groups.values.filter { $0.thread == thread && ($0.phase == .left || $0.isLeaving) }
        return min(max(GroupState.firstGeneration, (parted.map(\.generation).max() ?? 0) + 1), 8000)
    }

    /// What waits for a group that is given up is encrypted for the one in which its thread goes on.
    mutating func moveOutbox(from id: GroupID) throws(MessagingError) {
        recall(id)
        update(id) { group in
            group.commitItem = nil
            group.changes = []
        }
    }
}
