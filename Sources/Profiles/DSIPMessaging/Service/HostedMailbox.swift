import DSIPIdentity
import DSIPSignaling
import Encoding

/// A mailbox with what its host knows beside the machine, and its rows in the store.
///
/// ```
/// mailbox/<owner>   head                     mode, admission, counters
///                   device/<did>             last hello, what it has, which KeyPackages
///                   group/<id>               registration, hub's address, highest seq
///                   revoked/<grant>, introduced/<introduction>
///                   contacts                 first contact of the last window
/// packages/<owner>  <device>/<number>        a KeyPackage; `last` for the last resort
/// revocation        <owner>/<device>         the owner's envelope
/// ```
final class HostedMailbox {
    struct Device: Hashable {
        /// Of the last hello that was written down, Unix seconds.
        var seenAt: Int64
        /// Numbers of the KeyPackages held: from the first to before the next.
        var firstPackage: Int64 = 0
        var nextPackage: Int64 = 0
    }

    var mailbox: Mailbox
    let items: StoredItems
    var devices: [DID: Device] = [:]
    var hubURIs: [GroupID: String] = [:]
    /// Bytes of the owner's blobs, which count to the quota. M§4.4
    var blobBytes: Int64 = 0
    private let store: any MailboxStore
    private let scope: String

    static let prefix = "mailbox/"
    static func scope(of owner: DID) -> String { prefix + owner.string }

    var owner: DID { mailbox.owner }

    /// - Returns: nil when the owner has no mailbox here.
    static func load(
        _ owner: DID,
        at service: DID,
        _ limits: MailboxHost.Limits,
        from store: any MailboxStore
    ) throws(StoreFailure) -> HostedMailbox? {
        let scope = Self.scope(of: owner)
        guard let head = try store.record(.init(scope, "head")) else { return nil }
        var records: [MailboxRecord] = []
        var last: String?
        repeat {
            let page = try store.records(in: scope, after: last, limit: 512)
            records += page
            last = page.count < 512 ? nil : page.last?.key.name
        } while last != nil
        do {
            return try HostedMailbox(
                owner,
                at: service,
                limits,
                store,
                JSONValue(parsing: head, limits: .host),
                records
            )
        } catch {
            throw .corrupt
        }
    }

    /// A new one.
    init(creating owner: DID, at service: DID, _ limits: MailboxHost.Limits, in store: any MailboxStore) {
        self.store = store
        scope = Self.scope(of: owner)
        items = StoredItems(store, of: owner, usedBytes: 0, introductions: 0)
        mailbox = Mailbox(did: service, owner: owner, limits: limits.mailbox, items: items)
        mailbox.limits.quota = limits.quota
    }

    private init(
        _ owner: DID,
        at service: DID,
        _ limits: MailboxHost.Limits,
        _ store: any MailboxStore,
        _ head: JSONValue,
        _ records: [MailboxRecord]
    ) throws {
        self.store = store
        scope = Self.scope(of: owner)
        var members = try Members(head, "head")
        var state = Mailbox.State()
        state.mode = MailboxMode(rawValue: try members.required("mode", Read.string)) ?? .sync
        state.admit = AdmissionPolicy(rawValue: try members.required("admit", Read.string)) ?? .grant
        state.archiveRetention = try members.optional("archive_retention", Read.natural)
        state.nextPosition = UInt64(try members.required("next", Read.positive))
        items = StoredItems(
            store,
            of: owner,
            usedBytes: try members.required("used", Read.natural),
            introductions: Int(try members.required("introductions", Read.natural))
        )
        blobBytes = try members.required("blobs", Read.natural)
        for record in records {
            let name = record.key.name
            func rest(_ prefix: String) -> String? {
                name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : nil
            }
            if let device = rest("device/").flatMap({ DID($0) }) {
                var members = try Members(JSONValue(parsing: record.value, limits: .host), name)
                devices[device] = Device(
                    seenAt: try members.required("seen", Read.natural),
                    firstPackage: try members.required("first", Read.natural),
                    nextPackage: try members.required("next", Read.natural)
                )
                state.devices.insert(device)
                let acknowledged = try members.required("acknowledged", Read.natural)
                if acknowledged > 0 { state.acknowledged[device] = UInt64(acknowledged) }
                let hasLast = try members.required("last_resort", Read.boolean)
                let count = Int(devices[device].map { $0.nextPackage - $0.firstPackage } ?? 0)
                if count > 0 || hasLast { state.keyPackages[device] = .init(oneTime: count, hasLastResort: hasLast) }
            } else if let group = rest("group/").flatMap(GroupID.init) {
                try Self.read(JSONValue(parsing: record.value, limits: .host), of: group, &state, &hubURIs)
            } else if let id = rest("revoked/").flatMap({ ULID($0) }) {
                state.revokedGrants.insert(id)
            } else if let id = rest("introduced/").flatMap({ ULID($0) }) {
                state.introductionsSent.insert(id)
            } else if name == "contacts" {
                let list = try Read.list(Self.contact)(JSONValue(parsing: record.value, limits: .host), name)
                state.firstContacts = list
            }
        }
        mailbox = Mailbox(restoring: state, did: service, owner: owner, limits: limits.mailbox, items: items)
        mailbox.limits.quota = limits.quota.map { $0 - blobBytes }
    }

    // MARK: Writing

    /// What an input touched.
    struct Touched {
        var groups: [GroupID] = []
        var devices: [DID] = []
        var revokedGrants: [ULID] = []
        var introductionsSent: [ULID] = []
        var hasContacts = false
    }

    /// Writes the head and what was touched; then the machine's questions have all been answered, or this throws.
    func save(_ touched: Touched = Touched()) throws(StoreFailure) {
        if let failure = items.failure { throw failure }
        var head: JSONObject = [
            "mode": .string(mailbox.mode.rawValue), "admit": .string(mailbox.admit.rawValue),
            "next": .int(Int64(mailbox.nextPosition)), "used": .int(max(0, items.usedBytes)),
            "introductions": .int(Int64(max(0, items.introductions))), "blobs": .int(max(0, blobBytes)),
        ]
        if let seconds = mailbox.archiveRetention { head["archive_retention"] = .int(seconds) }
        try put("head", .object(head))
        for device in touched.devices { try save(device) }
        for group in touched.groups { try save(group) }
        for id in touched.revokedGrants { try put("revoked/\(id)", .null) }
        for id in touched.introductionsSent {
            let name = "introduced/\(id)"
            if mailbox.introductionsSent.contains(id) { try put(name, .null) } else { try remove(name) }
        }
        if touched.hasContacts {
            let contacts = mailbox.rate.deposits.map {
                JSONValue.array([.int($0.at), .string($0.sender.string), .string($0.recipient.string)])
            }
            try put("contacts", .array(contacts))
        }
    }

    private func save(_ device: DID) throws(StoreFailure) {
        guard let record = devices[device], mailbox.devices.contains(device) else {
            devices[device] = nil
            return try remove("device/\(device)")
        }
        try put(
            "device/\(device)",
            [
                "seen": .int(record.seenAt), "first": .int(record.firstPackage), "next": .int(record.nextPackage),
                "acknowledged": .int(Int64(mailbox.acknowledged[device] ?? 0)),
                "last_resort": .bool(mailbox.shelf.stock[device]?.hasLastResort ?? false),
            ]
        )
    }

    private func save(_ group: GroupID) throws(StoreFailure) {
        let highest = mailbox.highest[group]
        guard let registration = mailbox.groups[group] else {
            hubURIs[group] = nil
            guard let highest else { return try remove("group/\(group)") }
            return try put("group/\(group)", ["highest": .int(highest)])
        }
        var object: JSONObject = ["hub": .string(registration.hub.string)]
        if let highest { object["highest"] = .int(highest) }
        if let uri = hubURIs[group] { object["uri"] = .string(uri) }
        if case .pending(let since, let admitted, let first) = registration.state {
            object["pending"] = [.int(since), .int(Int64(admitted)), .int(Int64(first))]
        }
        if let handover = registration.handover {
            var members: JSONObject = [
                "from": .string(handover.previousHub.string), "last": .int(handover.lastSeq),
                "since": .int(handover.since),
            ]
            switch handover.phase {
            case .waiting: break
            case .settled: members["settled"] = true
            case .expired(let missing): members["missing"] = .array(missing.sorted().map { .int($0) })
            }
            object["handover"] = .object(members)
        }
        try put("group/\(group)", .object(object))
    }

    func put(_ name: String, _ value: JSONValue) throws(StoreFailure) {
        try store.apply(.put(MailboxRecord(.init(scope, name), value.utf8)))
    }

    func remove(_ name: String) throws(StoreFailure) { try store.apply(.remove(.init(scope, name))) }

    // MARK: Reading

    private static func read(
        _ value: JSONValue,
        of group: GroupID,
        _ state: inout Mailbox.State,
        _ uris: inout [GroupID: String]
    ) throws {
        var members = try Members(value, "a group")
        if let highest = try members.optional("highest", Read.natural) { state.highest[group] = highest }
        guard let hub = try members.optional("hub", Read.did) else { return }
        uris[group] = try members.optional("uri", Read.string)
        var registration = GroupRegistration(hub: hub, state: .joined)
        if let pending = value["pending"]?.array?.compactMap(\.int), pending.count == 3 {
            registration.state = .pending(since: pending[0], admitted: Int(pending[1]), from: UInt64(pending[2]))
        }
        if let handover = value["handover"] {
            var members = try Members(handover, "handover")
            var phase = HubHandover.Phase.waiting
            if handover["settled"]?.bool == true { phase = .settled }
            if let missing = handover["missing"]?.array?.compactMap(\.int) { phase = .expired(missing: Set(missing)) }
            registration.handover = HubHandover(
                from: try members.required("from", Read.did),
                through: try members.required("last", Read.natural),
                since: try members.required("since", Read.natural),
                phase: phase
            )
        }
        state.groups[group] = registration
    }

    private static func contact(_ value: JSONValue, _ name: String) throws(MessagingError) -> RateWindow.Deposit {
        guard let row = value.array, row.count == 3, let at = row[0].int,
            let sender = row[1].string.flatMap({ DID($0) }),
            let recipient = row[2].string.flatMap({ DID($0) })
        else { throw Members.fault("a contact is malformed") }
        return RateWindow.Deposit(at: at, sender: sender, recipient: recipient)
    }

    // MARK: KeyPackages

    private var packages: String { "packages/\(owner)" }

    /// Sorted as their numbers are.
    private static func name(_ device: DID, _ number: Int64) -> String {
        let digits = String(number)
        return "\(device)/" + String(repeating: "0", count: max(0, 12 - digits.count)) + digits
    }

    func keepPackage(_ package: HeldKeyPackage, of device: DID) throws(StoreFailure) {
        let number = devices[device]?.nextPackage ?? 0
        devices[device]?.nextPackage = number + 1
        try store.apply(.put(MailboxRecord(.init(packages, Self.name(device, number)), package.bytes)))
    }

    func keepLastResort(_ package: HeldKeyPackage, of device: DID) throws(StoreFailure) {
        try store.apply(.put(MailboxRecord(.init(packages, "\(device)/last"), package.bytes)))
    }

    /// The oldest of a device, gone from here on.
    func takePackage(of device: DID) throws(StoreFailure) -> HeldKeyPackage? {
        while let record = devices[device], record.firstPackage < record.nextPackage {
            let key = MailboxRecord.Key(packages, Self.name(device, record.firstPackage))
            devices[device]?.firstPackage += 1
            guard let held = try store.record(key).flatMap(HeldKeyPackage.init(bytes:)) else { continue }
            try store.apply(.remove(key))
            return held
        }
        return nil
    }

    /// The oldest of a device, which stays.
    func oldestPackage(of device: DID) throws(StoreFailure) -> HeldKeyPackage? {
        guard let record = devices[device], record.firstPackage < record.nextPackage else { return nil }
        return try store.record(.init(packages, Self.name(device, record.firstPackage)))
            .flatMap(HeldKeyPackage.init(bytes:))
    }

    func lastResort(of device: DID) throws(StoreFailure) -> HeldKeyPackage? {
        try store.record(.init(packages, "\(device)/last")).flatMap(HeldKeyPackage.init(bytes:))
    }

    func discardPackages(of device: DID) throws(StoreFailure) {
        if let record = devices[device] {
            for number in record.firstPackage..<max(record.firstPackage, record.nextPackage) {
                try store.apply(.remove(.init(packages, Self.name(device, number))))
            }
            devices[device]?.firstPackage = record.nextPackage
        }
        try store.apply(.remove(.init(packages, "\(device)/last")))
    }
}

/// A KeyPackage on its shelf: its end, 8 bytes big-endian, then the KeyPackage.
struct HeldKeyPackage: Hashable {
    /// Unix seconds; the last one in which it may be used.
    var notAfter: UInt64
    var encoded: [UInt8]

    init(notAfter: UInt64, encoded: [UInt8]) {
        self.notAfter = notAfter
        self.encoded = encoded
    }

    init?(bytes: [UInt8]) {
        guard bytes.count > 8 else { return nil }
        notAfter = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        encoded = Array(bytes[8...])
    }

    var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: notAfter >> (56 - 8 * $0)) } + encoded }
}
