import DSIPIdentity
import DSIPSignaling
import Encoding

/// Bounds and times of a relay's routing.
public struct RelayConfiguration: Hashable, Sendable {
    /// Seconds an envelope is held at most, and for which an identity stays known after its last device left
    /// (`offline_retention_s`, DSIP §13.3).
    public var offlineRetentionSeconds: Int64 = 86_400
    /// Held envelopes for one recipient.
    public var maximumHeldPerRecipient = 256
    /// Held envelopes in total.
    public var maximumHeld = 100_000
    /// Held introductions for one recipient (DSIP §19.4).
    public var maximumIntroductionsPerRecipient = 16
    /// Held introductions in total, so that a flood of them leaves room for calls.
    public var maximumIntroductions = 25_000
    /// Attempts tracked at once; an invite beyond it is refused.
    public var maximumAttempts = 100_000
    /// Identities and devices remembered after they left.
    public var maximumKnown = 1_000_000
    public var scope = ServiceScope.open
    /// Seconds after an invite's `expires_at` at which a leg that has said nothing expires; nil leaves expiry to
    /// `expireLeg`.
    public var silentLegGraceSeconds: Int64? = 2
    /// Deliver the invite again to a leg that binds again and has said nothing: its connection may have died with it.
    public var redeliversToSilentLegs = true
    /// Keep the invites that were never delivered as missed calls for the recipient's return (`delivery-report/1.0`).
    public var recordsMissedCalls = true

    public init() {}

    /// What DSIP Core says and nothing of our own: no redelivery, no missed calls, legs expired from outside.
    public static var coreOnly: RelayConfiguration {
        var configuration = RelayConfiguration()
        configuration.silentLegGraceSeconds = nil
        configuration.redeliversToSilentLegs = false
        configuration.recordsMissedCalls = false
        return configuration
    }
}

/// A relay's routing (DSIP §12.7, §13.2, §13.3, §13.6, §19.4): who is bound, which legs an invite has, what is held for whom.
///
/// ```
/// router.bind(device, identity: identity, at: now, into: &actions)       // a verified hello
/// router.receive(Signal(verified), parcel, at: now, into: &actions)      // anything else that was verified
/// router.advance(to: now, into: &actions)                                // at router.nextDeadline
/// ```
///
/// It reads `Signal`s, never bytes, and keeps no clock. Each message costs a few dictionary lookups. Everything is bounded:
/// what exceeds a bound is refused with `transport.routing-refused`, introductions in silence. The caller owns the thread.
public struct RelayRouter: Sendable {
    public var configuration: RelayConfiguration

    /// A device with a live connection, and the identity it acts for.
    private var bindings: [DID: DID] = [:]
    /// In device order.
    private var devices: [DID: [DID]] = [:]
    private var known = KnownRecipients()
    var attempts: [ULID: LegTracker] = [:]
    /// The attempts without an outcome, by the identity they ring.
    private var liveAttempts: [DID: Set<ULID>] = [:]
    private var attemptDeadlines = DeadlineQueue<ULID>()
    private var queue = HoldingQueue()

    public init(configuration: RelayConfiguration = RelayConfiguration()) { self.configuration = configuration }

    /// Unix seconds at which `advance` has something to do.
    public var nextDeadline: Int64? {
        [queue.nextDeadline, attemptDeadlines.next, known.nextDeadline].compactMap { $0 }.min()
    }

    public var boundDeviceCount: Int { bindings.count }
    public var attemptCount: Int { attempts.count }
    public var heldCount: Int { queue.count }
    public var knownCount: Int { known.count }
    /// Envelopes held by recipient, introductions included.
    public var heldCounts: [DID: Int] { queue.counts }

    /// The identity a bound device acts for.
    public func identity(of device: DID) -> DID? { bindings[device] }
    /// The devices bound for an identity, in device order.
    public func devices(of identity: DID) -> [DID] { devices[identity] ?? [] }

    /// An attempt as the router shows it.
    public struct AttemptSnapshot: Hashable, Sendable {
        public let session: ULID
        public let legs: [DID: LegState]
        public let outcome: AttemptOutcome?
    }

    public func attempt(_ session: ULID) -> AttemptSnapshot? {
        attempts[session].map {
            AttemptSnapshot(
                session: session, legs: Dictionary(uniqueKeysWithValues: $0.legs.map { ($0.device, $0.state) }),
                outcome: $0.outcome)
        }
    }

    // MARK: Restart

    /// Takes back what a store kept: the held envelopes in arrival order, and who was known until when.
    ///
    /// Attempts are not kept over a restart, and need not be: traffic is routed by `to` without one (DSIP §13.3).
    public mutating func restore(held: some Sequence<Held>, known entries: some Sequence<KnownRecipient>) {
        for entry in entries { known.note(entry.recipient, identity: entry.identity, until: entry.until) }
        for row in held { queue.append(row) }
    }

    /// Who is known now, for a store.
    public var knownRecipients: [KnownRecipient] { known.entries }

    /// Takes a held envelope back that the shell could not keep.
    /// - Returns: false when it is held no longer.
    public mutating func withdraw(_ parcel: any Parcel, for recipient: DID) -> Bool {
        queue.remove(parcel, for: recipient) != nil
    }

    // MARK: Bindings

    /// A device completed a verified `hello`. What is held for its identity and for itself is delivered in arrival
    /// order, then the invites of live attempts in id order.
    public mutating func bind(_ device: DID, identity: DID, at now: Int64, into out: inout [RelayAction]) {
        advance(to: now, into: &out)
        if let previous = bindings[device], previous != identity { unbind(device, at: now) }
        bindings[device] = identity
        var bound = devices[identity] ?? []
        if !bound.contains(device) {
            bound.insert(device, at: bound.firstIndex { device < $0 } ?? bound.count)
            devices[identity] = bound
        }
        note(device, identity, at: now)
        var reached: Set<ULID> = []
        for held in queue.drain(identity == device ? [device] : [identity, device]) {
            flush(held, to: device, at: now, into: &out)
            reached.insert(held.id)
        }
        for session in (liveAttempts[identity] ?? []).sorted() where !reached.contains(session) {
            addLateLeg(device, to: session, at: now, into: &out)
        }
    }

    /// The device's connection is gone. Its identity stays known for the retention window.
    public mutating func unbind(_ device: DID, at now: Int64) {
        guard let identity = bindings.removeValue(forKey: device) else { return }
        devices[identity]?.removeAll { $0 == device }
        if devices[identity]?.isEmpty == true { devices[identity] = nil }
        note(device, identity, at: now)
    }

    private mutating func note(_ device: DID, _ identity: DID, at now: Int64) {
        let until = now + configuration.offlineRetentionSeconds
        known.note(identity, identity: identity, until: until, limit: configuration.maximumKnown)
        known.note(device, identity: identity, until: until, limit: configuration.maximumKnown)
    }

    private func isKnown(_ recipient: DID, at now: Int64) -> Bool {
        bindings[recipient] != nil || devices[recipient] != nil || known.isKnown(recipient, at: now)
    }

    // MARK: Messages

    /// A verified message of any type but `hello`.
    /// - Parameter parcel: the envelope, to be delivered unchanged.
    public mutating func receive(
        _ signal: Signal, _ parcel: any Parcel, at now: Int64, into out: inout [RelayAction]
    ) {
        guard carries(signal) else {
            refuseToCarry(signal, into: &out)
            return
        }
        switch signal.type {
        case .invite:
            routeInvite(signal, parcel, at: now, into: &out)
        case .introduction:
            routeIntroduction(signal, parcel, at: now, into: &out)
        case .cancel:
            routeCancel(signal, parcel, at: now, into: &out)
        case .progress, .answer, .reject:
            // DSIP §13.3: an attempt's record serves pre-answer traffic only; a reply to an update is routed.
            if signal.inReplyTo == nil, let session = signal.session, let leg = attempts[session]?.index(of: signal.from)
            {
                receiveFromLeg(leg, of: session, signal, parcel, at: now, into: &out)
            } else {
                route(signal, parcel, at: now, into: &out)
            }
        default:
            route(signal, parcel, at: now, into: &out)
        }
    }

    /// Forks an invite to the given legs, bound or not.
    public mutating func fork(
        _ invite: Signal, _ parcel: any Parcel, to legs: [DID], at now: Int64, into out: inout [RelayAction]
    ) {
        guard let to = invite.to, !legs.isEmpty, attempts[invite.id] == nil else {
            out.append(.drop(.duplicateInvite))
            return
        }
        guard attempts.count < configuration.maximumAttempts else {
            out.append(.error(RelayError(to: invite.from, reason: .transportRoutingRefused, inReplyTo: invite.id)))
            return
        }
        var attempt = LegTracker(invite: invite, to: to, parcel: parcel)
        for device in legs where attempt.index(of: device) == nil {
            attempt.add(device, deadline: silentDeadline(attempt, at: now))
            out.append(
                .deliver(Delivery(device: device, cause: .fork, type: .invite, id: invite.id, parcel: parcel)))
        }
        report(&attempt, .delivered, into: &out)
        keep(attempt, at: now)
    }

    /// A leg's delivery came to nothing: the connection refused it, or it was silent for too long.
    public mutating func expireLeg(
        _ device: DID, of session: ULID, at now: Int64, into out: inout [RelayAction]
    ) {
        guard var attempt = attempts[session], let leg = attempt.index(of: device) else { return }
        let consequence = attempt.expire(leg)
        keep(attempt, at: now)
        conclude(consequence, attempt, at: now, into: &out)
    }

    /// Expires what is due: held envelopes first, in recipient order, then legs.
    public mutating func advance(to now: Int64, into out: inout [RelayAction]) {
        for held in queue.expire(at: now) { dequeue(held, .expired, at: now, into: &out) }
        while let session = attemptDeadlines.pop(at: now) { expireAttempt(session, at: now, into: &out) }
        known.expire(at: now) { bindings[$0] != nil || devices[$0] != nil }
    }

    // MARK: Scope

    /// DSIP §13.6: a relay that is not open carries only what a served identity sends or is sent.
    private func carries(_ signal: Signal) -> Bool {
        if case .open = configuration.scope { return true }
        guard let to = signal.to else { return configuration.scope.serves(signal.identity) }
        return configuration.scope.serves(signal.identity) || serves(to)
    }

    private func serves(_ recipient: DID) -> Bool {
        configuration.scope.serves(recipient)
            || (bindings[recipient] ?? known.identity(of: recipient)).map { configuration.scope.serves($0) } ?? false
    }

    private func refuseToCarry(_ signal: Signal, into out: inout [RelayAction]) {
        if signal.type == .introduction {
            out.append(.drop(.introductionNotCarried))
        } else {
            refuse(signal, .transportRoutingRefused, into: &out)
        }
    }

    private func refuse(_ signal: Signal, _ reason: Reason, into out: inout [RelayAction]) {
        out.append(.error(RelayError(to: signal.from, reason: reason, inReplyTo: signal.id)))
    }

    // MARK: By `to`

    private mutating func routeInvite(
        _ signal: Signal, _ parcel: any Parcel, at now: Int64, into out: inout [RelayAction]
    ) {
        guard let to = signal.to else { return refuse(signal, .transportUnknownRecipient, into: &out) }
        if attempts[signal.id] != nil || queue.invite(signal.id) != nil {
            out.append(.drop(.duplicateInvite))
            return
        }
        if bindings[to] != nil {
            fork(signal, parcel, to: [to], at: now, into: &out)
        } else if let bound = devices[to] {
            fork(signal, parcel, to: bound, at: now, into: &out)
        } else if isKnown(to, at: now) {
            if hold(signal, parcel, for: to, at: now, into: &out), signal.wantsDeliveryReport {
                out.append(
                    .report(DeliveryReport(to: signal.from, session: signal.id, seq: 1, state: .held, devices: 0)))
            }
        } else {
            refuse(signal, .transportUnknownRecipient, into: &out)
        }
    }

    /// DSIP §19.4: whether the recipient exists, is away or is ignoring is not to be told apart from here.
    private mutating func routeIntroduction(
        _ signal: Signal, _ parcel: any Parcel, at now: Int64, into out: inout [RelayAction]
    ) {
        guard let to = signal.to else { return out.append(.drop(.introductionNotCarried)) }
        let bound = bindings[to] != nil ? [to] : devices[to] ?? []
        guard bound.isEmpty else {
            for device in bound {
                out.append(
                    .deliver(
                        Delivery(
                            device: device, cause: .introduction, type: .introduction, id: signal.id, parcel: parcel)))
            }
            return
        }
        guard queue.introductions(for: to) < configuration.maximumIntroductionsPerRecipient,
            queue.introductionCount < configuration.maximumIntroductions, hasRoom(for: to), serves(to)
        else {
            out.append(.drop(.introductionNotCarried))
            return
        }
        append(signal, parcel, for: to, at: now, into: &out)
    }

    private mutating func route(
        _ signal: Signal, _ parcel: any Parcel, at now: Int64, into out: inout [RelayAction]
    ) {
        guard let to = signal.to else { return refuse(signal, .transportUnknownRecipient, into: &out) }
        if bindings[to] != nil {
            out.append(
                .deliver(
                    Delivery(
                        device: to, cause: .routed, type: signal.type, id: signal.id, reason: signal.reason,
                        parcel: parcel)))
        } else if let bound = devices[to] {
            for device in bound {
                out.append(
                    .deliver(
                        Delivery(
                            device: device, cause: .routed, type: signal.type, id: signal.id, reason: signal.reason,
                            parcel: parcel)))
            }
        } else if isKnown(to, at: now) {
            _ = hold(signal, parcel, for: to, at: now, into: &out)
        } else {
            refuse(signal, .transportUnknownRecipient, into: &out)
        }
    }

    // MARK: Holding

    private func hasRoom(for recipient: DID) -> Bool {
        queue.count < configuration.maximumHeld && queue.count(for: recipient) < configuration.maximumHeldPerRecipient
    }

    /// - Returns: whether the envelope is held; else its sender was told.
    private mutating func hold(
        _ signal: Signal, _ parcel: any Parcel, for recipient: DID, at now: Int64, into out: inout [RelayAction]
    ) -> Bool {
        guard hasRoom(for: recipient), serves(recipient) else {
            refuse(signal, .transportRoutingRefused, into: &out)
            return false
        }
        append(signal, parcel, for: recipient, at: now, into: &out)
        return true
    }

    private mutating func append(
        _ signal: Signal, _ parcel: any Parcel, for recipient: DID, at now: Int64, into out: inout [RelayAction]
    ) {
        let held = Held(
            to: recipient, type: signal.type, id: signal.id, from: signal.from, identity: signal.identity,
            deadline: min(signal.expiresAt ?? .max, now + configuration.offlineRetentionSeconds),
            expiresAt: signal.expiresAt, wantsDeliveryReport: signal.wantsDeliveryReport, parcel: parcel)
        queue.append(held)
        out.append(.queue(held))
    }

    private mutating func dequeue(
        _ held: Held, _ reason: DequeueReason, at now: Int64, into out: inout [RelayAction]
    ) {
        let becomesMissed = held.type == .invite && !held.isMissed && configuration.recordsMissedCalls
        out.append(.dequeue(held, reason))
        guard becomesMissed, hasRoom(for: held.to) else { return }
        var missed = held
        missed.isMissed = true
        missed.deadline = now + configuration.offlineRetentionSeconds
        queue.append(missed)
        out.append(.queue(missed))
    }

    private mutating func flush(_ held: Held, to device: DID, at now: Int64, into out: inout [RelayAction]) {
        if held.isMissed {
            out.append(.missed(device: device, held))
            return
        }
        out.append(
            .deliver(Delivery(device: device, cause: .flush, type: held.type, id: held.id, parcel: held.parcel)))
        guard held.type == .invite, attempts[held.id] == nil, attempts.count < configuration.maximumAttempts else {
            return
        }
        var attempt = LegTracker(held: held)
        attempt.reports = held.wantsDeliveryReport ? 1 : 0
        attempt.add(device, deadline: silentDeadline(attempt, at: now))
        report(&attempt, .delivered, into: &out)
        keep(attempt, at: now)
    }

    // MARK: Attempts

    private mutating func receiveFromLeg(
        _ leg: Int, of session: ULID, _ signal: Signal, _ parcel: any Parcel, at now: Int64,
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

    private mutating func forward(
        _ signal: Signal, _ parcel: any Parcel, to attempt: LegTracker, at now: Int64, into out: inout [RelayAction]
    ) {
        // The calling device has lost its connection: hold the leg's word for it like any other envelope.
        if bindings[attempt.initiator] == nil, isKnown(attempt.initiator, at: now) {
            _ = hold(signal, parcel, for: attempt.initiator, at: now, into: &out)
            return
        }
        out.append(
            .forward(
                Forward(
                    to: attempt.initiator, from: signal.from, type: signal.type, id: signal.id,
                    session: attempt.session, reason: signal.reason, status: signal.status, parcel: parcel)))
    }

    /// DSIP §12.7 rule 6.
    private mutating func conclude(
        _ consequence: LegTracker.Consequence, _ attempt: LegTracker, at now: Int64, into out: inout [RelayAction]
    ) {
        switch consequence {
        case .none:
            break
        case .rejected(let best):
            let signal = Signal(
                .reject, id: best.id, from: best.from, to: attempt.initiator, session: attempt.session,
                expiresAt: best.expiresAt, reason: best.reason)
            forward(signal, best.parcel, to: attempt, at: now, into: &out)
        case .noResponse:
            out.append(
                .error(
                    RelayError(
                        to: attempt.initiator, session: attempt.session, reason: .transportNoResponse,
                        inReplyTo: attempt.session)))
        }
    }

    private mutating func routeCancel(
        _ signal: Signal, _ parcel: any Parcel, at now: Int64, into out: inout [RelayAction]
    ) {
        guard let session = signal.session else { return route(signal, parcel, at: now, into: &out) }
        if var attempt = attempts[session], isInitiator(signal, attempt.initiator, attempt.initiatorIdentity) {
            if let to = signal.to, to != attempt.to || attempt.index(of: to) != nil {
                // DSIP §12.11: one leg alone.
                guard let leg = attempt.index(of: to) else { return route(signal, parcel, at: now, into: &out) }
                guard attempt.cancel(leg) else { return out.append(.drop(.legTerminated)) }
                keep(attempt, at: now)
                deliverCancel(signal, parcel, to: to, into: &out)
            } else {
                let legs = attempt.cancelAll()
                keep(attempt, at: now)
                for device in legs { deliverCancel(signal, parcel, to: device, into: &out) }
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
    private func isInitiator(_ signal: Signal, _ device: DID, _ identity: DID) -> Bool {
        signal.from == device || signal.identity == identity
    }

    private func deliverCancel(_ signal: Signal, _ parcel: any Parcel, to device: DID, into out: inout [RelayAction]) {
        out.append(
            .deliver(
                Delivery(
                    device: device, cause: .cancel, type: .cancel, id: signal.id, reason: signal.reason,
                    parcel: parcel)))
    }

    private mutating func addLateLeg(
        _ device: DID, to session: ULID, at now: Int64, into out: inout [RelayAction]
    ) {
        guard var attempt = attempts[session], attempt.takesLateLeg(at: now) else { return }
        if let leg = attempt.index(of: device) {
            let state = attempt.legs[leg]
            guard configuration.redeliversToSilentLegs, state.state == .delivered, !state.acknowledged else { return }
        } else {
            attempt.add(device, deadline: silentDeadline(attempt, at: now))
            report(&attempt, .delivered, into: &out)
        }
        out.append(
            .deliver(
                Delivery(device: device, cause: .lateLeg, type: .invite, id: session, parcel: attempt.invite)))
        keep(attempt, at: now)
    }

    // MARK: Life of an attempt

    private mutating func keep(_ attempt: LegTracker, at now: Int64) {
        let isNew = attempts.updateValue(attempt, forKey: attempt.session) == nil
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

    private mutating func expireAttempt(_ session: ULID, at now: Int64, into out: inout [RelayAction]) {
        guard var attempt = attempts[session] else { return }
        guard attempt.outcome == nil, configuration.silentLegGraceSeconds != nil else {
            attempts[session] = nil
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

    private func silentDeadline(_ attempt: LegTracker, at now: Int64) -> Int64 {
        guard let grace = configuration.silentLegGraceSeconds else { return now + RelayRouter.longestAttemptSeconds }
        return max(now, min(attempt.expiresAt ?? now + 30, now + 300)) + grace
    }

    /// A leg that alerts or queues has the longest the initiator would wait for it.
    private func answerDeadline(_ signal: Signal, at now: Int64) -> Int64 {
        guard let grace = configuration.silentLegGraceSeconds else { return now + RelayRouter.longestAttemptSeconds }
        let seconds: Int64 =
            switch signal.effectiveStatus {
            case .queued: EndpointTimer.queue.clamped(signal.queueTimeout)
            case .ringing, .trying, .forwarded: EndpointTimer.ring.bounds.upperBound
            }
        return now + seconds + grace
    }

    private func report(_ attempt: inout LegTracker, _ state: DeliveryReport.State, into out: inout [RelayAction]) {
        guard attempt.wantsDeliveryReport else { return }
        attempt.reports += 1
        out.append(
            .report(
                DeliveryReport(
                    to: attempt.initiator, session: attempt.session, seq: attempt.reports, state: state,
                    devices: attempt.legs.count)))
    }
}
