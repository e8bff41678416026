import DSIPIdentity
import Encoding

/// An object with where and how it came.
struct Saying: Sendable {
    enum Origin: Sendable {
        /// Opened from MLS just now.
        case live
        /// This device said it, and the hub has ordered it.
        case own
        /// From the identity's history: nothing is said about it, and nothing archived. M§12.2
        case restored
        /// It came, or was said, outside of groups.
        case carried
    }

    var group: GroupID
    var thread: ULID
    /// On the wire.
    var conversation: ULID
    var order: Int64
    var seq: Int64
    var sender: DID
    var device: DID
    var receivedAt: Int64
    var blobs: [BlobReference]
    var origin: Origin
    var payload: JSONValue
    /// It was encrypted before the epoch of its place: who came in meanwhile may not have read it.
    var isLate = false
}

extension Saying {
    /// As a row keeps it; how it came is not kept.
    var encoded: [UInt8] {
        var row = RowWriter()
        row.put("payload", payload)
        row.put("group", group)
        row.put("conversation", conversation)
        row.put("order", order)
        row.put("seq", seq)
        row.put("sender", sender)
        row.put("device", device)
        row.put("received", receivedAt)
        return row.bytes
    }

    init?(_ row: RowReader, thread: ULID) {
        guard let payload = row.value["payload"], let group = row.group("group"),
            let conversation = row.ulid("conversation"), let order = row.int("order"), let seq = row.int("seq"),
            let sender = row.did("sender"), let device = row.did("device")
        else { return nil }
        self.init(
            group: group,
            thread: thread,
            conversation: conversation,
            order: order,
            seq: seq,
            sender: sender,
            device: device,
            receivedAt: row.int("received") ?? 0,
            blobs: [],
            origin: .restored,
            payload: payload
        )
    }
}
