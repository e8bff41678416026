import Encoding

/// A service's word that it has stored or ordered a deposit. It is the service's claim, never a recipient's. M§5.3, M§10.1
public struct Accepted: Hashable, Sendable {
    public var inReplyTo: ULID
    public var group: GroupID?
    /// When a hub ordered the item.
    public var seq: Int64?
    /// When a mailbox stored it.
    public var cursor: Cursor?
    /// It was accepted before. M§9.3
    public var duplicate: Bool

    public init(
        inReplyTo: ULID,
        group: GroupID? = nil,
        seq: Int64? = nil,
        cursor: Cursor? = nil,
        duplicate: Bool = false
    ) {
        self.inReplyTo = inReplyTo
        self.group = group
        self.seq = seq
        self.cursor = cursor
        self.duplicate = duplicate
    }

    init(_ members: inout Members) throws(MessagingError) {
        inReplyTo = try members.required("in_reply_to", Read.ulid)
        group = try members.optional("group", Read.group)
        seq = try members.optional("seq", Read.positive)
        cursor = try members.optional("cursor", Read.cursor)
        duplicate = try members.optional("duplicate", Read.boolean) ?? false
    }

    func write(to object: inout JSONObject) {
        object["in_reply_to"] = .string(inReplyTo.description)
        if let group { object["group"] = .string(group.text) }
        if let seq { object["seq"] = .int(seq) }
        if let cursor { object["cursor"] = .string(cursor.text) }
        if duplicate { object["duplicate"] = true }
    }
}
