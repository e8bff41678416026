import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTrust
import Encoding

/// Someone found from what a person typed, with what was learnt on the way.
public struct Found: Sendable {
    public var peer: Peer
    /// The relay to dial: of the DID document, the link or the contact; nil when only our own is left.
    public var relay: String?
    /// For people, in order.
    public var steps: [String]
    /// The name a `dsip:` link suggests.
    public var suggestedName: String?
    /// A contact token of a link, to introduce ourselves with.
    public var token: String?
    var hops: [Hop]

    var json: JSONValue {
        [
            "peer": peer.json, "relay": .optional(relay), "steps": .array(steps.map { .string($0) }),
            "suggested_name": .optional(suggestedName), "token": .optional(token),
        ]
    }
}

/// Contacts, names, keys first seen.
extension Agent {
    /// The people of the current identity.
    public func contacts() throws(AgentError) -> [Contact] {
        var all: [Contact] = []
        for owner in desks.keys.sorted() where visible(owner) { all += try store.contacts(of: owner) }
        for index in all.indices {
            all[index].keyHistory = keyring.history(of: all[index].did)
            all[index].move = shownMove(of: all[index])
        }
        return all
    }

    /// The current identity and the throw-away ones, which live in its contact list.
    func visible(_ owner: DID) -> Bool { owner == current || keyring.isThrowaway(owner) }

    /// Adds someone by DID, alias or link.
    /// - Parameter allowed: they may ring us.
    public func addContact(_ input: String, name: String, allowed: Bool = true) async throws(AgentError) -> Contact {
        let found = try await lookup(input)
        let owner = try desk(for: found.peer.did)
        guard found.peer.did != owner.identity else { throw AgentError(.notAllowed, "This is your own address.") }
        if let known = try store.contact(did: found.peer.did, of: owner.identity) {
            return try updateContact(known.id, name: name, allowed: allowed, relay: found.relay)
        }
        let contact = Contact(
            id: makeID().description,
            owner: owner.identity,
            did: found.peer.did,
            name: name,
            alias: found.peer.alias,
            relay: found.relay,
            addedAt: now(),
            allowed: allowed,
            changedAt: try changeTime(of: found.peer.did, owner: owner.identity)
        )
        try store.save(contact)
        announceSoon(contact.owner)
        if let document = directory.document(of: found.peer.did) { _ = keyring.observe(document, at: now()) }
        admit(contact)
        publishPeople()
        return contact
    }

    public func updateContact(
        _ id: String,
        name: String? = nil,
        allowed: Bool? = nil,
        blocked: Bool? = nil,
        relay: String? = nil
    ) throws(AgentError) -> Contact {
        var contact = try existing(id)
        if let name, !name.trimmed.isEmpty { contact.name = name.trimmed }
        if let allowed { contact.allowed = allowed }
        if let blocked { contact.blocked = blocked }
        if let relay { contact.relay = relay }
        contact.changedAt = try changeTime(of: contact.did, owner: contact.owner)
        try store.save(contact)
        announceSoon(contact.owner)
        if blocked != nil { publishConversations() }
        if contact.blocked || !contact.allowed {
            // Taking the permission back takes back what was granted, too (DSIP §19.4: revocation is local policy).
            try revokeGrants(to: contact.did, owner: contact.owner, blocking: blocked == true)
        }
        admit(contact)
        publishPeople()
        return contact
    }

    public func removeContact(_ id: String) throws(AgentError) {
        let contact = try existing(id)
        _ = try store.removeContact(id: id, at: changeTime(of: contact.did, owner: contact.owner))
        announceSoon(contact.owner)
        try revokeGrants(to: contact.did, owner: contact.owner)
        forgetMove(of: contact.did, owner: contact.owner)
        if let desk = desks[contact.owner] { run(.disallow(contact.did), desk) }
        publishPeople()
    }

    /// The person has checked, by another way, that the new key is right.
    public func acceptKey(of id: String) throws(AgentError) -> Contact {
        var contact = try existing(id)
        guard contact.keyChanged != nil else {
            throw AgentError(.notAllowed, "The key of \(contact.name) has not changed.")
        }
        try keyring.acceptKeys(of: contact.did, at: now())
        contact.keyChanged = nil
        try store.save(contact)
        publishPeople()
        return contact
    }

    private func existing(_ id: String) throws(AgentError) -> Contact {
        guard let contact = try store.contact(id: id) else {
            throw AgentError(.notFound, "This contact no longer exists.")
        }
        return contact
    }

    /// Tells the engine who may ring.
    func admit(_ contact: Contact) {
        guard let desk = desks[contact.owner] else { return }
        run(contact.allowed && !contact.blocked ? .allow(contact.did) : .disallow(contact.did), desk)
    }

    /// - Parameter blocking: whether their direct conversation is left as well (M§14.3); one device of ours does so for all.
    func revokeGrants(to peer: DID, owner: DID, blocking: Bool = false) throws(AgentError) {
        let given = try store.grants(of: owner, at: now()).filter { $0.given && $0.peer == peer }.compactMap {
            ULID($0.id)
        }
        try store.removeGrants(owner: owner, peer: peer, given: true)
        guard let desk = desks[owner] else { return }
        if desk.mail != nil {
            work(desk) { (mail, now) throws(MessagingError) in
                if blocking {
                    try mail.block(peer, grants: given, at: now)
                } else {
                    try mail.revokeGrants(given, of: peer, at: now)
                }
            }
        }
        for grant in desk.engine.contacts.issued.values where grant.party == peer { run(.revokeGrant(grant.id), desk) }
    }

    // MARK: Looking up

    /// Finds whom `input` means: a DID, `user@host`, or a `dsip:` link (DSIP §8.1).
    public func lookup(_ input: String) async throws(AgentError) -> Found {
        let resolved = try await directory.find(input, asking: desks[current]?.relay)
        let owner = try desk(for: resolved.did).identity
        var peer = peer(resolved.did, of: owner, claimed: nil)
        if peer.alias == nil { peer.alias = resolved.alias }
        if peer.namedBy == nil, let name = resolved.suggestedName { (peer.name, peer.namedBy) = (name, .them) }
        let contact = try store.contact(did: resolved.did, of: owner)
        let relay = resolved.relay ?? contact?.relay
        noteKeys(of: resolved.did, desks[owner])
        return Found(
            peer: self.peer(resolved.did, of: owner, claimed: nil).keyChanged ? marked(peer) : peer,
            relay: relay,
            steps: resolved.steps,
            suggestedName: resolved.suggestedName,
            token: resolved.token,
            hops: [Hop(.resolved, at: now(), resolved.steps.last ?? "Address understood.")]
        )
    }

    private func marked(_ peer: Peer) -> Peer {
        var peer = peer
        peer.keyChanged = true
        return peer
    }

    /// The desk that deals with `did`: the throw-away identity made for that contact, else the current one.
    func desk(for did: DID) throws(AgentError) -> Desk {
        for desk in desks.values where keyring.isThrowaway(desk.identity) {
            if try store.contact(did: did, of: desk.identity) != nil { return desk }
        }
        guard let desk = desks[current] else { throw AgentError(.internal, "No identity is open.") }
        return desk
    }

    /// How someone is shown: your name for them, else what they claim, else their address.
    func peer(_ did: DID, of owner: DID, claimed: String?) -> Peer {
        let contact = (try? store.contact(did: did, of: owner)) ?? nil
        let claim = claimed.map { $0.trimmed }.flatMap { $0.isEmpty ? nil : $0 }
        return Peer(
            did: did,
            name: contact?.name ?? claim ?? Agent.short(did),
            namedBy: contact != nil ? .you : claim != nil ? .them : nil,
            basis: basis(of: did),
            contact: contact?.id,
            keyChanged: contact?.keyChanged != nil,
            blocked: contact?.blocked ?? false,
            alias: contact?.alias
        )
    }

    static func short(_ did: DID) -> String {
        guard did.method == "key" else { return did.string }
        return "did:key:\(did.identifier.prefix(8))…\(did.identifier.suffix(4))"
    }

    // MARK: Keys

    /// Compares the keys of `did` with those first seen; a change is shown and held, not swallowed (DSIP §7.5).
    func noteKeys(of did: DID, _ desk: Desk?) {
        guard did.method != "key", let document = directory.document(of: did) else { return }
        noteKeys(in: document, desk)
    }

    func noteKeys(in document: DIDDocument, _ desk: Desk?) {
        let did = document.id
        guard did.method != "key", let desk,
            var contact = (try? store.contact(did: did, of: desk.identity)) ?? nil,
            let observation = keyring.observe(document, at: now())
        else { return }
        switch observation {
        case .first: return
        case .same:
            guard contact.keyChanged != nil else { return }
            contact.keyChanged = nil
        case .followed:
            contact.keyChanged = nil
            hub.publish(
                .notice(level: .info, sentence: "\(contact.name) has a new key. The one before vouches for it.")
            )
        case .changed(let change):
            guard contact.keyChanged == nil else { return }
            contact.keyChanged = Contact.KeyChange(change)
            hub.publish(
                .notice(
                    level: .warning,
                    sentence: "The key of \(contact.name) has changed. Ask them by another way before you trust it."
                )
            )
        }
        try? store.save(contact)
        publishPeople()
    }

    func observeKeys(of did: DID) {
        for desk in desks.values { noteKeys(of: did, desk) }
    }

    func observeKeys(in document: DIDDocument) {
        for desk in desks.values { noteKeys(in: document, desk) }
    }

    /// Remembers the relay someone says they can be reached at, when the contact names none.
    func noteRelay(_ relay: String?, of peer: Peer, _ desk: Desk) {
        guard let relay, peer.did.method == "key", let id = peer.contact,
            var contact = (try? store.contact(id: id)) ?? nil, contact.relay != relay
        else { return }
        contact.relay = relay
        try? store.save(contact)
    }

    /// Where a contact is reached, for messages outside a call.
    func contactPath(to did: DID, _ desk: Desk) -> String? {
        if let relay = directory.signalingEndpoint(of: did) { return relay }
        if let relay = ((try? store.contact(did: did, of: desk.identity)) ?? nil)?.relay { return relay }
        return ((try? store.requests(of: desk.identity, at: now())) ?? []).first { $0.did == did && $0.relay != nil }?
            .relay
    }

    func publishPeople() {
        for desk in desks.values {
            shareContacts(desk)
            sendAudience(desk)
        }
        prefetch()
        if let contacts = try? contacts() { hub.publish(.contacts(contacts)) }
        publishRequests()
        publishLog()
    }
}
