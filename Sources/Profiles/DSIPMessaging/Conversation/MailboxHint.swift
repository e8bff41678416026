import DSIPIdentity
import Encoding
import MLS

/// The LeafNode extension `dsip_mailbox`: where a device's identity has its mailbox, when it has no document that says so.
///
/// Ours, beside the profile: private-use type `0xF0D3`, listed in the leaf's own capabilities; the data is the UTF-8 JSON of one
/// service entry as M§4.2 has it. By it a hub finds the mailboxes of members, and members find each other's. It is a device's word:
/// a document that lists any mailbox wins over it, and a client shows it as a hint.
public enum MailboxHint {
    /// Private use.
    public static let extensionType: UInt16 = 0xf0d3
    /// Bytes of the extension's data.
    public static let maximumBytes = 2048

    public static func data(_ service: MailboxService) -> [UInt8] { service.json.utf8 }

    /// - Returns: nil unless the data is one usable entry and nothing else.
    public static func service(decoding data: [UInt8]) -> MailboxService? {
        guard data.count <= maximumBytes, let value = try? Read.payload(data, limits: .init(bytes: maximumBytes)),
            !value.holdsNonInteger, let service = try? MailboxService(value), service.isUsable
        else { return nil }
        return service
    }

    /// What a leaf carries; the leaf's capabilities list ``extensionType``.
    public static func leafExtension(_ service: MailboxService) -> Extension {
        Extension(ExtensionType(rawValue: extensionType), data(service))
    }

    /// The service that a leaf names; nil when it names none that can be used.
    public static func service(of leaf: LeafNode) -> MailboxService? {
        leaf.extensions[ExtensionType(rawValue: extensionType)].flatMap(service(decoding:))
    }
}

extension DIDDocument {
    /// The `DSIPMailbox` entries of the document, as it stood; usable or not. M§4.2
    public var mailboxEntries: [JSONValue] {
        services.filter { $0.type == MailboxService.serviceType }.map { .object($0.endpoint) }
    }
}
