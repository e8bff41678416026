import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

/// Leaving, and being left. M§7.3, M§14.3
extension Messenger {
    // MARK: Blocking

    /// The person wants to hear nothing more of somebody: what was granted is taken back, and their direct conversation left.
    /// Whoever is unblocked comes again by first contact.
    ///
    /// - Parameter grants: those that were given by core signaling.
    public mutating func block(_ did: DID, grants: [ULID] = [], at now: Int64) throws(MessagingError)
        -> [MessengerAction]
    {
        try turn(at: now) { messenger throws(MessagingError) in
            try messenger.takeBack(grants, from: did)
            guard let thread = messenger.directs[did], var record = try messenger.ledger.conversation(thread) else {
                return
            }
            messenger.part(with: &record)
            messenger.show(record)
        }.1
    }

    /// Takes back what was granted to somebody; a conversation there is goes on. M§5.7
    public mutating func revokeGrants(
        _ grants: [ULID] = [],
        of did: DID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in try messenger.takeBack(grants, from: did) }.1
    }

    private mutating func takeBack(_ grants: [ULID], from did: DID) throws(MessagingError) {
        var peer = try peer(did)
        let all = Array(Set(peer.grants + grants.suffix(MailboxConfig.maximumIntroductions / 2))).sorted()
        peer.grants = []
        peer.granted = 0
        peer.asked = nil
        set(peer, for: did)
        ledger.set(.setting, Self.statements, "grant \(did)", nil)
        guard !all.isEmpty else { return }
        for service in configuration.mailboxes {
            addErrand(
                .config,
                .mailboxConfig(MailboxConfig(subject: identity, revokedGrants: all)),
                via: MailboxRoute(mailbox: service.mailbox)
            )
        }
    }

    // MARK: Leaving

    /// This identity leaves, with all its devices; what has not left yet is not said any more. M§7.3
    mutating func part(with record: inout ConversationRecord) {
        record.isRemoved = true
        record.isRequest = false
        record.notice = nil
        for id in groups.keys.sorted() {
            guard let group = groups[id], group.thread == record.id, group.phase != .left else { continue }
            update(id) { $0.isLeaving = true }
            plan(.leave, in: id)
            hasten(id)
        }
        for item in outbox[record.id] ?? [] where item.deposit == nil {
            removeFromOutbox(item.id, thread: record.id)
        }
    }

    /// A direct conversation that was left goes on in a new group, when something is said in it.
    mutating func reopen(_ thread: ULID) throws(MessagingError) {
        guard var record = try ledger.conversation(thread), record.kind == .direct, record.isRemoved else { return }
        record.isRemoved = false
        show(record)
        if let peer = record.peer, try self.peer(peer).mailboxes.isEmpty { resolve(peer) }
    }

    /// Whether another device of this identity proposed that the identity leaves; then this one is on its way out as well.
    mutating func isLeaving(by proposal: ProposalSummary, in id: GroupID) throws(MessagingError) -> Bool {
        guard let group = groups[id], !group.isPersonal, case .member(let sender) = proposal.sender,
            case .remove(let leaf) = proposal.proposal
        else { return false }
        let roster = try roster(of: id)
        func identity(_ index: LeafIndex) -> DID? {
            roster.entries.first { $0.index == index.rawValue }?.identity
        }
        guard identity(sender) == self.identity, identity(leaf) == self.identity else { return false }
        guard !group.isLeaving else { return true }
        update(id) { $0.isLeaving = true }
        if current(group.thread) == nil, var record = try ledger.conversation(group.thread) {
            record.isRemoved = true
            show(record)
        }
        return true
    }

    // MARK: Being left

    /// After a commit: who is on their way out and still in says so again, since proposals are of one epoch; and a direct
    /// conversation whose other side has left is over, until one of the two begins a new one.
    mutating func leftAlone(_ id: GroupID, _ change: RosterUpdate) throws(MessagingError) {
        guard let group = groups[id], group.phase == .active, !group.isPersonal else { return }
        if group.isLeaving {
            plan(.leave, in: id)
            return
        }
        guard group.kind.effective == .direct, !change.removed.isEmpty, change.roster.identities == [identity],
            !group.changes.contains(where: \.isAddition)
        else { return }
        try abandon(id)
        try convergeDirect(group.thread)
        guard outbox[group.thread]?.isEmpty == false, current(group.thread) == nil,
            let record = try ledger.conversation(group.thread), !record.isRemoved
        else { return }
        try begin(record)
    }

    /// Nothing more is said or heard in this group; what waited for it is said where its thread goes on.
    mutating func abandon(_ id: GroupID) throws(MessagingError) {
        try moveOutbox(from: id)
        try leave(id)
        set(nil, for: id)
        configure(id, .left)
    }

    /// The group is behind this device, which comes into it again only at a later epoch: a welcome read again leads nowhere.
    mutating func leave(_ id: GroupID) throws(MessagingError) {
        inbox.left(id)
        let epoch = try mlsGroup(id)?.epoch
        update(id) { group in
            group.phase = .left
            group.leftEpoch = max(group.leftEpoch, epoch ?? group.joinedEpoch)
        }
    }
}
