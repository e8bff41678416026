import DSIPIdentity
import DSIPSignaling
import Encoding

/// The ordering authority of one group: it takes the first commit of an epoch, numbers every item and brings each member's mailbox
/// all of them in order. M§6.5
///
/// All of it is ``State`` that a restart must keep: forgetting the epoch or the next `seq` forks the group, forgetting a queue
/// loses messages. Bytes are the owner's: keep those of item `seq` until nothing is pending under it.
public struct Hub: Sendable {
    public let group: GroupID
    public let kind: ConversationKind
    /// Of a personal group: the owner of the mailbox that hosts it. M§6.8
    public let owner: DID?
    public internal(set) var epoch: UInt64
    public internal(set) var roster: Roster
    public internal(set) var nextSeq: Int64
    /// The `seq` of the commit that moved the group here; 0 where it began here. M§7.4
    public internal(set) var handoverSeq: Int64
    /// What each identity's mailbox has not acknowledged, in order; the head is on its way.
    public internal(set) var queues: [DID: MemberQueue]
    public internal(set) var hasGroupInfo = false
    /// The hub that the group has moved to.
    public internal(set) var movedTo: DID?
    var log: any OrderedLog

    /// Digests kept for answering re-deposits: as many as a group may make in the retention, and no more. M§9.3
    public static let maximumDigests = 65_536

    /// A group as its first GroupInfo shows it, or as the hub it moved from left it.
    ///
    /// - Parameters:
    ///   - handoverSeq: the `seq` of the commit that moved the group here, 0 for a new group. M§7.4
    ///   - log: what was ordered before; in memory when there is none.
    public init(
        group: GroupID,
        kind: ConversationKind,
        owner: DID? = nil,
        epoch: UInt64,
        roster: Roster,
        handoverSeq: Int64 = 0,
        log: (any OrderedLog)? = nil
    ) {
        self.group = group
        self.kind = kind
        self.owner = owner
        self.epoch = epoch
        self.roster = roster
        self.handoverSeq = max(0, handoverSeq)
        self.nextSeq = self.handoverSeq + 1
        self.log = log ?? OrderedIndex(capacity: Self.maximumDigests)
        let first = nextSeq
        queues = roster.devices.mapValues { _ in MemberQueue(stretches: [.init(first: first)]) }
    }

    // MARK: Deposits

    /// A verified deposit of a member came. Refusals are judged in the order that M§6.5 fixes.
    public mutating func received(_ deposit: HubDeposit, at now: Int64) -> [HubAction] {
        func refuse(_ reason: Reason) -> [HubAction] { [.error(to: deposit.device, inReplyTo: deposit.id, reason)] }
        guard movedTo == nil else { return refuse(.mailboxUnknownGroup) }
        switch deposit.depositClass {
        case .handshake, .application, .ephemeral, .groupInfo: break
        default: return refuse(.mailboxUnsupportedClass)
        }
        if deposit.depositClass == .ephemeral, let end = deposit.expiresAt, end < now { return [] }
        let isSequenced = deposit.depositClass == .handshake || deposit.depositClass == .application
        // M§6.5 order 4: before membership and epoch, so that a late retry still learns that its item was ordered.
        if isSequenced, let seq = log.seq(of: deposit.digest) {
            return [.accepted(to: deposit.device, inReplyTo: deposit.id, seq: seq, duplicate: true)]
        }
        guard mayDeposit(deposit) else { return refuse(.policyBlocked) }
        if isSequenced, let reason = epochFault(deposit) { return refuse(reason) }
        if let commit = deposit.commit, !isValid(commit, by: deposit.identity) { return refuse(.policyBlocked) }
        switch deposit.depositClass {
        case .ephemeral: return others(than: deposit.identity).map { .forward(to: $0, .ephemeral) }
        case .groupInfo:
            hasGroupInfo = true
            return [.accepted(to: deposit.device, inReplyTo: deposit.id, seq: nil, duplicate: false)]
                + others(than: nil).map { .forward(to: $0, .groupInfo) }
        default: return sequence(deposit)
        }
    }

    private func mayDeposit(_ deposit: HubDeposit) -> Bool {
        guard let commit = deposit.commit, commit.isExternal else { return roster.contains(deposit.identity) }
        let joiner = Leaf(identity: deposit.identity, device: deposit.device)
        let members = roster.identities
        return
            (try? ExternalJoin.check(
                kind: kind,
                owner: owner,
                members: members,
                joiner: joiner,
                adds: commit.adds,
                removes: commit.removes
            )) != nil
    }

    private func epochFault(_ deposit: HubDeposit) -> Reason? {
        if deposit.epoch == epoch { return nil }
        let isLast = deposit.epoch < epoch && epoch - deposit.epoch == 1
        if deposit.depositClass == .application { return isLast ? nil : .mailboxStaleEpoch }
        return deposit.commit != nil && isLast ? .mailboxCommitConflict : .mailboxStaleEpoch
    }

    private func isValid(_ commit: HubDeposit.Commit, by identity: DID) -> Bool {
        guard commit.isValid else { return false }
        return commit.isExternal || roster.permits(adds: commit.adds, removes: commit.removes, by: identity)
    }

    private mutating func sequence(_ deposit: HubDeposit) -> [HubAction] {
        let seq = nextSeq
        nextSeq += 1
        log.insert(.init(digest: deposit.digest, seq: seq, itemClass: deposit.depositClass))
        let before = roster
        if let commit = deposit.commit {
            epoch += 1
            roster.apply(adds: commit.adds, removes: commit.removes)
            movedTo = commit.movesTo
        }
        // Members get it; so does who was removed by it. Who came with it gets a welcome instead, or joined by it.
        let recipients = before.identities.sorted()
        var actions: [HubAction] = [.accepted(to: deposit.device, inReplyTo: deposit.id, seq: seq, duplicate: false)]
        for identity in recipients {
            if !roster.contains(identity) { queues[identity]?.left(with: seq) }
            guard let queue = queues[identity], queue.head(before: nextSeq) == seq, !queue.isUnregistered else {
                continue
            }
            actions.append(.fanOut(to: identity, seq: seq, deposit.depositClass))
        }
        for identity in roster.identities where !before.contains(identity) {
            queues[identity, default: MemberQueue(stretches: [])].joined(after: seq)
        }
        if let commit = deposit.commit, !commit.isExternal {
            actions += welcome(commit, seq: seq, before: before)
        }
        return actions
    }

    /// An identity is welcomed when it gains a device the group did not have, a member's own included. M§6.5 rule 5
    private mutating func welcome(_ commit: HubDeposit.Commit, seq: Int64, before: Roster) -> [HubAction] {
        let gaining = Set(commit.adds.filter { !before.devices(of: $0.identity).contains($0.device) }.map(\.identity))
        var actions: [HubAction] = []
        for identity in gaining.sorted() {
            var queue = queues[identity] ?? MemberQueue(stretches: [])
            if !before.contains(identity) { queue.isUnregistered = true }
            queue.welcomes.append(seq)
            if queue.welcomes.count == 1 { actions.append(.welcome(to: identity, seq: seq)) }
            queues[identity] = queue
        }
        return actions
    }

    /// Members that may be sent something now, but for one.
    private func others(than identity: DID?) -> [DID] {
        roster.identities.filter { $0 != identity && queues[$0]?.isUnregistered != true }.sorted()
    }

    // MARK: Acknowledgements

    /// The mailbox of `identity` has stored item `seq`. Anything but the head of its queue changes nothing.
    public mutating func acknowledged(_ seq: Int64, by identity: DID) -> [HubAction] {
        guard queues[identity]?.head(before: nextSeq) == seq else { return [] }
        queues[identity]?.pop()
        defer { forget(identity) }
        return head(of: identity)
    }

    /// The mailbox of `identity` has stored the welcome of commit `seq`, and registered the group with it.
    public mutating func acknowledgedWelcome(_ seq: Int64, by identity: DID) -> [HubAction] {
        guard queues[identity]?.welcomes.first == seq else { return [] }
        queues[identity]?.welcomes.removeFirst()
        defer { forget(identity) }
        // A member's queue was never held, so its own welcome sends nothing of it again.
        var released: [HubAction] = []
        if queues[identity]?.isUnregistered == true {
            queues[identity]?.isUnregistered = false
            released = head(of: identity)
        }
        return released + (queues[identity]?.welcomes.first.map { [.welcome(to: identity, seq: $0)] } ?? [])
    }

    /// The mailbox of `identity` will not take the welcome of commit `seq`: it is not sent again, and what is held stays held until
    /// another one is taken.
    public mutating func refusedWelcome(_ seq: Int64, by identity: DID) -> [HubAction] {
        guard queues[identity]?.welcomes.first == seq else { return [] }
        queues[identity]?.welcomes.removeFirst()
        defer { forget(identity) }
        return queues[identity]?.welcomes.first.map { [.welcome(to: identity, seq: $0)] } ?? []
    }

    /// The mailbox of `identity` does not know the group here. Where the identity was removed from it as well, it is sent nothing of it any
    /// more.
    ///
    /// - Returns: false for a member, whose mailbox may know the group again, and for one who was removed and whose mailbox has taken nothing
    ///   since the group moved here: it may not have heard of the move yet. M§7.4
    public mutating func parted(_ identity: DID) -> Bool {
        guard !roster.contains(identity) else { return false }
        if handoverSeq > 0, let next = queues[identity]?.head(before: nextSeq), next <= handoverSeq + 1 { return false }
        queues[identity] = nil
        return true
    }

    private mutating func head(of identity: DID) -> [HubAction] {
        guard queues[identity]?.isUnregistered == false else { return [] }
        while let seq = queues[identity]?.head(before: nextSeq) {
            if let itemClass = log.itemClass(of: seq) { return [.fanOut(to: identity, seq: seq, itemClass)] }
            queues[identity]?.pop()
        }
        return []
    }

    /// One that was removed and has had everything needs no queue.
    private mutating func forget(_ identity: DID) {
        guard !roster.contains(identity), queues[identity]?.isIdle(before: nextSeq) == true else { return }
        queues[identity] = nil
    }

    /// Items below `seq` are kept no more: who has not had them re-joins. M§6.5
    ///
    /// - Returns: what is to be sent now in place of what went.
    public mutating func expired(below seq: Int64) -> [HubAction] {
        var actions: [HubAction] = []
        for identity in queues.keys.sorted() {
            let before = queues[identity]
            queues[identity]?.skip(below: seq)
            guard queues[identity] != before else { continue }
            // A welcome that nobody took in all that time: the queue stays held for the next one.
            actions += head(of: identity)
            if let welcome = queues[identity]?.welcomes.first, welcome != before?.welcomes.first {
                actions.append(.welcome(to: identity, seq: welcome))
            }
            forget(identity)
        }
        return actions
    }

    /// After a restart, or when it is time to try again: the head of every queue, welcomes last. M§6.5
    public mutating func retry() -> [HubAction] {
        let identities = queues.keys.sorted()
        return identities.flatMap { head(of: $0) }
            + identities.compactMap { identity in
                queues[identity]?.welcomes.first.map { .welcome(to: identity, seq: $0) }
            }
    }

    /// The group is back at a hub that it had left.
    ///
    /// - Parameters:
    ///   - former: the queues of then.
    ///   - last: the `seq` of the commit that moved the group away.
    public mutating func returned(owing former: [DID: MemberQueue], through last: Int64) {
        let first = nextSeq
        for (identity, var queue) in former where !queue.isIdle(before: last + 1) {
            queue.returned(from: last, at: first, isMember: roster.contains(identity))
            queues[identity] = queue
        }
    }

    /// Nobody waits for anything.
    public var isIdle: Bool { queues.values.allSatisfy { $0.isIdle(before: nextSeq) } }

    /// The lowest `seq` whose bytes are still needed; the next one to be given out when none are.
    public var lowestPending: Int64 {
        queues.values.reduce(nextSeq) { lowest, queue in
            guard !queue.isIdle(before: nextSeq) else { return lowest }
            return min(lowest, queue.head(before: nextSeq) ?? nextSeq, queue.welcomes.first ?? nextSeq)
        }
    }
}
