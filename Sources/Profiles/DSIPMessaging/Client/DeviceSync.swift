/// What a device remembers of a mailbox, so that nothing is processed twice and nothing acknowledged too early. M§5.4, M§8.5
///
/// The whole value is durable. Commit it in one transaction with the MLS state and the content an item led to: after a crash both
/// are as before the item, which then simply comes again. One mailbox has one value; the positions of groups are shared when an
/// identity has several mailboxes.
public struct DeviceSync: Hashable, Sendable {
    /// An item as far as this machine looks at it.
    public struct Item: Hashable, Sendable {
        public var cursor: Cursor
        public var itemClass: DepositClass
        public var group: GroupID?
        public var seq: Int64?
        /// Of a welcome: that it holds none of this device's KeyPackages. M§12.3
        public var isSiblings: Bool

        public init(
            cursor: Cursor,
            itemClass: DepositClass,
            group: GroupID? = nil,
            seq: Int64? = nil,
            isSiblings: Bool = false
        ) {
            self.cursor = cursor
            self.itemClass = itemClass
            self.group = group
            self.seq = seq
            self.isSiblings = isSiblings
        }
    }

    public enum Verdict: Hashable, Sendable {
        case process
        /// Acknowledge it, and do not try to decrypt it: MLS has deleted the secret. M§8.5
        case duplicate
        /// A welcome for another device of the identity: acknowledge it.
        case siblings
    }

    /// Everything up to here is processed and committed.
    public private(set) var cursor: Cursor?
    public private(set) var groups: [GroupID: GroupPosition]
    public private(set) var joined: Set<GroupID>

    public init(cursor: Cursor? = nil, groups: [GroupID: GroupPosition] = [:], joined: Set<GroupID> = []) {
        self.cursor = cursor
        self.groups = groups
        self.joined = joined
    }

    /// An item came. Act on the verdict, then commit its effects together with this value.
    public mutating func received(_ item: Item) -> Verdict {
        let verdict = judge(item)
        cursor = item.cursor
        return verdict
    }

    private mutating func judge(_ item: Item) -> Verdict {
        guard let group = item.group else { return .process }
        switch item.itemClass {
        case .welcome:
            if joined.contains(group) { return .duplicate }
            if item.isSiblings { return .siblings }
            joined.insert(group)
            if let seq = item.seq { groups[group] = GroupPosition(contiguous: seq) }
            return .process
        case .handshake, .application:
            guard let seq = item.seq else { return .process }
            if groups[group]?.contains(seq) == true { return .duplicate }
            pass(seq, in: group)
            return .process
        default: return .process
        }
    }

    /// The hub ordered what this device sent: the copy that comes back is a duplicate. M§6.5
    public mutating func sent(_ seq: Int64, in group: GroupID) { pass(seq, in: group) }

    /// Without a `seq` in its welcome a device starts at the first item it processes. M§6.5
    private mutating func pass(_ seq: Int64, in group: GroupID) {
        if groups[group] == nil {
            groups[group] = GroupPosition(contiguous: seq)
        } else {
            groups[group]?.pass(seq)
        }
    }

    /// The device joined by external commit; the hub gave it `seq`. M§6.8
    public mutating func rejoined(_ group: GroupID, at seq: Int64) {
        joined.insert(group)
        var position = groups[group] ?? GroupPosition(contiguous: 0)
        position.pass(through: max(seq, position.highest))
        groups[group] = position
    }

    /// The group is over for this device.
    public mutating func left(_ group: GroupID) {
        joined.remove(group)
        groups[group] = nil
    }

    /// The mailbox does not know the cursor: read from the start. What was processed stays known. M§5.4
    public mutating func receivedCursorInvalid() { cursor = nil }

    /// The request that goes on where this device stopped.
    public func request(limit: Int64? = nil, live: Bool = false) -> SyncRequest {
        SyncRequest(since: cursor, ackThrough: cursor, limit: limit, live: live)
    }
}
