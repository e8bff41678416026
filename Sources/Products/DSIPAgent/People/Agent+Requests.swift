import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding

/// First contact: introductions sent and received, grants given and held (DSIP §19.4). Never a ring, never in the call log.
extension Agent {
    /// Asks someone for permission to call.
    /// - Parameters:
    ///   - purpose: at most 280 characters; a claim the other sees as such.
    ///   - token: one they handed out, which makes them grant at once.
    public func sendRequest(to input: String, purpose: String, token: String? = nil) async throws(AgentError)
        -> JSONValue
    {
        guard purpose.unicodeScalars.count <= 280 else {
            throw AgentError(.badRequest, "A request is at most 280 characters long.")
        }
        let found = try await lookup(input)
        let desk = try desk(for: found.peer.did)
        guard found.peer.did != desk.identity else { throw AgentError(.notAllowed, "This is your own address.") }
        let id = makeID()
        let request = ContactRequest(
            id: id.description,
            owner: desk.identity,
            did: found.peer.did,
            name: found.peer.name,
            purpose: purpose,
            receivedAt: now(),
            expiresAt: now() + Agent.introductionLifetime,
            state: .pending,
            direction: .outgoing,
            relay: found.relay
        )
        guard try store.add(request) else {
            throw AgentError(.rateLimited, "There are too many requests waiting for an answer already.")
        }
        try command(
            .introduce(id: id, to: found.peer.did, purpose: purpose, contactToken: token ?? found.token),
            desk
        )
        publishRequests()
        return request.json(peer: found.peer)
    }

    /// Lets someone who asked ring us, and makes them a contact.
    public func acceptRequest(_ id: String, name: String? = nil) throws(AgentError) -> JSONValue {
        let (request, desk, introduction) = try pending(id)
        let grant = makeID()
        let validUntil = now() + Agent.grantLifetime
        let known = try store.contact(did: request.did, of: desk.identity)
        let chosen = name?.trimmed
        let contact = Contact(
            id: known?.id ?? makeID().description,
            owner: desk.identity,
            did: request.did,
            name: chosen.flatMap { $0.isEmpty ? nil : $0 } ?? known?.name ?? request.name,
            alias: known?.alias,
            relay: known?.relay ?? request.relay,
            addedAt: known?.addedAt ?? now(),
            changedAt: try changeTime(of: request.did, owner: desk.identity)
        )
        try store.save(contact)
        announceSoon(contact.owner)
        try command(
            .grant(introduction: introduction, id: grant, scope: Agent.grantScope, validUntil: validUntil),
            desk
        )
        run(.allow(request.did), desk)
        try store.add(
            StoredGrant(
                id: grant.description,
                owner: desk.identity,
                peer: request.did,
                given: true,
                scope: Agent.grantScope,
                validUntil: validUntil,
                introduction: id,
                envelope: []
            )
        )
        return try settle(request, .granted)
    }

    /// Says no. The other is told; silence would be as good (DSIP §19.4).
    public func declineRequest(_ id: String) throws(AgentError) -> JSONValue {
        let (request, desk, introduction) = try pending(id)
        try command(.rejectIntroduction(introduction, reason: .userDeclined), desk)
        return try settle(request, .declined)
    }

    /// Who may ring may write as well. M§14.1
    static let grantScope = [Grant.inviteScope, Grant.messageScope]
    static let grantLifetime: Int64 = 365 * 86_400

    private func settle(_ request: ContactRequest, _ state: ContactRequest.State) throws(AgentError) -> JSONValue {
        var request = request
        request.state = state
        try store.setRequest(id: request.id, state: state)
        publishPeople()
        return request.json(peer: peer(request.did, of: request.owner, claimed: request.name))
    }

    private func pending(_ id: String) throws(AgentError) -> (ContactRequest, Desk, ULID) {
        guard let request = try store.request(id: id), request.direction == .incoming,
            let desk = desks[request.owner], let introduction = ULID(id)
        else { throw AgentError(.notFound, "This request no longer exists.") }
        guard request.state == .pending, request.expiresAt > now() else {
            throw AgentError(.notAllowed, "This request has been settled already.")
        }
        return (request, desk, introduction)
    }

    // MARK: From the network

    func receiveIntroduction(
        _ introduction: Introduction,
        _ message: Verified<Message>,
        _ desk: Desk,
        _ path: String
    ) {
        let peer = peer(message.principal, of: desk.identity, claimed: introduction.identity.displayName)
        // Blocked, or settled before: silence.
        guard !peer.blocked, (try? store.request(id: message.body.id.description)) == .some(nil) else { return }
        run(.received(Signal(message)), desk, origin: .received(message, path: path))
    }

    func showContact(_ notice: Notice, _ desk: Desk, _ origin: Origin) {
        guard case .received(let message, _) = origin else { return }
        switch notice {
        case .introductionReceived(let id, let sender, let token):
            guard case .introduction(let introduction) = message.body.body else { return }
            let claimed = introduction.identity.displayName
            let request = ContactRequest(
                id: id.description,
                owner: desk.identity,
                did: sender,
                name: claimed ?? Agent.short(sender),
                purpose: introduction.purpose ?? "",
                receivedAt: now(),
                expiresAt: message.body.expiresAt,
                state: token ? .granted : .pending,
                direction: .incoming,
                relay: Agent.relayClaim(in: introduction.identity)
            )
            guard (try? store.add(request)) == true else { return }
            publishRequests()
        case .granted(let peer, let grant):
            guard case .grant(let body) = message.body.body, let session = message.body.session else { return }
            try? store.add(
                StoredGrant(
                    id: grant.description,
                    owner: desk.identity,
                    peer: peer,
                    given: false,
                    scope: body.scope,
                    validUntil: body.validUntil,
                    introduction: session.description,
                    envelope: message.envelope.bytes
                )
            )
            try? store.setRequest(id: session.description, state: .granted)
            if desk.mail != nil {
                work(desk) { (mail, now) throws(MessagingError) in
                    try mail.granted(
                        by: peer,
                        compact: message.envelope.compact,
                        validUntil: body.validUntil,
                        at: now
                    )
                }
            }
            publishRequests()
            let name = self.peer(peer, of: desk.identity, claimed: requestName(session)).name
            hub.publish(.notice(level: .info, sentence: "\(name) accepted your request. You can call now."))
        case .introductionRejected(let id, _):
            try? store.setRequest(id: id.description, state: .declined)
            publishRequests()
        default: break
        }
    }

    private func requestName(_ id: ULID) -> String? { ((try? store.request(id: id.description)) ?? nil)?.name }

    // MARK: Showing

    func publishRequests() {
        guard let requests = try? requests() else { return }
        hub.publish(.requests(requests))
    }

    public func requests() throws(AgentError) -> [(ContactRequest, Peer)] {
        var all: [(ContactRequest, Peer)] = []
        for owner in desks.keys.sorted() where visible(owner) {
            for request in try store.requests(of: owner, at: now()) {
                all.append((request, peer(request.did, of: owner, claimed: request.name)))
            }
        }
        return all.sorted { $0.0.receivedAt > $1.0.receivedAt }
    }

    /// The engine's contact book from the rows on disk.
    func contactBook(of owner: DID) throws(AgentError) -> ContactBook {
        var snapshot = ContactBook.Snapshot()
        snapshot.firstContactRequired = true
        snapshot.allow = try store.contacts(of: owner).filter { $0.allowed && !$0.blocked }.map(\.did)
        let grants = try store.grants(of: owner, at: now())
        snapshot.issued = grants.filter(\.given).compactMap(\.entry)
        snapshot.held = grants.filter { !$0.given }.compactMap(\.entry)
        for request in try store.requests(of: owner, at: now()) where request.state == .pending {
            guard let id = ULID(request.id) else { continue }
            if request.direction == .incoming {
                snapshot.requests.append(
                    .init(id: id, identity: request.did, purpose: request.purpose, receivedAt: request.receivedAt)
                )
            } else {
                snapshot.pendingSent.append(.init(id: id, to: request.did))
            }
        }
        return ContactBook(restoring: snapshot)
    }
}

extension StoredGrant {
    var entry: ContactBook.Grant? {
        ULID(id).map { ContactBook.Grant(id: $0, party: peer, scope: scope, validUntil: validUntil) }
    }
}
