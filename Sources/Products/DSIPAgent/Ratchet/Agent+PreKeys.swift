import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding

/// Other people's prekeys: asked of their relay, and believed for who their devices are.
extension Agent {
    func fetch(_ id: ULID, of person: DID, device: DID?, _ desk: Desk, _ messages: MessagingDesk) {
        let (owner, url) = (desk.identity, path(to: person, desk, messages))
        guard RelayURL.isValid(url) else { return }
        Task {
            // No answer is one, too: the ratchet asks again later.
            guard let (relay, capabilities) = await links.ask(url, as: owner), let desk = desks[owner],
                PreKeyService.isOffered(capabilities.other[PreKeyService.member])
            else { return }
            let fetch = PreKeyFetch(
                id: id,
                from: desk.key.did,
                to: relay.identity,
                issuedAt: now(),
                target: person,
                device: device
            )
            post(fetch.json, until: fetch.head.expiresAt, to: url, desk)
        }
    }

    func received(_ answer: PreKeys, _ desk: Desk) {
        guard let id = answer.inReplyTo, desk.mail?.ratchet.awaits(id) == true else { return }
        let owner = desk.identity
        Task {
            let devices = await devices(in: answer)
            guard let desk = desks[owner] else { return }
            workRatchet(desk) { (ratchet, now) throws(MessagingError) in
                try ratchet.fetched(answer, ofDevices: devices, at: now)
            }
        }
    }

    /// Those that speak for the person in matters of messaging: the relay is not asked whom to believe.
    private func devices(in answer: PreKeys) async -> Set<DID> {
        let subject = answer.subject
        var devices: Set<DID> = []
        let delegated = answer.bundles.filter { $0.device != subject }
        if delegated.count < answer.bundles.count { devices.insert(subject) }
        guard !delegated.isEmpty else { return devices }
        var document = directory.document(of: subject)
        if document == nil { document = try? await directory.resolver.resolve(subject).document }
        guard let document else { return devices }
        for bundle in delegated {
            guard let envelope = bundle.delegation.flatMap({ Envelope(compact: $0) }),
                (try? Delegation.verify(
                    envelope,
                    device: bundle.device,
                    subject: subject,
                    at: now(),
                    document: document,
                    capability: Delegation.Capability.messaging,
                    revocations: links.revocations
                )) != nil
            else { continue }
            devices.insert(bundle.device)
        }
        return devices
    }
}
