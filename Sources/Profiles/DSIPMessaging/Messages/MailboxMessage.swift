import DSIPIdentity
import DSIPSignaling
import Encoding

/// The payload of an envelope of the profile: between a device, its mailbox, a hub and another mailbox. M§5
///
/// A value has passed the schema, the lifetime, and for a deposit its class, the fields of the class and the size constant; who
/// signed it is the envelope's business. Refusals are core `error` messages.
public struct MailboxMessage: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case deposit, accepted, sync, items
        case keyPackages = "key-packages"
        case keyPackageFetch = "key-package-fetch"
        case blobPut = "blob-put"
        case mailboxConfig = "mailbox-config"
    }

    public enum Body: Hashable, Sendable {
        case deposit(Deposit)
        case accepted(Accepted)
        case sync(SyncRequest)
        case items(ItemsDelivery)
        case keyPackages(KeyPackages)
        case keyPackageFetch(KeyPackageFetch)
        case blobPut(BlobPut)
        case mailboxConfig(MailboxConfig)

        public var kind: Kind {
            switch self {
            case .deposit: .deposit
            case .accepted: .accepted
            case .sync: .sync
            case .items: .items
            case .keyPackages: .keyPackages
            case .keyPackageFetch: .keyPackageFetch
            case .blobPut: .blobPut
            case .mailboxConfig: .mailboxConfig
            }
        }
    }

    public var version: VersionBlock
    public var id: ULID
    /// A device when a client speaks, else the service.
    public var from: DID
    public var to: DID
    /// Unix seconds.
    public var issuedAt: Int64
    public var expiresAt: Int64
    public var body: Body

    public init(
        version: VersionBlock = MessagingProfile.version,
        id: ULID,
        from: DID,
        to: DID,
        issuedAt: Int64,
        expiresAt: Int64,
        body: Body
    ) {
        self.version = version
        self.id = id
        self.from = from
        self.to = to
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.body = body
    }

    /// From the payload of a verified envelope.
    ///
    /// - Throws: `payload-not-utf8`, `payload-not-json`, or what ``init(_:)`` throws.
    public init(decoding payload: [UInt8]) throws(MessagingError) {
        try self.init(try Read.payload(payload, limits: .init(bytes: ProtocolLimits.frame, members: 8192)))
    }

    /// The rules in the order in which a receiver applies them. M§5.1
    ///
    /// - Throws: the first rule that is broken.
    public init(_ payload: JSONValue) throws(MessagingError) {
        let draft = try Draft(payload)
        let limit = draft.isEphemeral ? MessagingProfile.maximumEphemeralLifetime : MessagingProfile.maximumLifetime
        let (lifetime, overflow) = draft.expiresAt.subtractingReportingOverflow(draft.issuedAt)
        guard !overflow, lifetime <= limit else {
            throw MessagingError(.lifetimeExceeded, "the message is to live for longer than its type may")
        }
        self.init(
            version: draft.version,
            id: draft.id,
            from: draft.from,
            to: draft.to,
            issuedAt: draft.issuedAt,
            expiresAt: draft.expiresAt,
            body: try draft.body()
        )
    }

    /// Whether the payload has the shape its schema gives, and nothing more. For tests of shape alone.
    public static func checkShape(_ payload: JSONValue) throws(MessagingError) { _ = try Draft(payload) }

    public var kind: Kind { body.kind }

    public var json: JSONValue {
        var object: JSONObject = [
            "dsip": Self.json(version), "type": .string(kind.rawValue), "id": .string(id.description),
            "from": .string(from.string), "to": .string(to.string),
        ]
        switch body {
        case .deposit(let deposit): deposit.write(to: &object)
        case .accepted(let accepted): accepted.write(to: &object)
        case .sync(let sync): sync.write(to: &object)
        case .items(let items): items.write(to: &object)
        case .keyPackages(let packages): packages.write(to: &object)
        case .keyPackageFetch(let fetch): fetch.write(to: &object)
        case .blobPut(let put): put.write(to: &object)
        case .mailboxConfig(let config): config.write(to: &object)
        }
        object["issued_at"] = .int(issuedAt)
        object["expires_at"] = .int(expiresAt)
        return .object(object)
    }

    static func json(_ version: VersionBlock) -> JSONValue {
        func list(_ ids: [ProfileID]) -> JSONValue { .array(ids.map { .string($0.string) }) }
        return [
            "core": .string(version.core.description), "min_core": .string(version.minCore.description),
            "profiles": list(version.profiles), "extensions": list(version.extensions),
            "critical": list(version.critical),
        ]
    }
}

extension MailboxMessage {
    /// A payload that its schema admits, before the rules that come after the schema.
    private struct Draft {
        enum Content {
            case deposit(DepositFields)
            case keyPackages(KeyPackages)
            case mailboxConfig(MailboxConfigFields)
            case other(Body)
        }

        let version: VersionBlock
        let id: ULID
        let from: DID
        let to: DID
        let issuedAt: Int64
        let expiresAt: Int64
        let content: Content

        init(_ payload: JSONValue) throws(MessagingError) {
            guard let kind = payload["type"]?.string.flatMap(Kind.init(rawValue:)) else {
                throw MessagingError(.unknownType, "not a message of the profile")
            }
            var members = try Members(payload, "the payload")
            try members.constant("type", kind.rawValue)
            version = try members.required("dsip", Read.version)
            id = try members.required("id", Read.ulid)
            from = try members.required("from", Read.did)
            to = try members.required("to", Read.did)
            issuedAt = try members.required("issued_at", Read.natural)
            expiresAt = try members.required("expires_at", Read.natural)
            content =
                switch kind {
                case .deposit: .deposit(try DepositFields(&members))
                case .accepted: .other(.accepted(try Accepted(&members)))
                case .sync: .other(.sync(try SyncRequest(&members)))
                case .items: .other(.items(try ItemsDelivery(&members)))
                case .keyPackages: .keyPackages(try KeyPackages(&members))
                case .keyPackageFetch: .other(.keyPackageFetch(try KeyPackageFetch(&members)))
                case .blobPut: .other(.blobPut(try BlobPut(&members)))
                case .mailboxConfig: .mailboxConfig(try MailboxConfigFields(&members))
                }
            try members.finish()
        }

        var isEphemeral: Bool {
            if case .deposit(let fields) = content { fields.depositClass == .ephemeral } else { false }
        }

        func body() throws(MessagingError) -> Body {
            switch content {
            case .deposit(let fields): return .deposit(try fields.checked())
            case .mailboxConfig(let fields): return .mailboxConfig(try fields.checked())
            case .keyPackages(let packages):
                guard !packages.isEmpty else { throw MessagingError(.keyPackagesEmpty, "no KeyPackage is in it") }
                return .keyPackages(packages)
            case .other(let body): return body
            }
        }
    }
}
