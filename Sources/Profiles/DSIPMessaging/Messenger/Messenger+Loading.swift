import DSIPIdentity
import Encoding
import MLS

extension Messenger {
    /// Everything that is kept in memory, from the store.
    mutating func load() throws(MessagingError) {
        var cursors: [DID: Cursor] = [:]
        for row in try ledger.rows(.setting, "cursor") {
            guard let mailbox = DID(row.key), let cursor = Cursor(String(decoding: row.value, as: UTF8.self)) else {
                continue
            }
            cursors[mailbox] = cursor
        }
        groups = [:]
        mls = [:]
        rosters = [:]
        peers = [:]
        clients = [:]
        offers = [:]
        mailboxQuestions = [:]
        inFlight = [:]
        syncs = [:]
        blobJobs = [:]
        batch = Batch()
        carrying = []
        late = []
        answeredRequests = []
        var inboxGroups: [GroupID: DeviceInbox.State.Group] = [:]
        for row in try ledger.rows(.group, "") {
            guard
                let group = GroupState(decoding: row.value, hubTimeout: configuration.hubTimeout, at: now)
            else { continue }
            groups[group.id] = group
            guard group.phase != .left else { continue }
            inboxGroups[group.id] = .init(position: group.position, waiting: group.waiting)
        }
        inbox = DeviceInbox(
            restoring: .init(cursors: cursors, groups: inboxGroups),
            gapTimeout: configuration.gapTimeout
        )
        gaps = [:]
        noteGaps(in: Set(inboxGroups.keys))
        outbox = [:]
        counter = 0
        for row in try ledger.rows(.outbox, "") {
            guard let item = OutboxItem(decoding: row.value) else { continue }
            outbox[item.thread, default: []].append(item)
            counter = max(counter, item.number)
        }
        errands = [:]
        for row in try ledger.rows(.errand, "") {
            guard let errand = Errand(decoding: row.value) else { continue }
            errands[errand.number] = errand
            counter = max(counter, errand.number)
        }
        archiveKeys = [:]
        for row in try ledger.rows(.archiveKey, "") {
            guard let reader = RowReader(row.value), let id = ULID(row.key), let key = reader.bytes("key"),
                key.count == 32
            else { continue }
            archiveKeys[id] = ArchiveKey(id: id, key: key, createdAt: reader.int("created") ?? 0)
        }
        expiries = [:]
        for row in try ledger.rows(.expiry, "") {
            guard let id = ULID(row.key), let reader = RowReader(row.value), let thread = reader.ulid("thread"),
                let at = reader.int("at")
            else { continue }
            expiries[id] = Expiry(conversation: thread, at: at)
        }
        directs = [:]
        for record in try ledger.store.conversations() { if let peer = record.peer { directs[peer] = record.id } }
        settings =
            try ledger.row(.setting, "", "settings").flatMap { MessengerSettings(decoding: $0) } ?? MessengerSettings()
        personal = try ledger.row(.setting, "", "personal").flatMap { GroupID(String(decoding: $0, as: UTF8.self)) }
        awaited = Set(try ledger.rows(.setting, "awaited").compactMap { DID($0.key) })
        missingKeys = Set(try ledger.rows(.setting, Self.missingScope).compactMap { ULID($0.key) })
        try loadPassed()
        joining = Set(try ledger.rows(.held, Self.joinScope).compactMap { GroupID($0.key) })
        isStale = false
        isInterrupted = true
        // The connections that are up are as they were: everything waiting is due.
        for mailbox in bound { resume(mailbox) }
    }

    /// The first look at the world, and what was under way before the program ended.
    public mutating func start(at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { _ in }.1
    }

    /// Begins anew what only the last run knew: it ended, or its store failed.
    mutating func goOn() throws(MessagingError) {
        isInterrupted = false
        try restartTransfers()
        try tellAllRead()
        try retryJoins()
        try repeatMoves()
    }

    mutating func peer(_ did: DID) throws(MessagingError) -> Peer {
        if let peer = peers[did] { return peer }
        let peer = try ledger.row(.peer, "", did.string).flatMap { Peer(decoding: $0) } ?? Peer()
        peers[did] = peer
        return peer
    }

    mutating func set(_ peer: Peer, for did: DID) {
        peers[did] = peer
        ledger.set(.peer, "", did.string, peer.encoded)
    }
}

extension DeviceInbox {
    func waiting(in group: GroupID) -> [GapTracker.Held] { trackers[group]?.waiting ?? [] }
}
