import DSIPIdentity
import DSIPMedia
import DSIPSession
import DSIPSignaling
import Encoding

/// Showing what the engine says happened: hops, states, endings, the log.
extension Agent {
    func show(_ notice: Notice, _ session: ULID?, _ desk: Desk, _ origin: Origin) {
        let live = session.flatMap { desk.calls[$0] }
        switch notice {
        case .offered:
            if case .received(let message, let path) = origin, let session { offered(session, message, path, desk) }
        case .progress(let status, let device):
            if let live { progressed(live, status, device, origin) }
        case .answered(let who, _):
            if let live { answered(live, who, origin) }
        case .updateOffered(let id):
            if let live { updateOffered(id, live, desk, origin) }
        case .updateRejected(let id, let reason):
            guard let live else { return }
            updateFailed(id, reason, live)
        case .missedCall: break
        case .ended(let reason):
            guard let live, live.ending == nil else { return }
            if case .received(let message, _) = origin {
                live.ending = (reason, false)
                evidence(reason, live, message)
            } else {
                live.ending = (reason, true)
            }
        case .glareRetry:
            hub.publish(.notice(level: .info, sentence: "You called each other at the same moment. Try again."))
        case .introductionReceived, .granted, .introductionRejected:
            showContact(notice, desk, origin)
        case .error(let reason, let inReplyTo): showError(reason, inReplyTo, live, desk, origin)
        }
    }

    /// Our update came to nothing; the page takes its offer back.
    func updateFailed(_ id: ULID, _ reason: Reason, _ live: LiveCall) {
        live.updateDeadline?.cancel()
        live.updateDeadline = nil
        guard live.media.ownUpdateFailed() != nil else { return }
        hub.publish(
            .rollback(
                session: live.call.session,
                update: id.description,
                reason: reason.token,
                holder: live.call.holder
            )
        )
    }

    // MARK: Outgoing

    private func progressed(_ live: LiveCall, _ status: Signal.Status, _ device: DID, _ origin: Origin) {
        guard case .received(let message, _) = origin else { return }
        let kind = message.delegation?.deviceClass?.rawValue
        let name = live.call.peer.name
        let hop: Hop.Kind
        var sentence = Sentences.progress(status.rawValue, name: name)
        switch status {
        case .ringing:
            hop = .ringing
            sentence = Sentences.ringing(name: name, device: kind)
            live.call.state = .ringing
        case .queued:
            hop = .queued
            live.call.state = .queued
        case .forwarded: hop = .forwarded
        case .trying: hop = .trying
        }
        live.add(
            Hop(hop, at: now(), sentence, device: kind, signer: device, message: message.body.id.description)
        )
        publish(live)
    }

    private func answered(_ live: LiveCall, _ who: Signal.AnsweredBy, _ origin: Origin) {
        live.call.answeredBy = who.rawValue
        live.call.screening = who == .screening
        if live.call.direction == .outgoing, case .received(let message, _) = origin, message.body.type == .answer {
            let kind = message.delegation?.deviceClass?.rawValue
            live.add(
                Hop(
                    .answered,
                    at: now(),
                    Sentences.answered(name: live.call.peer.name, by: who.rawValue, device: kind),
                    device: kind,
                    signer: message.body.from,
                    message: message.body.id.description
                )
            )
        }
        publish(live)
    }

    /// The relay's own report on our invite (`delivery-report/1.0`), signed by the relay it went through.
    func receiveReport(_ notify: Notify, _ message: Verified<Message>, path: String, _ desk: Desk) {
        guard let live = desk.calls[notify.subscription], live.call.direction == .outgoing, live.path == path,
            links.relay(at: path)?.identity == message.body.from,
            notify.content["type"]?.string == "delivery", notify.seq > live.reportSequence
        else { return }
        live.reportSequence = notify.seq
        let name = live.call.peer.name
        let count = notify.content["devices"]?.int ?? 0
        switch notify.content["state"]?.string {
        case "delivered":
            live.add(
                Hop(
                    .delivered,
                    at: now(),
                    Sentences.delivered(count, name: name),
                    count: count,
                    signer: message.body.from,
                    message: message.body.id.description
                )
            )
        case "held":
            live.add(
                Hop(
                    .held,
                    at: now(),
                    Sentences.held(name: name),
                    signer: message.body.from,
                    message: message.body.id.description
                )
            )
        default: return
        }
        publish(live)
    }

    private func showError(
        _ reason: Reason,
        _ inReplyTo: ULID?,
        _ live: LiveCall?,
        _ desk: Desk,
        _ origin: Origin
    ) {
        guard case .received(let message, let path) = origin else { return }
        guard let live else { return }
        let fromRelay = links.relay(at: path)?.identity == message.body.from
        // A relay that will not carry the invite has ended the attempt; other errors change nothing (DSIP §13.2).
        if fromRelay, live.call.direction == .outgoing, live.call.state != .active,
            inReplyTo == nil || inReplyTo == live.id
        {
            live.ending = (reason, false)
            evidence(reason, live, message)
            run(.inviteFailed(session: live.id, reason: reason), desk)
        }
    }

    /// The signed message that ended the call is the evidence for the reason shown.
    private func evidence(_ reason: Reason, _ live: LiveCall, _ message: Verified<Message>) {
        let elsewhere = reason == .sessionAnsweredElsewhere
        guard elsewhere || live.call.answeredAt == nil else { return }
        live.add(
            Hop(
                elsewhere ? .elsewhere : .failed,
                at: now(),
                Sentences.ended(
                    reason,
                    name: live.call.peer.name,
                    direction: live.call.direction,
                    ours: false,
                    answered: false
                ),
                signer: message.body.from,
                message: message.body.id.description
            )
        )
    }

    // MARK: Incoming

    /// An invite passed first contact. Policy decides here: blocked, busy, or ring.
    private func offered(_ session: ULID, _ message: Verified<Message>, _ path: String, _ desk: Desk) {
        guard case .invite(let invite) = message.body.body else { return }
        let peer = self.peer(message.principal, of: desk.identity, claimed: invite.identity?.displayName)
        if peer.blocked {
            // Not told apart from a declined call (DSIP §15.4, user.blocked).
            run(.autoReject(session: session, reason: .userDeclined), desk)
            return
        }
        let offer: CheckedOffer
        do throws(MediaBindingError) {
            guard
                let checked = try CheckedOffer(
                    checking: MediaPayload(media: invite.media, transports: invite.transports)
                )
            else {
                throw MediaBindingError(.sectionCount, on: .offer, "no transport:webrtc")
            }
            offer = checked
        } catch {
            refuse(session, error, message, peer, desk)
            return
        }
        var call = Call(
            session: session.description,
            direction: .incoming,
            peer: peer,
            state: .incoming,
            media: Call.Media(offer.kinds),
            startedAt: now()
        )
        call.progress = []
        let live = LiveCall(call, id: session, owner: desk.identity, offer: offer, path: path)
        live.peerDevice = message.body.from
        live.form = message.envelope.form
        live.call.canRestart = live.form == .jose && message.body.version.extensions.contains(.iceRestart)
        if message.body.version.extensions.contains(.sealedBody) { live.opensSeals = message.device }
        desk.calls[session] = live
        noteRelay(Agent.relayClaim(in: invite.identity), of: peer, desk)
        if desk.isBusy(except: session) {
            live.ending = (.endpointBusy, true)
            run(.autoReject(session: session, reason: .endpointBusy), desk)
            return
        }
        open(live, name: invite.identity?.displayName ?? peer.name)
        publish(live)
        alert(live, desk)
        if !live.mayAlert { wakePages(forCall: session, desk) }
    }

    /// Tells the caller that it rings, once somebody can hear it.
    func alert(_ live: LiveCall, _ desk: Desk) {
        guard !live.mayAlert, hub.hasListeners else { return }
        live.mayAlert = true
        run(.alert(session: live.id, ringTimeout: Agent.ringSeconds), desk)
    }

    static let ringSeconds: Int64 = 60

    private func refuse(
        _ session: ULID,
        _ error: MediaBindingError,
        _ message: Verified<Message>,
        _ peer: Peer,
        _ desk: Desk
    ) {
        guard let reason = Reason(error.reason) else { return }
        pendingDetail = error.detail
        run(.autoReject(session: session, reason: reason), desk)
        pendingDetail = nil
        let sentence = Sentences.ended(reason, name: peer.name, direction: .incoming, ours: true, answered: false)
        record(
            LogEntry(
                session: session.description,
                owner: desk.identity,
                direction: .incoming,
                did: peer.did,
                name: peer.name,
                outcome: .failed,
                reason: reason.token,
                sentence: sentence,
                at: now(),
                duration: 0,
                video: false,
                seen: false
            ),
            desk
        )
    }

    private func updateOffered(_ id: ULID, _ live: LiveCall, _ desk: Desk, _ origin: Origin) {
        guard case .received(let message, _) = origin, case .update(let update) = message.body.body else { return }
        do throws(MediaBindingError) {
            let offer = try CheckedOffer(
                checkingUpdate: MediaPayload(media: update.media, transports: update.transports ?? [])
            )
            if let lost = try live.media.offered(id, offer) {
                hub.publish(
                    .rollback(
                        session: live.call.session,
                        update: lost.description,
                        reason: Reason.sessionGlare.token,
                        holder: live.call.holder
                    )
                )
            }
            live.call.update = Call.PendingUpdate(id: id.description, media: Call.Media(offer.kinds))
            publish(live)
            hub.publish(
                .description(
                    session: live.call.session,
                    type: .offer,
                    sdp: offer.sdp,
                    update: id.description,
                    screen: offer.screenMid,
                    holder: live.call.holder
                )
            )
        } catch {
            live.detail = error.detail
            run(.rejectUpdate(session: live.id, inReplyTo: id, reason: Reason(error.reason) ?? .mediaUnsupported), desk)
        }
    }

    // MARK: The end

    /// The engine has ended the session: show it, log it, forget it.
    func finish(_ live: LiveCall, _ desk: Desk) {
        guard live.call.state != .ended else { return }
        let (reason, ours) = live.ending ?? (.sessionFailed, true)
        let answered = live.call.answeredAt != nil
        let outcome = Agent.outcome(live, reason, ours: ours)
        let sentence = Sentences.ended(
            reason,
            name: live.call.peer.name,
            direction: live.call.direction,
            ours: ours,
            answered: answered
        )
        live.media.end()
        live.abandonment?.cancel()
        live.updateDeadline?.cancel()
        live.call.state = .ended
        live.call.endedAt = now()
        live.call.update = nil
        live.call.ended = Call.Ending(reason: reason.token, sentence: sentence, missed: outcome == .missed)
        publish(live)
        desk.calls[live.id] = nil
        // The call that lost a glare is one call with the one that won: it has no line of its own.
        if reason == .sessionGlare {
            try? store.forget(openCall: live.call.session)
            return
        }
        noteCallEvent(live, reason, ours: ours, desk)
        let duration = live.call.answeredAt.map { max(0, now() - $0) } ?? 0
        record(
            LogEntry(
                session: live.call.session,
                owner: live.owner,
                direction: live.call.direction,
                did: live.call.peer.did,
                name: live.call.peer.name,
                outcome: outcome,
                reason: reason.token,
                sentence: sentence,
                at: live.call.startedAt,
                duration: duration,
                video: live.call.media.video,
                seen: outcome != .missed
            ),
            desk
        )
    }

    private static func outcome(_ live: LiveCall, _ reason: Reason, ours: Bool) -> LogEntry.Outcome {
        if live.call.answeredAt != nil { return .answered }
        if live.call.direction == .outgoing {
            switch reason {
            case .userCancelled: return .cancelled
            case .userDeclined, .userBlocked: return .declined
            default: return .failed
            }
        }
        switch reason {
        case .sessionAnsweredElsewhere: return .elsewhere
        case .userDeclined where ours: return .declined
        default: return .missed
        }
    }

    func record(_ entry: LogEntry, _ desk: Desk) {
        do {
            try store.add(entry)
        } catch {
            hub.publish(.notice(level: .error, sentence: "The call log could not be written. \(error.message)"))
        }
        publishLog()
    }

    func publish(_ live: LiveCall) { hub.publish(.call(live.call)) }
}
