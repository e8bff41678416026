import DSIPIdentity
import DSIPSignaling
import Encoding

/// Bounds and times of an endpoint. Times are clamped to DSIP §12.9.
public struct EndpointConfiguration: Hashable, Sendable {
    /// Seconds.
    public var establishSeconds: Int64 {
        didSet { establishSeconds = EndpointTimer.establish.clamped(establishSeconds) }
    }
    /// Seconds.
    public var ringSeconds: Int64 { didSet { ringSeconds = EndpointTimer.ring.clamped(ringSeconds) } }
    /// Seconds.
    public var ringLocalSeconds: Int64 {
        didSet { ringLocalSeconds = EndpointTimer.ringLocal.clamped(ringLocalSeconds) }
    }
    /// `queued` in a row that are honoured (DSIP §12.10).
    public var maximumQueued = 3
    /// The `about` values this endpoint has a binding for (DSIP §12.12).
    public var recognizedInfo: Set<String> = ["transport:webrtc", "media:dtmf"]
    /// `info` messages a session may bring in a minute.
    public var infoPerMinute = 600
    /// Sessions that have not ended.
    public var maximumSessions = 128
    /// Sessions that have, kept for the replay window at most.
    public var maximumEnded = 1024
    /// Whoever feeds the engine has already matched the senders of an attempt's messages to its invitation. Off: the
    /// engine matches `identity` itself (DSIP §12.7 rule 2).
    public var trustsSenders = false

    public init(establishSeconds: Int64? = nil, ringSeconds: Int64? = nil, ringLocalSeconds: Int64? = nil) {
        self.establishSeconds = EndpointTimer.establish.clamped(establishSeconds)
        self.ringSeconds = EndpointTimer.ring.clamped(ringSeconds)
        self.ringLocalSeconds = EndpointTimer.ringLocal.clamped(ringLocalSeconds)
    }
}

/// One device's sessions and contacts: events in, actions out (DSIP §12, §19.4).
///
/// ```
/// var engine = EndpointEngine(device: device, identity: identity)
/// for action in engine.handle(.placeCall(session: id, to: bob), at: now) { … }
/// // sleep until engine.nextDeadline, then:
/// for action in engine.advance(to: now) { … }
/// ```
///
/// It does not sign, verify, send, or read a clock. It refuses commands that do not fit the state (`refused`), answers
/// messages that do not with `error session.invalid-state`, and holds a bounded number of sessions. Time is Unix seconds.
public struct EndpointEngine: Sendable {
    /// How long an ended session is remembered: the replay window (DSIP §12.9).
    public static let endedMemorySeconds: Int64 = 300

    public let device: DID
    public let identity: DID
    public var configuration: EndpointConfiguration
    /// Changed by events only; read it to show and to store.
    public internal(set) var contacts: ContactBook

    var sessions: [ULID: EndpointSession] = [:]
    var liveCount = 0
    private var deadlines = DeadlineQueue<ULID>()
    private var ended = EndedMemory()

    public init(
        device: DID,
        identity: DID,
        configuration: EndpointConfiguration = EndpointConfiguration(),
        contacts: ContactBook = ContactBook()
    ) {
        self.device = device
        self.identity = identity
        self.configuration = configuration
        self.contacts = contacts
    }

    /// Unix seconds at which `advance(to:)` has something to do.
    public var nextDeadline: Int64? { deadlines.next }

    /// What is known of a session, for the replay window after its end.
    public func session(_ id: ULID) -> SessionSnapshot? { sessions[id].map { SessionSnapshot($0) } }

    /// The sessions that have not ended, in id order.
    public var liveSessions: [SessionSnapshot] {
        sessions.values.filter { !$0.isEnded }.map { SessionSnapshot($0) }.sorted { $0.id < $1.id }
    }

    /// Sessions held, ended ones included.
    public var sessionCount: Int { sessions.count }

    /// - Parameter now: Unix seconds. Timers due by then fire first.
    public mutating func handle(_ event: EndpointEvent, at now: Int64) -> [EndpointAction] {
        var out = advance(to: now)
        do throws(Refusal) {
            try apply(event, at: now, into: &out)
        } catch {
            out.append(.refused(error))
        }
        return out
    }

    /// Fires the timers due at `now`: by deadline, then in the order they were started.
    public mutating func advance(to now: Int64) -> [EndpointAction] {
        var out: [EndpointAction] = []
        while let id = deadlines.pop(at: now) {
            try? change(id, at: now, into: &out) { session, out throws(Refusal) in session.timerFired(into: &out) }
        }
        while let id = ended.next(before: now - EndpointEngine.endedMemorySeconds, keeping: configuration.maximumEnded)
        {
            sessions[id] = nil
        }
        return out
    }

    /// Changes one session and follows its timers and its end.
    mutating func change(
        _ id: ULID,
        at now: Int64,
        into out: inout [EndpointAction],
        _ body: (inout EndpointSession, inout [EndpointAction]) throws(Refusal) -> Void
    ) throws(Refusal) {
        guard var session = sessions[id] else { throw .unknownSession }
        let start = out.count
        try body(&session, &out)
        keep(session, id, at: now, following: out[start...])
    }

    /// Takes a session that just came into being or changed.
    mutating func keep(
        _ session: EndpointSession,
        _ id: ULID,
        at now: Int64,
        following actions: ArraySlice<EndpointAction>
    ) {
        let wasLive = sessions[id].map { !$0.isEnded }
        sessions[id] = session
        for case .stopTimer(_, session: id) in actions { deadlines.cancel(id) }
        for case .startTimer(_, session: id, seconds: let seconds) in actions { deadlines.set(id, to: now + seconds) }
        liveCount += (session.isEnded ? 0 : 1) - (wasLive == true ? 1 : 0)
        if session.isEnded, wasLive != false { ended.add(id, at: now) }
    }
}

/// The ids of ended sessions, oldest first.
private struct EndedMemory: Sendable {
    private var entries: [(id: ULID, at: Int64)] = []
    private var head = 0

    mutating func add(_ id: ULID, at now: Int64) { entries.append((id, now)) }

    /// Takes the oldest id if it ended before `time`, or if more than `keeping` are held.
    mutating func next(before time: Int64, keeping: Int) -> ULID? {
        guard head < entries.count, entries[head].at < time || entries.count - head > keeping else { return nil }
        defer {
            head += 1
            if head > 64, head * 2 > entries.count {
                entries.removeFirst(head)
                head = 0
            }
        }
        return entries[head].id
    }
}
