import Encoding

/// A device reads its mailbox. M§5.4
public struct SyncRequest: Hashable, Sendable {
    public static let maximumLimit: Int64 = 1000

    /// Nil reads from the oldest item that is kept.
    public var since: Cursor?
    /// Everything up to here is safe on the device's disk.
    public var ackThrough: Cursor?
    /// At most 1,000.
    public var limit: Int64?
    /// Push what comes later while the connection stays.
    public var live: Bool

    public init(since: Cursor?, ackThrough: Cursor? = nil, limit: Int64? = nil, live: Bool = false) {
        self.since = since
        self.ackThrough = ackThrough
        self.limit = limit
        self.live = live
    }

    init(_ members: inout Members) throws(MessagingError) {
        guard members.has("since") else { throw Members.fault("since is missing") }
        since = try members.nullable("since", Read.cursor)
        ackThrough = try members.optional("ack_through", Read.cursor)
        limit = try members.optional("limit") { (value, name) throws(MessagingError) in
            try Read.integer(value, name, 1...SyncRequest.maximumLimit)
        }
        live = try members.optional("live", Read.boolean) ?? false
    }

    func write(to object: inout JSONObject) {
        object["since"] = since.map { .string($0.text) } ?? .null
        if let ackThrough { object["ack_through"] = .string(ackThrough.text) }
        if let limit { object["limit"] = .int(limit) }
        if live { object["live"] = true }
    }
}
