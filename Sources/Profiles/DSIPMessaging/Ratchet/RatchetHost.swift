import DSIPIdentity
import DSIPSignaling
import Encoding

/// A relay's end of ratchet conversations: prekeys that devices leave are handed out, once each, and messages for them are kept until
/// they are acknowledged.
///
/// Synchronous and pure: what comes in changes the store's open transaction, and ``commit(at:)`` makes all since the last one durable
/// together and hands out what there is to say. When the store fails, nothing of it happened, and every sender is told to come again.
///
/// ```
/// record  "device"             <device>            whose it is, until when, and what is kept for it
/// record  "prekeys/<identity>" <device>/<number>   a bundle; the last resort has the number 0
/// record  "fetches/<identity>" <requester>         when who asks fetched within the last day
/// item    <device>, position                       an envelope, `digest` its id
/// ```
public struct RatchetHost: Sendable {
    public struct Limits: Hashable, Sendable {
        public var shelf = PreKeyShelf.Limits()
        /// Envelopes kept for a device, and bytes of them.
        public var envelopes: Int64 = 2048
        public var bytes: Int64 = 32 << 20
        /// Envelopes, and bytes of them, that a device has yet to acknowledge before it is sent more.
        public var window = 16
        public var windowBytes: Int64 = 512 << 10
        /// Messages at once, and a second, by one identity for one device.
        public var burst = 256
        public var perSecond = 4.0
        /// Seconds.
        public var retention = RatchetMessage.maximumLifetime
        /// Identities whose shelves are held in memory.
        public var shelvesAtHand = 2048

        public init() {}
    }

    /// What the shell does; everything it rests on is durable.
    public enum Action: Hashable, Sendable {
        /// Sign `accepted` for this message of a device.
        case accepted(ULID, to: DID, on: ConnectionID)
        case refused(Reason, ULID, to: DID, retryAfter: Int64?, on: ConnectionID)
        /// Sign and send.
        case preKeys(PreKeys, on: ConnectionID)
        /// Send as it is.
        case deliver([UInt8], on: ConnectionID)
        /// Something came for a device that is away.
        case wake(DID, ULID)
        /// The store failed, and what the device was sent is not known any more: it comes again.
        case hangUp(ConnectionID)
    }

    /// A bound device for which something may be kept here.
    struct Line: Sendable {
        var connection: ConnectionID
        /// The forms in which it can be sent something.
        var reads: Set<WireForm>
        var cursor: UInt64 = 0
        /// Sent and not acknowledged, and when.
        var inFlight: [ULID: (item: MailboxItem, at: Int64)] = [:]

        /// What a device has not acknowledged for long it cannot read at present: it keeps nothing else waiting, up to a bound.
        func hasRoom(_ limits: Limits, at now: Int64) -> Bool {
            let recent = inFlight.values.filter { now - $0.at < RatchetHost.patience }
            return recent.count < limits.window && recent.reduce(0) { $0 + $1.item.size } < limits.windowBytes
                && inFlight.count < limits.window * 8
        }
    }

    /// Who waits for an answer, should the commit fail.
    struct Asked: Sendable {
        var id: ULID
        var from: DID
        var connection: ConnectionID
    }

    let relay: DID
    let limits: Limits
    let store: any MailboxStore
    var random: Entropy
    var shelves: RecentTable<DID, PreKeyShelf>
    var senders: Throttle<String>
    var lines: [DID: Line] = [:]
    var asked: [Asked] = []
    var actions: [Action] = []
    var failure: StoreFailure?
    /// Stored envelopes for one device, whoever sends them.
    private var strangers: Throttle<DID>
    private var bound: [ConnectionID: (device: DID, takes: Device.Takes)] = [:]
    private var sweepAt: Int64
    private var sweepAfter: String?

    public init(
        _ relay: DID,
        store: any MailboxStore,
        limits: Limits = Limits(),
        random: some RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(),
        at now: Int64
    ) {
        self.relay = relay
        self.limits = limits
        self.store = store
        self.random = Entropy(random)
        shelves = RecentTable(capacity: limits.shelvesAtHand)
        senders = Throttle(burst: limits.burst, perSecond: limits.perSecond)
        strangers = Throttle(burst: limits.burst, perSecond: limits.perSecond)
        sweepAt = now + Self.sweepInterval
    }

    // MARK: Connections

    /// A device is here: it is sent what is kept for it.
    ///
    /// - Parameters:
    ///   - reads: the forms that it takes. What is kept in another waits for a connection that reads it.
    ///   - opensStored: whether it opens stored envelopes.
    public mutating func bound(
        _ device: DID,
        reading reads: Set<WireForm> = [.jose],
        opensStored: Bool = false,
        on connection: ConnectionID,
        at now: Int64
    ) {
        unbound(connection)
        let takes = Device.Takes(reads: reads, stored: opensStored)
        bound[connection] = (device, takes)
        attempt { me throws(StoreFailure) in
            guard var record = try me.record(of: device) else { return }
            if record.takes != takes {
                record.takes = takes
                try me.save(record, of: device)
            }
            me.lines[device] = Line(connection: connection, reads: reads)
            try me.deliver(to: device, at: now)
        }
    }

    public mutating func unbound(_ connection: ConnectionID) {
        guard let (device, _) = bound.removeValue(forKey: connection) else { return }
        if lines[device]?.connection == connection { lines[device] = nil }
    }

    /// A device that left prekeys just now is served from now on.
    mutating func serve(_ device: DID, on connection: ConnectionID) {
        guard let (here, takes) = bound[connection], here == device, lines[device] == nil else { return }
        lines[device] = Line(connection: connection, reads: takes.reads)
    }

    /// What a device takes on this connection; nil when it is another's.
    func takes(_ device: DID, on connection: ConnectionID) -> Device.Takes? {
        bound[connection].flatMap { $0.device == device ? $0.takes : nil }
    }

    // MARK: Messages

    /// Keeps a message for its device.
    public mutating func received(_ message: Verified<RatchetMessage>, on connection: ConnectionID, at now: Int64) {
        keep(message, message.body.head, on: connection, at: now)
    }

    /// Keeps what the proposal has beside its messages, in the same order.
    public mutating func received(_ said: Verified<RatchetStatement>, on connection: ConnectionID, at now: Int64) {
        keep(said, said.body.head, on: connection, at: now)
    }

    /// Keeps a stored envelope. Who sends it nobody here knows, so all who do share a rate and half of the room.
    public mutating func received(_ stored: Verified<StoredMessage>, on connection: ConnectionID, at now: Int64) {
        keep(stored, stored.body.head, isStored: true, on: connection, at: now)
    }

    private mutating func keep<Body>(
        _ message: Verified<Body>,
        _ head: ExtensionHead,
        isStored: Bool = false,
        on connection: ConnectionID,
        at now: Int64
    ) {
        guard message.mayMessage, head.from == message.device else {
            return refuse(.policyBlocked, head, connection)
        }
        let (bytes, form) = (message.envelope.bytes, message.envelope.form)
        // Said now or never, such as typing: not kept, and nobody waits for an answer.
        if head.expiresAt - head.issuedAt <= Self.passing {
            if let line = lines[head.to], line.reads.contains(form) {
                actions.append(.deliver(bytes, on: line.connection))
            }
            return
        }
        let key = "\(message.principal.string) \(head.to.string)"
        if let wait = isStored ? strangers.admit(head.to, at: now) : senders.admit(key, at: now) {
            return refuse(.policyRateLimited, head, connection, retryAfter: wait)
        }
        asked.append(Asked(id: head.id, from: head.from, connection: connection))
        attempt { me throws(StoreFailure) in
            guard var device = try me.record(of: head.to), device.until > now else {
                return me.refuse(.transportUnknownRecipient, head, connection)
            }
            // Signed end to end, it cannot be said in another form by anybody else: its sender says it anew.
            guard device.takes.reads.contains(form), !isStored || device.takes.stored else {
                return me.refuse(.sessionUnsupportedWireFormat, head, connection)
            }
            let size = Int64(bytes.count)
            let part: Int64 = isStored ? 2 : 1
            guard device.count < me.limits.envelopes / part, device.bytes + size <= me.limits.bytes / part else {
                return me.refuse(.mailboxQuotaExceeded, head, connection, retryAfter: 3600)
            }
            device.position += 1
            device.count += 1
            device.bytes += size
            let item = MailboxItem(
                position: device.position,
                itemClass: .application,
                group: nil,
                seq: nil,
                storedAt: now,
                size: size,
                digest: head.id.description,
                expiresAt: min(head.expiresAt, now + me.limits.retention)
            )
            try me.store.apply(.insertItem(item, content: bytes, owner: head.to))
            try me.save(device, of: head.to)
            me.actions.append(.accepted(head.id, to: head.from, on: connection))
            if me.lines[head.to] == nil {
                me.actions.append(.wake(head.to, head.id))
            } else {
                try me.deliver(to: head.to, at: now)
            }
        }
    }

    /// The device bound to the connection has what this envelope brought on its disk.
    public mutating func acknowledged(_ id: ULID, on connection: ConnectionID, at now: Int64) {
        guard let device = bound[connection]?.device, let item = lines[device]?.inFlight.removeValue(forKey: id) else {
            return
        }
        attempt { me throws(StoreFailure) in
            try me.remove([item.item], of: device)
            try me.deliver(to: device, at: now)
        }
    }

    /// Sends what is next, as much as may be unacknowledged.
    mutating func deliver(to device: DID, at now: Int64) throws(StoreFailure) {
        guard var line = lines[device] else { return }
        defer { lines[device] = line }
        while line.hasRoom(limits, at: now) {
            let items = try store.items(of: device, .after(line.cursor), limit: limits.window)
            guard !items.isEmpty else { return }
            for item in items {
                guard line.hasRoom(limits, at: now) else { return }
                line.cursor = item.position
                // What has had its time would not be verified any more; the sweep takes it.
                guard item.expiresAt ?? .max > now, let id = item.digest.flatMap({ ULID($0) }),
                    let content = try store.content(at: item.position, of: device),
                    line.reads.contains(WireForm(of: content))
                else { continue }
                line.inFlight[id] = (item, now)
                actions.append(.deliver(content, on: line.connection))
            }
        }
    }

    mutating func remove(_ items: [MailboxItem], of device: DID) throws(StoreFailure) {
        guard !items.isEmpty, var record = try record(of: device) else { return }
        for item in items {
            try store.apply(.removeItem(item.position, owner: device))
            record.count -= 1
            record.bytes -= item.size
        }
        try save(record, of: device)
    }

    // MARK: Time

    /// When ``advance(to:)`` has something to do.
    public var deadline: Int64 { sweepAt }

    /// Drops what has had its time, some devices at a time.
    public mutating func advance(to now: Int64) {
        guard now >= sweepAt else { return }
        attempt { me throws(StoreFailure) in
            let page = try me.store.records(in: Self.devices, after: me.sweepAfter, limit: Self.swept)
            for row in page {
                guard let device = DID(row.key.name), let record = try me.record(of: device) else { continue }
                guard record.until + me.limits.retention > now else {
                    try me.drop(device)
                    continue
                }
                let ended = ItemSelection.ended(now: now, messages: .min, archive: nil)
                try me.remove(try me.store.items(of: device, ended, limit: Self.swept), of: device)
                _ = try me.fetches(of: record.subject, at: now)
            }
            me.sweepAfter = page.count < Self.swept ? nil : page.last?.key.name
            me.sweepAt = now + (me.sweepAfter == nil ? Self.sweepInterval : 10)
        }
    }

    /// An identity took back what it had delegated to a device up to then: nothing is kept for it any more.
    public mutating func revoked(_ device: DID, of subject: DID, at time: Int64) {
        attempt { me throws(StoreFailure) in
            guard let record = try me.record(of: device), record.subject == subject, record.since <= time else {
                return
            }
            try me.drop(device)
        }
    }

    // MARK: The commit

    /// - Returns: what there is to say, now that it is durable.
    public mutating func commit(at now: Int64) -> [Action] {
        defer { (asked, actions, failure) = ([], [], nil) }
        do throws(StoreFailure) {
            if let failure { throw failure }
            try store.commit()
            return actions
        } catch {
            store.rollback()
            // What was read since the last commit may not be so. Devices that are here read on from the beginning.
            shelves.removeAll()
            defer { lines = [:] }
            return asked.map {
                .refused(.mailboxQuotaExceeded, $0.id, to: $0.from, retryAfter: Self.retryAfter, on: $0.connection)
            } + lines.values.map(\.connection).sorted().map { .hangUp($0) }
        }
    }

    mutating func attempt(_ body: (inout Self) throws(StoreFailure) -> Void) {
        guard failure == nil else { return }
        do throws(StoreFailure) {
            try body(&self)
        } catch {
            failure = error
        }
    }

    mutating func refuse(
        _ reason: Reason,
        _ head: ExtensionHead,
        _ connection: ConnectionID,
        retryAfter: Int64? = nil
    ) {
        actions.append(.refused(reason, head.id, to: head.from, retryAfter: retryAfter, on: connection))
    }

    /// Seconds of life up to which a message is passed on and not kept.
    static let passing: Int64 = 60
    static let retryAfter: Int64 = 30
    /// Seconds that a device may take to acknowledge before others are sent beside.
    static let patience: Int64 = 60
    static let devices = "device"
    private static let swept = 64
    private static let sweepInterval: Int64 = 3600
}
