import DSIPMessaging
import Encoding

/// Whether messages can be sent and received, and how.
public struct MessagingStatus: Sendable, Hashable {
    public var isEnabled: Bool
    public var unread: Int
    public var mode: MailboxMode
    public var readReceipts: Bool
    public var typing: Bool
    /// Where messages are kept, or why they are not.
    public var mailbox: String

    public var json: JSONValue {
        [
            "enabled": .bool(isEnabled), "unread": .int(Int64(unread)), "mode": .string(mode.rawValue),
            "read_receipts": .bool(readReceipts), "typing": .bool(typing), "mailbox": .string(mailbox),
        ]
    }
}
