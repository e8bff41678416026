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
            let conversation = try? ConversationExtension(decoding: data)
        else { return try giveUpJoining(id) }
        let (roster, needs) = rosterAtEntry(of: group)
        if let needs {
            // Its document first; then the same welcome again.
            waitToJoin(id, item)
            awaitDocument(of: needs)
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

    // MARK: Waiting to join

    /// Scope of welcomes that wait for a document or a tree, by group.
    static var joinScope: String { "joins" }
    /// Items kept of a group whose welcome waits.
    static var maximumKept: Int { 4096 }

    private static func keptScope(_ id: GroupID) -> String { "joins/" + id.text }

    private mutating func waitToJoin(_ id: GroupID, _ item: StoredItem) {
        joining.insert(id)
        ledger.set(.held, Self.joinScope, id.text, item.json.utf8)
    }

    /// Keeps what a group says while its welcome waits.
    mutating func keepForJoin(_ item: StoredItem, in id: GroupID) throws(MessagingError) {
        guard let seq = item.seq, try ledger.rows(.held, Self.keptScope(id)).count < Self.maximumKept else { return }
        ledger.set(.held, Self.keptScope(id), OutboxItem.key(seq), item.json.utf8)
    }

    /// Tries the welcomes that wait once more.
    mutating func retryJoins() throws(MessagingError) {
        for row in try ledger.rows(.held, Self.joinScope) {
            guard let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }) else {
                ledger.set(.held, Self.joinScope, row.key, nil)
                continue
            }
            try joinAgain(by: item, tree: nil)
        }
    }

    mutating func joinAgain(by item: StoredItem, tree: [UInt8]?) throws(MessagingError) {
        guard item.itemClass == .welcome, let bytes = item.mls?.bytes,
            case .welcome(let welcome) = try? MLSMessage(decoding: bytes)
        else { return }
        for entry in welcome.secrets.prefix(65_536) {
            let key = Hex.encode(entry.newMember)
            guard try ledger.row(.keyPackage, "", key) != nil else { continue }
            try join(welcome, key, item, tree: tree)
            return
        }
    }

    private mutating func stopWaiting(_ id: GroupID) -> Bool {
        guard joining.remove(id) != nil else { return false }
        ledger.set(.held, Self.joinScope, id.text, nil)
        return true
    }

    /// The welcome cannot be used: the device takes its place by itself, as soon as there is a GroupInfo. M§6.8
    mutating func giveUpJoining(_ id: GroupID) throws(MessagingError) {
        if stopWaiting(id) { ledger.drop(.held, Self.keptScope(id)) }
        inbox.left(id)
        dirtyGroups.insert(id)
        noteAbsence()
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
        guard kind != .personal || others.isEmpty, roster.identities.contains(identity) else {
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
    private mutating func takePlace(
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
        let rivals = groups.values.filter {
            $0.thread == thread && $0.kind.effective == .direct && $0.phase != .left && $0.successorOf == nil
                && !$0.isLeaving
        }
        if let only = rivals.first, rivals.count == 1, only.generation < GroupState.firstGeneration {
            update(only.id) { group in
                group.generation = GroupState.firstGeneration
                group.retryAt = nil
            }
            try reorder(only.id)
        }
        guard rivals.count > 1 else { return }
        let candidates = rivals.map {
            DirectConversation.Candidate(conversation: $0.conversation, issuedAt: $0.createdAt)
        }
        let winner = DirectConversation.select(candidates).winner ?? candidates.map(\.conversation).min()
        for rival in rivals.sorted(by: { $0.id < $1.id }) {
            let generation = rival.conversation == winner ? GroupState.firstGeneration : GroupState.firstGeneration / 2
            guard rival.generation != generation else { continue }
            update(rival.id) { group in
                group.generation = generation
                // It is left once nothing of it can be on its way any more.
                if rival.conversation != winner { group.leaveAt = now + 604_800 }
            }
            try reorder(rival.id)
            // What was deposited is ordered where it was; what was not yet encrypted is said in the one that goes on.
            if rival.conversation != winner, rival.commitItem == nil { update(rival.id) { $0.changes = [] } }
        }
    }

    /// What waits for a group that is given up is encrypted for the one in which its thread goes on.
    mutating func moveOutbox(from id: GroupID) throws(MessagingError) {
        let configuration = configuration
        guard let group = groups[id] else { return }
        for item in outbox[group.thread] ?? [] where item.group == id {
            if item.purpose == .object { unencrypt(item) } else { removeFromOutbox(item.id, thread: item.thread) }
        }
        for (message, sent) in inFlight { if case .outbox(id, _) = sent.purpose { inFlight[message] = nil } }
        update(id) { group in
            group.outage = HubOutage(timeout: configuration.hubTimeout)
            group.commitItem = nil
            group.changes = []
        }
    }

    /// Stored lines of a group take their places anew.
    private mutating func reorder(_ id: GroupID) throws(MessagingError) {
        guard let group = groups[id] else { return }
        var after: Int64? = Int64.min
        while let from = after {
            let page = try ledger.messages(in: group.thread, after: from, limit: 500)
            for var line in page where line.group == id {
                guard let seq = line.seq else { continue }
                line.order = group.order(seq)
                ledger.set(line)
            }
            after = page.count < 500 ? nil : page.last?.order
        }
        touched.resets.insert(group.thread)
    }

    // MARK: By external commit

    /// The device cannot follow the group any more. M§6.5, M§6.8
    mutating func lose(_ id: GroupID) throws(MessagingError) {
        let now = now
        let configuration = configuration
        guard let group = groups[id], group.phase == .active else { return }
        for item in outbox[group.thread] ?? [] where item.group == id {
            // What was encrypted may have been ordered; its content id makes it one message whatever happens.
            if item.purpose == .object { unencrypt(item) } else { removeFromOutbox(item.id, thread: item.thread) }
        }
        for (message, sent) in inFlight { if case .outbox(id, _) = sent.purpose { inFlight[message] = nil } }
        update(id) { group in
            group.phase = .lost
            group.outage = HubOutage(timeout: configuration.hubTimeout)
            group.commitItem = nil
            group.passing = nil
            group.passUntil = nil
            group.retryAt = now
            group.rejoins = 0
        }
        try loseStalled(id)
        try noticed(.rejoining, in: id)
        askAll()
    }

    mutating func receivedGroupInfo(_ item: StoredItem) throws(MessagingError) {
        let now = now
        guard let id = item.group, item.mls != nil else { return }
        ledger.set(.groupInfo, "", id.text, item.json.utf8)
        guard groups[id]?.phase == .lost || groups[id] == nil else { return }
        if groups[id]?.commitItem == nil { update(id) { $0.retryAt = now } }
        try consideredGroupInfo(item, id)
    }

    /// Joins anew with the latest GroupInfo that the mailbox has.
    mutating func driveRejoin(_ id: GroupID) throws(MessagingError) {
        let now = now
        guard let group = groups[id], group.phase == .lost, group.commitItem == nil,
            group.retryAt.map({ $0 <= now }) ?? true, let primary, bound.contains(primary)
        else { return }
        if group.rejoins >= Self.maximumRejoins, try ledger.row(.roster, "", id.text) == nil, !group.isPersonal {
            // It was never in, and does not come in: until the next GroupInfo there is no such group.
            forgetGroup(id)
            ledger.set(.groupInfo, "", id.text, nil)
            return
        }
        update(id) { group in
            group.rejoins = min(group.rejoins + 1, Self.maximumRejoins)
            group.retryAt = now + MessagingProfile.backoff(attempt: group.rejoins)
        }
        guard let item = try groupInfoItem(id) else {
            askAll()
            return
        }
        try joinByCommit(id, item, tree: nil)
    }

    static var maximumRejoins: Int { 16 }

    private mutating func forgetGroup(_ id: GroupID) {
        groups[id] = nil
        inbox.left(id)
        dirtyGroups.insert(id)
    }

    func groupInfoItem(_ id: GroupID) throws(MessagingError) -> StoredItem? {
        try ledger.row(.groupInfo, "", id.text).flatMap { RowReader($0) }.flatMap { try? StoredItem($0.value) }
    }

    mutating func joinByCommit(_ id: GroupID, _ item: StoredItem, tree: [UInt8]?) throws(MessagingError) {
        let now = now
        guard let group = groups[id], group.phase == .lost, group.commitItem == nil, let bytes = item.mls?.bytes,
            case .groupInfo(let info) = try? MLSMessage(decoding: bytes)
        else { return }
        if tree == nil, let blob = item.blobs.first {
            fetchTree(blob, for: item)
            return
        }
        let joined: (group: MLS.Group, commit: MLSMessage)
        do {
            joined = try MLS.Group.joining(
                info,
                as: leafContents(),
                signer: try signerForMLS(),
                ratchetTree: tree.flatMap { try? UnverifiedRatchetTree(decoding: $0) },
                replacing: { [device] in DeviceCredentials.device($0.credential) == device },
                configuration: Self.groupConfiguration,
                validator: DeviceCredentials(),
                using: &random
            )
        } catch {
            return
        }
        let (roster, needs) = rosterAtEntry(of: joined.group)
        if let needs { return resolve(needs) }
        let identities = Set(roster.identities)
        // A direct conversation that its peer is not in yet is nobody's to join.
        if group.kind.effective == .direct, identities.count < 2, try ledger.row(.roster, "", id.text) == nil {
            return forgetGroup(id)
        }
        let isKnown = try ledger.row(.roster, "", id.text) != nil
        let hasSibling = roster.entries.contains { $0.identity == identity && $0.device != device }
        guard group.isPersonal ? identities.count == 1 : isKnown || hasSibling else {
            // M§6.8: the hub would refuse it, and a mailbox that sends such a GroupInfo is not believed.
            return forgetGroup(id)
        }
        var outgoing = OutboxItem(number: nextNumber(), id: newULID(), thread: group.thread, purpose: .externalCommit)
        outgoing.group = id
        outgoing.deposit = .handshake(.init(mls: EncodedBytes(joined.commit.encoded)))
        save(outgoing)
        ledger.set(.mls, "joining", id.text, joined.group.saved.bytes)
        ledger.set(.roster, "joining", id.text, roster.encoded)
        update(id) { $0.commitItem = outgoing.id }
        let actions = update(id) { $0.outage.deposit(outgoing.id, at: now) } ?? []
        try follow(actions, in: id)
    }

    /// The hub took the external commit.
    mutating func cameBack(to id: GroupID, _ seq: Int64) throws(MessagingError) {
        guard let saved = try ledger.row(.mls, "joining", id.text), let before = groups[id],
            let mls = try? MLS.Group(restoring: Secret(saved), validator: DeviceCredentials()),
            let data = mls.extensions[Self.conversationExtension],
            let context = try? ConversationExtension(decoding: data),
            let roster = try ledger.row(.roster, "joining", id.text).flatMap({ GroupRoster(decoding: $0) })
        else { return }
        dropJoined(id)
        inbox.rejoined(id, at: seq)
        ledger.drop(.held, id.text)
        set(mls, for: id)
        set(roster, for: id)
        update(id) { group in
            group.phase = .active
            group.joinedEpoch = mls.epoch
            group.hub = context.hub
            group.commitItem = nil
            group.retryAt = nil
            group.rejoins = 0
        }
        try learnMailboxes(from: mls, roster)
        try renewalPlanned(id, mls)
        try publishGroupInfo(of: id)
        if before.isPersonal {
            try enteredPersonal(id)
        } else {
            try takePlace(of: id, context, roster, creator: identity)
            try cleared(.rejoining, in: id)
        }
        try readSinceReturn(to: id, at: seq)
    }

    /// The state that an external commit led to is in use, or of no use.
    private mutating func dropJoined(_ id: GroupID) {
        ledger.set(.mls, "joining", id.text, nil)
        ledger.set(.roster, "joining", id.text, nil)
    }

    mutating func refusedExternalCommit(in id: GroupID, _ reason: Reason) throws(MessagingError) {
        guard let group = groups[id], let item = group.commitItem else { return }
        removeFromOutbox(item, thread: group.thread)
        dropJoined(id)
        update(id) { $0.commitItem = nil }
        // M§6.8: not the latest GroupInfo. Any other refusal: the identity is out of the group.
        if reason == .policyBlocked || reason == .mailboxUnknownGroup {
            if group.rejoins >= 8 { try close(id) }
        } else {
            askAll()
        }
    }

    /// Nothing more comes of this group.
    mutating func close(_ id: GroupID) throws(MessagingError) {
        guard let group = groups[id] else { return }
        try moveOutbox(from: id)
        inbox.left(id)
        update(id) { $0.phase = .left }
        guard current(group.thread) == nil, var record = try ledger.conversation(group.thread) else { return }
        record.notice = .closed
        show(record)
    }
}
