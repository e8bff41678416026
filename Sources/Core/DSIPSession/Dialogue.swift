import DSIPIdentity
import DSIPSignaling
import Encoding

/// An ACTIVE session between two devices, the same for either role: renegotiation, `info`, `bye` (DSIP §12.8, §12.12).
struct Dialogue: Hashable, Sendable {
    /// One update at most is outstanding, across both directions (DSIP §12.8 rule 2).
    enum Update: Hashable, Sendable {
        case outbound(ULID)
        case inbound(ULID)
    }

    let session: ULID
    /// The device on the other side: the leg that answered, or the device that called.
    let peer: DID
    private(set) var update: Update?
    /// The peer has spoken since the answer (DSIP §12.5 rule 2).
    private(set) var heardFromPeer = false
    private var info = InfoBudget()

    init(session: ULID, peer: DID) {
        self.session = session
        self.peer = peer
    }

    // MARK: Commands

    mutating func offerUpdate(
        _ id: ULID,
        answeredBy: Signal.AnsweredBy?,
        into out: inout [EndpointAction]
    ) throws(Refusal) {
        guard update == nil else { throw .updatePending }
        update = .outbound(id)
        out.append(.send(Outbound(.update, to: peer, session: session, id: id, answeredBy: answeredBy)))
    }

    mutating func answerUpdate(_ id: ULID, into out: inout [EndpointAction]) throws(Refusal) {
        guard update == .inbound(id) else { throw .noPendingUpdate }
        update = nil
        out.append(.send(Outbound(.answer, to: peer, session: session, answeredBy: .user, inReplyTo: id)))
        out.append(.media(.applyUpdate, session: session))
    }

    mutating func rejectUpdate(_ id: ULID, reason: Reason, into out: inout [EndpointAction]) throws(Refusal) {
        guard update == .inbound(id) else { throw .noPendingUpdate }
        update = nil
        out.append(.send(Outbound(.reject, to: peer, session: session, reason: reason, inReplyTo: id)))
    }

    mutating func forgetUpdate(_ id: ULID) throws(Refusal) {
        guard update == .outbound(id) else { throw .noPendingUpdate }
        update = nil
    }

    // MARK: Messages

    /// - Returns: whether the message ended the session.
    mutating func receive(
        _ signal: Signal,
        _ settings: EndpointConfiguration,
        at now: Int64,
        into out: inout [EndpointAction]
    ) -> Bool {
        guard signal.from == peer else {
            out.append(.drop(.notParty))
            return false
        }
        switch signal.type {
        case .bye:
            // DSIP §12.8 rule 6: bye wins over any update.
            out.append(.media(.stop, session: session))
            out.append(.ui(.ended(signal.effectiveReason), session: session))
            return true
        case .update:
            heardFromPeer = true
            receiveUpdate(signal, into: &out)
        case .answer, .reject:
            guard let reference = signal.inReplyTo else {
                out.append(.invalidState(signal, session))
                return false
            }
            heardFromPeer = true
            receiveReply(signal, to: reference, into: &out)
        case .info:
            heardFromPeer = true
            receiveInfo(signal, settings, at: now, into: &out)
        default:
            out.append(.invalidState(signal, session))
        }
        return false
    }

    private mutating func receiveUpdate(_ signal: Signal, into out: inout [EndpointAction]) {
        switch update {
        case nil:
            offer(signal, into: &out)
        case .outbound(let ours) where signal.id < ours:
            // DSIP §12.8 rule 3: the smaller id proceeds.
            out.append(.ui(.updateRejected(ours, .sessionGlare), session: session))
            offer(signal, into: &out)
        case .outbound(let ours):
            out.append(
                .send(Outbound(.reject, to: peer, session: session, reason: .sessionGlare, inReplyTo: signal.id))
            )
            if ours == signal.id {
                update = nil
                out.append(.ui(.updateRejected(ours, .sessionGlare), session: session))
            }
        case .inbound:
            // DSIP §12.8 rule 4: both of the sender's updates are discarded.
            update = nil
            out.append(.error(.sessionUpdatePending, signal, session))
        }
    }

    private mutating func offer(_ signal: Signal, into out: inout [EndpointAction]) {
        update = .inbound(signal.id)
        out.append(.ui(.updateOffered(signal.id), session: session))
        if signal.answeredBy != nil {
            // DSIP §14.4: screening may end here.
            out.append(.ui(.answered(signal.effectiveAnsweredBy, device: peer), session: session))
        }
    }

    private mutating func receiveReply(_ signal: Signal, to reference: ULID, into out: inout [EndpointAction]) {
        guard update == .outbound(reference) else {
            out.append(.drop(.staleUpdateReply))
            return
        }
        update = nil
        if signal.type == .answer {
            out.append(.media(.applyUpdate, session: session))
        } else {
            // DSIP §12.8 rule 5: the session stays as it was.
            out.append(.ui(.updateRejected(reference, signal.effectiveReason), session: session))
        }
    }

    private mutating func receiveInfo(
        _ signal: Signal,
        _ settings: EndpointConfiguration,
        at now: Int64,
        into out: inout [EndpointAction]
    ) {
        guard let about = signal.about, settings.recognizedInfo.contains(about) else {
            out.append(.drop(.unknownAbout))
            return
        }
        switch info.take(at: now, limit: settings.infoPerMinute) {
        case .allowed: out.append(.info(about: about, session: session))
        case .firstOver: out.append(.error(.policyRateLimited, signal, session))
        case .over: out.append(.drop(.rateLimited))
        }
    }
}

/// How many `info` messages one session may bring in a minute (DSIP §12.12).
struct InfoBudget: Hashable, Sendable {
    enum Outcome {
        case allowed, firstOver, over
    }

    private var minute: Int64 = 0
    private var used = 0

    mutating func take(at now: Int64, limit: Int) -> Outcome {
        if minute != now / 60 {
            minute = now / 60
            used = 0
        }
        guard used < limit else {
            defer { used = limit + 1 }
            return used == limit ? .firstOver : .over
        }
        used += 1
        return .allowed
    }
}

extension EndpointAction {
    /// A signed `error` to whoever sent `signal`.
    static func error(_ reason: Reason, _ signal: Signal, _ session: ULID) -> EndpointAction {
        .send(Outbound(.error, to: signal.from, session: session, reason: reason, inReplyTo: signal.id))
    }

    /// DSIP §12.4: the message is not valid in this state, which does not change.
    static func invalidState(_ signal: Signal, _ session: ULID) -> EndpointAction {
        .error(.sessionInvalidState, signal, session)
    }
}
