import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding

/// The call log, and calls that outlive the agent.
extension Agent {
    public func log() throws(AgentError) -> [(LogEntry, Peer)] {
        var all: [(LogEntry, Peer)] = []
        for owner in desks.keys.sorted() where visible(owner) {
            for entry in try store.log(of: owner) {
                all.append((entry, peer(entry.did, of: owner, claimed: entry.name)))
            }
        }
        return all.sorted { ($0.0.at, $0.0.session) > ($1.0.at, $1.0.session) }
    }

    public func missed() throws(AgentError) -> Int64 {
        var count: Int64 = 0
        for owner in desks.keys where visible(owner) { count += try store.missed(of: owner) }
        return count
    }

    public func markLogSeen() throws(AgentError) {
        for owner in desks.keys where visible(owner) { try store.markSeen(owner: owner) }
        publishLog()
    }

    public func clearLog() throws(AgentError) {
        for owner in desks.keys where visible(owner) { try store.clearLog(owner: owner) }
        publishLog()
    }

    func publishLog() {
        guard let log = try? log(), let missed = try? missed() else { return }
        hub.publish(.log(log, missed: missed))
    }

    // MARK: Calls that outlive the agent

    /// Keeps what is needed to end the call properly if the agent stops in the middle of it.
    func open(_ live: LiveCall, name: String) {
        try? store.save(openCall(live, name: name))
    }

    func saveOpen(_ live: LiveCall) { try? store.save(openCall(live, name: live.call.peer.name)) }

    private func openCall(_ live: LiveCall, name: String) -> OpenCall {
        OpenCall(
            session: live.call.session,
            owner: live.owner,
            direction: live.call.direction,
            did: live.call.peer.did,
            name: name,
            at: live.call.startedAt,
            answeredAt: live.call.answeredAt,
            video: live.call.media.video,
            peerDevice: live.peerDevice,
            relay: live.path
        )
    }

    /// Ends the calls that the last run left open: their media are gone with its pages. Says so to the other side and in the log.
    func endLeftOvers() throws(AgentError) {
        for call in try store.openCalls() {
            if let desk = desks[call.owner], let session = ULID(call.session) {
                let stamp = Message.Stamp(id: makeID(), from: desk.key.did, issuedAt: now(), lifetime: 240)
                let path = call.relay ?? desk.relay
                if call.answeredAt != nil, let peer = call.peerDevice {
                    transmit(.inSession(session, stamp, to: peer, Bye(.mediaFailed)), desk, path: path)
                } else if call.direction == .outgoing {
                    transmit(.inSession(session, stamp, to: call.did, Cancel(.userCancelled)), desk, path: path)
                } else if let peer = call.peerDevice {
                    transmit(.inSession(session, stamp, to: peer, Reject(.endpointUnavailable)), desk, path: path)
                }
            }
            let answered = call.answeredAt != nil
            let outcome: LogEntry.Outcome = answered ? .answered : call.direction == .outgoing ? .failed : .missed
            try store.add(
                LogEntry(
                    session: call.session,
                    owner: call.owner,
                    direction: call.direction,
                    did: call.did,
                    name: call.name,
                    outcome: outcome,
                    reason: Reason.mediaFailed.token,
                    sentence: "The call ended because this program was restarted.",
                    at: call.at,
                    duration: 0,
                    video: call.video,
                    seen: outcome != .missed
                )
            )
        }
    }
}
