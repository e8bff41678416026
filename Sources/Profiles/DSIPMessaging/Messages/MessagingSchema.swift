import Encoding

/// The profile's schemas by name, for checks of shape alone.
public enum MessagingSchema {
    /// Whether the schema admits `value`.
    ///
    /// - Returns: nil when the profile has no such schema.
    public static func admits(_ value: JSONValue, schema: String) -> Bool? {
        if let kind = MailboxMessage.Kind(rawValue: schema) {
            guard value["type"]?.string == kind.rawValue else { return false }
            return succeeds { () throws(MessagingError) in try MailboxMessage.checkShape(value) }
        }
        return switch schema {
        case "content": succeeds { () throws(MessagingError) in _ = try ContentDraft(value) }
        case "receipt": succeeds { () throws(MessagingError) in _ = try ReceiptDraft(value) }
        case "activity": succeeds { () throws(MessagingError) in _ = try Activity(value) }
        case "archive-key": succeeds { () throws(MessagingError) in _ = try ArchiveKey(value) }
        case "archive-record": succeeds { () throws(MessagingError) in _ = try ArchiveRecord(value) }
        case "call-event": succeeds { () throws(MessagingError) in _ = try CallEvent(value) }
        case "recording-acceptance": succeeds { () throws(MessagingError) in _ = try RecordingAcceptance(value) }
        case "dsip-conversation": succeeds { () throws(MessagingError) in _ = try ConversationExtension(value) }
        case "mailbox-service": succeeds { () throws(MessagingError) in _ = try MailboxService(value) }
        default: nil
        }
    }

    private static func succeeds(_ read: () throws(MessagingError) -> Void) -> Bool {
        (try? read()) != nil
    }
}
