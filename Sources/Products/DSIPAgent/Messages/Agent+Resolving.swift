import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding

/// Where somebody can be written to: by their document, else by what the relay they were last heard at says of itself (M§4.2).
extension Agent {
    func resolve(_ did: DID, _ desk: Desk, _ messages: MessagingDesk) {
        guard messages.resolving.insert(did).inserted else { return }
        let owner = desk.identity
        let hint = contactPath(to: did, desk) ?? messages.hints[did] ?? messages.mail.preKeyService(of: did)
        let relay = desk.relay
        Task {
            let published = hint == nil ? await directory.published(did, asking: relay)?.relay : nil
            let found = await find(did, hint: hint ?? published ?? relay, owner: owner)
            guard let desk = desks[owner] else { return }
            desk.mail?.resolving.remove(did)
            work(desk) { (mail, now) throws(MessagingError) in
                if let found { try mail.resolved(did, found, at: now) } else { try mail.unresolved(did, at: now) }
            }
        }
    }

    private func find(_ did: DID, hint: String, owner: DID) async -> ResolvedIdentity? {
        var document: DIDDocument?
        if did.method != "key" {
            document = try? await directory.resolver.resolve(did).document
            guard let document else { return nil }
            noteKeys(of: did, desks[owner])
            if !document.mailboxEntries.isEmpty {
                return ResolvedIdentity(
                    mailboxes: MailboxSelection(document: document.mailboxEntries),
                    preKeys: PreKeyService.uri(in: document),
                    document: document
                )
            }
        }
        let named = document.flatMap { PreKeyService.uri(in: $0) }
        guard let (relay, capabilities) = await links.ask(hint, as: owner) else {
            return document.map {
                ResolvedIdentity(mailboxes: MailboxSelection(document: []), preKeys: named, document: $0)
            }
        }
        let preKeys = named ?? (PreKeyService.isOffered(capabilities.other[PreKeyService.member]) ? hint : nil)
        guard MailboxCapability(capabilities) != nil else {
            return ResolvedIdentity(mailboxes: MailboxSelection(document: []), preKeys: preKeys, document: document)
        }
        // What a hint leaves open is what people here offer unless they say otherwise.
        let service = MailboxService(
            uri: hint,
            mailbox: relay.identity,
            service: MailboxService.serviceType,
            voicemail: .init(maximumDuration: Agent.voicemailSeconds)
        )
        return ResolvedIdentity(
            mailboxes: MailboxSelection(document: [], hints: [service.json]),
            preKeys: preKeys,
            document: document
        )
    }
}
