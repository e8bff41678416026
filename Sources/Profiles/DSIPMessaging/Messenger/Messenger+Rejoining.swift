import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

/// Groups that this device comes into, or back to, by itself. M§6.8
extension Messenger {
    // MARK: By external commit

    /// The device cannot follow the group any more. M§6.5, M§6.8
    mutating func lose(_ id: GroupID) throws(MessagingError) {
        let now = now
        guard let group = groups[id], group.phase == .active else { return }
        recall(id)
        update(id) { group in
            group.phase = .lost
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
        heardOfHub(by: item, in: id)
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
        lacking[id] = nil
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
        let context = joined.group.extensions[Self.conversationExtension]
            .flatMap { try? ConversationExtension(decoding: $0) }
        let (roster, needs) = rosterAtEntry(of: joined.group)
        guard needs.isEmpty else { return rejoinPutOff(id, for: needs) }
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
        update(id) { group in
            group.commitItem = outgoing.id
            // Where the group is by now, the one that was left behind learns here.
            if group.handover == nil, let context { group.hub = context.hub }
        }
        let actions = update(id) { $0.outage.deposit(outgoing.id, at: now) } ?? []
        try follow(actions, in: id)
    }

    /// Without these documents nobody can tell who is in the group: that is no try that failed.
    private mutating func rejoinPutOff(_ id: GroupID, for needs: Set<DID>) {
        let now = now
        lacking[id] = needs
        for did in needs.sorted() { resolve(did) }
        let due = needs.compactMap { resolving[$0] }.filter { $0 > now }.max() ?? now + Self.documentInterval
        update(id) { group in
            group.rejoins = max(0, group.rejoins - 1)
            group.retryAt = due
        }
    }

    /// A document was found: whoever lacked that one alone to come back tries now.
    mutating func retryRejoins(with did: DID) {
        let now = now
        for id in lacking.keys.sorted() where lacking[id]?.remove(did) != nil && lacking[id]?.isEmpty == true {
            lacking[id] = nil
            if groups[id]?.phase == .lost { update(id) { $0.retryAt = now } }
        }
    }

    /// Items before its coming that a device asks for in whose mailbox there was nothing of the group.
    private static var newcomerAsks: Int { 32 }

    /// The hub took the external commit.
    mutating func cameBack(to id: GroupID, _ seq: Int64) throws(MessagingError) {
        guard let saved = try ledger.row(.mls, "joining", id.text), let before = groups[id],
            let mls = try? MLS.Group(restoring: Secret(saved), validator: DeviceCredentials()),
            let data = mls.extensions[Self.conversationExtension],
            let context = try? ConversationExtension(decoding: data),
            let roster = try ledger.row(.roster, "joining", id.text).flatMap({ GroupRoster(decoding: $0) })
        else { return }
        dropJoined(id)
        let wasIn = try ledger.row(.roster, "", id.text) != nil
        let held = inbox.held(in: id)
        for held in held where held <= seq { try drop(held, of: id) }
        let behind = inbox.rejoined(id, at: seq)
        var missed = inbox.missed(in: id)
        if !wasIn {
            // A device that has just come asks for what was not in the mailbox yet: what was said before is its siblings' to tell.
            let last = max(held.last ?? 0, before.unopened.max() ?? 0)
            missed = last > 0 ? missed.filter { $0 > last } : missed.suffix(before.isPersonal ? 0 : Self.newcomerAsks)
        }
        for seq in missed { noteUnopened(seq, in: id) }
        set(mls, for: id)
        set(roster, for: id)
        update(id) { group in
            group.phase = .active
            if !wasIn { group.joinedEpoch = mls.epoch }
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
        for action in behind { try follow(action, in: id) }
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
            if group.rejoins >= 8 { try excluded(from: id, isIdentityOut: true) }
        } else {
            askAll()
        }
    }

    /// Nothing more comes of this group.
    mutating func close(_ id: GroupID) throws(MessagingError) {
        guard let group = groups[id] else { return }
        try moveOutbox(from: id)
        try leave(id)
        guard current(group.thread) == nil, var record = try ledger.conversation(group.thread) else { return }
        record.notice = .closed
        show(record)
    }
}
