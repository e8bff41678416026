import DSIPIdentity
import DSIPSignaling
import Encoding

/// What is routed by `to`, and what is held (DSIP §13.3).
extension RelayRouter {
    mutating func routeInvite(
        _ signal: Signal,
        _ parcel: any Parcel,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        guard let to = signal.to else { return refuse(signal, .transportUnknownRecipient, into: &out) }
        if attempts[signal.id] != nil || queue.invite(signal.id) != nil {
            out.append(.drop(.duplicateInvite))
            return
        }
        if let readers = readers(of: to, signal.form) {
            guard !readers.isEmpty else { return refuse(signal, .sessionUnsupportedWireFormat, into: &out) }
            fork(signal, parcel, to: readers, at: now, into: &out)
        } else if isKnown(to, at: now) {
            if hold(signal, parcel, for: to, at: now, into: &out), signal.wantsDeliveryReport {
                out.append(
                    .report(DeliveryReport(to: signal.from, session: signal.id, seq: 1, state: .held, devices: 0))
                )
            }
        } else {
            refuse(signal, .transportUnknownRecipient, into: &out)
        }
    }

    /// DSIP §19.4: whether the recipient exists, is away or is ignoring is not to be told apart from here.
    mutating func routeIntroduction(
        _ signal: Signal,
        _ parcel: any Parcel,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        guard let to = signal.to else { return out.append(.drop(.introductionNotCarried)) }
        let readers = readers(of: to, signal.form)
        guard readers == nil else {
            for device in readers ?? [] {
                out.append(
                    .deliver(
                        Delivery(
                            device: device,
                            cause: .introduction,
                            type: .introduction,
                            id: signal.id,
                            parcel: parcel
                        )
                    )
                )
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

    mutating func route(
        _ signal: Signal,
        _ parcel: any Parcel,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        guard let to = signal.to else { return refuse(signal, .transportUnknownRecipient, into: &out) }
        if let readers = readers(of: to, signal.form) {
            guard !readers.isEmpty else { return refuse(signal, .sessionUnsupportedWireFormat, into: &out) }
            for device in readers {
                out.append(
                    .deliver(
                        Delivery(
                            device: device,
                            cause: .routed,
                            type: signal.type,
                            id: signal.id,
                            reason: signal.reason,
                            parcel: parcel
                        )
                    )
                )
            }
        } else if isKnown(to, at: now) {
            _ = hold(signal, parcel, for: to, at: now, into: &out)
        } else {
            refuse(signal, .transportUnknownRecipient, into: &out)
        }
    }

    // MARK: Holding

    func hasRoom(for recipient: DID) -> Bool {
        queue.count < configuration.maximumHeld && queue.count(for: recipient) < configuration.maximumHeldPerRecipient
    }

    /// - Returns: whether the envelope is held; else its sender was told.
    mutating func hold(
        _ signal: Signal,
        _ parcel: any Parcel,
        for recipient: DID,
        at now: Int64,
        into out: inout [RelayAction]
    ) -> Bool {
        guard hasRoom(for: recipient), serves(recipient) else {
            refuse(signal, .transportRoutingRefused, into: &out)
            return false
        }
        append(signal, parcel, for: recipient, at: now, into: &out)
        return true
    }

    mutating func append(
        _ signal: Signal,
        _ parcel: any Parcel,
        for recipient: DID,
        at now: Int64,
        into out: inout [RelayAction]
    ) {
        let held = Held(
            to: recipient,
            type: signal.type,
            id: signal.id,
            from: signal.from,
            identity: signal.identity,
            deadline: min(signal.expiresAt ?? .max, now + configuration.offlineRetentionSeconds),
            expiresAt: signal.expiresAt,
            wantsDeliveryReport: signal.wantsDeliveryReport,
            form: signal.form,
            parcel: parcel
        )
        queue.append(held)
        out.append(.queue(held))
    }

    mutating func dequeue(
        _ held: Held,
        _ reason: DequeueReason,
        at now: Int64,
        into out: inout [RelayAction]
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

    mutating func flush(_ held: Held, to device: DID, at now: Int64, into out: inout [RelayAction]) {
        if held.isMissed {
            out.append(.missed(device: device, held))
            return
        }
        out.append(
            .deliver(Delivery(device: device, cause: .flush, type: held.type, id: held.id, parcel: held.parcel))
        )
        guard held.type == .invite, attempts[held.id] == nil, attempts.count < configuration.maximumAttempts else {
            return
        }
        var attempt = LegTracker(held: held)
        attempt.reports = held.wantsDeliveryReport ? 1 : 0
        attempt.add(device, deadline: silentDeadline(attempt, at: now))
        report(&attempt, .delivered, into: &out)
        keep(attempt, at: now)
    }
}
