import DSIPIdentity
import DSIPSignaling
import Encoding

/// What the owner's devices ask of their mailbox. M§5.4, M§5.5, M§5.7, M§12.2
extension Mailbox {
    // MARK: Reading

    public mutating func received(_ request: SyncRequest, id: ULID, from device: DID) -> [MailboxAction] {
        func refuse(_ reason: Reason) -> [MailboxAction] {
            [.error(to: device, inReplyTo: id, reason, retryAfter: nil)]
        }
        guard devices.contains(device) else { return refuse(.policyBlocked) }
        guard let since = position(request.since) else { return refuse(.mailboxCursorInvalid) }
        if let cursor = request.ackThrough {
            guard let through = position(cursor) else { return refuse(.mailboxCursorInvalid) }
            acknowledged[device] = max(acknowledged[device] ?? 0, through)
        }
        let dropped = dropAcknowledged()
        if request.live { liveDevices.insert(device) }
        let limit = Int(min(request.limit ?? Int64(limits.page), Int64(limits.page)))
        let found = index.items(.after(since), limit: max(1, limit) + 1)
        let page = found.prefix(max(1, limit))
        let next = found.count > page.count ? page.last?.cursor : nil
        return [.items(to: device, inReplyTo: id, cursors: page.map(\.cursor), next: next)] + dropped
    }

    /// The number behind a cursor that this mailbox has given out; 0 for the beginning.
    private func position(_ cursor: Cursor?) -> UInt64? {
        guard let cursor else { return 0 }
        guard let position = cursor.position, position > 0, position < nextPosition else { return nil }
        return position
    }

    /// In `queue` mode an item goes when every registered device has it. M§4.4
    mutating func dropAcknowledged() -> [MailboxAction] {
        guard mode == .queue, let through = devices.map({ acknowledged[$0] ?? 0 }).min(), through > 0 else { return [] }
        return remove(.through(through))
    }

    /// The device's connection is gone.
    public mutating func unbound(_ device: DID) { liveDevices.remove(device) }

    // MARK: Configuring

    /// - Parameter revokedDevices: those whose revocation, signed by the owner, the configuration carried.
    public mutating func received(
        _ config: MailboxConfig,
        id: ULID,
        from device: DID,
        revokedDevices: [DID] = [],
        at now: Int64
    ) -> [MailboxAction] {
        guard devices.contains(device), config.subject == owner else {
            return [.error(to: device, inReplyTo: id, .policyBlocked, retryAfter: nil)]
        }
        if let mode = config.mode { self.mode = mode }
        if let policy = config.admit { admit = policy }
        if let retention = config.retention { archiveRetention = retention }
        for entry in config.groups { apply(entry, at: now) }
        revokedGrants.formUnion(config.revokedGrants)
        introductionsSent.formUnion(config.introductionsSent)
        Self.bound(&revokedGrants)
        Self.bound(&introductionsSent)
        var actions: [MailboxAction] = [.accepted(to: device, inReplyTo: id, cursor: nil, duplicate: false)]
        for revoked in revokedDevices.sorted() {
            devices.remove(revoked)
            acknowledged[revoked] = nil
            shelf.discard(revoked)
            if liveDevices.remove(revoked) != nil { actions.append(.close(device: revoked)) }
        }
        return actions + dropAcknowledged()
    }

    /// A device of the owner has made the group, or moved it here.
    mutating func joined(_ group: GroupID, at hub: DID) {
        groups[group] = GroupRegistration(hub: hub, state: .joined)
    }

    private mutating func apply(_ entry: MailboxConfig.Group, at now: Int64) {
        guard entry.state == .joined else {
            groups[entry.group] = nil
            return
        }
        guard var registration = groups[entry.group] else {
            if let hub = entry.hub { groups[entry.group] = GroupRegistration(hub: hub, state: .joined) }
            return
        }
        registration.state = .joined
        if let hub = entry.hub, hub != registration.hub, let seq = entry.handoverSeq {
            if seq < highest[entry.group] ?? 0 {
                // A device that has not read as far as the mailbox has stored does not lead back to where the group was then. When the
                // mailbox hears of it only now, it takes what was ordered there meanwhile. M§7.4
                if registration.handover?.phase != .waiting, let gap = gap(behind: seq, of: entry.group) {
                    registration.handover = HubHandover(gap, of: hub, since: now)
                }
            } else if seq > registration.handover?.lastSeq ?? 0 {
                registration.handover = HubHandover(from: registration.hub, through: seq, since: now)
                registration.hub = hub
            }
        }
        groups[entry.group] = registration
    }

    /// What is not stored of a group between `seq` and the next that is; nil when there is nothing between them.
    private func gap(behind seq: Int64, of group: GroupID) -> ClosedRange<Int64>? {
        let limit = min(highest[group] ?? 0, seq.addingReportingOverflow(Self.maximumGap + 1).partialValue)
        var end = seq + 1
        while end < limit, index.first(.sequenced(group, end)) == nil { end += 1 }
        return end > seq + 1 ? seq + 1...end - 1 : nil
    }

    private static let maximumGap: Int64 = 1024

    private static func bound(_ ids: inout Set<ULID>) {
        guard ids.count > maximumIDs else { return }
        for id in ids.sorted().prefix(ids.count - maximumIDs) { ids.remove(id) }
    }

    // MARK: Archiving

    /// A device archives what it shows: the first record of an item is kept. M§12.2
    public mutating func receivedArchive(
        id: ULID,
        from device: DID,
        group: GroupID,
        seq: Int64,
        size: Int64 = 0,
        at now: Int64
    ) -> [MailboxAction] {
        func refuse(_ reason: Reason) -> [MailboxAction] {
            [.error(to: device, inReplyTo: id, reason, retryAfter: nil)]
        }
        guard devices.contains(device) else { return refuse(.policyBlocked) }
        guard mode == .sync else { return refuse(.mailboxUnsupportedClass) }
        if let held = index.first(.archived(group, seq)) {
            return [.accepted(to: device, inReplyTo: id, cursor: held, duplicate: true)]
        }
        guard !exceedsQuota(size) else { return refuse(.mailboxQuotaExceeded) }
        let cursor = store(.archive, group: group, seq: seq, size: size, at: now)
        return [.accepted(to: device, inReplyTo: id, cursor: cursor, duplicate: false)]
            + pushes(of: cursor, except: device)
    }

    // MARK: KeyPackages

    /// A device leaves KeyPackages, each verified against M§6.2.
    public mutating func uploaded(
        _ count: Int,
        hasLastResort: Bool,
        id: ULID,
        from device: DID
    ) -> [MailboxAction] {
        guard devices.contains(device) else {
            return [.error(to: device, inReplyTo: id, .policyBlocked, retryAfter: nil)]
        }
        _ = shelf.add(count, hasLastResort: hasLastResort, from: device)
        return [.accepted(to: device, inReplyTo: id, cursor: nil, duplicate: false)]
    }

    /// KeyPackages of a device may be used no more, their time being over.
    mutating func ended(_ count: Int, hasLastResort: Bool, of device: DID) {
        shelf.ended(count, hasLastResort: hasLastResort, of: device)
    }

    /// Somebody asks for the owner's KeyPackages.
    ///
    /// - Parameter identity: of the device that asks.
    public mutating func received(
        _ fetch: KeyPackageFetch,
        id: ULID,
        from device: DID,
        of identity: DID,
        grant: PresentedGrant?,
        at now: Int64
    ) -> [MailboxAction] {
        func refuse(_ reason: Reason) -> [MailboxAction] {
            [.error(to: device, inReplyTo: id, reason, retryAfter: nil)]
        }
        guard serves.contains(fetch.target) else { return refuse(.transportUnknownRecipient) }
        let isSuccessor = fetch.successorOf.map { groups[$0] != nil } ?? false
        guard
            Admission.admits(
                identity,
                to: owner,
                policy: admit,
                grant: grant,
                revoked: revokedGrants,
                isSuccessor: isSuccessor,
                at: now
            )
        else { return refuse(.policyFirstContactRequired) }
        let served = shelf.take()
        guard !served.isEmpty else { return refuse(.mailboxNoKeyPackages) }
        return [.keyPackages(to: device, inReplyTo: id, served)]
    }
}
