import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding

/// Calls among the messages: those that were missed, and what may be said after one that reached nobody (M§13).
extension Agent {
    /// A call that rang here and was not answered here is told to our other devices (M§13.3).
    func noteCallEvent(_ live: LiveCall, _ reason: Reason, ours: Bool, _ desk: Desk) {
        guard live.call.direction == .incoming, desk.mail != nil, let session = ULID(live.call.session),
            let outcome = CallEvent.outcome(
                alerted: true,
                answeredHere: live.call.answeredAt != nil,
                endedLocally: ours,
                reason: reason
            )
        else { return }
        let event = CallEvent(
            session: session,
            peer: live.call.peer.did,
            direction: .inbound,
            outcome: outcome,
            at: live.call.startedAt
        )
        work(desk) { (mail, now) throws(MessagingError) in try mail.callEnded(event, at: now) }
    }

    /// Whether a voicemail may be left after a call of ours that was not answered (M§13.2).
    public func voicemailOffer(after session: String) throws(AgentError) -> JSONValue {
        func answer(_ offered: Bool, _ seconds: Int64, _ sentence: String) -> JSONValue {
            ["offered": .bool(offered), "max_duration_s": .int(seconds), "reason": .string(sentence)]
        }
        guard let entry = try store.log(session: session), entry.direction == .outgoing, let desk = desks[entry.owner],
            let messages = desk.mail
        else { return answer(false, 0, "There is no such call of yours.") }
        guard entry.outcome != .answered, let reason = entry.reason.flatMap({ Reason($0) }) else {
            return answer(false, 0, "The call was answered.")
        }
        let service = messages.mail.mailboxService(of: entry.did)
        let isKnown = try read { () throws(MessagingError) in
            try messages.store.conversations().contains {
                $0.peer == entry.did && !$0.isRemoved && $0.notice != .inviteOnly
            }
        }
        let holdsGrant = try store.grants(of: desk.identity, at: now()).contains { !$0.given && $0.peer == entry.did }
        let isOffered = VoicemailOffer.isOffered(
            advertised: service?.voicemail != nil,
            canSend: isKnown || holdsGrant,
            after: entry.outcome == .cancelled || reason == .sessionTimeout ? .cancelled(reason) : .rejected(reason)
        )
        guard isOffered else {
            return answer(
                false,
                0,
                service?.voicemail == nil ? "They take no voicemail." : "No voicemail can be left now."
            )
        }
        return answer(
            true,
            service?.voicemail?.maximumDuration ?? Agent.voicemailSeconds,
            "They did not answer. You can leave a voicemail."
        )
    }
}
