import DSIPIdentity
import DSIPSignaling
import Encoding

/// The messaging service of one identity: the mailboxes of everybody it serves, and the hubs of their groups. M§4–M§7, M§14
///
/// It composes ``Mailbox``, ``Hub`` and `GroupObserver` over a ``MailboxStore``, and is as they are: synchronous, without clock, socket
/// or file. Inputs change the store's open transaction; ``commit(at:)`` makes them durable together and only then lets out what
/// there is to say, so that an `accepted` is never ahead of the disk (M§9.3). When the store fails, the whole batch is refused
/// `mailbox.quota-exceeded` and everything is as it was.
///
/// ```
/// bound, received, answered, … ──► machines ──► rows in the open transaction
///                                        │
/// commit ──► store.commit ──► [HostAction]: answers, pushes, deposits elsewhere, wakes
/// ```
///
/// It refuses what the profile refuses, in the profile's order. It reads no content, and trusts no service further than its signature:
/// a commit is validated from the public group, a welcome's adder is proven by its `origin`, a grant by its envelope. A document that
/// is not known yet parks the message and asks for it with ``HostAction/resolve(_:)``.
///
/// It is no value and not `Sendable`: one actor or one thread owns it.
public final class MailboxHost {
    /// Who the service is, and where.
    public struct Service: Hashable, Sendable {
        public var did: DID
        /// `wss`.
        public var uri: String
        /// `https`, without a slash at the end; nil when there are no blobs here.
        public var blobEndpoint: String?

        public init(did: DID, uri: String, blobEndpoint: String? = nil) {
            self.did = did
            self.uri = uri
            self.blobEndpoint = blobEndpoint
        }
    }

    public struct Limits: Sendable {
        /// Of each mailbox; its `quota` is set from the one here.
        public var mailbox = Mailbox.Limits()
        /// Bytes an owner may have here, items and blobs; nil for no bound. M§4.4
        public var quota: Int64? = 10_737_418_240
        public var maximumBlob: Int64 = 104_857_600
        /// Whether groups may be ordered here.
        public var isHub = true
        /// Leaves of a group that is ordered here. M§7.3
        public var leaves = 1000
        /// Seconds items, digests and devices are remembered. M§4.4
        public var retention: Int64 = MessagingProfile.retention
        /// Items of one group that wait for members at once; who is further behind re-joins.
        public var pendingItems: Int64 = 16_384
        /// Devices of one identity; one KeyPackage of each fits into one answer.
        public var devices = 16
        /// Mailboxes, and hubs, held in memory.
        public var cachedMailboxes = 4096
        public var cachedHubs = 1024
        /// Messages that wait for documents, deposits elsewhere that wait for an answer, forwards.
        public var parked = 1024
        public var inFlight = 4096
        /// Deposits of one identity: so many at once, and so many a second. M§14.3
        public var depositBurst = 300
        public var depositsPerSecond = 10.0
        /// KeyPackage fetches of one identity for one target. M§5.5
        public var fetchBurst = 20
        public var fetchesPerSecond = 0.02
        /// Bytes of the payload of one `items`: the frame without header, signature and base64url. DSIP §13.2
        public var page = 44_000

        public init() {}
    }

    public let service: Service
    public let limits: Limits
    let store: any MailboxStore
    let documents: @Sendable (DID) -> DocumentLookup
    var random: any RandomNumberGenerator & Sendable
    var verifier = EnvelopeVerifier(policy: MailboxHost.policy, cacheBytes: 1 << 20)
    /// Delegations that owners have taken back.
    var revocations = Revocations()
    var mailboxes: RecentTable<DID, HostedMailbox>
    var hubs: RecentTable<GroupID, HostedHub>
    var bindings: [ConnectionID: Binding] = [:]
    var connections: [DeviceKey: Set<ConnectionID>] = [:]
    var batch = Batch()
    var parking = Parking()
    var outbound = Outbound()
    var forwards: [ULID: Forward] = [:]
    var depositRate: Throttle<DID>
    var fetchRate: Throttle<[DID]>
    /// First contact for identities that nobody serves here: counted as if they were. M§14.1
    var strangers = RecentTable<DID, RateWindow>(capacity: 1024)
    var replications: [String: Replication] = [:]
    /// Ratchet trees that were asked for; empty for one that is not to be had.
    var trees = RecentTable<String, [UInt8]>(capacity: 4)
    var sweeper = Sweeper()

    /// - Parameters:
    ///   - documents: what is known of a DID now. It is asked in every input, so it must not wait.
    ///   - now: Unix seconds, as everywhere.
    public init(
        _ service: Service,
        store: any MailboxStore,
        limits: Limits = Limits(),
        documents: @escaping @Sendable (DID) -> DocumentLookup,
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(),
        at now: Int64
    ) throws(StoreFailure) {
        self.service = service
        self.limits = limits
        self.store = store
        self.documents = documents
        self.random = random
        mailboxes = RecentTable(capacity: limits.cachedMailboxes)
        hubs = RecentTable(capacity: limits.cachedHubs)
        depositRate = Throttle(burst: limits.depositBurst, perSecond: limits.depositsPerSecond)
        fetchRate = Throttle(burst: limits.fetchBurst, perSecond: limits.fetchesPerSecond)
        sweeper.next = now
        try restoreRevocations()
        try restoreReplications(at: now)
        outbound.isRestoring = true
    }

    // MARK: Letting out

    /// What the inputs since the last commit come to.
    struct Batch {
        var actions: [HostAction] = []
        /// Whom to refuse when it cannot be kept.
        var asked: [(connection: ConnectionID, id: ULID, from: DID)] = []
        var failure: StoreFailure?
    }

    /// Makes the inputs since the last commit durable, then hands out what there is to do, in order.
    ///
    /// A failure of the store refuses all of them with `mailbox.quota-exceeded`, and the host goes on from what is on disk.
    public func commit(at now: Int64) -> [HostAction] {
        defer { batch = Batch() }
        if batch.failure == nil {
            do throws(StoreFailure) {
                try store.commit()
                return batch.actions
            } catch {
                batch.failure = error
            }
        }
        store.rollback()
        mailboxes.removeAll()
        hubs.removeAll()
        outbound.forget()
        outbound.isRestoring = true
        outbound.restoreAt = now + Self.storageRetry
        return batch.asked.map { asked in
            .send(
                error(.mailboxQuotaExceeded, to: asked.from, about: asked.id, retryAfter: Self.storageRetry, at: now),
                to: asked.connection
            )
        }
    }

    /// Seconds to wait for a store that failed.
    static let storageRetry: Int64 = 5

    /// When ``advance(to:)`` is due, in Unix seconds.
    public var deadline: Int64? {
        var next = min(sweeper.next, outbound.deadline ?? .max)
        for forward in forwards.values { next = min(next, forward.end) }
        for replication in replications.values { next = min(next, replication.due ?? .max) }
        if let end = parking.deadline { next = min(next, end) }
        return next
    }

    // MARK: Inputs

    /// Runs an input: what it throws ends up where it belongs.
    func run(_ input: Input, at now: Int64, _ body: () throws(HostStop) -> Void) {
        if case .message(let message, let connection) = input, message.body.isAnswered {
            batch.asked.append((connection, message.body.id, message.body.from))
        }
        guard batch.failure == nil else { return }
        do throws(HostStop) {
            try body()
        } catch {
            switch error {
            case .failed(let failure): batch.failure = failure
            case .needs(let wanted):
                if case .message(let message, _) = input, message.body.isAnswered { batch.asked.removeLast() }
                park(input, until: wanted, at: now)
            case .blind:
                if case .message(let message, _) = input, message.body.isAnswered { batch.asked.removeLast() }
                giveUp(input, at: now)
            }
        }
    }

    /// Asks the store.
    func ask<Value>(_ body: () throws(StoreFailure) -> Value) throws(HostStop) -> Value {
        do throws(StoreFailure) { return try body() } catch { throw .failed(error) }
    }

    func apply(_ change: MailboxChange) throws(HostStop) {
        do throws(StoreFailure) { try store.apply(change) } catch { throw .failed(error) }
    }

    // MARK: Tables

    func mailbox(of owner: DID) throws(HostStop) -> HostedMailbox? {
        if let hosted = mailboxes.value(for: owner) { return hosted }
        let loaded = try ask { () throws(StoreFailure) in
            try HostedMailbox.load(owner, at: service.did, limits, from: store)
        }
        guard let loaded else { return nil }
        for binding in bindings.values where binding.owner == owner && binding.isLive {
            loaded.mailbox.resumed(binding.device)
        }
        mailboxes.put(loaded, for: owner)
        return loaded
    }

    func hub(of group: GroupID) throws(HostStop) -> HostedHub? {
        if let hosted = hubs.value(for: group) { return hosted }
        let loaded = try ask { () throws(StoreFailure) in try HostedHub.load(group, from: store) }
        if let loaded { hubs.put(loaded, for: group) }
        return loaded
    }

    // MARK: Saying

    func emit(_ action: HostAction) { batch.actions.append(action) }

    func id(at now: Int64) -> ULID {
        func draw(_ generator: inout some RandomNumberGenerator) -> ULID {
            ULID(milliseconds: UInt64(max(0, now)) * 1000, using: &generator)
        }
        return draw(&random)
    }

    /// A message of this service, which lives for half a minute.
    func message(_ body: MailboxMessage.Body, to recipient: DID, until end: Int64? = nil, at now: Int64)
        -> MailboxMessage
    {
        MailboxMessage(
            id: id(at: now),
            from: service.did,
            to: recipient,
            issuedAt: now,
            expiresAt: end ?? now + Self.lifetime,
            body: body
        )
    }

    static let lifetime: Int64 = 30

    func error(
        _ reason: Reason,
        to recipient: DID,
        about id: ULID,
        retryAfter: Int64? = nil,
        detail: Detail? = nil,
        at now: Int64
    ) -> ServiceMessage {
        .error(
            Message.error(
                Message.Stamp(
                    id: self.id(at: now),
                    from: service.did,
                    issuedAt: now,
                    lifetime: Self.lifetime,
                    version: MessagingProfile.version
                ),
                to: recipient,
                ErrorReport(reason, detail: detail, retryAfter: retryAfter, inReplyTo: id)
            )
        )
    }

    func refuse(
        _ message: MailboxMessage,
        _ reason: Reason,
        on connection: ConnectionID,
        retryAfter: Int64? = nil,
        detail: Detail? = nil,
        at now: Int64
    ) {
        emit(
            .send(
                error(reason, to: message.from, about: message.id, retryAfter: retryAfter, detail: detail, at: now),
                to: connection
            )
        )
    }
}

/// Why an input did not go through.
enum HostStop: Error {
    case failed(StoreFailure)
    /// Nothing has changed yet; once these are known it is run again.
    case needs([Wanted])
    /// Nothing has changed; the sender tries again.
    case blind
}

/// What an input waits for.
enum Wanted: Hashable {
    case document(DID)
    case blob(BlobReference)
}

/// What may have to wait.
enum Input {
    case message(Verified<MailboxMessage>, ConnectionID)
    /// Something to be delivered.
    case lane(LaneKey)
    case none
}

extension MailboxMessage {
    /// Whether the sender waits for a word, be it a refusal. M§5.3
    var isAnswered: Bool {
        switch body {
        case .deposit(let deposit): deposit.depositClass != .ephemeral
        case .accepted, .items: false
        case .sync, .keyPackages, .keyPackageFetch, .blobPut, .mailboxConfig: true
        }
    }
}
