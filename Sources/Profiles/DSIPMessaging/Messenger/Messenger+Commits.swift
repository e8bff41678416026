import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

extension Messenger {
    /// A proposal or a commit of somebody else. M§6.5, M§6.8, M§7.3
    mutating func handshake(
        _ message: MLSMessage,
        _ item: StoredItem,
        in id: GroupID,
        _ seq: Int64
    ) throws(MessagingError) {
        guard case .publicMessage = message, let epoch = message.claimedEpoch, let before = try mlsGroup(id),
            let group = groups[id]
        else { return }
        guard epoch >= before.epoch else { return }
        var next = before
        // All that was ordered before it has been heard.
        next.configuration.pastEpochs = Self.groupConfiguration.pastEpochs
        let received: Received
        do throws(MLSError) {
            received = try next.process(message, at: UInt64(now))
        } catch {
            try lose(id)
            return
        }
        switch received {
        case .application: return
        case .proposal(let proposal):
            set(next, for: id)
            // Whoever leaves does not commit it: nobody can commit their own removal.
            if try isLeaving(by: proposal, in: id) { return }
            planCommit(of: proposal, in: id, next)
        case .commit(let summary):
            let change: RosterUpdate
            switch try judge(summary, from: before, to: next, in: group) {
            case .admitted(let roster): change = roster
            case .needs(let did):
                stall(item, on: did)
                return
            case .refused:
                // M§6.8: dropped, not merged. The hub should not have ordered it.
                try close(id)
                return
            }
            try entered(next, summary, change, in: id, seq, at: item.storedAt)
        }
    }

    /// Somebody proposed something, most likely to leave: one of the others commits it, the first in the tree soonest.
    private mutating func planCommit(of proposal: ProposalSummary, in id: GroupID, _ mls: MLS.Group) {
        let now = now
        guard case .member(let leaf) = proposal.sender else { return }
        let others = mls.members.map(\.index).filter { $0 != leaf }
        let rank = others.firstIndex(of: mls.ownLeaf) ?? others.count
        update(id) { group in
            guard !group.changes.contains(.commitProposals) else { return }
            group.changes.append(.commitProposals)
            if rank > 0 { group.retryAt = max(group.retryAt ?? 0, now + Int64(min(rank, 15)) * 2) }
        }
    }

    // MARK: Judging

    enum Judgement {
        case admitted(RosterUpdate)
        case needs(DID)
        case refused
    }

    /// What a commit did, in terms of people.
    struct RosterUpdate {
        var roster: GroupRoster
        var committer: DID
        var added: [GroupRoster.Entry] = []
        var removed: [GroupRoster.Entry] = []
        var isExternal = false
        var context: ConversationExtension?
    }

    /// Holds a commit against M§6.2, M§6.8, M§7.3 and M§7.4; the hub did so too, and is not believed.
    ///
    /// - Parameter isOwn: made by this device, which judged then whom it adds; their documents may be out of reach by now.
    mutating func judge(
        _ summary: CommitSummary,
        from before: MLS.Group,
        to next: MLS.Group,
        in group: GroupState,
        isOwn: Bool = false
    ) throws(MessagingError) -> Judgement {
        let old = try roster(of: group.id)
        var entries: [GroupRoster.Entry] = []
        let fresh = Set(summary.added + summary.updated + [summary.committerLeaf])
        // Whoever is taken out does not see the next epoch: of its roster they know who is not in it.
        if next.status == .removed {
            entries = old.entries.filter { !summary.removed.map(\.rawValue).contains($0.index) }
        }
        for member in next.members where next.status != .removed {
            if let known = old.entries.first(where: { $0.index == member.index.rawValue }),
                !fresh.contains(member.index), known.device == DeviceCredentials.device(member.credential)
            {
                entries.append(known)
                continue
            }
            switch credential(of: member.leafNode) {
            case .known(let leaf):
                entries.append(
                    .init(
                        index: member.index.rawValue,
                        identity: leaf.identity,
                        device: leaf.device,
                        expiresAt: leaf.delegation.expiresAt
                    )
                )
            case .needs(let did):
                guard isOwn, let entry = claimed(member.leafNode, member.index) else { return .needs(did) }
                entries.append(entry)
            case .invalid: return .refused
            }
        }
        var roster = GroupRoster()
        roster.epoch = next.epoch
        roster.entries = entries
        roster.earlier = Array(([old.entries] + old.earlier).prefix(next.configuration.pastEpochs))
        let isExternal = summary.committer == .newMemberCommit
        guard
            let committer = isExternal
                ? entries.first(where: { $0.index == summary.committerLeaf.rawValue })
                : old.entries.first(where: { $0.index == summary.committerLeaf.rawValue })
        else { return .refused }
        var change = RosterUpdate(roster: roster, committer: committer.identity)
        change.isExternal = isExternal
        let removedIndices = Set(summary.removed.map(\.rawValue))
        change.removed = old.entries.filter { removedIndices.contains($0.index) }
        let addedIndices = Set(summary.added.map(\.rawValue))
        change.added = entries.filter { addedIndices.contains($0.index) }
        if isExternal, !change.added.contains(committer) { change.added.append(committer) }
        // The device of a leaf does not change by an update.
        for entry in entries {
            if let known = old.entries.first(where: { $0.index == entry.index }), known.device != entry.device,
                !removedIndices.contains(entry.index), !addedIndices.contains(entry.index)
            {
                return .refused
            }
        }
        if let extensions = summary.extensions {
            guard let data = extensions[Self.conversationExtension],
                let after = try? ConversationExtension(decoding: data),
                let present = before.extensions[Self.conversationExtension],
                let was = try? ConversationExtension(decoding: present), (try? was.update(to: after)) != nil
            else { return .refused }
            change.context = after
        }
        guard summary.reInit == nil else { return .refused }
        return permits(change, old.roster, in: group) ? .admitted(change) : .refused
    }

    private func claimed(_ leaf: LeafNode, _ index: LeafIndex) -> GroupRoster.Entry? {
        guard let device = DeviceCredentials.device(leaf.credential),
            let data = leaf.extensions[Self.delegationExtension],
            let delegation = Envelope(compact: String(decoding: data, as: UTF8.self)).flatMap(Delegation.decode)
        else { return nil }
        return .init(
            index: index.rawValue,
            identity: delegation.subject,
            device: device,
            expiresAt: delegation.expiresAt
        )
    }

    private func permits(_ change: RosterUpdate, _ roster: Roster, in group: GroupState) -> Bool {
        func leaf(_ entry: GroupRoster.Entry) -> Leaf {
            Leaf(identity: entry.identity, device: entry.device, isAuthentic: entry.expiresAt > now)
        }
        let (adds, removes) = (change.added.map(leaf), change.removed.map(leaf))
        if change.isExternal {
            guard let joiner = adds.first else { return false }
            return
                (try? ExternalJoin.check(
                    kind: group.kind,
                    owner: group.isPersonal ? identity : nil,
                    members: roster.identities,
                    joiner: joiner,
                    adds: adds,
                    removes: removes
                )) != nil
        }
        // A direct conversation stays one of two, a personal group one of one.
        if group.kind.effective != .group, adds.contains(where: { !roster.contains($0.identity) }),
            !(group.kind.effective == .direct && roster.identities.count < 2)
        {
            return false
        }
        return roster.permits(adds: adds, removes: removes, by: change.committer)
    }

    // MARK: The next epoch

    /// The group is in its next epoch: by somebody's commit, or by this device's own.
    mutating func entered(
        _ next: MLS.Group,
        _ summary: CommitSummary,
        _ change: RosterUpdate,
        in id: GroupID,
        _ seq: Int64,
        at time: Int64
    ) throws(MessagingError) {
        guard let group = groups[id] else { return }
        let before = try roster(of: id)
        let isOwn = summary.committerLeaf == next.ownLeaf
        set(next, for: id)
        set(change.roster, for: id)
        if let context = change.context {
            try moved(id, to: context.hub, after: seq, isOwn: isOwn, at: time)
        }
        // The commit that was under way is for an epoch that is over.
        if let item = group.commitItem {
            try dropCommit(item, in: id)
            update(id) { $0.attempts += 1 }
        }
        update(id) { group in
            if let passing = group.passing, next.epoch > passing { (group.passing, group.passUntil) = (nil, nil) }
            group.changes.removeAll { $0 == .commitProposals }
            group.retryAt = nil
        }
        offers[id] = nil
        let ownLeft = next.status == .removed
        if group.awaitsFounders || !group.owed.isEmpty {
            let (old, new) = (Set(before.identities), Set(change.roster.identities))
            // Who was taken out is not awaited any more, and whoever is brought in by another is not to hear what was said without them.
            withhold(Array(old.subtracting(new)), from: id)
            if !isOwn, !new.subtracting(old).isSubset(of: awaited(in: group)) { forgetOwed(in: id) }
        }
        try showRoster(change, before, in: id, seq, at: time)
        if ownLeft {
            try removedFromGroup(id, remaining: change.roster)
            return
        }
        infoPlanned(id, change.roster)
        try renewalPlanned(id, next)
        if group.isPersonal {
            try personalRosterChanged(change)
        } else {
            try keepSiblings(of: id)
        }
        try refreshMembers(of: group.thread)
        try leftAlone(id, change)
    }

    /// Whoever makes an epoch publishes its GroupInfo, and may be gone before: without it nobody comes in, or back, by itself. M§6.8
    private mutating func infoPlanned(_ id: GroupID, _ roster: GroupRoster) {
        let rank = roster.entries.firstIndex { $0.device == device } ?? 0
        let due = now + GroupState.infoPatience + Int64(min(rank, 48)) * GroupState.infoTurn
        update(id) { $0.infoDueAt = due }
    }

    /// Publishes the GroupInfo of the present epoch when the mailbox has brought none of it.
    mutating func publishMissingInfo(of id: GroupID) throws(MessagingError) {
        update(id) { $0.infoDueAt = nil }
        let known = try groupInfoItem(id)?.mls?.bytes.flatMap { try? MLSMessage(decoding: $0) }?.claimedEpoch
        guard let epoch = try mlsGroup(id)?.epoch, known.map({ $0 < epoch }) ?? true else { return }
        try publishGroupInfo(of: id)
    }

    /// Forgets a commit that the hub did not order.
    mutating func dropCommit(_ item: ULID, in id: GroupID) throws(MessagingError) {
        if var mls = try mlsGroup(id), mls.hasPendingCommit {
            mls.clearPendingCommit()
            set(mls, for: id)
        }
        update(id) { $0.commitItem = nil }
        try withdraw(item, from: id)
    }
}
