import DSIPIdentity
import DSIPSignaling
import Encoding

/// The ordering authority of one group: it takes the first commit of an epoch, numbers every item and brings each member's mailbox
/// all of them in order. M§6.5
///
/// All of it is ``State`` that a restart must keep: forgetting the epoch or the next `seq` forks the group, forgetting a queue
/// loses messages. Bytes are the owner's: keep those of item `seq` until nothing is pending under it.
public struct Hub: Hashable, Sendable {
    public let group: GroupID
    public let kind: ConversationKind
    /// Of a personal group: the owner of the mailbox that hosts it. M§6.8
    public let owner: DID?
    public internal(set) var epoch: UInt64
    public internal(set) var roster: Roster
    public internal(set) var nextSeq: Int64
    /// Items that a member's mailbox has not acknowledged, in order; the head is on its way.
    public internal(set) var pending: [DID: [QueuedItem]] = [:]
    /// Welcomes on their way to identities that gained a device, by the `seq` of their commit.
    public internal(set) var welcomes: [DID: [Int64]] = [:]
    /// Identities brought in by a commit whose mailbox has not taken the welcome: their queue is held, for want of a registration.
    public internal(set) var unregistered: Set<DID> = []
    public internal(set) var hasGroupInfo = false
    /// The hub that the group has moved to.
    public internal(set) var movedTo: DID?
    var digests: DigestLog

    public struct QueuedItem: Hashable, Sendable {
        public var seq: Int64
        public var itemClass: DepositClass

        public init(seq: Int64, itemClass: DepositClass) {
            self.seq = seq
            self.itemClass = itemClass
        }
    }

    /// Digests kept for answering re-deposits: as many as a group may make in the retention, and no more. M§9.3
    public static let maximumDigests = 65_536

    /// A group as its first GroupInfo shows it, or as the hub it moved from left it.
    ///
    /// - Parameter handoverSeq: the `seq` of the commit that moved the group here, 0 for a new group. M§7.4
    public init(
        group: GroupID,
        kind: ConversationKind,
        owner: DID? = nil,
        epoch: UInt64,
        roster: Roster,
        handoverSeq: Int64 = 0
    ) {
        self.group = group
        self.kind = kind
        self.owner = owner
        self.epoch = epoch
        self.roster = roster
        self.nextSeq = max(0, handoverSeq) + 1
        self.digests = DigestLog(capacity: Self.maximumDigests)
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
        if isSequenced, let seq = digests.seq(of: deposit.digest) {
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
        digests.insert(deposit.digest, seq: seq)
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
            actions += enqueue(.init(seq: seq, itemClass: deposit.depositClass), to: identity)
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
            if !before.contains(identity) { unregistered.insert(identity) }
            welcomes[identity, default: []].append(seq)
            if welcomes[identity]?.count == 1 { actions.append(.welcome(to: identity, seq: seq)) }
        }
        return actions
    }

    private mutating func enqueue(_ item: QueuedItem, to identity: DID) -> [HubAction] {
        pending[identity, default: []].append(item)
        guard pending[identity]?.count == 1, !unregistered.contains(identity) else { return [] }
        return [.fanOut(to: identity, seq: item.seq, item.itemClass)]
    }

    /// Members that may be sent something now, but for one.
    private func others(than identity: DID?) -> [DID] {
        roster.identities.filter { $0 != identity && !unregistered.contains($0) }.sorted()
    }

    // MARK: Acknowledgements

    /// The mailbox of `identity` has stored item `seq`. Anything but the head of its queue changes nothing.
    public mutating func acknowledged(_ seq: Int64, by identity: DID) -> [HubAction] {
        guard pending[identity]?.first?.seq == seq else { return [] }
        pending[identity]?.removeFirst()
        if pending[identity]?.isEmpty == true { pending[identity] = nil }
        return head(of: identity)
    }

    /// The mailbox of `identity` has stored the welcome of commit `seq`, and registered the group with it.
    public mutating func acknowledgedWelcome(_ seq: Int64, by identity: DID) -> [HubAction] {
        guard welcomes[identity]?.first == seq else { return [] }
        welcomes[identity]?.removeFirst()
        if welcomes[identity]?.isEmpty == true { welcomes[identity] = nil }
        // A member's queue was never held, so its own welcome sends nothing of it again.
        let released = unregistered.remove(identity) != nil ? head(of: identity) : []
        return released + (welcomes[identity]?.first.map { [.welcome(to: identity, seq: $0)] } ?? [])
    }

    private func head(of identity: DID) -> [HubAction] {
        guard !unregistered.contains(identity), let item = pending[identity]?.first else { return [] }
        return [.fanOut(to: identity, seq: item.seq, item.itemClass)]
    }

    /// After a restart, or when it is time to try again: the head of every queue, welcomes last. M§6.5
    public func retry() -> [HubAction] {
        pending.keys.sorted().flatMap(head)
            + welcomes.keys.sorted().compactMap { identity in
                welcomes[identity]?.first.map { .welcome(to: identity, seq: $0) }
            }
    }

    /// The lowest `seq` whose bytes are still needed.
    public var lowestPending: Int64? {
        (pending.values.compactMap(\.first?.seq) + welcomes.values.compactMap(\.first)).min()
    }
}
