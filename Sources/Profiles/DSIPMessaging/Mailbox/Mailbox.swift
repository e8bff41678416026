import DSIPIdentity
import DSIPSignaling
import Encoding

/// The store of one identity: it takes what hubs and strangers deposit, keeps it for the identity's devices, and knows nothing of
/// what it holds. M§4–M§6.6, M§7.4, M§12.2, M§14
///
/// Messages reach it verified and shaped; grants, origins and delegations are verified before. Its ``State`` is
/// durable, and an answer is sent only when the change behind it is on disk.
public struct Mailbox: Sendable {
    /// What the service allows, and how long it waits.
    public struct Limits: Hashable, Sendable {
        public var pendingLifetime: Int64 = MessagingProfile.pendingGroupLifetime
        public var pendingItems: Int = MessagingProfile.pendingGroupItems
        public var handoverWait: Int64 = MessagingProfile.handoverWait
        /// Bytes of retained items; nil for no bound. Blobs count to the same quota, and are the owner's to add. M§4.4
        public var quota: Int64?
        /// First contact a sender, and an inbox, may have within the window. DSIP §19.4
        public var introductions = 8
        public var introductionWindow: Int64 = 3600
        /// Introductions held at once.
        public var inbox = 16
        /// Seconds MLS items are kept.
        public var retention: Int64 = MessagingProfile.retention
        /// Items in one answer to `sync`, when it asks for more or for none.
        public var page = 200

        public init() {}
    }

    public let did: DID
    public let owner: DID
    public let serves: Set<DID>
    public var limits: Limits
    public internal(set) var mode: MailboxMode
    public internal(set) var admit: AdmissionPolicy
    /// Devices that have said `hello` for the owner within the retention, and are not revoked. M§4.4
    public internal(set) var devices: Set<DID>
    public internal(set) var groups: [GroupID: GroupRegistration]
    public internal(set) var shelf: KeyPackageShelf
    public internal(set) var nextPosition: UInt64 = 1
    /// Devices that get pushes; not durable.
    public internal(set) var liveDevices: Set<DID> = []
    var index = ItemIndex()
    var acknowledged: [DID: UInt64] = [:]
    /// The highest `seq` stored for each group, whatever became of the item.
    var highest: [GroupID: Int64] = [:]
    var revokedGrants: Set<ULID> = []
    var introductionsSent: Set<ULID> = []
    /// Seconds archive records are kept; nil for ever.
    var archiveRetention: Int64?
    var rate: RateWindow

    /// Ids of introductions and revoked grants kept; the oldest id goes first.
    static let maximumIDs = 16_384

    public init(
        did: DID,
        owner: DID,
        serves: Set<DID>? = nil,
        devices: Set<DID> = [],
        mode: MailboxMode = .sync,
        admit: AdmissionPolicy = .grant,
        groups: [GroupID: GroupRegistration] = [:],
        shelf: KeyPackageShelf = KeyPackageShelf(),
        limits: Limits = Limits()
    ) {
        self.did = did
        self.owner = owner
        self.serves = serves ?? [owner]
        self.devices = devices
        self.mode = mode
        self.admit = admit
        self.groups = groups
        self.shelf = shelf
        self.limits = limits
        self.rate = RateWindow(limit: limits.introductions, window: limits.introductionWindow)
    }

    /// Bytes of the retained items that count to the quota. M§4.4
    public var usedBytes: Int64 { index.usedBytes }

    /// What is kept, in the order of its cursors.
    public var items: [MailboxItem] { index.items }

    /// A device said `hello` for the owner, its delegation verified.
    public mutating func registered(_ device: DID) { devices.insert(device) }

    // MARK: Storing

    /// Files an item.
    mutating func store(
        _ itemClass: DepositClass,
        group: GroupID?,
        seq: Int64?,
        size: Int64,
        digest: String? = nil,
        expiresAt: Int64? = nil,
        at now: Int64
    ) -> Cursor {
        let item = MailboxItem(
            position: nextPosition,
            itemClass: itemClass,
            group: group,
            seq: seq,
            storedAt: now,
            size: max(0, size),
            digest: digest,
            expiresAt: expiresAt
        )
        nextPosition += 1
        index.append(item, retention)
        if let group, let seq, item.isSequenced { highest[group] = max(highest[group] ?? 0, seq) }
        return item.cursor
    }

    func exceedsQuota(_ size: Int64) -> Bool {
        guard let quota = limits.quota else { return false }
        return size > quota - usedBytes
    }

    /// Tells every bound device but the one that made the deposit, in their order.
    func pushes(of cursor: Cursor, except depositor: DID? = nil) -> [MailboxAction] {
        liveDevices.sorted().filter { $0 != depositor }.map { .push(to: $0, cursor) }
    }

    /// - Returns: a `drop` of what went, if anything did.
    mutating func remove(where isGone: (MailboxItem) -> Bool) -> [MailboxAction] {
        let gone = index.remove(where: isGone)
        return gone.isEmpty ? [] : [.drop(gone)]
    }

    private var retention: ItemIndex.Retention { .init(messages: limits.retention, archive: archiveRetention) }

    // MARK: Time

    /// Ends what has had its time: unconfirmed groups, first contact, items past their retention. M§4.4, M§6.6, M§14.1
    public mutating func advance(to now: Int64) -> [MailboxAction] {
        var actions: [MailboxAction] = []
        for (group, registration) in groups.sorted(by: { $0.key < $1.key }) {
            guard case .pending(let since, _, let first) = registration.state, now - since > limits.pendingLifetime
            else { continue }
            groups[group] = nil
            // What the registration admitted goes with it; the owner's own history stays.
            actions += remove { $0.group == group && $0.position >= first && $0.itemClass != .archive }
            highest[group] = items.lazy.filter { $0.group == group && $0.isSequenced }.compactMap(\.seq).max()
        }
        let gone = index.expire(at: now, retention)
        return gone.isEmpty ? actions : actions + [.drop(gone)]
    }
}
