import DSIPIdentity

/// An item as a mailbox keeps it: where it stands and what it is for. Its bytes are the owner's, filed under the cursor. M§5.4
public struct MailboxItem: Hashable, Sendable {
    public var position: UInt64
    public var itemClass: DepositClass
    /// Of an archive record: the group it is history of.
    public var group: GroupID?
    public var seq: Int64?
    /// Unix seconds.
    public var storedAt: Int64
    /// Bytes, for the quota. M§4.4
    public var size: Int64
    /// Of a welcome: of its MLS bytes.
    public var digest: String?
    /// Of first contact: until when it is kept.
    public var expiresAt: Int64?

    public init(
        position: UInt64,
        itemClass: DepositClass,
        group: GroupID?,
        seq: Int64?,
        storedAt: Int64,
        size: Int64,
        digest: String? = nil,
        expiresAt: Int64? = nil
    ) {
        self.position = position
        self.itemClass = itemClass
        self.group = group
        self.seq = seq
        self.storedAt = storedAt
        self.size = size
        self.digest = digest
        self.expiresAt = expiresAt
    }

    public var cursor: Cursor { Cursor(position: position) }

    var isFirstContact: Bool { itemClass == .introduction || itemClass == .grant }
    /// What a hub orders; never an archive record, though that has a `seq` too. M§6.6
    var isSequenced: Bool { itemClass == .handshake || itemClass == .application }
}
