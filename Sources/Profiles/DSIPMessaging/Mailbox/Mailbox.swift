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
        /// Groups registered at once.
        public var groups = 16_384
        /// Seconds MLS items are kept.
        public var retention: Int64 = MessagingProfile.retention
        /// Seconds archive records may be kept at most, whatever the owner asks. M§4.4
        public var maximumRetention: Int64 = .max
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
    var index: any MailboxItems
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
        limits: Limits = Limits(),
        items: (any MailboxItems)? = nil
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
        self.index = items ?? ItemIndex()
        self.rate = RateWindow(limit: limits.introductions, window: limits.introductionWindow)
    }

    /// Bytes of the retained items that count to the quota. M§4.4
    public var usedBytes: Int64 { index.usedBytes }

    /// What is kept, in the order of its cursors.
    public var items: [MailboxItem] { index.items(.after(0), limit: .max) }

    /// A device said `hello` for the owner, its delegation verified.
    public mutating func registered(_ device: DID) { devices.insert(device) }

    /// A device has not said `hello` for as long as anything is kept for it, or may not any more. M§4.4
    public mutating func forgot(_ device: DID) -> [MailboxAction] {
        devices.remove(device)
        acknowledged[device] = nil
        shelf.discard(device)
        liveDevices.remove(device)
        return dropAcknowledged()
    }

    /// Whether a device gets pushes.
    public func isLive(_ device: DID) -> Bool { liveDevices.contains(device) }

    /// A device's connection is another now, and gets pushes as the last one did.
    mutating func resumed(_ device: DID) { liveDevices.insert(device) }

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
        index.append(item)
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
    mutating func remove(_ selection: ItemSelection) -> [MailboxAction] {
        let gone = index.remove(selection)
        return gone.isEmpty ? [] : [.drop(gone)]
    }

    // MARK: Time

    /// Ends what has had its time: unconfirmed groups, first contact, items past their retention. M§4.4, M§6.6, M§14.1
    public mutating func advance(to now: Int64) -> [MailboxAction] {
        var actions: [MailboxAction] = []
        for (group, registration) in groups.sorted(by: { $0.key < $1.key }) {
            guard case .pending(let since, _, let first) = registration.state, now - since > limits.pendingLifetime
            else { continue }
            groups[group] = nil
            // What the registration admitted goes with it; the owner's own history stays.
            actions += remove(.registration(group, from: first))
            highest[group] = index.highestSeq(of: group)
        }
        let archive = min(archiveRetention ?? .max, limits.maximumRetention)
        let ended = ItemSelection.ended(
            now: now,
            messages: Self.before(now, limits.retention),
            archive: archive == .max ? nil : Self.before(now, archive)
        )
        return actions + remove(ended)
    }

    private static func before(_ now: Int64, _ seconds: Int64) -> Int64 {
        let (time, overflow) = now.subtractingReportingOverflow(seconds)
        return overflow ? .min : time
    }
}
