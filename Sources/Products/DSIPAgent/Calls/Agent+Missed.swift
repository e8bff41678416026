import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding
import Logging

/// Calls that came while this device was away. Their evidence is what the caller signed, never the relay's word alone.
extension Agent {
    /// Seconds for which the evidence of a missed call counts.
    static let missedRetention: Int64 = 30 * 86_400
    /// Notices whose evidence is being verified at once; it may need a document. More are dropped.
    private static let maximumUnsettled = 64

    /// Our relay says that a call ended while nobody was here, and encloses the caller's own `invite` (`delivery-report/1.0`).
    func receiveMissed(_ notify: Notify, _ message: Verified<Message>, path: String, _ desk: Desk) {
        guard path == desk.relay, links.relay(at: path)?.identity == message.body.from,
            notify.content["type"]?.string == "missed",
            let evidence = notify.content["invite"], unsettledEvidence < Agent.maximumUnsettled
        else { return }
        unsettledEvidence += 1
        let owner = desk.identity
        let subscription = notify.subscription
        let issued = now() - Agent.missedRetention...now() + ProtocolLimits.replayWindow
        Task {
            let invite = await links.verifyKept(evidence.utf8, issued: issued)
            settle(invite, named: subscription, owner: owner)
        }
    }

    private func settle(_ message: Verified<Message>?, named id: ULID, owner: DID) {
        unsettledEvidence -= 1
        guard let message, message.body.id == id, case .invite(let invite) = message.body.body, let desk = desks[owner],
            message.body.to == desk.identity || message.body.to == desk.key.did
        else { return logger.info("evidence of a missed call was not accepted") }
        recordMissed(
            id,
            from: message.principal,
            claimed: invite.identity?.displayName,
            grant: invite.grant,
            at: message.body.issuedAt,
            video: invite.media.contains { $0.kind == .video },
            desk
        )
    }

    /// A `cancel` of a call that never got here (DSIP §12.4, §12.11): its caller gave up before this device had the invite.
    func missedWhileAway(_ cancel: Cancel, _ message: Verified<Message>, _ desk: Desk) {
        guard let session = message.body.session, cancel.reason == .userCancelled || cancel.reason == .sessionTimeout
        else { return }
        let at = min(session.seconds, now())
        recordMissed(session, from: message.principal, claimed: nil, grant: nil, at: at, video: false, desk)
    }

    /// One line a session, and only for those who may ring.
    private func recordMissed(
        _ session: ULID,
        from caller: DID,
        claimed: String?,
        grant: ULID?,
        at: Int64,
        video: Bool,
        _ desk: Desk
    ) {
        guard desk.calls[session] == nil, desk.engine.session(session) == nil,
            desk.engine.contacts.admitsInvite(from: caller, grant: grant, at: now()),
            (try? store.hasLog(session: session.description)) == false
        else { return }
        let peer = peer(caller, of: desk.identity, claimed: claimed)
        guard !peer.blocked else { return }
        record(
            LogEntry(
                session: session.description,
                owner: desk.identity,
                direction: .incoming,
                did: peer.did,
                name: peer.name,
                outcome: .missed,
                reason: nil,
                sentence: "\(peer.name) called while you were away.",
                at: at,
                duration: 0,
                video: video,
                seen: false
            ),
            desk
        )
        // The relay tells the first device that is back; that one tells the others, those that are away included.
        guard desk.mail != nil else { return }
        let event = CallEvent(session: session, peer: caller, direction: .inbound, outcome: .missed, at: at)
        work(desk) { (mail, now) throws(MessagingError) in try mail.callEnded(event, at: now) }
    }

    /// Another device of ours told of a call that this one knows nothing of.
    func noteMissed(_ call: MessageRecord.Call, from caller: DID, _ desk: Desk) {
        guard call.direction == .inbound, call.outcome == CallEvent.Outcome.missed.token,
            desk.calls[call.session] == nil,
            call.at > now() - Agent.missedRetention,
            (try? store.hasLog(session: call.session.description)) == false
        else { return }
        let peer = peer(caller, of: desk.identity, claimed: nil)
        guard !peer.blocked else { return }
        record(
            LogEntry(
                session: call.session.description,
                owner: desk.identity,
                direction: .incoming,
                did: peer.did,
                name: peer.name,
                outcome: .missed,
                reason: nil,
                sentence: "\(peer.name) called while you were away.",
                at: call.at,
                duration: 0,
                video: false,
                seen: false
            ),
            desk
        )
    }
}
