import DSIPIdentity
import DSIPSignaling
import Encoding

/// What a subscription authority is told: local policy, bindings, and verified messages.
public enum SubscriptionAuthorityEvent: Hashable, Sendable {
    /// Who may subscribe to `target` (an identity or a stream id). Setting it is what makes the target exist.
    case setPolicy(target: String, SubscriptionPolicy)
    /// Whoever presents `token` may subscribe to `target`.
    case issueCapability(token: String, target: String)
    /// The target is no more: its policy and its record go, and so that one that never was tells no more; its subscriptions end.
    case forget(target: String)
    /// The device is away, and room is needed: its subscriptions end without a word, which would not reach it.
    case gone(device: DID)
    case bound(device: DID, identity: DID)
    case unbound(device: DID)
    case receivedSubscribe(SubscribeRequest)
    case receivedPublish(Publication)
    case receivedUnpublish(Withdrawal)
    case receivedProvenance(ProvenanceStatement)
}

public enum SubscriptionPolicy: Hashable, Sendable {
    case everyone
    case only(Set<DID>)
    case listed(ListedAudience)
}

/// The fields of a verified `subscribe` (DSIP §9.3).
public struct SubscribeRequest: Hashable, Sendable {
    public var id: ULID
    public var device: DID
    public var identity: DID
    public var target: String
    public var events: [String]
    /// Seconds.
    public var expiresIn: Int64
    public var capability: String?

    public init(
        id: ULID,
        device: DID,
        identity: DID,
        target: String,
        events: [String],
        expiresIn: Int64,
        capability: String? = nil
    ) {
        self.id = id
        self.device = device
        self.identity = identity
        self.target = target
        self.events = events
        self.expiresIn = expiresIn
        self.capability = capability
    }
}

/// The fields of a verified `publish` (DSIP §22.1).
public struct Publication: Hashable, Sendable {
    public var id: ULID
    /// The verified signing identity.
    public var identity: DID
    public var publisher: DID
    public var stream: String
    public var state: String
    /// Variant ids.
    public var variants: [String]
    /// Unix seconds.
    public var expiresAt: Int64

    public init(
        id: ULID,
        identity: DID,
        publisher: DID,
        stream: String,
        state: String,
        variants: [String],
        expiresAt: Int64
    ) {
        self.id = id
        self.identity = identity
        self.publisher = publisher
        self.stream = stream
        self.state = state
        self.variants = variants
        self.expiresAt = expiresAt
    }
}

/// The fields of a verified `unpublish` (DSIP §22.1).
public struct Withdrawal: Hashable, Sendable {
    public var identity: DID
    public var publisher: DID
    public var stream: String
    public var publication: ULID

    public init(identity: DID, publisher: DID, stream: String, publication: ULID) {
        self.identity = identity
        self.publisher = publisher
        self.stream = stream
        self.publication = publication
    }
}

/// The fields of a verified `provenance` (DSIP §22.3).
public struct ProvenanceStatement: Hashable, Sendable {
    public var identity: DID
    public var processor: DID
    public var stream: String
    public var publication: ULID
    public var inputVariant: String

    public init(identity: DID, processor: DID, stream: String, publication: ULID, inputVariant: String) {
        self.identity = identity
        self.processor = processor
        self.stream = stream
        self.publication = publication
        self.inputVariant = inputVariant
    }
}

public enum SubscriptionAuthorityAction: Hashable, Sendable {
    case notify(SubscriptionNotice)
    /// `reject` of a subscription; one and the same for a target that is closed and one that is not there.
    case reject(to: DID, subscription: ULID, reason: Reason)
    /// `error` to a `subscribe` that asks for too long (DSIP §9.3).
    case error(to: DID, inReplyTo: ULID, reason: Reason)
    case publication(stream: String, state: String)
    case provenance(stream: String, processor: DID)
    case subscription(ULID, SubscriptionChange)
    case drop(BroadcastDrop)
}

public enum SubscriptionChange: String, Hashable, Sendable {
    case replaced, terminated
}

public enum BroadcastDrop: String, Hashable, Sendable, Error {
    case publisherMismatch = "publisher-mismatch"
    case streamIDNamespace = "stream-id-namespace"
    case stalePublication = "stale-publication"
    case unknownPublication = "unknown-publication"
    case provenanceUnknownPublication = "provenance-unknown-publication"
    case provenanceStreamMismatch = "provenance-stream-mismatch"
    case provenanceProcessorMismatch = "provenance-processor-mismatch"
    case provenanceVariantUnknown = "provenance-variant-unknown"
    case unknownSubscription = "unknown-subscription"
    case tooMany = "too-many"
}

/// A `notify` to sign and send.
public struct SubscriptionNotice: Hashable, Sendable {
    public var to: DID
    public var subscription: ULID
    public var seq: Int64
    public var isTerminal: Bool
    public var reason: Reason?
    public var event: String
    /// `available`, `offline`, or the state of a publication.
    public var state: String
    public var publication: ULID?
    public var provenance: [DID]
}
