import DSIPDialect03
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging

/// The shell around each identity's `RatchetConversations`: what its `Messenger` gives to be carried goes out, what comes is given to it.
extension Agent {
    typealias Ratchet = MessagingDesk.Ratchet

    /// Seconds for which a frame is worth sending: whatever is not answered by then is made anew.
    static let frameLife: Int64 = 20

    func hasSiblings(_ desk: Desk) -> Bool { keyring.devices(of: desk.identity).count > 1 }

    /// Does one thing with the ratchet and everything that follows from it.
    ///
    /// - Returns: false when the store would not have it: nothing happened.
    @discardableResult
    func workRatchet(
        _ desk: Desk,
        _ event: (inout Ratchet, Int64) throws(MessagingError) -> [RatchetAction]
    ) -> Bool {
        guard let messages = desk.mail else { return false }
        do throws(MessagingError) {
            let actions = try event(&messages.ratchet, now())
            for action in actions { perform(action, desk, messages) }
            reschedule()
            return true
        } catch {
            logger.error("the ratchet could not go on", metadata: ["why": "\(error.code.rawValue)"])
            return false
        }
    }

    /// The state of the link to the own relay has changed.
    func ratchetLink(_ state: RelayLink.State, _ desk: Desk, _ messages: MessagingDesk) {
        guard case .connected(let relay, let capabilities) = state else { return messages.ratchet.unbound() }
        messages.hasShelf = PreKeyService.isOffered(capabilities.other[PreKeyService.member])
        update(messages, desk)
        let shelf = messages.hasShelf ? relay.identity : nil
        workRatchet(desk) { (ratchet, now) throws(MessagingError) in try ratchet.bound(shelf, at: now) }
        publishMessaging()
    }

    private func update(_ messages: MessagingDesk, _ desk: Desk) {
        messages.ratchet.update(
            hasSiblings: hasSiblings(desk),
            delegation: desk.delegations.first?.compact,
            relay: desk.relay
        )
    }

    func carry(_ item: ULID, _ object: JSONValue, to peer: DID, _ desk: Desk) {
        if let messages = desk.mail { update(messages, desk) }
        workRatchet(desk) { (ratchet, now) throws(MessagingError) in
            try ratchet.send(object, as: item, to: peer, at: now)
        }
    }

    // MARK: What comes in

    func receivedRatchet(_ message: Verified<any Sendable>, owner: DID, path: String) {
        guard let desk = desks[owner], desk.mail != nil else { return }
        let stored = message.envelope.form == .proposal ? ProposalCodec.json.name(of: message.envelope.bytes) : nil
        if let message = message.narrowed(as: RatchetMessage.self) {
            // Only there is it kept for us, and known by whom it was acknowledged.
            guard path == desk.relay else { return }
            workRatchet(desk) { (ratchet, now) throws(MessagingError) in
                try ratchet.received(message, keptAs: stored, at: now)
            }
        } else if let statement = message.narrowed(as: RatchetStatement.self) {
            guard path == desk.relay else { return }
            workRatchet(desk) { (ratchet, now) throws(MessagingError) in
                try ratchet.received(statement, keptAs: stored, at: now)
            }
        } else if let answer = message.narrowed(as: PreKeys.self)?.body {
            received(answer, desk)
        }
    }

    /// - Returns: whether it was about something of the ratchet's.
    func receivedRatchet(_ accepted: Accepted, _ desk: Desk) -> Bool {
        guard desk.mail?.ratchet.awaits(accepted.inReplyTo) == true else { return false }
        workRatchet(desk) { (ratchet, now) throws(MessagingError) in try ratchet.accepted(accepted.inReplyTo, at: now) }
        return true
    }

    func receivedRatchet(_ report: ErrorReport, about id: ULID, wasSealed: Bool = false, _ desk: Desk) -> Bool {
        guard desk.mail?.ratchet.awaits(id) == true else { return false }
        // Too much or too fast at present is no final word, said with a time or without.
        let isPassing = [Reason.policyRateLimited, .transportRateLimited, .mailboxQuotaExceeded].contains(report.reason)
        workRatchet(desk) { (ratchet, now) throws(MessagingError) in
            try ratchet.refused(
                id,
                report.reason,
                wasSealed: wasSealed,
                retryAfter: report.retryAfter ?? (isPassing ? 60 : nil),
                at: now
            )
        }
        return true
    }

    // MARK: What goes out

    private func perform(_ action: RatchetAction, _ desk: Desk, _ messages: MessagingDesk) {
        switch action {
        case .send(let message, let person, let form, let sealed):
            send(message, to: person, in: form, sealed: sealed, desk, messages)
        case .say(let statement, let person):
            let url = path(to: person, desk, messages)
            post(statement.json, until: statement.head.expiresAt, to: url, desk, in: .proposal)
        case .fetch(let id, let person, let device): fetch(id, of: person, device: device, desk, messages)
        case .publish(let bundles): post(bundles.json, until: bundles.head.expiresAt, to: desk.relay, desk)
        case .acknowledge(let id): acknowledge(id, desk)
        case .arrived(let arrival): arrived(arrival, desk, messages)
        case .taken(let item):
            work(desk) { (mail, now) throws(MessagingError) in try mail.carried(item, at: now) }
        case .failed(let item):
            work(desk) { (mail, now) throws(MessagingError) in try mail.carryFailed(item, at: now) }
        case .typing(let peer, let isOn):
            work(desk) { (mail, now) throws(MessagingError) in try mail.receivedTyping(isOn, by: peer, at: now) }
        case .met(let device):
            let isTold = work(desk) { (mail, now) throws(MessagingError) in try mail.siblingCame(at: now) }
            guard isTold else { return }
            workRatchet(desk) { (ratchet, now) throws(MessagingError) in try ratchet.greeted(device, at: now) }
        case .waiting(let peer):
            guard peer != desk.identity else { return }
            work(desk) { (mail, now) throws(MessagingError) in try mail.lookAgain(peer, at: now) }
        }
    }

    private func arrived(_ arrival: RatchetArrival, _ desk: Desk, _ messages: MessagingDesk) {
        if let relay = arrival.relay, RelayURL.isValid(relay), contactPath(to: arrival.peer, desk) == nil {
            messages.note(hint: relay, for: arrival.peer)
        }
        let isKept = work(desk) { (mail, now) throws(MessagingError) in try mail.received(carried: arrival, at: now) }
        // Otherwise it is told again with the next connection.
        guard isKept else { return }
        workRatchet(desk) { (ratchet, now) throws(MessagingError) in try ratchet.handled(arrival.id, at: now) }
    }

    func acknowledge(_ id: ULID, _ desk: Desk) {
        guard let relay = links.connected(owner: desk.identity, url: desk.relay) else { return }
        let message = MailboxMessage(
            id: makeID(),
            from: desk.key.did,
            to: relay.identity,
            issuedAt: now(),
            expiresAt: now() + MessagingProfile.maximumLifetime,
            body: .accepted(Accepted(inReplyTo: id))
        )
        post(message.json, until: message.expiresAt, to: desk.relay, desk)
    }

    /// Where messages for somebody's devices are taken.
    func path(to person: DID, _ desk: Desk, _ messages: MessagingDesk) -> String {
        if person == desk.identity { return desk.relay }
        return messages.mail.preKeyService(of: person) ?? contactPath(to: person, desk) ?? messages.hints[person]
            ?? desk.relay
    }

    func post(_ payload: JSONValue, until end: Int64, to url: String, _ desk: Desk, in form: WireForm = .jose) {
        let codec: (any WireCodec)? = form == .proposal ? ProposalCodec.json : nil
        guard RelayURL.isValid(url),
            let envelope = try? Envelope(
                signing: payload,
                by: desk.key,
                delegations: desk.delegations,
                with: codec
            )
        else { return logger.error("a message of a ratchet could not be signed") }
        var item = RelayLink.Item(envelope: envelope, expiresAt: min(end, now() + Agent.frameLife))
        item.isMail = true
        links.link(owner: desk.identity, url: url).enqueue(item)
    }
}
