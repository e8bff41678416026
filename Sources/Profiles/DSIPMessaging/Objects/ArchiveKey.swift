import Encoding

/// A key that seals an identity's history, told to its own devices. M§12.1
public struct ArchiveKey: Hashable, Sendable {
    public var id: ULID
    /// 32 bytes.
    public var key: [UInt8]
    /// Unix seconds.
    public var createdAt: Int64

    /// - Precondition: the key has 32 bytes.
    public init(id: ULID, key: [UInt8], createdAt: Int64) {
        precondition(key.count == 32, "an archive key has 32 bytes")
        self.id = id
        self.key = key
        self.createdAt = createdAt
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "archive-key")
        try members.constant("object", "archive-key")
        id = try members.required("akid", Read.ulid)
        key = try members.required("key", Read.key)
        createdAt = try members.required("created_at", Read.natural)
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": "archive-key", "akid": .string(id.description), "key": .string(Base64URL.encode(key)),
            "created_at": .int(createdAt),
        ]
    }
}
