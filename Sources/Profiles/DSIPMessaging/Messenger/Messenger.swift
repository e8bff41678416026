import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

/// One device's whole messaging: conversations and their groups, the personal group, history, receipts, the outbox.
///
/// It is synchronous and pure: bytes, time (Unix seconds) and randomness are passed in, and what is to be done comes back as
/// ``MessengerAction``s. Each call is one event and one `commit` of its ``MessengerStore``; nothing is let out before. A call that
/// throws has done nothing.
///
/// ```
/// owner ── bound, received, refused, resolved, advance, commands ──► Messenger ── one commit ──► store
///   ▲                                                                   │
///   └──────── send, putBlob, getBlob, resolve, changed … ───────────────┘
/// ```
///
/// What it composes: ``DeviceInbox`` says which item is new, ``HubOutage`` what is deposited again, ``CommitAttempt`` what becomes of a
/// commit, ``SuccessorTracker`` and ``DirectConversation`` which group goes on. It shows nothing that did not open: what does not is
/// asked for again, and a group that cannot be followed is joined anew.
public struct Messenger<Store: MessengerStore>: Sendable {
    public internal(set) var configuration: MessengerConfiguration {
        didSet { delegationRenewal = Self.renewal(of: configuration.delegation) }
    }
    /// The renewal that the present delegation asks for: a leaf whose own is earlier carries an older one.
    private(set) var delegationRenewal: Int64
    /// Whom this person knows: conversations begun by others are requests. Not kept; set it at the start and when it changes.
    public var contacts: Set<DID> = []
    /// Whom this person wants to hear nothing of: who asks is not heard. Not kept; set it at the start and when it changes. M§14.3
    public var blocked: Set<DID> = []
    public internal(set) var settings = MessengerSettings()

    // The event under way.
    var ledger: Ledger<Store>
    var random: Entropy
    var now: Int64
    var outgoing: [MessengerAction] = []
    var touched = Touched()

    // What is known, all of it from the store.
    var inbox: DeviceInbox
    var dirtyCursors: Set<DID> = []
    var groups: [GroupID: GroupState] = [:]
    var dirtyGroups: Set<GroupID> = []
    var mls: [GroupID: MLS.Group] = [:]
    var dirtyMLS: Set<GroupID> = []
    var rosters: [GroupID: GroupRoster] = [:]
    /// By thread, in the order in which things were said.
    var outbox: [ULID: [OutboxItem]] = [:]
    var errands: [Int64: Errand] = [:]
    var counter: Int64 = 0
    var archiveKeys: [ULID: ArchiveKey] = [:]
    var personal: GroupID?
    /// Direct conversations by peer.
    var directs: [DID: ULID] = [:]
    var peers: [DID: Peer] = [:]
    var expiries: [ULID: Expiry] = [:]
    /// Identities that something kept waits for.
    var awaited: Set<DID> = []
    /// Groups whose welcome waits for a document or a tree.
    var joining: Set<GroupID> = []
    /// `seq` of what passed by of groups that this device is not in yet.
    var passed: [GroupID: [Int64]] = [:]
    /// Documents without which this device cannot come back, by group.
    var lacking: [GroupID: Set<DID>] = [:]

    // What a restart may forget.
    var documents: [DID: DIDDocument] = [:]
    var bound: Set<DID> = []
    var inFlight: [ULID: InFlight] = [:]
    var syncs: [DID: SyncProgress] = [:]
    var offers: [GroupID: [DID: [KeyPackage]]] = [:]
    var resolving: [DID: Int64] = [:]
    var mailboxQuestions: [DID: MailboxQuestion] = [:]
    var blobJobs: [ULID: PendingBlob] = [:]
    var batch = Batch()
    var clients: [ULID: ConversationClient] = [:]
    var readTold: [ULID: ReadThrottle] = [:]
    var errandsRetryAt: Int64?
    var errandFailures = 0
    var wantsKeyPackages = false
    var restockAt: Int64 = 0
    /// Requests to say something again that were answered, the last of them.
    var answeredRequests: [ULID] = []
    /// Uploads of KeyPackages one after the other that nobody confirmed.
    var stockMisses = 0
    /// Groups with a hole in their `seq`, since when, and whether the mailboxes were read anew for it.
    var gaps: [GroupID: (since: Int64, wasReread: Bool)] = [:]
    var rereadAt: Int64 = .min
    /// What waits for the first archive key, since the start.
    var unsealed = 0
    var late: [InFlight] = []
    /// Items of the outbox that are with the owner, and when somebody was last looked up.
    var carrying: Set<ULID> = []
    var lookedUp: [DID: Int64] = [:]
    var attachmentRetries: [ULID: (ULID, Int64)] = [:]
    var verifier = EnvelopeVerifier(cacheBytes: 64 << 10)
    /// Archive keys that records lie under and this device lacks, and when they were last asked for.
    var missingKeys: Set<ULID> = []
    var keysAskedAt: Int64 = 0
    var keyRequests = 0
    /// Milliseconds in the latest id.
    var latestID: UInt64 = 0
    /// Since the start, by thread.
    var earlyKept: [ULID: Int] = [:]
    var isStale = false
    /// What was under way is to be begun anew.
    var isInterrupted = false

    /// Opens what the store holds; a new store is a new device.
    ///
    /// - Throws: `store-failed`, `refused` when the device's key cannot sign MLS leaves.
    public init(
        _ configuration: MessengerConfiguration,
        store: Store,
        random: some RandomNumberGenerator & Sendable,
        at now: Int64
    ) throws(MessagingError) {
        self.configuration = configuration
        self.delegationRenewal = Self.renewal(of: configuration.delegation)
        self.ledger = Ledger(store)
        self.random = Entropy(random)
        self.now = now
        inbox = DeviceInbox(gapTimeout: configuration.gapTimeout)
        _ = try signer()
        try load()
    }

    public var store: Store { ledger.store }
    public var identity: DID { configuration.identity }
    public var device: DID { configuration.device.did }

    /// One event: `body` changes, the rest follows from it, and all is committed before an action is let out.
    mutating func turn<Result>(
        at now: Int64,
        _ body: (inout Self) throws(MessagingError) -> Result
    ) throws(MessagingError) -> (Result, [MessengerAction]) {
        self.now = max(now, 0)
        do throws(MessagingError) {
            if isStale { try load() }
            if isInterrupted { try goOn() }
            let result = try body(&self)
            try settle()
            try settlePlaces()
            try persist()
            return (result, drain())
        } catch {
            forget()
            try? load()
            throw error
        }
    }

    private mutating func drain() -> [MessengerAction] {
        let shown = touched.actions
        defer {
            outgoing = []
            touched = Touched()
        }
        return outgoing + shown
    }

    /// Writes what changed.
    private mutating func persist() throws(MessagingError) {
        for id in dirtyGroups {
            guard var group = groups[id] else {
                ledger.set(.group, "", id.text, nil)
                continue
            }
            group.position = inbox.position(in: id)
            group.waiting = inbox.waiting(in: id)
            groups[id] = group
            ledger.set(.group, "", id.text, group.encoded)
        }
        for id in dirtyMLS { ledger.set(.mls, "", id.text, mls[id]?.saved.bytes) }
        for mailbox in dirtyCursors {
            ledger.set(.setting, "cursor", mailbox.string, inbox.cursors[mailbox].map { Array($0.text.utf8) })
        }
        dirtyGroups = []
        dirtyMLS = []
        dirtyCursors = []
        try ledger.commit()
        // Groups that rest are read again when they are needed.
        if mls.count > Self.cachedGroups { mls = [:] }
        if rosters.count > Self.cachedGroups { rosters = [:] }
        if peers.count > Self.cachedGroups { peers = [:] }
        if clients.count > Self.cachedGroups { clients = [:] }
    }

    static var cachedGroups: Int { 256 }

    /// Drops what was not committed.
    private mutating func forget() {
        ledger.discard()
        outgoing = []
        touched = Touched()
        dirtyGroups = []
        dirtyMLS = []
        dirtyCursors = []
        isStale = true
    }

    func signer() throws(MessagingError) -> SignaturePrivateKey {
        do throws(MLSError) {
            return try SignaturePrivateKey(
                .x25519AES128,
                rawRepresentation: Secret(configuration.device.rawRepresentation)
            )
        } catch {
            throw MessagingError(.refused, "the device's key cannot sign for a group")
        }
    }

    /// Of two ids made by one run of the device the later is the higher.
    mutating func newULID() -> ULID {
        let now = UInt64(max(0, now)) * 1000
        latestID = latestID >= now && latestID < now + 60_000 ? latestID + 1 : now
        return ULID(milliseconds: latestID, using: &random)
    }

    mutating func nextNumber() -> Int64 {
        counter += 1
        return counter
    }

    // MARK: Groups in memory

    /// Changes a group's row.
    @discardableResult
    mutating func update<Result>(_ id: GroupID, _ change: (inout GroupState) -> Result) -> Result? {
        guard groups[id] != nil else { return nil }
        dirtyGroups.insert(id)
        return groups[id].map { group in
            var group = group
            let result = change(&group)
            groups[id] = group
            return result
        }
    }

    /// The MLS state of a group, read when it is needed.
    mutating func mlsGroup(_ id: GroupID) throws(MessagingError) -> MLS.Group? {
        if let group = mls[id] { return group }
        guard let saved = try ledger.row(.mls, "", id.text) else { return nil }
        guard let group = try? MLS.Group(restoring: Secret(saved), validator: DeviceCredentials()) else { return nil }
        mls[id] = group
        return group
    }

    mutating func set(_ group: MLS.Group?, for id: GroupID) {
        mls[id] = group
        dirtyMLS.insert(id)
    }

    mutating func roster(of id: GroupID) throws(MessagingError) -> GroupRoster {
        if let roster = rosters[id] { return roster }
        let roster = try ledger.row(.roster, "", id.text).flatMap { GroupRoster(decoding: $0) } ?? GroupRoster()
        rosters[id] = roster
        return roster
    }

    mutating func set(_ roster: GroupRoster, for id: GroupID) {
        rosters[id] = roster
        ledger.set(.roster, "", id.text, roster.encoded)
    }

    /// The group in which a thread goes on.
    func current(_ thread: ULID) -> GroupState? {
        groups.values.filter { $0.thread == thread && $0.phase != .left && !$0.isLeaving }
            .max { ($0.generation, $1.conversation, $1.id) < ($1.generation, $0.conversation, $0.id) }
    }
}

/// Records that changed in an event, each told once.
struct Touched: Sendable {
    var conversations: Set<ULID> = []
    var gone: Set<ULID> = []
    var messages: [MessageKey: Bool] = [:]
    var resets: Set<ULID> = []

    struct MessageKey: Hashable {
        var id: ULID
        var conversation: ULID
    }

    var actions: [MessengerAction] {
        var actions: [MessengerAction] = resets.sorted().map { .reset($0) }
        for key in messages.keys.sorted(by: { $0.id < $1.id }) where !resets.contains(key.conversation) {
            actions.append(
                messages[key] == true
                    ? .message(key.id, in: key.conversation) : .messageGone(key.id, in: key.conversation)
            )
        }
        actions += conversations.subtracting(gone).sorted().map { .conversation($0) }
        return actions + gone.sorted().map { .conversationGone($0) }
    }
}
