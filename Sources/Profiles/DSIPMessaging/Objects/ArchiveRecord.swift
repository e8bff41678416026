import DSIPIdentity
import Encoding

/// One line of an identity's history, before it is sealed under an archive key. M§12.2
public struct ArchiveRecord: Hashable, Sendable {
    public var conversation: ULID
    /// The group and `seq` it was said under; what the seal is bound to.
    public var group: GroupID
    public var seq: Int64
    public var sender: DID
    public var senderDevice: DID
    /// Unix seconds.
    public var receivedAt: Int64
    /// The object as it was received. Read it with ``MessagingObject/init(_:in:)`` again: only what passed then is archived, but an
    /// archive is a stranger's disk.
    public var payload: JSONObject

    public init(
        conversation: ULID,
        group: GroupID,
        seq: Int64,
        sender: DID,
        senderDevice: DID,
        receivedAt: Int64,
        payload: JSONObject
    ) {
        self.conversation = conversation
        self.group = group
        self.seq = seq
        self.sender = sender
        self.senderDevice = senderDevice
        self.receivedAt = receivedAt
        self.payload = payload
    }

    /// From an opened record.
    ///
    /// - Throws: `payload-not-json`, `payload-float` or `schema-invalid`.
    public init(decoding bytes: [UInt8]) throws(MessagingError) {
        try self.init(try MessagingObject.parse(bytes))
    }

    public init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "archive-record")
        try members.constant("object", "archive-record")
        conversation = try members.required("conversation", Read.ulid)
        group = try members.required("group", Read.group)
        seq = try members.required("seq", Read.positive)
        sender = try members.required("sender", Read.did)
        senderDevice = try members.required("sender_device", Read.did)
        receivedAt = try members.required("received_at", Read.natural)
        guard let payload = try members.required("payload").object, payload["object"] != nil else {
            throw Members.fault("payload is no object of the profile")
        }
        self.payload = payload
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": "archive-record", "conversation": .string(conversation.description), "group": .string(group.text),
            "seq": .int(seq), "sender": .string(sender.string), "sender_device": .string(senderDevice.string),
            "received_at": .int(receivedAt), "payload": .object(payload),
        ]
    }
}
