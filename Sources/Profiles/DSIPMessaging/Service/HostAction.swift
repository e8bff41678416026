import DSIPIdentity
import DSIPSignaling
import Encoding

/// One connection, as its transport numbers it; a number is not used again.
public struct ConnectionID: Hashable, Sendable, Comparable {
    public let rawValue: UInt64

    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (a: ConnectionID, b: ConnectionID) -> Bool { a.rawValue < b.rawValue }
}

/// What the service says: a message of the profile, or the core `error` that refuses one. The shell signs it.
public enum ServiceMessage: Hashable, Sendable {
    case profile(MailboxMessage)
    case error(Message)

    public var id: ULID {
        switch self {
        case .profile(let message): message.id
        case .error(let message): message.id
        }
    }

    /// Signs it as the service.
    ///
    /// - Parameter delegations: the service's own, when its key is not the identity's. M§4.1
    public func signed(by key: SigningKey, delegations: [Envelope] = []) throws(IdentityError) -> Envelope {
        let json =
            switch self {
            case .profile(let message): message.json
            case .error(let message): message.json
            }
        return try Envelope(signing: json.utf8, by: key, delegations: delegations)
    }
}

/// What a ``MailboxHost`` asks of its shell. Everything it says is on disk before the action is handed out.
public enum HostAction: Sendable {
    /// Sign and send on a connection that is bound here; drop it when the connection is gone.
    case send(ServiceMessage, to: ConnectionID)
    /// Hand an answer of another service on, unchanged.
    case relay(Envelope, to: ConnectionID)
    /// Sign and send to another service, and bring the answer with ``MailboxHost/answered(_:by:_:at:)``, which also takes that there
    /// was none. `isAnswered` is false for activity, which nobody acknowledges.
    case deposit(MailboxMessage, at: HubReference, isAnswered: Bool)
    /// Send a device's own envelope to the hub, unchanged; the same answers. M§5.2
    case forward(Envelope, id: ULID, to: HubReference, isAnswered: Bool)
    /// Look the document up, and say so with ``MailboxHost/resolved(_:at:)`` whatever came of it.
    case resolve(DID)
    /// Close the connection: its delegation was revoked.
    case close(ConnectionID)
    /// The owner revoked a delegation: verifiers hold it from now on. M§5.7
    case revoked(DelegationRevocation, Envelope)
    /// Something came for a registered device that is not bound. `envelope` is the id of the deposit.
    case wake(device: DID, of: DID, envelope: ULID)
    /// Fetch by https, keep the body if it is what the reference says, and say so with ``MailboxHost/fetched(_:_:at:)``. M§8.4
    case fetch(BlobReference)
    /// Read a blob that is held here (or fetch it), at most `size` bytes, for ``MailboxHost/read(_:_:at:)``: a group's ratchet tree.
    case read(BlobReference)
    /// Nobody's any more.
    case deleteBlob(sha256: String)
    /// A hub's last items were given up. M§7.4; for the log.
    case handoverExpired(GroupID, hub: DID, missing: Int)
}

/// What came of a deposit at another service.
public enum ServiceAnswer: Sendable {
    /// A verified `accepted` of that service, with its envelope.
    case accepted(Accepted, Envelope)
    /// A verified `error` of that service, with its envelope.
    case refused(Reason, retryAfter: Int64?, Envelope)
    /// The dial was refused, the connection lost, or no answer came in time.
    case unreachable
}
