import DSIPIdentity
import DSIPSignaling
import Encoding

/// A live attempt as a store keeps it, so that a device that binds after a restart still gets the invite (DSIP §12.7 rule 3).
public struct AttemptRecord: Sendable {
    /// A device that has the invite.
    public struct Leg: Hashable, Sendable {
        public var device: DID
        public var state: LegState
        /// It has sent something.
        public var acknowledged: Bool
        /// Unix seconds at which its silence becomes expiry.
        public var deadline: Int64

        public init(device: DID, state: LegState, acknowledged: Bool, deadline: Int64) {
            self.device = device
            self.state = state
            self.acknowledged = acknowledged
            self.deadline = deadline
        }
    }

    /// The most informative `reject` so far (DSIP §12.7 rule 6).
    public struct Rejected: Sendable {
        public var from: DID
        public var id: ULID
        public var reason: Reason?
        /// Unix seconds.
        public var expiresAt: Int64?
        public var parcel: any Parcel

        public init(from: DID, id: ULID, reason: Reason?, expiresAt: Int64?, parcel: any Parcel) {
            self.from = from
            self.id = id
            self.reason = reason
            self.expiresAt = expiresAt
            self.parcel = parcel
        }
    }

    public var session: ULID
    public var initiator: DID
    public var initiatorIdentity: DID
    /// As the invite is addressed.
    public var to: DID
    /// Unix seconds, of the invite.
    public var expiresAt: Int64?
    public var wantsDeliveryReport: Bool
    /// Delivery reports sent so far.
    public var reports: Int64
    public var legs: [Leg]
    public var best: Rejected?
    public var invite: any Parcel
    /// How the invite is written.
    public var form: WireForm

    public init(
        session: ULID,
        initiator: DID,
        initiatorIdentity: DID,
        to: DID,
        expiresAt: Int64?,
        wantsDeliveryReport: Bool,
        reports: Int64,
        legs: [Leg],
        best: Rejected?,
        invite: any Parcel,
        form: WireForm = .jose
    ) {
        self.session = session
        self.initiator = initiator
        self.initiatorIdentity = initiatorIdentity
        self.to = to
        self.expiresAt = expiresAt
        self.wantsDeliveryReport = wantsDeliveryReport
        self.reports = reports
        self.legs = legs
        self.best = best
        self.invite = invite
        self.form = form
    }

    /// Unix seconds after which nobody is waited for: nothing is worth keeping then. Nil when no leg is outstanding.
    public var until: Int64? { legs.lazy.filter { $0.state == .delivered }.map(\.deadline).max() }
}

/// What has become of an attempt since it was last asked for.
public enum AttemptChange: Sendable {
    case live(AttemptRecord)
    /// It has an outcome, or is forgotten.
    case ended(ULID)
}

extension RelayRouter {
    /// The attempts that have changed since the last call, for a store; empty unless `configuration.tracksAttemptChanges`.
    ///
    /// An attempt that began and ended in between comes as ended only.
    public mutating func takeAttemptChanges() -> [AttemptChange] {
        guard !changedAttempts.isEmpty else { return [] }
        defer { changedAttempts.removeAll(keepingCapacity: true) }
        return changedAttempts.map { session in
            guard let attempt = attempts[session], attempt.outcome == nil else { return .ended(session) }
            return .live(attempt.record)
        }
    }

    /// Takes back the attempts that were live when the relay ended. Their legs are waited for as if nothing had happened; a device
    /// that binds becomes a leg like any other.
    public mutating func restore(attempts records: some Sequence<AttemptRecord>, at now: Int64) {
        for record in records
        where attempts[record.session] == nil && record.until != nil && attempts.count < configuration.maximumAttempts {
            keep(LegTracker(record), at: now)
        }
        changedAttempts.removeAll()
    }
}
