import Encoding

/// The LeafNode extension `dsip_mailbox`: where the mailbox of an identity is whose document cannot say it (`docs/messaging.md`).
///
/// One service entry as M§4.2 has it, in UTF-8 JSON. A document always wins over it.
public enum MailboxHint {
    /// Private use.
    public static let extensionType: UInt16 = 0xf0d3

    public static func data(_ service: MailboxService) -> [UInt8] { service.json.utf8 }

    /// - Returns: nil unless the data is one usable entry.
    public static func service(decoding data: [UInt8]) -> MailboxService? {
        guard let value = try? Read.payload(data, limits: .init(bytes: 4096)), let service = try? MailboxService(value),
            service.isUsable
        else { return nil }
        return service
    }
}
