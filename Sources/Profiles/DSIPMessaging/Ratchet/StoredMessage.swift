import DSIPIdentity
import DSIPSignaling
import Encoding

/// `dsip.envelope.v1` (proposal 0.3 §21.B) as a relay sees it: for which device it is, under which key it was signed, and until when it is
/// good. That key is made for it, so it says nothing of who sends; what is inside the device alone reads.
public struct StoredMessage: Hashable, Sendable {
    public static let type = "dsip.envelope.v1"
    /// In the `hello` of a device that opens them.
    public static let extensionID: ProfileID = "stored-envelope/1.0"
    /// Seconds from now to expiry.
    public static let maximumLifetime = RatchetMessage.maximumLifetime + 86_400

    public var head: ExtensionHead

    public init(_ payload: JSONView) throws(MessagingError) { try self.init(payload.value) }

    /// - Throws: `schema-invalid`, `lifetime-exceeded`.
    public init(_ payload: JSONValue) throws(MessagingError) {
        var members = try Members(payload, "the payload")
        head = try ExtensionHead(&members, type: Self.type, lifetime: Self.maximumLifetime)
        try members.finish()
    }
}
