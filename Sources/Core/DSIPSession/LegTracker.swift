import DSIPIdentity
import DSIPSignaling
import Encoding

/// What has become of an invite at one device.
public enum LegState: String, Hashable, Sendable {
    case delivered, answered, rejected, expired, cancelled
}

/// What has become of an invite.
public enum AttemptOutcome: String, Hashable, Sendable {
    case answered, rejected
    /// The initiator withdrew, and no leg is outstanding.
    case cancelled
    /// Every leg expired and none rejected.
    case noResponse = "no-response"
}

/// One forked invite: which devices have it, and what became of it at each (DSIP §12.7 rules 3 and 6).
///
/// It never withholds an answer: only the initiator ends a leg that has answered.
struct LegTracker: Sendable {
    struct Leg: Sendable {
        let device: DID
        var state = LegState.delivered
        /// It has sent something: a redelivery is not needed.
        var acknowledged = false
        /// Unix seconds at which silence becomes expiry.
        var deadline: Int64
    }

    /// What a change of a leg means for the attempt.
    enum Consequence {
        case none
        /// Every leg has terminated; the initiator hears this reject, the most informative (DSIP §12.7 rule 6).
        case rejected(Rejected)
        /// Every leg expired and none rejected: the relay speaks for itself.
        case noResponse
    }

    /// A leg's `reject`, kept while it may become the outcome.
    struct Rejected: Sendable {
        let from: DID
        let id: ULID
        /// As sent.
        let reason: Reason?
        /// Unix seconds.
        let expiresAt: Int64?
        let parcel: any Parcel
    }

    let session: ULID
    let initiator: DID
    let initiatorIdentity: DID
    /// The identity or device the invite is addressed to.
    let to: DID
    /// Unix seconds; nil when the invite carries none.
    let expiresAt: Int64?
    let wantsDeliveryReport: Bool
    let invite: any Parcel
    let form: WireForm
    private(set) var outcome: AttemptOutcome?
    var reports: Int64 = 0
    /// In device order, the order in which several legs are reached.
    private(set) var legs: [Leg] = []
    private var best: Rejected?

    init(invite signal: Signal, to: DID, parcel: any Parcel) {
        session = signal.id
        initiator = signal.from
        initiatorIdentity = signal.identity
        self.to = to
        expiresAt = signal.expiresAt
        wantsDeliveryReport = signal.wantsDeliveryReport
        invite = parcel
        form = signal.form
    }

    init(held: Held) {
        session = held.id
        initiator = held.from
        initiatorIdentity = held.identity
        to = held.to
        expiresAt = held.expiresAt
        wantsDeliveryReport = held.wantsDeliveryReport
        invite = held.parcel
        form = held.form
    }

    init(_ record: AttemptRecord) {
        session = record.session
        initiator = record.initiator
        initiatorIdentity = record.initiatorIdentity
        to = record.to
        expiresAt = record.expiresAt
        wantsDeliveryReport = record.wantsDeliveryReport
        invite = record.invite
        form = record.form
        reports = record.reports
        best = record.best.map {
            Rejected(from: $0.from, id: $0.id, reason: $0.reason, expiresAt: $0.expiresAt, parcel: $0.parcel)
        }
        legs = record.legs.sorted { $0.device < $1.device }.map {
            Leg(device: $0.device, state: $0.state, acknowledged: $0.acknowledged, deadline: $0.deadline)
        }
    }

    var record: AttemptRecord {
        AttemptRecord(
            session: session,
            initiator: initiator,
            initiatorIdentity: initiatorIdentity,
            to: to,
            expiresAt: expiresAt,
            wantsDeliveryReport: wantsDeliveryReport,
            reports: reports,
            legs: legs.map {
                AttemptRecord.Leg(
                    device: $0.device,
                    state: $0.state,
                    acknowledged: $0.acknowledged,
                    deadline: $0.deadline
                )
            },
            best: best.map {
                AttemptRecord.Rejected(
                    from: $0.from,
                    id: $0.id,
                    reason: $0.reason,
                    expiresAt: $0.expiresAt,
                    parcel: $0.parcel
                )
            },
            invite: invite,
            form: form
        )
    }

    func index(of device: DID) -> Int? { legs.firstIndex { $0.device == device } }
    /// The devices that have not terminated, in device order.
    var liveDevices: [DID] { legs.filter { $0.state == .delivered }.map(\.device) }
    /// Unix seconds; nil when no leg is waited for.
    var nextDeadline: Int64? { legs.lazy.filter { $0.state == .delivered }.map(\.deadline).min() }

    /// A device that binds now becomes a leg (DSIP §12.7 rule 3).
    func takesLateLeg(at now: Int64) -> Bool { outcome == nil && (expiresAt ?? .max) >= now }

    mutating func add(_ device: DID, deadline: Int64) {
        legs.insert(Leg(device: device, deadline: deadline), at: legs.firstIndex { device < $0.device } ?? legs.count)
    }

    /// - Returns: false for a leg that has terminated.
    mutating func progress(_ leg: Int, deadline: Int64) -> Bool {
        guard legs[leg].state == .delivered else { return false }
        legs[leg].acknowledged = true
        legs[leg].deadline = deadline
        return true
    }

    /// The record moves only for a leg that was outstanding; the answer goes on either way.
    mutating func answer(_ leg: Int) {
        guard legs[leg].state == .delivered else { return }
        legs[leg].state = .answered
        if outcome == nil { outcome = .answered }
        best = nil
    }

    /// - Returns: nil for a leg that has terminated.
    mutating func reject(_ leg: Int, _ signal: Signal, _ parcel: any Parcel) -> Consequence? {
        guard legs[leg].state == .delivered else { return nil }
        legs[leg].state = .rejected
        let reason = signal.reason
        if outcome == nil, best.map({ LegTracker.rank(reason) < LegTracker.rank($0.reason) }) ?? true {
            best = Rejected(
                from: signal.from,
                id: signal.id,
                reason: reason,
                expiresAt: signal.expiresAt,
                parcel: parcel
            )
        }
        return settle()
    }

    mutating func expire(_ leg: Int) -> Consequence {
        guard legs[leg].state == .delivered else { return .none }
        legs[leg].state = .expired
        return settle()
    }

    /// The legs whose silence has lasted until `now` expire.
    mutating func expireLegs(at now: Int64) -> Consequence {
        for index in legs.indices where legs[index].state == .delivered && legs[index].deadline <= now {
            legs[index].state = .expired
        }
        return settle()
    }

    /// - Returns: the legs to deliver the cancel to, in device order.
    mutating func cancelAll() -> [DID] {
        let live = liveDevices
        for index in legs.indices where legs[index].state == .delivered { legs[index].state = .cancelled }
        if outcome == nil { outcome = .cancelled }
        best = nil
        return live
    }

    /// - Returns: false for a leg that has terminated.
    mutating func cancel(_ leg: Int) -> Bool {
        guard legs[leg].state == .delivered else { return false }
        legs[leg].state = .cancelled
        if outcome == nil, !legs.contains(where: { $0.state == .delivered }) {
            outcome = .cancelled
            best = nil
        }
        return true
    }

    private mutating func settle() -> Consequence {
        guard outcome == nil, !legs.contains(where: { $0.state == .delivered }) else { return .none }
        guard let best else {
            outcome = .noResponse
            return .noResponse
        }
        outcome = .rejected
        self.best = nil
        return .rejected(best)
    }

    /// DSIP §12.7 rule 6: declined, no-answer, busy, unavailable; then whichever came first.
    private static func rank(_ reason: Reason?) -> Int {
        switch reason {
        case .userDeclined: 0
        case .userNoAnswer: 1
        case .endpointBusy: 2
        case .endpointUnavailable: 3
        default: 4
        }
    }
}
