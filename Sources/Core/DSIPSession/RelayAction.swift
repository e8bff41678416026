import DSIPIdentity
import DSIPSignaling
import Encoding

/// An envelope the relay handles, as its shell keeps it: bytes in memory, or the row of a store.
///
/// The router never looks inside. It keeps a parcel for as long as it may still have to deliver it (the invite of a live
/// attempt, the best `reject` so far, a held envelope) and lets go of it otherwise.
public protocol Parcel: AnyObject, Sendable {
    /// The same envelope to be held once more, for somebody else. A parcel that keeps nothing for each of them is its own copy.
    func copy() -> any Parcel
}

extension Parcel {
    public func copy() -> any Parcel { self }
}

/// What the relay's machine wants done, in this order.
public enum RelayAction: Sendable {
    /// Hand the parcel to the live connection of `Delivery.device`.
    case deliver(Delivery)
    /// Hand a leg's message to the calling device (DSIP §12.7).
    case forward(Forward)
    /// Keep the parcel until it is delivered or dequeued; the sender may be told nothing, so write it first. Comes again
    /// with `isMissed`, right after the dequeue, when a recorded missed call takes the invite's place.
    case queue(Held)
    /// The held envelope is gone without delivery; nobody is told (DSIP §13.3).
    case dequeue(Held, DequeueReason)
    /// Send a relay-signed `error` (DSIP §12.7 rule 6, §13.2).
    case error(RouterError)
    /// Nothing goes anywhere: stale traffic of a terminated leg.
    case drop(RelayDrop)
    /// Send a relay-signed `notify` of `delivery-report/1.0` to the calling device.
    case report(DeliveryReport)
    /// Tell `device` of a call that ended while nobody of its identity was here: a relay-signed `notify` of
    /// `delivery-report/1.0` with the caller's own signed invite as evidence.
    case missed(device: DID, Held)
}

public struct Delivery: Sendable {
    public enum Cause: Hashable, Sendable {
        /// An invite forked to the devices bound now.
        case fork
        /// An invite to a device that bound while its attempt lives.
        case lateLeg
        /// The initiator's cancel, to one live leg.
        case cancel
        /// An introduction to a bound recipient.
        case introduction
        /// Anything else, by `to`.
        case routed
        /// A held envelope on the recipient's binding; the store's row can go once it is handed over.
        case flush
    }

    public var device: DID
    public var cause: Cause
    public var type: MessageType
    public var id: ULID
    public var reason: Reason?
    public var parcel: any Parcel
}

public struct Forward: Sendable {
    /// The calling device.
    public var to: DID
    /// The leg.
    public var from: DID
    public var type: MessageType
    public var id: ULID
    public var session: ULID
    public var reason: Reason?
    /// The token of a `progress`, as sent.
    public var status: String?
    public var parcel: any Parcel
}

/// A held envelope: what a store's row must carry to be restored.
public struct Held: Sendable {
    /// Identity or device, as addressed.
    public var to: DID
    public var type: MessageType
    public var id: ULID
    public var from: DID
    /// The identity `from` acts for.
    public var identity: DID
    /// Unix seconds: the earlier of its `expires_at` and the end of the retention.
    public var deadline: Int64
    /// Unix seconds, of the envelope; nil when it carries none.
    public var expiresAt: Int64?
    public var wantsDeliveryReport: Bool
    /// True once its call is over and it is kept only as the evidence of `missed`.
    public var isMissed: Bool
    public var form: WireForm
    public var parcel: any Parcel

    public init(
        to: DID,
        type: MessageType,
        id: ULID,
        from: DID,
        identity: DID,
        deadline: Int64,
        expiresAt: Int64?,
        wantsDeliveryReport: Bool = false,
        isMissed: Bool = false,
        form: WireForm = .jose,
        parcel: any Parcel
    ) {
        self.to = to
        self.type = type
        self.id = id
        self.from = from
        self.identity = identity
        self.deadline = deadline
        self.expiresAt = expiresAt
        self.wantsDeliveryReport = wantsDeliveryReport
        self.isMissed = isMissed
        self.form = form
        self.parcel = parcel
    }
}

public enum DequeueReason: String, Hashable, Sendable {
    case expired, cancelled
}

public struct RouterError: Hashable, Sendable {
    /// The device to tell.
    public var to: DID
    /// On `transport.no-response`.
    public var session: ULID?
    public var reason: Reason
    public var inReplyTo: ULID

    public init(to: DID, session: ULID? = nil, reason: Reason, inReplyTo: ULID) {
        self.to = to
        self.session = session
        self.reason = reason
        self.inReplyTo = inReplyTo
    }
}

public enum RelayDrop: String, Hashable, Sendable {
    case legTerminated = "leg-terminated"
    /// The invite's id is that of an attempt already running.
    case duplicateInvite = "duplicate-invite"
    /// An introduction this relay will not carry; its sender is told nothing (DSIP §19.4, §13.6).
    case introductionNotCarried = "introduction-not-carried"
}

/// `delivery-report/1.0`: what became of an invite.
public struct DeliveryReport: Hashable, Sendable {
    public enum State: String, Hashable, Sendable {
        case delivered, held
    }

    /// The calling device.
    public var to: DID
    /// The invite's id: the report's `subscription`.
    public var session: ULID
    /// From 1, without gaps.
    public var seq: Int64
    public var state: State
    /// Devices the invite was delivered to so far.
    public var devices: Int
}
