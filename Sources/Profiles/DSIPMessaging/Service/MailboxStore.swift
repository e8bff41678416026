import DSIPIdentity

/// Where a ``MailboxHost`` keeps everything: small records by name, the items of mailboxes, and what hubs have ordered.
///
/// A store is one transaction after another. ``apply(_:)`` changes what is read from then on; ``commit()`` makes all changes since
/// the last one durable together, or none; ``rollback()`` takes them back. Several inputs of a host may share a commit. A store is
/// used by one thread at a time. `MailboxStoreSuite` of Tests/Support says what every implementation must do.
///
/// ```
/// records  (scope, name) → value            names ascend bytewise
/// items    (owner, position) → item, content    one mailbox's, in the order of their cursors
/// ordered  (group, seq) → class, digest, time, content or none
/// ```
public protocol MailboxStore: AnyObject, Sendable {
    func record(_ key: MailboxRecord.Key) throws(StoreFailure) -> [UInt8]?

    /// Records of one scope in the order of their names, from behind `name`.
    func records(in scope: String, after name: String?, limit: Int) throws(StoreFailure) -> [MailboxRecord]

    /// Scopes that hold records and begin with `prefix`, ascending, from behind `scope`.
    func scopes(withPrefix prefix: String, after scope: String?, limit: Int) throws(StoreFailure) -> [String]

    /// Items that a selection names, ascending by position, without their contents.
    func items(of owner: DID, _ selection: ItemSelection, limit: Int) throws(StoreFailure) -> [MailboxItem]

    func content(at position: UInt64, of owner: DID) throws(StoreFailure) -> [UInt8]?

    /// The highest `seq` of the sequenced items (`handshake`, `application`) that are kept for the group.
    func highestSeq(of group: GroupID, for owner: DID) throws(StoreFailure) -> Int64?

    func ordered(_ seq: Int64, in group: GroupID) throws(StoreFailure) -> OrderedItem?

    func orderedSeq(of digest: String, in group: GroupID) throws(StoreFailure) -> Int64?

    /// Changes what is read from now on; durable with the next commit.
    func apply(_ change: MailboxChange) throws(StoreFailure)

    /// Makes all that was applied since the last commit durable before it returns, or nothing of it; after a failure it is rolled back.
    func commit() throws(StoreFailure)

    /// Takes back what was applied since the last commit.
    func rollback()
}

/// Why a store did not do what it was asked.
public enum StoreFailure: Error, Hashable, Sendable {
    /// No room; it may be had later.
    case full
    case unavailable
    /// What was read is not what was written.
    case corrupt
}

/// A small value under a name.
public struct MailboxRecord: Hashable, Sendable {
    public struct Key: Hashable, Sendable, Comparable {
        /// What the record belongs to, such as `mailbox/did:web:…`. Never empty.
        public var scope: String
        /// Unique in its scope. Never empty.
        public var name: String

        public init(_ scope: String, _ name: String) {
            self.scope = scope
            self.name = name
        }

        public static func < (a: Key, b: Key) -> Bool { (a.scope, a.name) < (b.scope, b.name) }
    }

    public var key: Key
    public var value: [UInt8]

    public init(_ key: Key, _ value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// Which items of a mailbox are meant.
public enum ItemSelection: Hashable, Sendable {
    case after(UInt64)
    /// Positions up to this one, the first of a mailbox in `queue` mode that all devices have.
    case through(UInt64)
    /// The `handshake` or `application` item with this `seq`.
    case sequenced(GroupID, Int64)
    /// The archive record of this `seq`.
    case archived(GroupID, Int64)
    /// The welcome with this digest.
    case welcome(GroupID, digest: String)
    case groupInfo(GroupID)
    /// What a registration admitted: all of the group from this position on, but for archive records.
    case registration(GroupID, from: UInt64)
    /// First contact whose `expiresAt` is below `now`; archive records stored before `archive` (nil: none); everything else stored
    /// before `messages`.
    case ended(now: Int64, messages: Int64, archive: Int64?)

    /// Whether the selection names `item`; stores that cannot say it in their own language may ask here.
    public func includes(_ item: MailboxItem) -> Bool {
        switch self {
        case .after(let position): item.position > position
        case .through(let position): item.position <= position
        case .sequenced(let group, let seq): item.isSequenced && item.group == group && item.seq == seq
        case .archived(let group, let seq): item.itemClass == .archive && item.group == group && item.seq == seq
        case .welcome(let group, let digest):
            item.itemClass == .welcome && item.group == group && item.digest == digest
        case .groupInfo(let group): item.itemClass == .groupInfo && item.group == group
        case .registration(let group, let first):
            item.group == group && item.position >= first && item.itemClass != .archive
        case .ended(let now, let messages, let archive):
            if let end = item.expiresAt {
                end < now
            } else if item.itemClass == .archive {
                archive.map { item.storedAt < $0 } ?? false
            } else {
                item.storedAt < messages
            }
        }
    }
}

/// An item that a hub has put in order. Its content goes when everybody has it; its digest stays as long as re-deposits are
/// answered. M§6.5, M§9.3
public struct OrderedItem: Hashable, Sendable {
    public var group: GroupID
    public var seq: Int64
    public var itemClass: DepositClass
    public var digest: String
    /// Unix seconds.
    public var orderedAt: Int64
    /// Nil when it was released.
    public var content: [UInt8]?

    public init(
        group: GroupID,
        seq: Int64,
        itemClass: DepositClass,
        digest: String,
        orderedAt: Int64,
        content: [UInt8]?
    ) {
        self.group = group
        self.seq = seq
        self.itemClass = itemClass
        self.digest = digest
        self.orderedAt = orderedAt
        self.content = content
    }
}

/// One row's change.
public enum MailboxChange: Hashable, Sendable {
    /// In place of the one under its key, if there is one.
    case put(MailboxRecord)
    case remove(MailboxRecord.Key)
    /// The position is new to the mailbox.
    case insertItem(MailboxItem, content: [UInt8], owner: DID)
    case removeItem(UInt64, owner: DID)
    /// The `seq` is new to the group.
    case insertOrdered(OrderedItem)
    /// The contents of items with a `seq` below this one; their digests stay.
    case releaseOrdered(GroupID, below: Int64)
    /// Items with a `seq` below this one, whole.
    case removeOrdered(GroupID, below: Int64)
}
