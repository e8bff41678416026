import DSIPIdentity
import DSIPSignaling
import Encoding

extension RatchetHost {
    // MARK: Prekeys

    /// A device leaves bundles.
    ///
    /// - Parameter isServed: whether this relay serves the device's identity at all.
    public mutating func received(
        _ upload: Verified<PreKeys>,
        isServed: Bool,
        on connection: ConnectionID,
        at now: Int64
    ) {
        let head = upload.body.head
        guard isServed, upload.mayMessage, head.to == relay, head.from == upload.device,
            upload.body.subject == upload.principal
        else { return refuse(.policyBlocked, head, connection) }
        asked.append(Asked(id: head.id, from: head.from, connection: connection))
        let until = min(upload.delegation?.expiresAt ?? Self.forever, Self.forever)
        attempt { me throws(StoreFailure) in
            var shelf = try me.shelf(of: upload.body.subject, at: now)
            let changes: [PreKeyShelf.Change]
            do throws(MessagingError) {
                changes = try shelf.uploaded(upload.body, by: head.from)
            } catch {
                return me.refuse(.policyBlocked, head, connection)
            }
            try me.apply(changes, to: upload.body.subject)
            var device = try me.record(of: head.from) ?? Device(subject: upload.body.subject)
            if device.subject != upload.body.subject { try me.clear(head.from, from: device.subject, at: now) }
            device.subject = upload.body.subject
            device.since = upload.delegation?.issuedAt ?? Self.forever
            device.until = until
            device.takes = me.takes(head.from, on: connection) ?? device.takes
            try me.save(device, of: head.from)
            me.shelves.put(shelf, for: upload.body.subject)
            me.serve(head.from, on: connection)
            me.actions.append(.accepted(head.id, to: head.from, on: connection))
        }
    }

    /// Somebody wants to write to an identity, or to one device of it. Whether there is such an identity plays no part in the answer.
    public mutating func received(_ fetch: Verified<PreKeyFetch>, on connection: ConnectionID, at now: Int64) {
        let head = fetch.body.head
        guard fetch.mayMessage, head.to == relay, head.from == fetch.device else {
            return refuse(.policyBlocked, head, connection)
        }
        asked.append(Asked(id: head.id, from: head.from, connection: connection))
        attempt { me throws(StoreFailure) in
            var shelf = try me.shelf(of: fetch.body.target, at: now)
            let found = shelf.fetched(
                by: fetch.principal,
                of: fetch.body.target,
                device: fetch.body.device,
                asking: head.from,
                at: now
            )
            me.shelves.put(shelf, for: fetch.body.target)
            switch found {
            case .limited(let wait): me.refuse(.policyRateLimited, head, connection, retryAfter: wait)
            case .bundles(let bundles, let changes):
                // Gone from the shelf before anybody has them: no bundle is given to two.
                try me.apply(changes, to: fetch.body.target)
                let answer = PreKeys(
                    id: ULID(milliseconds: UInt64(max(0, now)) * 1000, using: &me.random),
                    from: me.relay,
                    to: head.from,
                    issuedAt: now,
                    inReplyTo: head.id,
                    subject: fetch.body.target,
                    bundles: bundles
                )
                me.actions.append(.preKeys(answer, on: connection))
            }
        }
    }

    // MARK: Rows

    /// What is known of a device that has left prekeys.
    struct Device: Hashable, Sendable {
        var subject: DID
        /// Unix seconds at which its delegation was issued.
        var since: Int64 = 0
        /// Unix seconds at which its delegation ends.
        var until: Int64 = 0
        /// The last that was given to an envelope.
        var position: UInt64 = 0
        var count: Int64 = 0
        var bytes: Int64 = 0
        var takes = Takes()

        /// What it took when it was here last. Who left prekeys before this was kept reads both forms in JSON.
        struct Takes: Hashable, Sendable {
            var reads: Set<WireForm> = [.jose, .proposal]
            var stored = false
        }
    }

    func record(of device: DID) throws(StoreFailure) -> Device? {
        guard let row = try store.record(.init(Self.devices, device.string)) else { return nil }
        guard let reader = RowReader(row), let subject = reader.did("subject") else { throw .corrupt }
        var known = Device(
            subject: subject,
            since: reader.int("since") ?? 0,
            until: reader.int("until") ?? 0,
            position: UInt64(max(0, reader.int("position") ?? 0)),
            count: reader.int("count") ?? 0,
            bytes: reader.int("bytes") ?? 0
        )
        if let reads = reader.value["reads"]?.array {
            known.takes.reads = Set(reads.compactMap { $0.string.flatMap(WireForm.init(rawValue:)) })
        }
        known.takes.stored = reader.flag("stored")
        return known
    }

    func save(_ device: Device, of did: DID) throws(StoreFailure) {
        var row = RowWriter()
        row.put("subject", device.subject)
        row.put("since", device.since)
        row.put("until", device.until)
        row.put("position", Int64(clamping: device.position))
        row.put("count", device.count)
        row.put("bytes", device.bytes)
        row.put("stored", flag: device.takes.stored)
        row.put("reads", list: device.takes.reads.map(\.rawValue).sorted().map { .string($0) })
        try store.apply(.put(MailboxRecord(.init(Self.devices, did.string), row.bytes)))
    }

    /// Without devices whose delegation has ended.
    private mutating func shelf(of identity: DID, at now: Int64) throws(StoreFailure) -> PreKeyShelf {
        var shelf: PreKeyShelf
        if let known = shelves.value(for: identity) {
            shelf = known
        } else {
            var rows: [(device: DID, number: UInt64, bundle: PreKeys.Bundle)] = []
            let most = limits.shelf.devices * (limits.shelf.bundles + 1)
            for row in try store.records(in: Self.scope(identity), after: nil, limit: most) {
                let place = row.key.name.split(separator: " ")
                guard place.count == 2, let device = DID(String(place[0])), let number = UInt64(place[1]),
                    let value = try? JSONValue(parsing: row.value),
                    let bundle = try? PreKeys.Bundle.read(value, "a bundle")
                else { throw .corrupt }
                rows.append((device, number, bundle))
            }
            shelf = PreKeyShelf(rows, fetches: try fetches(of: identity, at: now), limits: limits.shelf)
        }
        for device in shelf.devices where (try record(of: device))?.until ?? 0 <= now {
            try apply(shelf.removed(device), to: identity)
        }
        return shelf
    }

    /// Who fetched from an identity's shelf within the last day. What is older goes.
    func fetches(of identity: DID, at now: Int64) throws(StoreFailure) -> [(requester: DID, at: [Int64])] {
        var fetches: [(requester: DID, at: [Int64])] = []
        let scope = Self.fetchScope(identity)
        for row in try store.records(in: scope, after: nil, limit: RateWindow.maximumDeposits) {
            let times = RowReader(row.value)?.value["at"]?.array?.compactMap(\.int) ?? []
            if let requester = DID(row.key.name), let last = times.last, now - last < PreKeyShelf.fetchWindow {
                fetches.append((requester, times))
            } else {
                try store.apply(.remove(row.key))
            }
        }
        return fetches
    }

    private func apply(_ changes: [PreKeyShelf.Change], to identity: DID) throws(StoreFailure) {
        for change in changes {
            switch change {
            case .put(let device, let number, let bundle):
                try store.apply(.put(MailboxRecord(Self.key(identity, device, number), bundle.json.utf8)))
            case .remove(let device, let number): try store.apply(.remove(Self.key(identity, device, number)))
            case .fetched(let requester, let times):
                var row = RowWriter()
                row.put("at", list: times.map { .int($0) })
                try store.apply(.put(MailboxRecord(.init(Self.fetchScope(identity), requester.string), row.bytes)))
            }
        }
    }

    private mutating func clear(_ device: DID, from identity: DID, at now: Int64) throws(StoreFailure) {
        var shelf = try shelf(of: identity, at: now)
        try apply(shelf.removed(device), to: identity)
        shelves.put(shelf, for: identity)
    }

    /// Everything of a device goes.
    mutating func drop(_ device: DID) throws(StoreFailure) {
        guard let record = try record(of: device) else { return }
        // An end that has come takes its bundles off the shelf with the next look at it.
        try clear(device, from: record.subject, at: .min)
        while true {
            let items = try store.items(of: device, .after(0), limit: 256)
            for item in items { try store.apply(.removeItem(item.position, owner: device)) }
            if items.count < 256 { break }
        }
        try store.apply(.remove(.init(Self.devices, device.string)))
        lines[device] = nil
    }

    /// Unix seconds that are an integer of JSON.
    private static let forever: Int64 = 1 << 50

    private static func scope(_ identity: DID) -> String { "prekeys/\(identity.string)" }
    private static func fetchScope(_ identity: DID) -> String { "fetches/\(identity.string)" }

    /// Neither DIDs nor numbers hold a space.
    private static func key(_ identity: DID, _ device: DID, _ number: UInt64) -> MailboxRecord.Key {
        .init(scope(identity), "\(device.string) \(number)")
    }
}
