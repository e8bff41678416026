import DSIPIdentity
import DSIPSignaling
import Encoding

/// The responder's side of one session, on one device (DSIP §12.4, second table).
struct ResponderSession: Hashable, Sendable {
    enum State: Hashable, Sendable {
        /// `acknowledged` once a `progress` was sent: the invite's validity has done its work then.
        case offered(expiresAt: Int64?, acknowledged: Bool)
        case alerting
        case active(Dialogue)
        case ended
    }

    let id: ULID
    /// The calling device.
    let caller: DID
    let callerIdentity: DID
    private(set) var state: State
    private(set) var timer: EndpointTimer?

    init(invite: Signal) {
        self.id = invite.id
        self.caller = invite.from
        self.callerIdentity = invite.identity
        self.state = .offered(expiresAt: invite.expiresAt, acknowledged: false)
    }

    mutating func start(into out: inout [EndpointAction]) { out.append(.ui(.offered, session: id)) }

    // MARK: Commands

    mutating func alert(
        ringTimeout: Int64?,
        _ settings: EndpointConfiguration,
        at now: Int64,
        into out: inout [EndpointAction]
    ) throws(Refusal) {
        guard case .offered(let expiresAt, let acknowledged) = state else { throw .invalidState }
        if !acknowledged, let expiresAt, expiresAt < now {
            // DSIP §12.4: the invite ran out before alerting began.
            out.append(.send(Outbound(.reject, to: caller, session: id, reason: .sessionExpired)))
            out.append(.ui(.ended(.sessionExpired), session: id))
            state = .ended
            return
        }
        out.append(
            .send(Outbound(.progress, to: caller, session: id, status: .ringing, ringTimeout: ringTimeout))
        )
        let seconds = ringTimeout.map { EndpointTimer.ringLocal.clamped($0) } ?? settings.ringLocalSeconds
        timer = .ringLocal
        out.append(.startTimer(.ringLocal, session: id, seconds: seconds))
        state = .alerting
    }

    mutating func report(
        _ status: Signal.Status,
        queueTimeout: Int64?,
        into out: inout [EndpointAction]
    ) throws(Refusal) {
        switch state {
        case .offered(let expiresAt, _): state = .offered(expiresAt: expiresAt, acknowledged: true)
        case .alerting: break
        case .active, .ended: throw .invalidState
        }
        out.append(
            .send(
                Outbound(
                    .progress,
                    to: caller,
                    session: id,
                    status: status,
                    queueTimeout: status == .queued ? EndpointTimer.queue.clamped(queueTimeout) : nil
                )
            )
        )
    }

    /// Refuses without having alerted.
    mutating func autoReject(_ reason: Reason, into out: inout [EndpointAction]) throws(Refusal) {
        guard case .offered = state else { throw .invalidState }
        out.append(.send(Outbound(.reject, to: caller, session: id, reason: reason)))
        state = .ended
    }

    mutating func decline(_ reason: Reason, into out: inout [EndpointAction]) throws(Refusal) {
        guard isUnanswered else { throw .invalidState }
        stopTimer(into: &out)
        out.append(.send(Outbound(.reject, to: caller, session: id, reason: reason)))
        state = .ended
    }

    mutating func accept(_ answeredBy: Signal.AnsweredBy, into out: inout [EndpointAction]) throws(Refusal) {
        guard isUnanswered else { throw .invalidState }
        stopTimer(into: &out)
        out.append(.send(Outbound(.answer, to: caller, session: id, answeredBy: answeredBy)))
        out.append(.media(.start, session: id))
        state = .active(Dialogue(session: id, peer: caller))
    }

    mutating func hangUp(_ reason: Reason, into out: inout [EndpointAction]) throws(Refusal) {
        guard case .active = state else { throw .invalidState }
        out.append(.send(Outbound(.bye, to: caller, session: id, reason: reason)))
        out.append(.media(.stop, session: id))
        state = .ended
    }

    mutating func timerFired(into out: inout [EndpointAction]) {
        guard let fired = timer, case .alerting = state else { return }
        timer = nil
        out.append(.timerFired(fired, session: id))
        out.append(.send(Outbound(.reject, to: caller, session: id, reason: .userNoAnswer)))
        out.append(.ui(.ended(.userNoAnswer), session: id))
        state = .ended
    }

    // MARK: Messages

    mutating func receive(
        _ signal: Signal,
        _ settings: EndpointConfiguration,
        at now: Int64,
        into out: inout [EndpointAction]
    ) {
        guard signal.from == caller || signal.identity == callerIdentity else {
            // DSIP §12.11: a cancel of anyone else's would be a way to deny service.
            out.append(.drop(.notParty))
            return
        }
        switch (state, signal.type) {
        case (.ended, _):
            out.append(.drop(.endedSession))
        case (.offered, .cancel):
            out.append(.ui(.ended(signal.effectiveReason), session: id))
            state = .ended
        case (.alerting, .cancel):
            receiveCancelWhileAlerting(signal, into: &out)
        case (.active(let dialogue), .cancel):
            receiveCancelAfterAnswer(signal, dialogue, into: &out)
        case (.active(var dialogue), _):
            let ended = dialogue.receive(signal, settings, at: now, into: &out)
            state = ended ? .ended : .active(dialogue)
        case (.offered, _), (.alerting, _):
            out.append(.invalidState(signal, id))
        }
    }

    private mutating func receiveCancelWhileAlerting(_ signal: Signal, into out: inout [EndpointAction]) {
        let reason = signal.effectiveReason
        stopTimer(into: &out)
        // DSIP §12.11: never after answered-elsewhere; and after glare the two are about to talk.
        if reason != .sessionAnsweredElsewhere && reason != .sessionGlare {
            out.append(.ui(.missedCall, session: id))
        }
        out.append(.ui(.ended(reason), session: id))
        state = .ended
    }

    /// DSIP §12.5 rule 2: a cancel that crossed our answer ends the call; answered-elsewhere never does.
    private mutating func receiveCancelAfterAnswer(
        _ signal: Signal,
        _ dialogue: Dialogue,
        into out: inout [EndpointAction]
    ) {
        guard !dialogue.heardFromPeer, signal.reason != .sessionAnsweredElsewhere else {
            out.append(.invalidState(signal, id))
            return
        }
        out.append(.media(.stop, session: id))
        out.append(.ui(.ended(signal.effectiveReason), session: id))
        state = .ended
    }

    // MARK: Parts

    private var isUnanswered: Bool {
        switch state {
        case .offered, .alerting: true
        case .active, .ended: false
        }
    }

    private mutating func stopTimer(into out: inout [EndpointAction]) {
        guard let running = timer else { return }
        timer = nil
        out.append(.stopTimer(running, session: id))
    }

    /// Changes the dialogue of an ACTIVE session.
    mutating func withDialogue(_ body: (inout Dialogue) throws(Refusal) -> Void) throws(Refusal) {
        guard case .active(var dialogue) = state else { throw .invalidState }
        try body(&dialogue)
        state = .active(dialogue)
    }

    /// Ends an offer whose invite ran out undecided.
    /// - Returns: whether it was one.
    mutating func forget(at now: Int64) -> Bool {
        guard case .offered(let expiresAt?, acknowledged: false) = state, expiresAt < now else { return false }
        state = .ended
        return true
    }

    /// Ends a session that was refused on arrival, so that its id stays used.
    mutating func refuseOnArrival(_ reason: Reason, into out: inout [EndpointAction]) {
        out.append(.send(Outbound(.reject, to: caller, session: id, reason: reason)))
        state = .ended
    }
}
