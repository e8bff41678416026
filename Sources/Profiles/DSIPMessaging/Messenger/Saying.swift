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
}
