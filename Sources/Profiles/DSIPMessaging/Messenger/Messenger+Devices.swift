import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

extension Messenger {
    /// The identity's devices, as its personal group has them.
    public mutating func devices() throws(MessagingError) -> [DID] {
        guard let personal else { return [device] }
        return try roster(of: personal).devices(of: identity)
    }

    var siblings: [DID] {
        mutating get throws(MessagingError) { try devices().filter { $0 != device } }
    }

    // MARK: The personal group

    /// The first device makes the personal group; a later one waits to be added, and then joins by itself. M§7.1, M§12.3
    mutating func beginPersonalGroup() throws(MessagingError) {
        guard let primary, syncs[primary]?.isCaughtUp == true else { return }
        if let personal, groups[personal].map({ $0.phase != .left }) ?? false { return }
        guard try !isExpelled else { return }
        if let waiting = try ledger.row(.setting, "", "sibling-wait").flatMap({ RowReader($0) }) {
            guard let id = waiting.group("group"), let since = waiting.int("since"),
                now - since >= configuration.siblingPatience
            else { return }
            ledger.set(.setting, "", "sibling-wait", nil)
            try joinPersonal(id)
            return
        }
        let id = GroupID(newULID())
        try found(id, thread: newULID(), kind: .personal, members: [])
        try setPersonal(id)
        try rotateArchiveKey()
    }

    /// Whether the identity's other devices have taken this one away; it comes back only when they add it. M§12.4
    private var isExpelled: Bool {
        get throws(MessagingError) { try ledger.row(.setting, "", "expelled") != nil }
    }

    private mutating func setPersonal(_ id: GroupID) throws(MessagingError) {
        guard personal != id else { return }
        personal = id
        ledger.set(.setting, "", "personal", Array(id.text.utf8))
        // M§10.5: what this device has read it could tell nobody, or itself alone.
        if !settings.sendsRead { try tellAllRead(again: true) }
    }

    /// A GroupInfo of a group that this device is not in: its own identity's personal group, or one a sibling is in.
    mutating func consideredGroupInfo(_ item: StoredItem, _ id: GroupID) throws(MessagingError) {
        guard groups[id] == nil, !joining.contains(id), try !isExpelled, let bytes = item.mls?.bytes,
            case .groupInfo(let info) = try? MLSMessage(decoding: bytes),
            let data = info.value.context.extensions[Self.conversationExtension],
            let context = try? ConversationExtension(decoding: data)
        else { return }
        guard context.kind == .personal else {
            let isIn = personal.flatMap { groups[$0] }?.phase == .active
            if isIn, try ledger.row(.setting, "", "entered") == nil { noteAbsence() }
            return
        }
        guard let personal, let known = groups[personal], known.phase != .left else {
            guard try ledger.row(.setting, "", "sibling-wait") == nil else { return }
            var row = RowWriter()
            row.put("group", id)
            row.put("since", now)
            ledger.set(.setting, "", "sibling-wait", row.bytes)
            return
        }
        // Two devices that began at once: the lower goes on, and all archive keys with it.
        guard let other = id.ulid, let own = personal.ulid, other < own else { return }
        try joinPersonal(id)
    }

    private mutating func joinPersonal(_ id: GroupID) throws(MessagingError) {
        guard let item = try groupInfoItem(id), let bytes = item.mls?.bytes,
            case .groupInfo(let info) = try? MLSMessage(decoding: bytes),
            let data = info.value.context.extensions[Self.conversationExtension],
            let context = try? ConversationExtension(decoding: data)
        else { return }
        var group = GroupState(
            id,
            thread: context.conversation,
            conversation: context.conversation,
            kind: .personal,
            hub: context.hub,
            phase: .lost,
            outage: HubOutage(timeout: configuration.hubTimeout),
            at: now
        )
        group.retryAt = now
        // Of an own device that is gone nobody can say it again.
        _ = takePassed(of: id)
        groups[id] = group
        try leavePersonal(for: id)
        try setPersonal(id)
        inbox.created(id)
        dirtyGroups.insert(id)
    }

    /// Of two personal groups one goes on: what waits in the other is said there, and shown under its thread.
    private mutating func leavePersonal(for id: GroupID) throws(MessagingError) {
        guard let old = personal, old != id, let group = groups[old], group.phase != .left, let next = groups[id]
        else { return }
        try moveOutbox(from: old)
        configure(old, .left)
        try leave(old)
        update(old) { $0.thread = next.thread }
        for var item in outbox[group.thread] ?? [] where group.thread != next.thread {
            removeFromOutbox(item.id, thread: group.thread)
            item.thread = next.thread
            save(item)
        }
    }

    /// A device that joins for a reason of its own takes a place in its conversations too, if nobody gives it one. M§6.8
    mutating func joinConversations() throws(MessagingError) {
        guard let since = try ledger.row(.setting, "", "entered").flatMap({ RowReader($0) })?.int("at"),
            now - since >= configuration.siblingPatience
        else { return }
        ledger.set(.setting, "", "entered", nil)
        for row in try ledger.rows(.groupInfo, "") {
            guard let id = GroupID(row.key), groups[id] == nil, !joining.contains(id),
                let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }), let bytes = item.mls?.bytes,
                case .groupInfo(let info) = try? MLSMessage(decoding: bytes),
                let data = info.value.context.extensions[Self.conversationExtension],
                let context = try? ConversationExtension(decoding: data), context.kind != .personal
            else { continue }
            var group = GroupState(
                id,
                thread: thread(of: context.conversation) ?? context.conversation,
                conversation: context.conversation,
                kind: context.kind,
                hub: context.hub,
                phase: .lost,
                outage: HubOutage(timeout: configuration.hubTimeout),
                at: context.conversation.seconds
            )
            group.retryAt = now
            group.unopened = takePassed(of: id)
            groups[id] = group
            inbox.created(id)
            dirtyGroups.insert(id)
        }
    }

    /// There may be groups that this device should be in: its siblings have a while to bring it in, then it comes by itself.
    mutating func noteAbsence() {
        var row = RowWriter()
        row.put("at", now)
        ledger.set(.setting, "", "entered", row.bytes)
    }

    mutating func enteredPersonal(_ id: GroupID) throws(MessagingError) {
        try leavePersonal(for: id)
        try setPersonal(id)
        ledger.set(.setting, "", "sibling-wait", nil)
        ledger.set(.setting, "", "expelled", nil)
        configure(id, .joined)
        noteAbsence()
        if let conversation = groups[id]?.conversation { try openWaiting(for: conversation) }
        // Keys of a personal group that lost are this one's too, and what this device began alone is its siblings' as well.
        if !archiveKeys.isEmpty { try resendArchiveKeys() }
        for id in groups.keys.sorted() { try keepSiblings(of: id) }
    }

    /// Devices came to, or went from, the identity.
    mutating func personalRosterChanged(_ change: RosterUpdate) throws(MessagingError) {
        if change.added.contains(where: { $0.device != device }) {
            // The adder tells the keys; after an external join the first of the siblings does, the others a little later.
            if change.isExternal { try resendArchiveKeys() }
        }
        for id in groups.keys.sorted() where groups[id]?.isPersonal == false { try keepSiblings(of: id) }
        if !change.removed.isEmpty {
            let present = Set(change.roster.devices(of: identity))
            let gone = change.removed.map(\.device).filter { !present.contains($0) }
            guard !gone.isEmpty else { return }
            for device in gone { ledger.set(.setting, Self.goneScope, device.string, [1]) }
            for id in groups.keys.sorted() where groups[id]?.isPersonal == false { try removeGone(from: id) }
            if change.roster.entries.first?.device == device || change.committer == identity { try rotateArchiveKey() }
        }
    }

    private static var goneScope: String { "gone" }

    /// Devices that were taken away and stand in a conversation still, whoever brought them there, go from it. M§12.4
    private mutating func removeGone(from id: GroupID) throws(MessagingError) {
        guard let group = groups[id], group.phase == .active, let personal else { return }
        let all = try roster(of: personal).devices(of: identity)
        let here = try roster(of: id).devices(of: identity)
        var gone: [DID] = []
        for other in here where !all.contains(other) && other != device {
            if try ledger.row(.setting, Self.goneScope, other.string) != nil { gone.append(other) }
        }
        let isPlanned = group.changes.contains { if case .removeDevices = $0 { true } else { false } }
        if !gone.isEmpty, !isPlanned { plan(.removeDevices(gone), in: id) }
    }

    /// Own devices that a conversation lacks are added, by the first sibling in it soonest. M§6.7
    mutating func keepSiblings(of id: GroupID) throws(MessagingError) {
        let now = now
        guard let group = groups[id], !group.isPersonal, group.phase == .active, !group.isLeaving, let personal,
            groups[personal]?.phase == .active
        else { return }
        try removeGone(from: id)
        let all = try roster(of: personal).devices(of: identity)
        let present = try roster(of: id).devices(of: identity)
        guard present.contains(device), try isComplete(group) else { return }
        let missing = all.filter { !present.contains($0) }
        guard !missing.isEmpty else { return }
        let isPlanned = group.changes.contains { if case .addDevices = $0 { true } else { false } }
        guard !isPlanned else { return }
        let rank = present.firstIndex(of: device) ?? 0
        plan(.addDevices(missing), in: id)
        if rank > 0 { update(id) { $0.retryAt = max($0.retryAt ?? 0, now + Int64(min(rank, 10)) * 5) } }
    }

    /// Devices come into a direct conversation with its peer, or after it.
    mutating func isComplete(_ group: GroupState) throws(MessagingError) -> Bool {
        guard group.kind.effective == .direct else { return true }
        return try roster(of: group.id).identities.count > 1
    }

    /// A device was delegated and has left KeyPackages at the mailbox: it is added to the personal group, then everywhere. M§12.3
    public mutating func addDevice(_ device: DID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let personal = messenger.personal, device != messenger.device else { return }
            messenger.plan(.addDevices([device]), in: personal)
        }.1
    }

    /// A device is lost or revoked: it reads nothing from here on, the history written from here on included. M§12.4
    ///
    /// - Parameter revocation: the identity's `delegation-revocation`, for its mailboxes.
    public mutating func removeDevice(
        _ device: DID,
        revocation: Envelope?,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard device != messenger.device else {
                throw MessagingError(.refused, "A device cannot remove itself.")
            }
            for id in messenger.groups.keys.sorted() where messenger.groups[id]?.phase == .active {
                messenger.plan(.removeDevices([device]), in: id)
            }
            guard let revocation else { return }
            for service in messenger.configuration.mailboxes {
                messenger.addErrand(
                    .config,
                    .mailboxConfig(
                        MailboxConfig(subject: messenger.identity, revokedDelegations: [Self.compact(revocation)])
                    ),
                    via: MailboxRoute(mailbox: service.mailbox)
                )
            }
        }.1
    }

    /// The device's delegation was renewed: its leaves and KeyPackages follow before the old one ends. M§6.2
    public mutating func renew(
        delegation: Envelope,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            messenger.configuration.delegation = delegation
            messenger.wantsKeyPackages = true
        }.1
    }

    /// The identity's mailboxes are others now.
    public mutating func moved(
        mailboxes: [MailboxService],
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            messenger.configuration.mailboxes = mailboxes
            for mailbox in messenger.bound where messenger.syncs[mailbox] == nil { messenger.resume(mailbox) }
        }.1
    }

    // MARK: Lines about the roster

    /// M§7.3: every change is shown, with who made it.
    mutating func showRoster(
        _ change: RosterUpdate,
        _ before: GroupRoster,
        in id: GroupID,
        _ seq: Int64,
        at time: Int64
    ) throws(MessagingError) {
        guard let group = groups[id], !group.isPersonal else { return }
        let (old, new) = (Set(before.identities), Set(change.roster.identities))
        let added = change.roster.identities.filter { !old.contains($0) }
        let removed = before.identities.filter { !new.contains($0) }
        let devices = change.added.contains { old.contains($0.identity) }
        guard !added.isEmpty || !removed.isEmpty || devices else { return }
        // The first commit of a direct conversation brings its peer: nobody needs to be told.
        if group.kind.effective == .direct, removed.isEmpty, !devices { return }
        var digest = RosterLineID(group: id, seq: seq)
        var line = MessageRecord(
            id: ULID(milliseconds: UInt64(max(0, time)) * 1000, using: &digest),
            conversation: group.thread,
            sender: change.committer,
            isMine: change.committer == identity,
            kind: .roster,
            sentAt: time,
            receivedAt: time,
            order: group.order(seq),
            state: .received
        )
        line.seq = seq
        line.group = id
        line.roster = .init(
            by: change.committer,
            added: added,
            removed: removed,
            joinedDevice: devices && added.isEmpty && removed.isEmpty
        )
        try save(line)
        try place(line)
    }

    /// This device, or its whole identity, was removed from a group.
    mutating func removedFromGroup(_ id: GroupID, remaining: GroupRoster) throws(MessagingError) {
        let isIdentityOut = ExternalJoin.hasLeft(identity, remaining: Set(remaining.identities))
        try excluded(from: id, isIdentityOut: isIdentityOut)
        // M§5.7: only the last device of the identity says so.
        if isIdentityOut { configure(id, .left) }
        if groups[id]?.isPersonal == true { ledger.set(.setting, "", "expelled", [1]) }
    }

    /// This device, or its whole identity, is out of a group: it read so, or its hub, or its mailbox, does not let it in any more.
    mutating func excluded(from id: GroupID, isIdentityOut: Bool) throws(MessagingError) {
        guard let group = groups[id] else { return }
        try moveOutbox(from: id)
        try leave(id)
        set(nil, for: id)
        guard !group.isPersonal, !group.isLeaving, current(group.thread) == nil,
            var record = try ledger.conversation(group.thread)
        else {
            return
        }
        // A direct conversation is of two: whose leaves had lapsed goes on with what is said next. M§7.2
        let goesOn = record.kind == .direct && isIdentityOut
        record.isRemoved = !goesOn
        record.notice = nil
        show(record)
        for item in outbox[group.thread] ?? [] where !goesOn {
            if let content = item.content {
                try failed(content, in: group.thread, "You are no longer in this conversation.")
            }
            removeFromOutbox(item.id, thread: group.thread)
        }
    }
}

/// The random part of a roster line's id: what it tells of, so that every device makes the same.
private struct RosterLineID: RandomNumberGenerator {
    private var state: UInt64

    init(group: GroupID, seq: Int64) {
        state = UInt64(bitPattern: seq) &* 0x9e37_79b9_7f4a_7c15
        for byte in group.text.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
