import DSIPIdentity
import DSIPSignaling
import Encoding

/// Forked invites (DSIP §12.7).
extension RelayRouter {
    mutating func receiveFromLeg(
        _ leg: Int,
        of session: ULID,
        _ signal: Signal,
        _ parcel: any Parcel,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        guard var attempt = attempts[session] else { return }
        switch signal.type {
        case .progress:
            guard attempt.progress(leg, deadline: answerDeadline(signal, at: now)) else {
                return out.append(.drop(.legTerminated))
            }
            keep(attempt, at: now)
            forward(signal, parcel, to: attempt, at: now, into: &out)
        case .answer:
            // DSIP §12.7 rule 3: never withheld, whatever became of the leg.
            attempt.answer(leg)
            keep(attempt, at: now)
            forward(signal, parcel, to: attempt, at: now, into: &out)
        default:
            guard let consequence = attempt.reject(leg, signal, parcel) else {
                return out.append(.drop(.legTerminated))
            }
            keep(attempt, at: now)
            conclude(consequence, attempt, at: now, into: &out)
        }
    }

    mutating func forward(
        _ signal: Signal,
        _ parcel: any Parcel,
        to attempt: LegTracker,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        // The calling device has lost its connection: hold the leg's word for it like any other envelope.
        if bindings[attempt.initiator] == nil, isKnown(attempt.initiator, at: now) {
            _ = hold(signal, parcel, for: attempt.initiator, at: now, into: &out)
            return
        }
        guard bindings[attempt.initiator] == nil || reads(attempt.initiator, signal.form) else {
            return refuse(signal, .sessionUnsupportedWireFormat, into: &out)
        }
        out.append(
            .forward(
                Forward(
                    to: attempt.initiator,
                    from: signal.from,
                    type: signal.type,
                    id: signal.id,
                    session: attempt.session,
                    reason: signal.reason,
                    status: signal.status,
                    parcel: parcel
                )
            )
        )
    }

    /// DSIP §12.7 rule 6.
    mutating func conclude(
        _ consequence: LegTracker.Consequence,
        _ attempt: LegTracker,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        switch consequence {
        case .none:
            break
        case .rejected(let best):
            let signal = Signal(
                .reject,
                id: best.id,
                from: best.from,
                to: attempt.initiator,
                session: attempt.session,
                expiresAt: best.expiresAt,
                reason: best.reason,
                form: attempt.form
            )
            forward(signal, best.parcel, to: attempt, at: now, into: &out)
        case .noResponse:
            out.append(
                .error(
                    RouterError(
                        to: attempt.initiator,
                        session: attempt.session,
                        reason: .transportNoResponse,
                        inReplyTo: attempt.session
                    )
                )
            )
        }
    }

    mutating func routeCancel(
        _ signal: Signal,
        _ parcel: any Parcel,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        guard let session = signal.session else { return route(signal, parcel, at: now, into: &out) }
        if var attempt = attempts[session], isInitiator(signal, attempt.initiator, attempt.initiatorIdentity) {
            if let to = signal.to, to != attempt.to || attempt.index(of: to) != nil {
                // DSIP §12.11: one leg alone.
                guard let leg = attempt.index(of: to) else { return route(signal, parcel, at: now, into: &out) }
                guard attempt.cancel(leg) else { return out.append(.drop(.legTerminated)) }
                keep(attempt, at: now)
                deliverCancel(signal, parcel, to: to, at: now, into: &out)
            } else {
                let legs = attempt.cancelAll()
                keep(attempt, at: now)
                for device in legs { deliverCancel(signal, parcel, to: device, at: now, into: &out) }
            }
        } else if let held = queue.invite(session), signal.to == nil || signal.to == held.to,
            isInitiator(signal, held.from, held.identity)
        {
            // DSIP §13.3: a cancel that arrives before the invite was delivered only shrinks the store.
            _ = queue.removeInvite(session)
            dequeue(held, .cancelled, at: now, into: &out)
        } else {
            route(signal, parcel, at: now, into: &out)
        }
    }

    /// DSIP §12.11: a cancel is the invite's own identity's to send.
    func isInitiator(_ signal: Signal, _ device: DID, _ identity: DID) -> Bool {
        signal.from == device || signal.identity == identity
    }

    /// A leg that has lost its connection hears of it when it is back; without room it is left to its own timer (DSIP §12.9).
    mutating func deliverCancel(
        _ signal: Signal,
        _ parcel: any Parcel,
        to device: DID,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        if bindings[device] == nil, isKnown(device, at: now) {
            if hasRoom(for: device), serves(device) { append(signal, parcel.copy(), for: device, at: now, into: &out) }
            return
        }
        out.append(
            .deliver(
                Delivery(
                    device: device,
                    cause: .cancel,
                    type: .cancel,
                    id: signal.id,
                    reason: signal.reason,
                    parcel: parcel
                )
            )
        )
    }

    mutating func addLateLeg(
        _ device: DID,
        to session: ULID,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        guard var attempt = attempts[session], attempt.takesLateLeg(at: now), reads(device, attempt.form) else {
            return
        }
        if let leg = attempt.index(of: device) {
            let state = attempt.legs[leg]
            guard configuration.redeliversToSilentLegs, state.state == .delivered, !state.acknowledged else { return }
        } else {
            attempt.add(device, deadline: silentDeadline(attempt, at: now))
            report(&attempt, .delivered, into: &out)
        }
        out.append(
            .deliver(
                Delivery(device: device, cause: .lateLeg, type: .invite, id: session, parcel: attempt.invite)
            )
        )
        keep(attempt, at: now)
    }

    // MARK: Life of an attempt

    mutating func keep(_ attempt: LegTracker, at now: Int64) {
        let isNew = attempts.updateValue(attempt, forKey: attempt.session) == nil
        if configuration.tracksAttemptChanges { changedAttempts.insert(attempt.session) }
        if attempt.outcome == nil {
            if isNew { liveAttempts[attempt.to, default: []].insert(attempt.session) }
            attemptDeadlines.set(attempt.session, to: attempt.nextDeadline ?? now + RelayRouter.attemptMemorySeconds)
        } else {
            liveAttempts[attempt.to]?.remove(attempt.session)
            if liveAttempts[attempt.to]?.isEmpty == true { liveAttempts[attempt.to] = nil }
            // Kept over the replay window for what the legs may still send.
            attemptDeadlines.set(attempt.session, to: now + RelayRouter.attemptMemorySeconds)
        }
    }

    mutating func expireAttempt(_ session: ULID, at now: Int64, into out: inout [RelayAction]) {
        guard var attempt = attempts[session] else { return }
        guard attempt.outcome == nil, configuration.silentLegGraceSeconds != nil else {
            attempts[session] = nil
            if configuration.tracksAttemptChanges { changedAttempts.insert(session) }
            liveAttempts[attempt.to]?.remove(session)
            if liveAttempts[attempt.to]?.isEmpty == true { liveAttempts[attempt.to] = nil }
            return
        }
        let consequence = attempt.expireLegs(at: now)
        keep(attempt, at: now)
        conclude(consequence, attempt, at: now, into: &out)
    }

    /// The replay window: nothing older than this is accepted from a leg anyway.
    static let attemptMemorySeconds: Int64 = 300
    /// The longest an attempt can wait for a person: a queue, then a ring, at their caps (DSIP §12.9).
    static let longestAttemptSeconds: Int64 = 1800 + 300

    func silentDeadline(_ attempt: LegTracker, at now: Int64) -> Int64 {
        guard let grace = configuration.silentLegGraceSeconds else { return now + RelayRouter.longestAttemptSeconds }
        return max(now, min(attempt.expiresAt ?? now + 30, now + 300)) + grace
    }

    /// A leg that alerts or queues has the longest the initiator would wait for it.
    func answerDeadline(_ signal: Signal, at now: Int64) -> Int64 {
        guard let grace = configuration.silentLegGraceSeconds else { return now + RelayRouter.longestAttemptSeconds }
        let seconds: Int64 =
            switch signal.effectiveStatus {
            case .queued: EndpointTimer.queue.clamped(signal.queueTimeout)
            case .ringing, .trying, .forwarded: EndpointTimer.ring.bounds.upperBound
            }
        return now + seconds + grace
    }

    func report(_ attempt: inout LegTracker, _ state: DeliveryReport.State, into out: inout [RelayAction]) {
        guard attempt.wantsDeliveryReport else { return }
        attempt.reports += 1
        out.append(
            .report(
                DeliveryReport(
                    to: attempt.initiator,
                    session: attempt.session,
                    seq: attempt.reports,
                    state: state,
                    devices: attempt.legs.count
                )
            )
        )
    }
}
