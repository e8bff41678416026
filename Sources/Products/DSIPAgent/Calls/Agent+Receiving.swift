import DSIPIdentity
import DSIPMedia
import DSIPSession
import DSIPSignaling
import Encoding

/// What comes in: verified messages, each given to the engine of the identity it is for.
extension Agent {
    /// - Parameters:
    ///   - owner: the identity of ours whose connection it came on.
    ///   - path: the relay it came through.
    func received(_ message: Verified<Message>, owner: DID, path: String) {
        guard let desk = desks[owner] else {
            // A device that waits to be paired is bound under its own key.
            if case .notify(let notify) = message.body.body {
                receivePairingAnswer(notify, at: owner)
            }
            return
        }
        // A message for somebody else is not ours to act on.
        if let to = message.body.to, to != desk.identity, to != desk.key.did { return }
        if message.envelope.form == .proposal { dialects.note(.proposal, spokenBy: message.principal) }
        noteSeals(message, desk)
        let signal = desk.engine.understood(Signal(message))
        switch message.body.body {
        case .invite where configuration.mode != .full: break
        case .invite(let invite): receiveInvite(invite, message, desk, path)
        case .answer(let answer): receiveAnswer(answer, signal, message, desk, path)
        case .cancel(let cancel): receiveCancel(cancel, message, desk, path)
        case .introduction(let introduction): receiveIntroduction(introduction, message, desk, path)
        case .notify(let notify):
            if receiveFollowed(message, desk) { return }
            receiveReport(notify, message, path: path, desk)
            receiveMissed(notify, message, path: path, desk)
            receiveOwn(notify, message, path: path, desk)
        case .delegationRevocation: receiveRevocation(message)
        case .keyRotation: observeKeys(of: message.principal)
        case .error(let report):
            if receiveBroadcastRefusal(report) { return }
            if inviteAgain(after: report, message, desk) { return }
            receivedRefusal(report, message, desk)
            run(.received(signal), desk, origin: .received(message, path: path))
        case .reject(let reject):
            if receiveFollowed(message, desk) { return }
            if reject.reason == .identityMoved, case .object(let detail)? = reject.detail,
                let statement = detail["move"].flatMap(MoveStatement.init(json:))
            {
                learnMove(statement, of: message.principal, desk)
            }
            run(.received(signal), desk, origin: .received(message, path: path))
        case .progress, .update, .info, .bye, .grant:
            run(.received(signal), desk, origin: .received(message, path: path))
        case .publish, .subscribe, .unpublish, .provenance, .hello, .reachabilityHint: break
        }
    }

    /// Whoever lists the extension opens what is sealed to the device that signed.
    private func noteSeals(_ message: Verified<Message>, _ desk: Desk) {
        guard message.body.version.extensions.contains(.sealedBody) else { return }
        message.body.sessionID.flatMap { desk.calls[$0] }?.opensSeals = message.device
        // Of an identity with devices, not all may hold the key that its own seals need.
        if message.device == message.principal { sealable.insert(message.principal) }
    }

    private func receiveInvite(_ invite: Invite, _ message: Verified<Message>, _ desk: Desk, _ path: String) {
        // The replay window is in memory; the log remembers sessions across a restart.
        if (try? store.hasLog(session: message.body.id.description)) == true { return }
        noteKeys(of: message.principal, desk)
        if answersMoved(message, desk, path: path) { return }
        run(.received(Signal(message)), desk, origin: .received(message, path: path))
    }

    private func receiveAnswer(
        _ answer: Answer,
        _ signal: Signal,
        _ message: Verified<Message>,
        _ desk: Desk,
        _ path: String
    ) {
        let origin = Origin.received(message, path: path)
        guard let live = message.body.session.flatMap({ desk.calls[$0] }) else {
            run(.received(signal), desk, origin: origin)
            return
        }
        do throws(MediaBindingError) {
            let payload = MediaPayload(media: answer.media, transports: answer.transports)
            if let update = signal.inReplyTo {
                guard let own = live.media.ownUpdate, own.id == update else {
                    run(.received(signal), desk, origin: origin)
                    return
                }
                guard let checked = try CheckedAnswer(checking: payload, to: own.offer) else {
                    throw MediaBindingError(.sdpMissing, on: .answer, "transport:webrtc was not selected")
                }
                live.updateAnswer = checked
            } else if live.call.direction == .outgoing, !live.isActive {
                guard let checked = try CheckedAnswer(checking: payload, to: live.media.offer) else {
                    throw MediaBindingError(.sdpMissing, on: .answer, "transport:webrtc was not selected")
                }
                live.answer = checked
            }
            run(.received(signal), desk, origin: origin)
            // Only the answer the engine accepted may be used; another leg's is gone with it.
            live.answer = nil
        } catch {
            if signal.inReplyTo == nil {
                run(.receivedUnusableAnswer(signal), desk, origin: origin)
            } else if live.isActive {
                end(live, desk, .mediaFailed)
            }
        }
    }

    private func receiveCancel(_ cancel: Cancel, _ message: Verified<Message>, _ desk: Desk, _ path: String) {
        let known = message.body.session.flatMap { desk.engine.session($0) } != nil
        run(.received(Signal(message)), desk, origin: .received(message, path: path))
        if !known { missedWhileAway(cancel, message, desk) }
    }

    /// The relay says that nobody who reads our form is there: the invite is said again, under the same id, in the other form.
    private func inviteAgain(after report: ErrorReport, _ message: Verified<Message>, _ desk: Desk) -> Bool {
        guard report.reason == .sessionUnsupportedWireFormat, let live = report.inReplyTo.flatMap({ desk.calls[$0] }),
            let invite = live.invite, !live.isActive, live.call.state != .ended,
            links.relay(at: live.path)?.identity == message.identity
        else { return false }
        live.invite = nil
        live.form = live.form == .jose ? .proposal : .jose
        dialects.note(live.form, spokenBy: invite.to)
        send(invite, desk, .command)
        return true
    }
}
