import DSIPIdentity
import Encoding

/// What a mailbox hands to a device: stored items in the order of their cursors, or activity on its way. M§5.4
public struct ItemsDelivery: Hashable, Sendable {
    public enum Item: Hashable, Sendable {
        case stored(StoredItem)
        case ephemeral(EphemeralItem)
    }

    /// Nil when it was pushed.
    public var inReplyTo: ULID?
    public var items: [Item]
    /// Where to go on reading; nil when that was all.
    public var next: Cursor?

    public init(inReplyTo: ULID? = nil, items: [Item], next: Cursor? = nil) {
        self.inReplyTo = inReplyTo
        self.items = items
        self.next = next
    }

    init(_ members: inout Members) throws(MessagingError) {
        inReplyTo = try members.optional("in_reply_to", Read.ulid)
        items = try members.required("items", Read.list(Item.read))
        guard members.has("next") else { throw Members.fault("next is missing") }
        next = try members.nullable("next", Read.cursor)
    }

    func write(to object: inout JSONObject) {
        if let inReplyTo { object["in_reply_to"] = .string(inReplyTo.description) }
        object["items"] = .array(items.map(\.json))
        object["next"] = next.map { .string($0.text) } ?? .null
    }
}

extension ItemsDelivery.Item {
    static func read(_ value: JSONValue, _ name: String) throws(MessagingError) -> ItemsDelivery.Item {
        value["class"]?.string == DepositClass.ephemeral.token
            ? .ephemeral(try EphemeralItem(value)) : .stored(try StoredItem(value))
    }

    var json: JSONValue {
        switch self {
        case .stored(let item): item.json
        case .ephemeral(let item): item.json
        }
    }
}

/// An item behind a cursor.
public struct StoredItem: Hashable, Sendable {
    public var cursor: Cursor
    /// Unix seconds.
    public var storedAt: Int64
    public var itemClass: DepositClass
    /// The hub or the device it came from.
    public var source: DID?
    /// Of an archive record: the group it is history of.
    public var group: GroupID?
    public var seq: Int64?
    public var mls: EncodedBytes?
    public var archive: EncodedBytes?
    public var archiveKey: ULID?
    public var hub: HubReference?
    public var blobs: [BlobReference]
    /// An introduction or a grant, compact.
    public var envelope: String?

    public init(
        cursor: Cursor,
        storedAt: Int64,
        itemClass: DepositClass,
        source: DID? = nil,
        group: GroupID? = nil,
        seq: Int64? = nil,
        mls: EncodedBytes? = nil,
        archive: EncodedBytes? = nil,
        archiveKey: ULID? = nil,
        hub: HubReference? = nil,
        blobs: [BlobReference] = [],
        envelope: String? = nil
    ) {
        self.cursor = cursor
        self.storedAt = storedAt
        self.itemClass = itemClass
        self.source = source
        self.group = group
        self.seq = seq
        self.mls = mls
        self.archive = archive
        self.archiveKey = archiveKey
        self.hub = hub
        self.blobs = blobs
        self.envelope = envelope
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "an item")
        cursor = try members.required("cursor", Read.cursor)
        storedAt = try members.required("stored_at", Read.natural)
        itemClass = DepositClass(checked: try members.required("class", Read.token))
        source = try members.optional("source", Read.did)
        group = try members.optional("group", Read.group)
        seq = try members.optional("seq", Read.positive)
        mls = try members.optional("mls", Read.encoded)
        archive = try members.optional("archive", Read.encoded)
        archiveKey = try members.optional("akid", Read.ulid)
        hub = try members.optional("hub", HubReference.read)
        blobs = try members.optional("blobs", Read.list(BlobReference.read)) ?? []
        envelope = try members.optional("envelope", Read.filled)
        try members.finish()
        if itemClass == .introduction || itemClass == .grant {
            guard group == nil, envelope != nil else {
                throw Members.fault("first contact has an envelope and no group")
            }
        } else if group == nil {
            throw Members.fault("group is missing")
        }
    }

    var json: JSONValue {
        var object: JSONObject = [
            "cursor": .string(cursor.text), "stored_at": .int(storedAt), "class": .string(itemClass.token),
        ]
        if let source { object["source"] = .string(source.string) }
        if let group { object["group"] = .string(group.text) }
        if let seq { object["seq"] = .int(seq) }
        if let mls { object["mls"] = .string(mls.text) }
        if let archive { object["archive"] = .string(archive.text) }
        if let archiveKey { object["akid"] = .string(archiveKey.description) }
        if let hub { object["hub"] = hub.json }
        if !blobs.isEmpty { object["blobs"] = .array(blobs.map(\.json)) }
        if let envelope { object["envelope"] = .string(envelope) }
        return .object(object)
    }
}

/// Activity in passing: without a cursor, since nobody keeps it, and with the deposit's own end, which no hop may move. M§11.2
public struct EphemeralItem: Hashable, Sendable {
    public var group: GroupID
    public var source: DID?
    public var sealed: EncodedBytes
    /// Unix seconds.
    public var expiresAt: Int64

    public init(group: GroupID, source: DID? = nil, sealed: EncodedBytes, expiresAt: Int64) {
        self.group = group
        self.source = source
        self.sealed = sealed
        self.expiresAt = expiresAt
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "an item")
        try members.constant("class", DepositClass.ephemeral.token)
        group = try members.required("group", Read.group)
        source = try members.optional("source", Read.did)
        sealed = try members.required("sealed", Read.encoded)
        expiresAt = try members.required("expires_at", Read.natural)
        try members.finish()
    }

    var json: JSONValue {
        var object: JSONObject = ["class": .string(DepositClass.ephemeral.token), "group": .string(group.text)]
        if let source { object["source"] = .string(source.string) }
        object["sealed"] = .string(sealed.text)
        object["expires_at"] = .int(expiresAt)
        return .object(object)
    }
}
