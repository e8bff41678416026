import DSIPIdentity

/// A recipient a relay holds envelopes for while it is away (DSIP §13.3).
public struct KnownRecipient: Hashable, Sendable {
    /// An identity, or a device of one.
    public var recipient: DID
    public var identity: DID
    /// Unix seconds.
    public var until: Int64

    public init(recipient: DID, identity: DID, until: Int64) {
        self.recipient = recipient
        self.identity = identity
        self.until = until
    }
}

/// Who completed a verified `hello` here within the retention window.
struct KnownRecipients: Sendable {
    private var known: [DID: KnownRecipient] = [:]
    private var deadlines = DeadlineQueue<DID>()

    var count: Int { known.count }
    var nextDeadline: Int64? { deadlines.next }
    var entries: [KnownRecipient] { Array(known.values) }

    func isKnown(_ recipient: DID, at now: Int64) -> Bool { known[recipient].map { now <= $0.until } ?? false }
    func identity(of recipient: DID) -> DID? { known[recipient]?.identity }

    /// A newcomer beyond `limit` is not remembered; who is already known always is.
    mutating func note(_ recipient: DID, identity: DID, until: Int64, limit: Int = .max) {
        guard known.count < limit || known[recipient] != nil else { return }
        known[recipient] = KnownRecipient(recipient: recipient, identity: identity, until: until)
        deadlines.set(recipient, to: until + 1)
    }

    /// Forgets whose time is over; those still bound stay, and are noted again when they leave.
    mutating func expire(at now: Int64, unless isBound: (DID) -> Bool) {
        while let recipient = deadlines.pop(at: now) {
            if !isBound(recipient) { known[recipient] = nil }
        }
    }
}
