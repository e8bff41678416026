import DSIPIdentity
import DSIPSignaling
import Encoding

/// The fields of a verified message that a session machine reads.
///
/// A signal is made from a `Verified` message and from nothing else on the network path: the machines of this module
/// never see a signature, and never see a byte a peer wrote that was not verified first.
public struct Signal: Hashable, Sendable {
    public var type: MessageType
    /// The message's own id; on `invite` also the session's (DSIP §12.2).
    public var id: ULID
    /// The signing device, as written in `from`.
    public var from: DID
    /// The identity that device acts for (DSIP §7.4); `from` itself when it acts for nobody else.
    public var identity: DID
    public var to: DID?
    public var session: ULID?
    /// Unix seconds.
    public var expiresAt: Int64?
    public var reason: Reason?
    /// The token as sent; `effectiveStatus` reads it.
    public var status: String?
    /// Seconds.
    public var ringTimeout: Int64?
    /// Seconds.
    public var queueTimeout: Int64?
    /// The token as sent; `effectiveAnsweredBy` reads it.
    public var answeredBy: String?
    public var inReplyTo: ULID?
    public var about: String?
    /// The grant an `invite` refers to (DSIP §19.4).
    public var grant: ULID?
    public var contactToken: String?
    public var purpose: String?
    public var scope: [String]
    /// Unix seconds; the end of a `grant`.
    public var validUntil: Int64?
    /// The invite lists the extension `delivery-report/1.0`: its sender is told what became of it.
    public var wantsDeliveryReport: Bool
    /// How it is written down: who cannot read that is not to be sent it.
    public var form: WireForm

    public init(
        _ type: MessageType,
        id: ULID,
        from: DID,
        identity: DID? = nil,
        to: DID? = nil,
        session: ULID? = nil,
        expiresAt: Int64? = nil,
        reason: Reason? = nil,
        status: String? = nil,
        ringTimeout: Int64? = nil,
        queueTimeout: Int64? = nil,
        answeredBy: String? = nil,
        inReplyTo: ULID? = nil,
        about: String? = nil,
        grant: ULID? = nil,
        contactToken: String? = nil,
        purpose: String? = nil,
        scope: [String] = [],
        validUntil: Int64? = nil,
        wantsDeliveryReport: Bool = false,
        form: WireForm = .jose
    ) {
        self.type = type
        self.id = id
        self.from = from
        self.identity = identity ?? from
        self.to = to
        self.session = session
        self.expiresAt = expiresAt
        self.reason = reason
        self.status = status
        self.ringTimeout = ringTimeout
        self.queueTimeout = queueTimeout
        self.answeredBy = answeredBy
        self.inReplyTo = inReplyTo
        self.about = about
        self.grant = grant
        self.contactToken = contactToken
        self.purpose = purpose
        self.scope = scope
        self.validUntil = validUntil
        self.wantsDeliveryReport = wantsDeliveryReport
        self.form = form
    }

    /// `status` under the registry; an unknown value is `trying` (DSIP §12.10).
    public var effectiveStatus: Status { status.flatMap(Status.init) ?? .trying }
    /// `answered_by` under the registry; an unknown value is `service` (DSIP §14.3).
    public var effectiveAnsweredBy: AnsweredBy { answeredBy.flatMap(AnsweredBy.init) ?? .service }
    /// The reason to act on and to show; a missing one or an unrecognized category is `session.failed` (DSIP §15.1).
    public var effectiveReason: Reason { reason?.effective ?? .sessionFailed }

    /// Registry `dsip-progress-status` (DSIP §12.10).
    public enum Status: String, Hashable, Sendable, CaseIterable {
        case trying, ringing, queued, forwarded
    }

    /// Registry `dsip-answered-by` (DSIP §14.3).
    public enum AnsweredBy: String, Hashable, Sendable, CaseIterable {
        case user, service, screening, gateway
    }
}

extension Reason {
    /// The reason to act on: `session.failed` for an unrecognized category (DSIP §15.1).
    var effective: Reason { ReasonRegistry.effective(self).reason }
}
