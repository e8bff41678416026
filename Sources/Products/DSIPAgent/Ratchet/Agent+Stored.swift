import Crypto
import DSIPDialect03
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding

/// Messages in stored envelopes (proposal 0.3 §21.B): sealed to the device they are for, and handed in over a connection under a key of the
/// moment, so that the relay learns for whom they are and not from whom.
extension Agent {
    /// Seconds after which another key takes the place of the one that hands envelopes in.
    private static let maskLife: Int64 = 3600

    func send(
        _ message: RatchetMessage,
        to person: DID,
        in form: WireForm,
        sealed: RatchetSealing,
        _ desk: Desk,
        _ messages: MessagingDesk
    ) {
        let url = path(to: person, desk, messages)
        guard sealed != .never, RelayURL.isValid(url) else { return sendOpenly(message, in: form, to: url, desk) }
        if let capabilities = links.capabilities(at: url) {
            return send(message, in: form, keptBy: capabilities, at: url, desk, messages)
        }
        let (owner, mask) = (desk.identity, mask(of: messages))
        Task {
            // No answer is one, too: what is not taken is sent again.
            guard let (_, capabilities) = await links.ask(url, as: mask), let desk = desks[owner],
                let messages = desk.mail
            else { return }
            send(message, in: form, keptBy: capabilities, at: url, desk, messages)
        }
    }

    private func sendOpenly(_ message: RatchetMessage, in form: WireForm, to url: String, _ desk: Desk) {
        post(message.json, until: message.head.expiresAt, to: url, desk, in: form)
    }

    private func send(
        _ message: RatchetMessage,
        in form: WireForm,
        keptBy capabilities: RelayCapabilities,
        at url: String,
        _ desk: Desk,
        _ messages: MessagingDesk
    ) {
        guard PreKeyService.keepsStored(capabilities.other[PreKeyService.member]) else {
            // Nobody could hand one in there, and a message that waits for that might wait for ever.
            return sendOpenly(message, in: form, to: url, desk)
        }
        var random = SystemRandomNumberGenerator()
        guard let agreement = DIDKey.keyAgreement(of: message.head.to),
            let inner = try? ProposalCodec.json.sign(
                payload: message.json,
                by: desk.key,
                delegations: desk.delegations
            ),
            let envelope = try? StoredEnvelope.sealing(
                inner,
                for: message.head.to,
                key: agreement.publicKey,
                until: message.head.expiresAt,
                using: &random
            )
        else { return sendOpenly(message, in: form, to: url, desk) }
        messages.note(stored: envelope.id, of: message.head.id)
        var item = RelayLink.Item(
            envelope: Envelope(envelope.bytes, form: .proposal),
            expiresAt: min(message.head.expiresAt, now() + Agent.frameLife)
        )
        item.isMail = true
        links.link(owner: mask(of: messages), url: url).enqueue(item)
    }

    private func mask(of messages: MessagingDesk) -> DID {
        if let mask = messages.mask, now() < mask.until { return mask.key.did }
        if let old = messages.mask { links.remove(owner: old.key.did) }
        let key = SigningKey()
        messages.mask = MessagingDesk.Mask(key: key, until: now() + Agent.maskLife)
        links.add(mask: key)
        return key.did
    }

    /// - Returns: whether it came to one of the keys that hand envelopes in: an answer to one of those, or nothing.
    func receivedStored(_ message: Verified<MailboxMessage>, owner: DID) -> Bool {
        guard let (desk, messages) = wearer(of: owner) else { return false }
        if case .accepted(let accepted) = message.body.body,
            let inner = messages.stored.removeValue(forKey: accepted.inReplyTo)
        {
            _ = receivedRatchet(Accepted(inReplyTo: inner), desk)
        }
        return true
    }

    func receivedStored(_ message: Verified<Message>, owner: DID) -> Bool {
        guard let (desk, messages) = wearer(of: owner) else { return false }
        if case .error(let report) = message.body.body,
            let inner = report.inReplyTo.flatMap({ messages.stored.removeValue(forKey: $0) })
        {
            _ = receivedRatchet(report, about: inner, wasSealed: true, desk)
        }
        return true
    }

    private func wearer(of mask: DID) -> (Desk, MessagingDesk)? {
        for desk in desks.values {
            if let messages = desk.mail, messages.mask?.key.did == mask { return (desk, messages) }
        }
        return nil
    }
}
