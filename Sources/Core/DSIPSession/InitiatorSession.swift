import DSIPIdentity
import DSIPSignaling
import Encoding

/// The initiator's side of one session (DSIP §12.4, first table).
struct InitiatorSession: Hashable, Sendable {
    enum State: Hashable, Sendable {
        case inviting
        /// How many `queued` came in a row.
        case proceeding(queued: Int)
        case active(Dialogue)
        case ended(Ending)
    }

    /// What the invite came to, which a late answer is told (DSIP §12.7 rule 4).
    enum Ending: Hashable, Sendable {
        /// We sent `cancel`.
        case withdrawn
        /// It was never answered.
        case unanswered
        case answered(by: DID)
    }

    let id: ULID
    let to: DID
    /// Whom the invite is for, when `to` names a device.
    let invited: DID
    /// The relay the invite went through.
    let relay: DID?
    private(set) var state = State.inviting
    private(set) var timer: EndpointTimer?

    init(id: ULID, to: DID, identity: DID?, relay: DID?) {
        self.id = id
        self.to = to
        self.invited = identity ?? to
        self.relay = relay
    }

    mutating func start(grant: ULID?, _ settings: EndpointConfiguration, into out: inout [EndpointAction]) {
        out.append(.send(Outbound(.invite, to: to, session: id, grant: grant)))
        startTimer(.establish, settings.establishSeconds, into: &out)
    }

    // MARK: Commands

    /// Ends the attempt with a `cancel`. The user needs no notice of what the user did; others' doing is shown.
    mutating func withdraw(_ reason: Reason, showing: Bool, into out: inout [EndpointAction]) throws(Refusal) {
        guard isAttempting else { throw .invalidState }
        stopTimer(into: &out)
        out.append(.send(Outbound(.cancel, to: to, session: id, reason: reason)))
        if showing { out.append(.ui(.ended(reason), session: id)) }
        state = .ended(.withdrawn)
    }

    mutating func fail(_ reason: Reason, into out: inout [EndpointAction]) throws(Refusal) {
        guard isAttempting else { throw .invalidState }
        endUnanswered(reason, into: &out)
    }

    mutating func hangUp(_ reason: Reason, into out: inout [EndpointAction]) throws(Refusal) {
        guard case .active(let dialogue) = state else { throw .invalidState }
        out.append(.send(Outbound(.bye, to: dialogue.peer, session: id, reason: reason)))
        out.append(.media(.stop, session: id))
        state = .ended(.answered(by: dialogue.peer))
    }

    mutating func timerFired(into out: inout [EndpointAction]) {
        guard let fired = timer, isAttempting else { return }
        timer = nil
        out.append(.timerFired(fired, session: id))
        // DSIP §12.9: every timer of the initiator ends in the same way.
        out.append(.send(Outbound(.cancel, to: to, session: id, reason: .sessionTimeout)))
        out.append(.ui(.ended(.sessionTimeout), session: id))
        state = .ended(.withdrawn)
    }

    // MARK: Messages

    mutating func receive(
        _ signal: Signal,
        _ settings: EndpointConfiguration,
        at now: Int64,
        into out: inout [EndpointAction]
    ) {
        switch (state, signal.type) {
        case (.ended(let ending), .answer):
            receiveLateAnswer(signal, ending, into: &out)
        case (.ended, _):
            out.append(.drop(.endedSession))
        case (.active(let dialogue), .answer) where signal.inReplyTo == nil && signal.from != dialogue.peer:
            // DSIP §12.7 rule 4: one answer is ever applied.
            out.append(.send(Outbound(.bye, to: signal.from, session: id, reason: .sessionAlreadyAnswered)))
        case (.active, .progress), (.active, .cancel), (.active, .invite):
            out.append(.invalidState(signal, id))
        case (.active(let dialogue), .reject) where signal.inReplyTo == nil && signal.from != dialogue.peer:
            out.append(.invalidState(signal, id))
        case (.active(var dialogue), _):
            let ended = dialogue.receive(signal, settings, at: now, into: &out)
            state = ended ? .ended(.answered(by: dialogue.peer)) : .active(dialogue)
        case (.inviting, _), (.proceeding, _):
            receiveBeforeAnswer(signal, settings, into: &out)
        }
    }

    private mutating func receiveBeforeAnswer(
        _ signal: Signal,
        _ settings: EndpointConfiguration,
        into out: inout [EndpointAction]
    ) {
        let isReply = signal.inReplyTo != nil
        switch signal.type {
        case .progress where isInvited(signal, settings):
            receiveProgress(signal, settings, into: &out)
        case .answer where !isReply && isInvited(signal, settings):
            stopTimer(into: &out)
            out.append(.media(.start, session: id))
            out.append(.ui(.answered(signal.effectiveAnsweredBy, device: signal.from), session: id))
            if signal.from != to {
                // DSIP §12.7 rule 3: the invite was identity-addressed, so there may be other legs.
                out.append(.send(Outbound(.cancel, to: to, session: id, reason: .sessionAnsweredElsewhere)))
            }
            state = .active(Dialogue(session: id, peer: signal.from))
        case .reject where !isReply && (isInvited(signal, settings) || isRelay(signal)):
            endUnanswered(signal.effectiveReason, into: &out)
        case .progress:
            out.append(.drop(.notParty))
        case .answer where !isReply, .reject where !isReply:
            out.append(.drop(.notParty))
        default:
            out.append(.invalidState(signal, id))
        }
    }

    private mutating func receiveProgress(
        _ signal: Signal,
        _ settings: EndpointConfiguration,
        into out: inout [EndpointAction]
    ) {
        if timer == .establish { stopTimer(into: &out) }
        var queued = 0
        if case .proceeding(let count) = state { queued = count }
        let status = signal.effectiveStatus
        out.append(.ui(.progress(status, device: signal.from), session: id))
        switch status {
        case .queued:
            queued += 1
            guard queued <= settings.maximumQueued else {
                // DSIP §12.10: beyond the limit a queued is T-Queue's expiry.
                stopTimer(into: &out)
                out.append(.send(Outbound(.cancel, to: to, session: id, reason: .sessionTimeout)))
                out.append(.ui(.ended(.sessionTimeout), session: id))
                state = .ended(.withdrawn)
                return
            }
            startTimer(.queue, EndpointTimer.queue.clamped(signal.queueTimeout), into: &out)
        case .ringing:
            queued = 0
            if timer != .ring || signal.ringTimeout != nil {
                let seconds = signal.ringTimeout.map { EndpointTimer.ring.clamped($0) }
                startTimer(.ring, seconds ?? settings.ringSeconds, into: &out)
            }
        case .trying, .forwarded:
            if timer == nil { startTimer(.ring, settings.ringSeconds, into: &out) }
        }
        state = .proceeding(queued: queued)
    }

    /// DSIP §12.7 rule 6: the relay the invite went through says that every leg expired.
    mutating func receiveError(_ signal: Signal, into out: inout [EndpointAction]) {
        if isAttempting, signal.reason == .transportNoResponse, relay == nil || isRelay(signal) {
            endUnanswered(.transportNoResponse, into: &out)
        } else {
            out.append(.ui(.error(signal.effectiveReason, inReplyTo: signal.inReplyTo), session: id))
        }
    }

    /// An answer the media binding cannot use: its leg is ended and the attempt goes on.
    mutating func receiveUnusableAnswer(
        _ signal: Signal,
        _ settings: EndpointConfiguration,
        at now: Int64,
        into out: inout [EndpointAction]
    ) {
        guard isAttempting, signal.inReplyTo == nil, isInvited(signal, settings) else {
            receive(signal, settings, at: now, into: &out)
            return
        }
        out.append(.send(Outbound(.bye, to: signal.from, session: id, reason: .mediaFailed)))
    }

    private func receiveLateAnswer(_ signal: Signal, _ ending: Ending, into out: inout [EndpointAction]) {
        let reason: Reason
        switch ending {
        case _ where signal.inReplyTo != nil: return out.append(.drop(.endedSession))
        case .withdrawn: reason = .sessionCancelled
        case .unanswered: reason = .sessionFailed
        case .answered(let peer) where peer == signal.from: return out.append(.drop(.endedSession))
        case .answered: reason = .sessionAlreadyAnswered
        }
        out.append(.send(Outbound(.bye, to: signal.from, session: id, reason: reason)))
    }

    // MARK: Parts

    var isAttempting: Bool {
        switch state {
        case .inviting, .proceeding: true
        case .active, .ended: false
        }
    }

    /// DSIP §12.7 rule 2, §12.10: a device of the identity that was invited.
    func isInvited(_ signal: Signal, _ settings: EndpointConfiguration) -> Bool {
        settings.trustsSenders || signal.identity == invited || signal.from == to || signal.identity == to
    }

    private func isRelay(_ signal: Signal) -> Bool {
        relay != nil && (signal.from == relay || signal.identity == relay)
    }

    private mutating func endUnanswered(_ reason: Reason, into out: inout [EndpointAction]) {
        stopTimer(into: &out)
        out.append(.ui(.ended(reason), session: id))
        state = .ended(.unanswered)
    }

    /// A restart of the running timer shows only its start; another one is stopped first.
    private mutating func startTimer(_ name: EndpointTimer, _ seconds: Int64, into out: inout [EndpointAction]) {
        if let running = timer, running != name { out.append(.stopTimer(running, session: id)) }
        timer = name
        out.append(.startTimer(name, session: id, seconds: seconds))
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
}
