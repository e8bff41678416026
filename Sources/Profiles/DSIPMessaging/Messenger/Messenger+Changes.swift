import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

extension Messenger {
    mutating func plan(_ change: GroupChange, in id: GroupID) {
        update(id) { group in
            guard !group.changes.contains(change), group.changes.count < GroupState.maximumChanges else { return }
            group.changes.append(change)
        }
    }

    /// What a person asks for goes before what waits for others.
    mutating func hasten(_ id: GroupID) {
        update(id) { group in
            guard group.commitItem == nil, group.passing == nil, let last = group.changes.popLast() else { return }
            group.changes.insert(last, at: 0)
            group.retryAt = nil
        }
    }

    /// Who is not wanted any more is not brought in by what waits; what is under way is followed by taking them out.
    mutating func withhold(_ members: [DID], from id: GroupID) {
        update(id) { group in
            for index in group.changes.indices.dropFirst(group.commitItem == nil ? 0 : 1) {
                guard case .add(let list) = group.changes[index] else { continue }
                group.changes[index] = .add(list.filter { !members.contains($0) })
            }
        }
    }

    /// Makes the first change that is still wanted, when nothing stands in the way.
    mutating func drive(_ id: GroupID) throws(MessagingError) {
        guard let group = groups[id], group.phase == .active, group.commitItem == nil, group.passing == nil,
            group.stalledOn == nil, group.outage.state != .abandoned, group.retryAt.map({ $0 <= now }) ?? true
        else { return }
        update(id) { $0.retryAt = nil }
        while true {
            shorten(to: CommitSize.people, in: id)
            guard let change = groups[id]?.changes.first else { return }
            guard let mls = try mlsGroup(id), mls.status == .active else { return }
            guard let proposals = try proposals(for: change, in: id, mls) else { return }
            if case .leave = change {
                try proposeToLeave(id)
                finishChange(in: id)
                continue
            }
            let renews = change == .renew
            guard !proposals.isEmpty || renews || !mls.queuedProposals.isEmpty else {
                finishChange(in: id)
                continue
            }
            if try commit(proposals, renews: renews, in: id) { return }
        }
    }

    /// What is said in a direct conversation is for its peer: one that is not there, be it that adding it failed, is added again.
    mutating func keepPeer(in id: GroupID) throws(MessagingError) {
        let now = now
        guard let group = groups[id], group.kind.effective == .direct, outbox[group.thread] != nil,
            group.changes.isEmpty, group.commitItem == nil, current(group.thread)?.id == id,
            try roster(of: id).identities == [identity], let peer = try ledger.conversation(group.thread)?.peer
        else { return }
        plan(.add([peer]), in: id)
        update(id) { $0.retryAt = now + Self.peerInterval }
    }

    /// Seconds between two tries at bringing the peer of a direct conversation in.
    static var peerInterval: Int64 { 10 }

    mutating func finishChange(in id: GroupID) {
        let isAddition = groups[id]?.changes.first?.isAddition == true
        // Who came in later has not read what the group is called.
        if isAddition, let group = groups[id], group.titleOrder > 0,
            let title = (try? ledger.conversation(group.thread))??.title
        {
            try? tellTitle(title, in: group.thread)
        }
        update(id) { group in
            if !group.changes.isEmpty { group.changes.removeFirst() }
            group.attempts = 0
        }
        offers[id] = nil
        if isAddition { settleOwed(in: id) }
    }

    /// The proposals that a change still takes; empty when somebody else has made it, nil when KeyPackages are awaited.
    private mutating func proposals(
        for change: GroupChange,
        in id: GroupID,
        _ mls: MLS.Group
    ) throws(MessagingError) -> [Proposal]? {
        let roster = try roster(of: id)
        func removals(_ isRemoved: (GroupRoster.Entry) -> Bool) -> [Proposal] {
            roster.entries.filter { isRemoved($0) && $0.index != mls.ownLeaf.rawValue }
                .map { .remove(LeafIndex(rawValue: $0.index)) }
        }
        switch change {
        case .add(let identities):
            let present = Set(roster.identities)
            return try additions(identities.filter { !present.contains($0) || $0 == identity }, in: id, roster)
        case .addDevices(let devices):
            let missing = devices.filter { !roster.devices(of: identity).contains($0) && $0 != device }
            guard !missing.isEmpty, let group = groups[id], try isComplete(group) else { return [] }
            return try additions([identity], in: id, roster, only: Set(missing))
        case .remove(let identities): return removals { identities.contains($0.identity) && $0.identity != identity }
        case .removeDevices(let devices): return removals { devices.contains($0.device) && $0.identity == identity }
        case .removeLapsed(let devices): return removals { devices.contains($0.device) && $0.expiresAt <= now }
        case .move(let hub): return Self.move(to: hub, mls)
        case .renew, .commitProposals, .leave: return []
        }
    }

    private mutating func additions(
        _ identities: [DID],
        in id: GroupID,
        _ roster: GroupRoster,
        only devices: Set<DID>? = nil
    ) throws(MessagingError) -> [Proposal]? {
        var proposals: [Proposal] = []
        var isComplete = true
        let present = Set(roster.entries.map(\.device))
        for did in identities {
            guard let packages = offers[id]?[did] else {
                isComplete = false
                try fetchKeyPackages(of: did, for: id)
                continue
            }
            for package in packages {
                guard let device = DeviceCredentials.device(package.leafNode.credential), device != self.device,
                    !present.contains(device), devices?.contains(device) ?? true
                else { continue }
                proposals.append(.add(Unverified(package)))
            }
        }
        return isComplete ? proposals : nil
    }

    // MARK: Making a commit

    /// - Returns: false when it was too much for one commit, and the change is a smaller one now.
    private mutating func commit(_ proposals: [Proposal], renews: Bool, in id: GroupID) throws(MessagingError) -> Bool {
        let now = now
        guard var mls = try mlsGroup(id), let group = groups[id] else { return true }
        if mls.hasPendingCommit { mls.clearPendingCommit() }
        var options = CommitOptions(proposals)
        options.makesGroupInfo = true
        if renews { options.contents = leafContents() }
        var grants: [String] = []
        if case .add(let identities) = group.changes.first { grants = try self.grants(of: identities) }
        var made = CommitSize(grants: grants)
        var bundle: CommitBundle
        do throws(MLSError) {
            var attempt = mls
            bundle = try attempt.commit(options, at: UInt64(now), using: &random)
            made.set(bundle)
            if !made.fits {
                // M§6.4: the tree travels as a blob.
                attempt = mls
                options.includesRatchetTree = false
                bundle = try attempt.commit(options, at: UInt64(now), using: &random)
                made.set(bundle)
            }
            mls = attempt
        } catch {
            // Proposals of others that do not fit together are left to their authors.
            if !mls.queuedProposals.isEmpty, proposals.isEmpty, !renews {
                mls.clearQueuedProposals()
                set(mls, for: id)
            }
            finishChange(in: id)
            try surface(.policyBlocked, in: id)
            return true
        }
        if !made.fits {
            if shorten(in: id) { return false }
            // The devices of one person: the first bring the others in.
            if proposals.count > 1, group.changes.first?.isGrowth == true {
                return try commit(Array(proposals.prefix(proposals.count / 2)), renews: renews, in: id)
            }
        }
        set(mls, for: id)
        let info = bundle.groupInfo?.encoded
        // The first that members read of a new hub is that hub's own word. M§7.4
        let isMove = if case .move = group.changes.first { true } else { false }
        let carriesInfo = options.includesRatchetTree && !isMove && made.fits(with: info)
        var handshake = Deposit.Handshake(
            mls: EncodedBytes(made.commit),
            welcome: made.welcome.map { EncodedBytes($0) },
            groupInfo: carriesInfo ? info.map { EncodedBytes($0) } : nil
        )
        handshake.grants = grants
        var item = OutboxItem(number: nextNumber(), id: newULID(), thread: group.thread, purpose: .commit)
        item.group = id
        item.deposit = .handshake(handshake)
        if made.welcome != nil, !options.includesRatchetTree { try publishTree(of: id, pending: mls, for: &item) }
        save(item)
        update(id) { $0.commitItem = item.id }
        let actions = update(id) { $0.outage.deposit(item.id, at: now) } ?? []
        try follow(actions, in: id)
        return true
    }

    /// Has the first change add fewer people, and one behind it the others.
    ///
    /// - Parameter count: how many at most; nil for half of them.
    /// - Returns: whether there is anybody to leave for later.
    @discardableResult
    private mutating func shorten(to count: Int? = nil, in id: GroupID) -> Bool {
        guard case .add(let list)? = groups[id]?.changes.first, list.count > max(1, count ?? 1) else { return false }
        let count = count ?? list.count / 2
        update(id) {
            $0.changes.replaceSubrange(0...0, with: [.add(Array(list[..<count])), .add(Array(list[count...]))])
        }
        return true
    }

    private mutating func grants(of identities: [DID]) throws(MessagingError) -> [String] {
        var grants: [String] = []
        for did in identities where did != identity {
            let peer = try peer(did)
            if let grant = peer.grant, peer.grantUntil > now { grants.append(grant) }
        }
        return grants
    }

    /// M§7.3: nobody can commit its own removal, so a leaver proposes it for each of its leaves.
    private mutating func proposeToLeave(_ id: GroupID) throws(MessagingError) {
        let now = now
        guard var mls = try mlsGroup(id), let group = groups[id] else { return }
        mls.configuration.encryptsHandshakes = false
        for entry in try roster(of: id).entries where entry.identity == identity {
            guard
                let message = try? mls.propose(
                    .remove(LeafIndex(rawValue: entry.index)),
                    at: UInt64(now),
                    using: &random
                )
            else { continue }
            var item = OutboxItem(number: nextNumber(), id: newULID(), thread: group.thread, purpose: .proposal)
            item.group = id
            item.deposit = .handshake(.init(mls: EncodedBytes(message.encoded)))
            save(item)
            let actions = update(id) { $0.outage.deposit(item.id, at: now) } ?? []
            try follow(actions, in: id)
        }
        set(mls, for: id)
    }

    // MARK: What came of it

    /// The hub took it: it is applied, and not before. M§6.5
    mutating func mergeOwnCommit(in id: GroupID, _ seq: Int64) throws(MessagingError) {
        guard let before = try mlsGroup(id), before.hasPendingCommit, let group = groups[id] else { return }
        var next = before
        let isAhead = inbox.position(in: id).map { $0.contiguous < seq } ?? false
        next.configuration.pastEpochs = Self.pastEpochs(before.configuration.pastEpochs, isAhead: isAhead)
        guard let summary = try? next.mergePendingCommit() else { return }
        // This device made it by the same rules by which it judges others'.
        guard case .admitted(let change) = try judge(summary, from: before, to: next, in: group, isOwn: true) else {
            try close(id)
            return
        }
        update(id) { $0.commitItem = nil }
        let done = group.changes.first
        let added = change.added
        if done != nil, done != .commitProposals { finishChange(in: id) }
        update(id) { $0.attempts = 0 }
        try entered(next, summary, change, in: id, seq, at: now)
        try publishGroupInfo(of: id)
        // M§12.3 step 3: in the first epoch after the commit.
        if group.isPersonal, !added.isEmpty { try resendArchiveKeys() }
    }

    mutating func refusedCommit(in id: GroupID, _ reason: Reason) throws(MessagingError) {
        guard let group = groups[id], let item = group.commitItem else { return }
        removeFromOutbox(item, thread: group.thread)
        if var mls = try mlsGroup(id) {
            mls.clearPendingCommit()
            set(mls, for: id)
        }
        update(id) { $0.commitItem = nil }
        // The hub takes less at once than this device had thought.
        if reason == .mailboxObjectTooLarge, shorten(in: id) { return }
        var attempt = CommitAttempt(maximumAttempts: max(1, CommitAttempt.maximumAttempts - group.attempts))
        for action in attempt.receivedRefusal(reason) {
            switch action {
            case .sync:
                update(id) { $0.attempts += 1 }
                try readOn(id)
            case .surface(let reason):
                finishChange(in: id)
                try surface(reason, in: id)
            case .merge, .discard, .repropose, .done: break
            }
        }
    }

    mutating func surface(_ reason: Reason, in id: GroupID) throws(MessagingError) {
        guard let group = groups[id] else { return }
        outgoing.append(.failed(.change(conversation: group.isPersonal ? nil : group.thread, reason)))
    }
}
