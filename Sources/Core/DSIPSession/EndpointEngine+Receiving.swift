import DSIPIdentity
import DSIPSignaling
import Encoding

extension EndpointEngine {
    mutating func receive(_ said: Signal, at now: Int64, into out: inout [EndpointAction]) {
        let signal = understood(said)
        switch signal.type {
        case .invite:
            receiveInvite(signal, at: now, into: &out)
        case .introduction:
            receiveIntroduction(signal, at: now, into: &out)
        case .grant:
            if contacts.receiveGrant(signal, checkingSender: !configuration.trustsSenders) {
                out.append(.ui(.granted(by: signal.identity, grant: signal.id), session: nil))
            } else {
                out.append(.drop(.unknownIntroduction))
            }
        case .reject where contacts.receiveRejection(signal, checkingSender: !configuration.trustsSenders):
            // The session named is the introduction, which exists: only an introduction of ours gets here.
            out.append(
                .ui(.introductionRejected(signal.session ?? signal.id, signal.effectiveReason), session: nil)
            )
        case .error:
            receiveError(signal, at: now, into: &out)
        case .progress, .answer, .reject, .cancel, .update, .info, .bye:
            receiveInSession(signal, at: now, into: &out)
        case .publish, .subscribe, .notify, .unpublish, .provenance, .keyRotation, .delegationRevocation, .hello,
            .reachabilityHint:
            out.append(.drop(.notSession))
        }
    }

    private mutating func receiveInSession(_ signal: Signal, at now: Int64, into out: inout [EndpointAction]) {
        guard let id = signal.session, sessions[id] != nil else {
            out.append(
                .send(
                    Outbound(
                        .error,
                        to: signal.from,
                        session: signal.session,
                        reason: .sessionUnknownSession,
                        inReplyTo: signal.id
                    )
                )
            )
            return
        }
        let settings = configuration
        try? change(id, at: now, into: &out) { session, out throws(Refusal) in
            session.receive(signal, settings, at: now, into: &out)
        }
    }

    /// An `error` is shown and never answered, whatever it names.
    private mutating func receiveError(_ signal: Signal, at now: Int64, into out: inout [EndpointAction]) {
        guard let id = signal.session, case .initiator = sessions[id] else {
            let known = signal.session.flatMap { sessions[$0] != nil ? $0 : nil }
            out.append(.ui(.error(signal.effectiveReason, inReplyTo: signal.inReplyTo), session: known))
            return
        }
        try? change(id, at: now, into: &out) { session, out throws(Refusal) in
            try session.asInitiator { session throws(Refusal) in session.receiveError(signal, into: &out) }
        }
    }

    mutating func receiveUnusableAnswer(_ signal: Signal, at now: Int64, into out: inout [EndpointAction]) {
        guard signal.type == .answer, let id = signal.session, case .initiator = sessions[id] else {
            receive(signal, at: now, into: &out)
            return
        }
        let settings = configuration
        try? change(id, at: now, into: &out) { session, out throws(Refusal) in
            try session.asInitiator { session throws(Refusal) in
                session.receiveUnusableAnswer(signal, settings, at: now, into: &out)
            }
        }
    }

    // MARK: Invites

    private mutating func receiveInvite(_ signal: Signal, at now: Int64, into out: inout [EndpointAction]) {
        let attempts = attemptsFacing(signal)
        if let held = sessions[signal.id] {
            if attempts.contains(signal.id) {
                receiveEqualGlare(signal, at: now, into: &out)
            } else {
                out.append(held.isEnded ? .drop(.endedSession) : .invalidState(signal, signal.id))
            }
            return
        }
        guard signal.expiresAt.map({ now <= $0 }) ?? true else {
            // DSIP §12.9, invite validity.
            return refuse(signal, .sessionExpired, at: now, into: &out)
        }
        if let smallest = attempts.first {
            // DSIP §12.6: of all the invites between the two the smallest wins; ours that lost are withdrawn.
            for id in attempts where id != smallest || signal.id < smallest {
                withdrawForGlare(id, at: now, into: &out)
            }
            if smallest < signal.id { return refuse(signal, .sessionGlare, at: now, into: &out) }
        } else if !contacts.admitsInvite(from: signal.identity, grant: signal.grant, at: now) {
            return refuse(signal, .policyFirstContactRequired, at: now, into: &out)
        }
        if liveCount >= configuration.maximumSessions { endForgottenOffers(at: now) }
        guard liveCount < configuration.maximumSessions else {
            return refuse(signal, .endpointUnavailable, at: now, into: &out)
        }
        var session = ResponderSession(invite: signal)
        let start = out.count
        session.start(into: &out)
        keep(.responder(session), signal.id, at: now, following: out[start...])
    }

    /// Offers nobody decided on are over once their invite has run out; their ids stay used.
    private mutating func endForgottenOffers(at now: Int64) {
        for (id, session) in sessions {
            guard case .responder(var offer) = session, offer.forget(at: now) else { continue }
            keep(.responder(offer), id, at: now, following: [])
        }
    }

    /// Our unanswered invites to whoever sent this one, in id order.
    private func attemptsFacing(_ signal: Signal) -> [ULID] {
        sessions.values.compactMap { session in
            guard case .initiator(let ours) = session, ours.isAttempting,
                ours.invited == signal.identity || ours.to == signal.identity || ours.to == signal.from
            else { return nil }
            return ours.id
        }.sorted()
    }

    private mutating func receiveEqualGlare(_ signal: Signal, at now: Int64, into out: inout [EndpointAction]) {
        withdrawForGlare(signal.id, at: now, into: &out)
        out.append(.send(Outbound(.reject, to: signal.from, session: signal.id, reason: .sessionGlare)))
        out.append(.ui(.glareRetry, session: signal.id))
    }

    private mutating func withdrawForGlare(_ id: ULID, at now: Int64, into out: inout [EndpointAction]) {
        try? change(id, at: now, into: &out) { session, out throws(Refusal) in
            try session.asInitiator { session throws(Refusal) in
                try session.withdraw(.sessionGlare, showing: true, into: &out)
            }
        }
    }

    private mutating func refuse(
        _ signal: Signal,
        _ reason: Reason,
        at now: Int64,
        into out: inout [EndpointAction]
    ) {
        var session = ResponderSession(invite: signal)
        let start = out.count
        session.refuseOnArrival(reason, into: &out)
        keep(.responder(session), signal.id, at: now, following: out[start...])
    }

    // MARK: First contact

    private mutating func receiveIntroduction(_ signal: Signal, at now: Int64, into out: inout [EndpointAction]) {
        do throws(Drop) {
            switch try contacts.receiveIntroduction(signal, at: now) {
            case .pending:
                out.append(.ui(.introductionReceived(signal.id, from: signal.identity, token: false), session: nil))
            case .granted(let grant):
                out.append(.ui(.introductionReceived(signal.id, from: signal.identity, token: true), session: nil))
                out.append(
                    .send(
                        Outbound(
                            .grant,
                            to: grant.party,
                            session: signal.id,
                            id: grant.id,
                            scope: grant.scope,
                            validUntil: grant.validUntil
                        )
                    )
                )
            }
        } catch {
            out.append(.drop(error))
        }
    }
}
