import DSIPIdentity
import Encoding

/// Which mailbox of an identity a sender deposits in, and which ones its own devices read. M§4.2
public struct MailboxSelection: Hashable, Sendable {
    public enum Source: String, Hashable, Sendable {
        /// Authoritative.
        case document = "did-document"
        /// Shown as what it is; it never moves an established conversation.
        case hint
    }

    /// Nil when the identity has no mailbox that can be used.
    public let source: Source?
    /// Usable entries, lowest priority first, entries of one priority in their document's order.
    public let order: [MailboxService]
    /// Entries passed over, as they came.
    public let discarded: [JSONValue]

    /// - Parameters:
    ///   - document: the `serviceEndpoint`s of the document's `DSIPMailbox` entries. When it lists any, hints are not asked, be
    ///     none of them usable: a hint of one device must not override the identity's own word.
    ///   - hints: endpoints of a reachability hint that stand for `DSIPMailbox`.
    public init(document: [JSONValue], hints: [JSONValue] = []) {
        let isDocument = !document.isEmpty
        var usable: [MailboxService] = []
        var discarded: [JSONValue] = []
        for entry in isDocument ? document : hints {
            if let service = try? MailboxService(entry), service.isUsable,
                isDocument || service.service == MailboxService.serviceType
            {
                usable.append(service)
            } else {
                discarded.append(entry)
            }
        }
        order = usable.enumerated().sorted { ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset) }
            .map(\.element)
        self.discarded = discarded
        source = order.isEmpty ? nil : isDocument ? .document : .hint
    }

    /// Where to deposit: the first entry that takes the connection.
    public func primary(accepting: (MailboxService) -> Bool = { _ in true }) -> MailboxService? {
        order.first(where: accepting)
    }

    /// Whether an established conversation's traffic goes to another mailbox now. M§15.4
    public enum Switch: String, Hashable, Sendable {
        case unchanged
        /// Refused.
        case hintSourced = "hint-sourced"
        /// Yes.
        case document = "did-document"

        public init(from established: DID, to candidate: DID, source: Source) {
            self = candidate == established ? .unchanged : source == .hint ? .hintSourced : .document
        }

        public var switches: Bool { self == .document }
    }
}
