import DSIPIdentity
import DSIPSignaling
import Encoding

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
    public var configuration: RouterConfiguration

    /// A device with a live connection, and the identity it acts for.
    var bindings: [DID: DID] = [:]
    /// What bound devices read, where that is not DSIP-JOSE alone.
    var forms: [DID: Set<WireForm>] = [:]
    /// In device order.
    var devices: [DID: [DID]] = [:]
    var known = KnownRecipients()
    var attempts: [ULID: LegTracker] = [:]
    /// The attempts without an outcome, by the identity they ring.
    var liveAttempts: [DID: Set<ULID>] = [:]
    var attemptDeadlines = DeadlineQueue<ULID>()
    /// Since `takeAttemptChanges`.
    var changedAttempts: Set<ULID> = []
    var queue = HoldingQueue()
    var correspondents: Correspondents

    public init(configuration: RouterConfiguration = RouterConfiguration()) {
        self.configuration = configuration
        self.correspondents = Correspondents(capacity: configuration.maximumAttempts)
    }

    /// Unix seconds at which `advance` has something to do.
    public var nextDeadline: Int64? {
        guard queue.nextDeadline != nil || attemptDeadlines.next != nil || known.nextDeadline != nil else { return nil }
        return min(queue.nextDeadline ?? .max, attemptDeadlines.next ?? .max, known.nextDeadline ?? .max)
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
                session: session,
                legs: Dictionary(uniqueKeysWithValues: $0.legs.map { ($0.device, $0.state) }),
                outcome: $0.outcome
            )
        }
    }

    // MARK: Restart

    /// Takes back what a store kept: the held envelopes in arrival order, and who was known until when.
    ///
    /// Attempts come back by `restore(attempts:at:)`; those that do not are not missed but by devices that bind late: traffic is
    /// routed by `to` without one (DSIP §13.3).
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
    /// order, then the invites of live attempts in id order; what it cannot read waits on.
    ///
    /// - Parameter reading: the forms that its connection takes.
    public mutating func bind(
        _ device: DID,
        identity: DID,
        reading: Set<WireForm> = [.jose],
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        advance(to: now, into: &out)
        if let previous = bindings[device], previous != identity { unbind(device, at: now) }
        bindings[device] = identity
        forms[device] = reading == [.jose] ? nil : reading
        var bound = devices[identity] ?? []
        if !bound.contains(device), bound.count < configuration.maximumDevicesPerIdentity {
            bound.insert(device, at: bound.firstIndex { device < $0 } ?? bound.count)
            devices[identity] = bound
        }
        note(device, identity, at: now)
        var reached: Set<ULID> = []
        for held in queue.drain(
            identity == device ? [device] : [identity, device],
            where: { reading.contains($0.form) }
        ) {
            flush(held, to: device, at: now, into: &out)
            reached.insert(held.id)
        }
        let ringing = (liveAttempts[identity] ?? []).union(liveAttempts[device] ?? [])
        for session in ringing.sorted() where !reached.contains(session) {
            addLateLeg(device, to: session, at: now, into: &out)
        }
    }

    /// The device's connection is gone. Its identity stays known for the retention window.
    public mutating func unbind(_ device: DID, at now: Int64) {
        guard let identity = bindings.removeValue(forKey: device) else { return }
        forms[device] = nil
        devices[identity]?.removeAll { $0 == device }
        if devices[identity]?.isEmpty == true { devices[identity] = nil }
        note(device, identity, at: now)
    }

    mutating func note(_ device: DID, _ identity: DID, at now: Int64) {
        let until = now + configuration.offlineRetentionSeconds
        known.note(identity, identity: identity, until: until, limit: configuration.maximumKnown)
        known.note(device, identity: identity, until: until, limit: configuration.maximumKnown)
    }

    /// Whether what is written in `form` may go to a bound device. Signatures are end to end: no relay writes anything anew.
    func reads(_ device: DID, _ form: WireForm) -> Bool { forms[device]?.contains(form) ?? (form == .jose) }

    /// Of the devices bound for `recipient`, those that read `form`; nil when none is bound at all.
    func readers(of recipient: DID, _ form: WireForm) -> [DID]? {
        let bound = bindings[recipient] != nil ? [recipient] : devices[recipient]
        return bound?.filter { reads($0, form) }
    }

    func isKnown(_ recipient: DID, at now: Int64) -> Bool {
        bindings[recipient] != nil || devices[recipient] != nil || known.isKnown(recipient, at: now)
    }

    // MARK: Messages

    /// A verified message of any type but `hello`.
    /// - Parameter parcel: the envelope, to be delivered unchanged.
    public mutating func receive(
        _ said: Signal,
        _ parcel: any Parcel,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        let signal = understood(said, at: now)
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
            if signal.inReplyTo == nil, let session = signal.session,
                let leg = attempts[session]?.index(of: signal.from)
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
        _ invite: Signal,
        _ parcel: any Parcel,
        to legs: [DID],
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        guard let to = invite.to, !legs.isEmpty, attempts[invite.id] == nil else {
            out.append(.drop(.duplicateInvite))
            return
        }
        guard attempts.count < configuration.maximumAttempts else {
            out.append(.error(RouterError(to: invite.from, reason: .transportRoutingRefused, inReplyTo: invite.id)))
            return
        }
        var attempt = LegTracker(invite: invite, to: to, parcel: parcel)
        for device in legs where attempt.index(of: device) == nil {
            attempt.add(device, deadline: silentDeadline(attempt, at: now))
            out.append(
                .deliver(Delivery(device: device, cause: .fork, type: .invite, id: invite.id, parcel: parcel))
            )
        }
        report(&attempt, .delivered, into: &out)
        keep(attempt, at: now)
    }

    /// A leg's delivery came to nothing: the connection refused it, or it was silent for too long.
    public mutating func expireLeg(
        _ device: DID,
        of session: ULID,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        guard var attempt = attempts[session], let leg = attempt.index(of: device) else { return }
        let consequence = attempt.expire(leg)
        keep(attempt, at: now)
        conclude(consequence, attempt, at: now, into: &out)
    }

    /// Expires what is due: held envelopes first, in recipient order, then legs.
    public mutating func advance(to now: Int64, into out: inout [RelayAction]) {
        correspondents.forget(at: now)
        for held in queue.expire(at: now) { dequeue(held, .expired, at: now, into: &out) }
        while let session = attemptDeadlines.pop(at: now) { expireAttempt(session, at: now, into: &out) }
        known.expire(at: now) { bindings[$0] != nil || devices[$0] != nil }
    }

    // MARK: Scope

    /// DSIP §13.6: a relay that is not open carries only what a served identity sends or is sent.
    func carries(_ signal: Signal) -> Bool {
        if case .open = configuration.scope { return true }
        guard let to = signal.to else { return configuration.scope.serves(signal.identity) }
        return configuration.scope.serves(signal.identity) || serves(to)
    }

    func serves(_ recipient: DID) -> Bool {
        configuration.scope.serves(recipient)
            || (bindings[recipient] ?? known.identity(of: recipient)).map { configuration.scope.serves($0) } ?? false
    }

    func refuseToCarry(_ signal: Signal, into out: inout [RelayAction]) {
        if signal.type == .introduction {
            out.append(.drop(.introductionNotCarried))
        } else {
            refuse(signal, .transportRoutingRefused, into: &out)
        }
    }

    func refuse(_ signal: Signal, _ reason: Reason, into out: inout [RelayAction]) {
        out.append(.error(RouterError(to: signal.from, reason: reason, inReplyTo: signal.id)))
    }
}
