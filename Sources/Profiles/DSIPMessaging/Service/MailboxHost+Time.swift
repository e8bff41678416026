import DSIPIdentity
import DSIPSignaling
import Encoding

/// What time brings: retries, ends, and a walk over everything that is kept. M§4.4, M§6.6, M§9.3
extension MailboxHost {
    /// Where the walk stands. It goes a few steps at a time, so that no one step is long however much is kept.
    struct Sweeper {
        enum Field: CaseIterable { case mailboxes, hubs, blobs }

        var field = Field.mailboxes
        var last: String?
        /// When the next step is due.
        var next: Int64 = 0

        /// Seconds between steps, and how many go into one.
        static let interval: Int64 = 10
        static let width = 32

        mutating func went(to last: String?) {
            self.last = last
            guard last == nil else { return }
            let fields = Field.allCases
            let index = fields.firstIndex(of: field) ?? 0
            field = fields[(index + 1) % fields.count]
        }
    }

    /// Time has come to `now`: at ``deadline``, or whenever.
    public func advance(to now: Int64) {
        if outbound.isRestoring, now >= outbound.restoreAt {
            run(.none, at: now) { () throws(HostStop) in try restoreLanes(at: now) }
        }
        for (key, lane) in outbound.lanes where lane.due.map({ $0 <= now }) ?? false {
            run(.lane(key), at: now) { () throws(HostStop) in try drive(key, at: now) }
        }
        expireForwards(at: now)
        driveReplications(at: now)
        for input in parking.expire(at: now) { giveUp(input, at: now) }
        guard now >= sweeper.next else { return }
        sweeper.next = now + Sweeper.interval
        run(.none, at: now) { () throws(HostStop) in try sweep(at: now) }
    }

    private func sweep(at now: Int64) throws(HostStop) {
        switch sweeper.field {
        case .mailboxes:
            let scopes = try scopes(HostedMailbox.prefix)
            for scope in scopes {
                guard let owner = DID(scope.dropFirst(HostedMailbox.prefix.count)) else { continue }
                try sweepMailbox(owner, at: now)
            }
            sweeper.went(to: scopes.count < Sweeper.width ? nil : scopes.last)
        case .hubs:
            let scopes = try scopes(HostedHub.prefix)
            for scope in scopes {
                guard let group = GroupID(String(scope.dropFirst(HostedHub.prefix.count))) else { continue }
                try sweepHub(group, at: now)
            }
            sweeper.went(to: scopes.count < Sweeper.width ? nil : scopes.last)
        case .blobs:
            let records = try ask { () throws(StoreFailure) in
                try store.records(in: "blob", after: sweeper.last, limit: Sweeper.width)
            }
            for record in records { try sweepBlob(record, at: now) }
            sweeper.went(to: records.count < Sweeper.width ? nil : records.last?.key.name)
        }
    }

    private func scopes(_ prefix: String) throws(HostStop) -> [String] {
        try ask { () throws(StoreFailure) in
            try store.scopes(withPrefix: prefix, after: sweeper.last, limit: Sweeper.width)
        }
    }

    private func sweepMailbox(_ owner: DID, at now: Int64) throws(HostStop) {
        guard let hosted = try mailbox(of: owner) else { return }
        let pending = hosted.mailbox.groups.filter(\.value.isPending).keys
        _ = hosted.mailbox.advance(to: now)
        var touched = HostedMailbox.Touched(groups: pending.filter { hosted.mailbox.groups[$0] == nil })
        for (device, record) in hosted.devices where now - record.seenAt > limits.retention {
            // One that stayed bound all that time has not gone.
            if connections[DeviceKey(owner: owner, device: device)] != nil {
                hosted.devices[device]?.seenAt = now
            } else {
                try forget(device, at: hosted)
            }
            touched.devices.append(device)
        }
        try ask { () throws(StoreFailure) in try hosted.save(touched) }
    }

    /// Items of a hub that are looked at in one step.
    private static let hubStep: Int64 = 512

    private func sweepHub(_ group: GroupID, at now: Int64) throws(HostStop) {
        guard let hosted = try hub(of: group) else { return }
        // Digests go with the retention, contents when too many wait.
        var end = hosted.oldest
        while end < hosted.hub.nextSeq, end - hosted.oldest < Self.hubStep {
            guard let item = hosted.log.item(end) else {
                end += 1
                continue
            }
            guard now - item.orderedAt > limits.retention else { break }
            end += 1
        }
        let contents = max(end, hosted.hub.nextSeq - limits.pendingItems)
        let actions = hosted.hub.lowestPending < contents ? hosted.hub.expired(below: contents) : []
        if end > hosted.oldest {
            try apply(.removeOrdered(group, below: end))
            hosted.oldest = end
        }
        try perform(actions, at: hosted, nil, now)
        try ask { () throws(StoreFailure) in try hosted.save() }
    }
}
