import DSIPIdentity
import DSIPSignaling
import Encoding

/// A session in either role.
enum EndpointSession: Hashable, Sendable {
    case initiator(InitiatorSession)
    case responder(ResponderSession)

    var isEnded: Bool {
        switch self {
        case .initiator(let session): if case .ended = session.state { true } else { false }
        case .responder(let session): if case .ended = session.state { true } else { false }
        }
    }

    mutating func timerFired(into out: inout [EndpointAction]) {
        switch self {
        case .initiator(var session):
            session.timerFired(into: &out)
            self = .initiator(session)
        case .responder(var session):
            session.timerFired(into: &out)
            self = .responder(session)
        }
    }

    mutating func receive(
        _ signal: Signal,
        _ settings: EndpointConfiguration,
        at now: Int64,
        into out: inout [EndpointAction]
    ) {
        switch self {
        case .initiator(var session):
            session.receive(signal, settings, at: now, into: &out)
            self = .initiator(session)
        case .responder(var session):
            session.receive(signal, settings, at: now, into: &out)
            self = .responder(session)
        }
    }

    mutating func hangUp(_ reason: Reason, into out: inout [EndpointAction]) throws(Refusal) {
        switch self {
        case .initiator(var session):
            try session.hangUp(reason, into: &out)
            self = .initiator(session)
        case .responder(var session):
            try session.hangUp(reason, into: &out)
            self = .responder(session)
        }
    }

    mutating func withDialogue(_ body: (inout Dialogue) throws(Refusal) -> Void) throws(Refusal) {
        switch self {
        case .initiator(var session):
            try session.withDialogue(body)
            self = .initiator(session)
        case .responder(var session):
            try session.withDialogue(body)
            self = .responder(session)
        }
    }

    mutating func asInitiator(_ body: (inout InitiatorSession) throws(Refusal) -> Void) throws(Refusal) {
        guard case .initiator(var session) = self else { throw .invalidState }
        try body(&session)
        self = .initiator(session)
    }

    mutating func asResponder(_ body: (inout ResponderSession) throws(Refusal) -> Void) throws(Refusal) {
        guard case .responder(var session) = self else { throw .invalidState }
        try body(&session)
        self = .responder(session)
    }
}

/// One session as seen from outside.
public struct SessionSnapshot: Hashable, Sendable {
    public enum Role: String, Hashable, Sendable {
        case initiator, responder
    }

    /// DSIP §12.4; teardown is synchronous here, so that `ENDING` does not occur.
    public enum State: String, Hashable, Sendable {
        case inviting = "INVITING"
        case proceeding = "PROCEEDING"
        case offered = "OFFERED"
        case alerting = "ALERTING"
        case active = "ACTIVE"
        case ended = "ENDED"
    }

    /// The update that has no reply yet.
    public enum Update: Hashable, Sendable {
        case outbound(ULID)
        case inbound(ULID)
    }

    public let id: ULID
    public let role: Role
    public let state: State
    /// The device on the other side once ACTIVE; before, whoever was invited or called.
    public let peer: DID
    public let update: Update?
    public let timer: EndpointTimer?

    /// RENEGOTIATING: an update of ours is outstanding (DSIP §12.8 rule 2).
    public var isRenegotiating: Bool { if case .outbound = update { true } else { false } }

    init(_ session: EndpointSession) {
        var dialogue: Dialogue?
        switch session {
        case .initiator(let session):
            id = session.id
            role = .initiator
            timer = session.timer
            switch session.state {
            case .inviting: state = .inviting
            case .proceeding: state = .proceeding
            case .active(let active):
                state = .active
                dialogue = active
            case .ended: state = .ended
            }
            peer = dialogue?.peer ?? session.to
        case .responder(let session):
            id = session.id
            role = .responder
            timer = session.timer
            switch session.state {
            case .offered: state = .offered
            case .alerting: state = .alerting
            case .active(let active):
                state = .active
                dialogue = active
            case .ended: state = .ended
            }
            peer = session.caller
        }
        switch dialogue?.update {
        case .outbound(let id): update = .outbound(id)
        case .inbound(let id): update = .inbound(id)
        case nil: update = nil
        }
    }
}
