import DSIPIdentity
import Encoding

/// Starts an interactive session; its `id` is the session's (DSIP §12.2, §17.3).
public struct Invite: Hashable, Sendable {
    /// The offer; empty only in a sealed invite.
    public var media: [MediaDescriptor]
    public var transports: [TransportDescriptor]
    public var identity: IdentityInfo?
    public var intent: String?
    /// The contact grant that admits this invite (§19.4).
    public var grant: ULID?
    public var policy: MediaPolicy?
    public var recording: RecordingDeclaration?
    public var recordingSession: RecordingSession?
    /// The number a gateway is asked to reach, a `tel:` URI.
    public var destination: String?
    public var sealed: SealedBody?

    public init(
        media: [MediaDescriptor],
        transports: [TransportDescriptor],
        identity: IdentityInfo? = nil,
        intent: String? = "interactive",
        grant: ULID? = nil,
        policy: MediaPolicy? = nil
    ) {
        self.media = media
        self.transports = transports
        self.identity = identity
        self.intent = intent
        self.grant = grant
        self.policy = policy
    }

    public var offer: MediaOffer { MediaOffer(media: media, transports: transports) }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.intent = try fields.optionalToken("intent")
        self.grant = try fields.optionalULID("grant")
        self.identity = try fields.optional("identity", IdentityInfo.init)
        let media = try fields.media()
        let transports = try fields.transports()
        self.policy = try fields.policy()
        self.recording = try fields.recording()
        self.recordingSession = try fields.optional("recording_session", RecordingSession.init)
        self.destination = try fields.optional("destination") { (view) throws(ShapeFault) in
            try view.text("destination", Pattern.telephoneURI)
        }
        self.sealed = try fields.sealed()
        guard sealed != nil || media != nil && transports != nil else { throw ShapeFault("an invite without an offer") }
        self.media = media ?? []
        self.transports = transports ?? []
    }

    func write(to object: inout JSONObject) {
        if let intent { object["intent"] = .string(intent) }
        if let grant { object["grant"] = .string(grant.description) }
        if let identity { object["identity"] = identity.json }
        if !media.isEmpty { object["media"] = .array(media.map(\.json)) }
        if !transports.isEmpty { object["transports"] = .array(transports.map(\.json)) }
        if let policy { object["policy"] = policy.json }
        if let recording { object["recording"] = recording.json }
        if let recordingSession { object["recording_session"] = recordingSession.json }
        if let destination { object["destination"] = .string(destination) }
        if let sealed { object["sealed"] = sealed.json }
    }
}

/// Says how far a leg has got before it answers (DSIP §12.10).
public struct Progress: Hashable, Sendable {
    public var status: ProgressStatus
    /// Seconds the responder means to ring, 30…300.
    public var ringTimeout: Int64?
    /// Seconds to wait in the queue, 1…1,800; present with `queued`.
    public var queueTimeout: Int64?

    public init(_ status: ProgressStatus, ringTimeout: Int64? = nil, queueTimeout: Int64? = nil) {
        self.status = status
        self.ringTimeout = ringTimeout
        self.queueTimeout = queueTimeout
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.status = ProgressStatus(checked: try fields.token("status"))
        self.ringTimeout = try fields.optional("ring_timeout") { (view) throws(ShapeFault) in
            try view.integer("ring_timeout", 30...300)
        }
        self.queueTimeout = try fields.optional("queue_timeout") { (view) throws(ShapeFault) in
            try view.integer("queue_timeout", 1...1800)
        }
        guard status != .queued || queueTimeout != nil else { throw ShapeFault("queued without queue_timeout") }
    }

    func write(to object: inout JSONObject) {
        object["status"] = .string(status.token)
        if let ringTimeout { object["ring_timeout"] = .int(ringTimeout) }
        if let queueTimeout { object["queue_timeout"] = .int(queueTimeout) }
    }
}

/// Commits to a session or to an update of one (DSIP §14.1).
public struct Answer: Hashable, Sendable {
    /// Nil only in a sealed answer.
    public var answeredBy: AnsweredBy?
    /// The selection; empty only in a sealed answer.
    public var media: [MediaDescriptor]
    /// Exactly one; none only in a sealed answer.
    public var transports: [TransportDescriptor]
    public var policy: MediaPolicy?
    public var recording: RecordingDeclaration?
    /// The update answered; nil for an invite.
    public var inReplyTo: ULID?
    public var sealed: SealedBody?

    public init(
        by answeredBy: AnsweredBy,
        media: [MediaDescriptor],
        transport: TransportDescriptor,
        inReplyTo: ULID? = nil,
        policy: MediaPolicy? = nil
    ) {
        self.answeredBy = answeredBy
        self.media = media
        self.transports = [transport]
        self.inReplyTo = inReplyTo
        self.policy = policy
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.answeredBy = try fields.optionalToken("answered_by").map(AnsweredBy.init(checked:))
        let media = try fields.media()
        let transports = try fields.transports(atMost: 1)
        self.policy = try fields.policy()
        self.recording = try fields.recording()
        self.inReplyTo = try fields.optionalULID("in_reply_to")
        self.sealed = try fields.sealed()
        guard sealed != nil || answeredBy != nil && media != nil && transports != nil else {
            throw ShapeFault("an answer without a selection")
        }
        self.media = media ?? []
        self.transports = transports ?? []
    }

    func write(to object: inout JSONObject) {
        if let answeredBy { object["answered_by"] = .string(answeredBy.token) }
        if !media.isEmpty { object["media"] = .array(media.map(\.json)) }
        if !transports.isEmpty { object["transports"] = .array(transports.map(\.json)) }
        if let policy { object["policy"] = policy.json }
        if let recording { object["recording"] = recording.json }
        if let inReplyTo { object["in_reply_to"] = .string(inReplyTo.description) }
        if let sealed { object["sealed"] = sealed.json }
    }
}

/// Renegotiates an established session with a new offer (DSIP §12.8).
public struct Update: Hashable, Sendable {
    /// Empty only in a sealed update.
    public var media: [MediaDescriptor]
    public var transports: [TransportDescriptor]?
    /// Set when the role changes, as from screening to a person (§14.4).
    public var answeredBy: AnsweredBy?
    public var policy: MediaPolicy?
    public var recording: RecordingDeclaration?
    public var sealed: SealedBody?

    public init(
        media: [MediaDescriptor],
        transports: [TransportDescriptor]? = nil,
        answeredBy: AnsweredBy? = nil,
        policy: MediaPolicy? = nil
    ) {
        self.media = media
        self.transports = transports
        self.answeredBy = answeredBy
        self.policy = policy
    }

    public var offer: MediaOffer { MediaOffer(media: media, transports: transports ?? []) }

    init(_ fields: inout Fields) throws(ShapeFault) {
        let media = try fields.media()
        self.transports = try fields.transports()
        self.answeredBy = try fields.optionalToken("answered_by").map(AnsweredBy.init(checked:))
        self.policy = try fields.policy()
        self.recording = try fields.recording()
        self.sealed = try fields.sealed()
        guard sealed != nil || media != nil else { throw ShapeFault("an update without an offer") }
        self.media = media ?? []
    }

    func write(to object: inout JSONObject) {
        if !media.isEmpty { object["media"] = .array(media.map(\.json)) }
        if let transports { object["transports"] = .array(transports.map(\.json)) }
        if let answeredBy { object["answered_by"] = .string(answeredBy.token) }
        if let policy { object["policy"] = policy.json }
        if let recording { object["recording"] = recording.json }
        if let sealed { object["sealed"] = sealed.json }
    }
}
