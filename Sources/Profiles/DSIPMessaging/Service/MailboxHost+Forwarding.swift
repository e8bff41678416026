import DSIPIdentity
import DSIPSignaling
import Encoding

/// A device deposits at another service's hub, through its own mailbox. M§5.2, M§9.4
extension MailboxHost {
    /// A deposit handed on; the answer goes back where it came from.
    struct Forward {
        var connection: ConnectionID
        var device: DID
        /// When it is taken for lost, Unix seconds.
        var end: Int64
        var isAnswered: Bool
    }

    func forward(
        _ deposit: Deposit,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        guard verified.mayMessage, let hosted = try mailbox(of: verified.principal) else {
            return refuse(message, .policyBlocked, on: connection, at: now)
        }
        guard let group = deposit.group else {
            return refuse(message, .mailboxUnknownGroup, on: connection, at: now)
        }
        let actions = hosted.mailbox.forward(
            message.id,
            from: message.from,
            of: verified.principal,
            group: group,
            to: message.to
        )
        guard case .forward(let hub, let id)? = actions.first else {
            return try perform(actions, at: hosted, Reply(connection), at: now)
        }
        guard forwards.count < limits.inFlight else {
            return refuse(message, .mailboxHubUnreachable, on: connection, at: now)
        }
        forwards[id] = Forward(
            connection: connection,
            device: message.from,
            end: message.expiresAt,
            isAnswered: message.isAnswered
        )
        let service = HubReference(did: hub, uri: hosted.hubURIs[group])
        emit(.forward(verified.envelope, id: id, to: service, isAnswered: message.isAnswered))
    }

    /// Another service answered a deposit or a forward, or did not.
    ///
    /// - Parameters:
    ///   - id: of the deposit, which the answer names.
    ///   - service: who signed the answer, or who should have.
    public func answered(_ id: ULID, by service: DID, _ answer: ServiceAnswer, at now: Int64) {
        if let forward = forwards.removeValue(forKey: id) { return hand(back: answer, to: forward, about: id, at: now) }
        guard let flight = outbound.flights.removeValue(forKey: id) else { return }
        outbound.lanes[flight.lane]?.inFlight = nil
        run(.none, at: now) { () throws(HostStop) in try answered(flight, answer, at: now) }
    }

    private func hand(back answer: ServiceAnswer, to forward: Forward, about id: ULID, at now: Int64) {
        switch answer {
        case .accepted(_, let envelope): emit(.relay(envelope, to: forward.connection))
        case .refused(_, _, let envelope): emit(.relay(envelope, to: forward.connection))
        case .unreachable:
            // Activity is now or never: nobody waits for it.
            guard forward.isAnswered else { return }
            emit(.send(error(.mailboxHubUnreachable, to: forward.device, about: id, at: now), to: forward.connection))
        }
    }

    func expireForwards(at now: Int64) {
        for (id, forward) in forwards where forward.end <= now {
            forwards[id] = nil
            hand(back: .unreachable, to: forward, about: id, at: now)
        }
    }
}
