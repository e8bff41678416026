import DSIPIdentity
import DSIPSignaling
import Encoding

/// What an endpoint's machine wants done, in this order.
///
/// `startTimer`, `stopTimer` and `timerFired` are for the eye and the log: the engine keeps the deadlines itself, and a
/// shell needs only `nextDeadline` and `advance(to:)`.
public enum EndpointAction: Hashable, Sendable {
    /// Sign and send. Nothing else is ever sent for a session.
    case send(Outbound)
    case startTimer(EndpointTimer, session: ULID, seconds: Int64)
    case stopTimer(EndpointTimer, session: ULID)
    case timerFired(EndpointTimer, session: ULID)
    case media(MediaInstruction, session: ULID)
    case ui(Notice, session: ULID?)
    /// Hand the `info` just received to the binding named by `about`.
    case info(about: String, session: ULID)
    /// The command just given is not possible now; nothing changed.
    case refused(Refusal)
    /// The message just received is ignored.
    case drop(Drop)
}

/// A message to sign and send. The shell adds the body the fields here do not name: media, transports, identity.
public struct Outbound: Hashable, Sendable {
    public var type: MessageType
    public var to: DID
    /// The session or, on `grant` and the `reject` of an introduction, the introduction.
    public var session: ULID?
    /// The message id, when the command gave it (on `invite` it is `session`); else the shell makes one.
    public var id: ULID?
    public var reason: Reason?
    public var status: Signal.Status?
    /// Seconds.
    public var ringTimeout: Int64?
    /// Seconds.
    public var queueTimeout: Int64?
    public var answeredBy: Signal.AnsweredBy?
    public var inReplyTo: ULID?
    /// A held grant that admits this invite (DSIP §19.4).
    public var grant: ULID?
    public var purpose: String?
    public var contactToken: String?
    public var scope: [String]?
    /// Unix seconds.
    public var validUntil: Int64?

    public init(
        _ type: MessageType,
        to: DID,
        session: ULID?,
        id: ULID? = nil,
        reason: Reason? = nil,
        status: Signal.Status? = nil,
        ringTimeout: Int64? = nil,
        queueTimeout: Int64? = nil,
        answeredBy: Signal.AnsweredBy? = nil,
        inReplyTo: ULID? = nil,
        grant: ULID? = nil,
        purpose: String? = nil,
        contactToken: String? = nil,
        scope: [String]? = nil,
        validUntil: Int64? = nil
    ) {
        self.type = type
        self.to = to
        self.session = session
        self.id = id
        self.reason = reason
        self.status = status
        self.ringTimeout = ringTimeout
        self.queueTimeout = queueTimeout
        self.answeredBy = answeredBy
        self.inReplyTo = inReplyTo
        self.grant = grant
        self.purpose = purpose
        self.contactToken = contactToken
        self.scope = scope
        self.validUntil = validUntil
    }
}

/// No media before `start`, none after `stop` (DSIP §14.1).
public enum MediaInstruction: String, Hashable, Sendable {
    /// Apply the answer just received, or the one just sent.
    case start
    case stop
    /// Apply the selection of the update just answered; before it the old one stands (DSIP §12.8 rule 1).
    case applyUpdate = "apply_update"
}

/// What a person is shown.
public enum Notice: Hashable, Sendable {
    /// An invite passed first contact; `alert`, `autoReject` or `accept` is expected.
    case offered
    /// The caller's side: `device` is one leg of the callee's.
    case progress(Signal.Status, device: DID)
    /// The other side is now this. Also raised when an update ends screening (DSIP §14.4).
    case answered(Signal.AnsweredBy, device: DID)
    case updateOffered(ULID)
    case updateRejected(ULID, Reason)
    case missedCall
    /// The session ended for a remote message or a timer.
    case ended(Reason)
    /// Both invites had one id; retry after 1 to 4 s if still wanted (DSIP §12.6).
    case glareRetry
    /// For the requests surface: never a ring, never in the call history (DSIP §19.4).
    case introductionReceived(ULID, from: DID, token: Bool)
    case granted(by: DID, grant: ULID)
    case introductionRejected(ULID, Reason)
    /// A received `error`; the session, if any, goes on.
    case error(Reason, inReplyTo: ULID?)
}

/// Why a command was refused.
public enum Refusal: String, Hashable, Sendable, Error {
    case unknownSession = "unknown-session"
    case invalidState = "invalid-state"
    case updatePending = "update-pending"
    case noPendingUpdate = "no-pending-update"
    case unknownIntroduction = "unknown-introduction"
    case unknownGrant = "unknown-grant"
    /// A bound of the configuration is reached.
    case tooMany = "too-many"
}

/// Why a message was ignored.
public enum Drop: String, Hashable, Sendable, Error {
    case endedSession = "ended-session"
    case unknownAbout = "unknown-about"
    case staleUpdateReply = "stale-update-reply"
    case duplicateIntroduction = "duplicate-introduction"
    case unknownIntroduction = "unknown-introduction"
    /// A bound on pending requests is reached.
    case requestsFull = "requests-full"
    /// Signed by someone who has no part in the session (DSIP §12.7 rule 2, §12.11).
    case notParty = "not-party"
    /// More `info` than the configuration allows; the sender was told once (DSIP §12.12).
    case rateLimited = "rate-limited"
    /// The type is not one an endpoint's sessions read.
    case notSession = "not-session"
}
