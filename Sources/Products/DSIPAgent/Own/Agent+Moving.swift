import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding
import Logging

/// Moving to another identity, which a did:key has in place of a new key: both identities say so (``MoveStatement``), people who knew the
/// old one hear of it in their conversation and when they call it, and decide.
extension Agent {
    /// Seconds for which a statement holds; while the old identity is here it is made anew in time.
    static let moveLifetime: Int64 = 365 * 86_400

    private static func moveSetting(_ did: DID) -> String { "move \(did)" }

    /// What one of our identities says of where it moved; nil when it did not.
    func ownMove(of did: DID) -> KeptMove? {
        guard let kept = kept(Agent.moveSetting(did)), !kept.move.isWithdrawn else { return nil }
        return kept
    }

    /// A statement that was verified when it was kept, while it holds.
    private func kept(_ name: String) -> KeptMove? {
        guard let text = (try? store.setting(name)) ?? nil, let json = try? JSONValue(parsing: text),
            let kept = KeptMove(json: json), now() < kept.move.expiresAt
        else { return nil }
        return kept
    }

    private func verified(_ statement: MoveStatement) throws(IdentityError) -> KeptMove {
        KeptMove(
            statement: statement,
            move: try statement.verified(at: now()) { directory.document(of: $0) }
        )
    }

    /// From now on the person is `new` where they were `old`; both are theirs, and this device holds the keys of both.
    ///
    /// - Parameter old: the current identity when nil.
    public func moveIdentity(_ old: String? = nil, to new: String) throws(AgentError) -> OwnIdentity {
        let (from, to) = (try record(old), try record(new))
        guard from.did != to.did else { throw AgentError(.badRequest, "An identity does not move to itself.") }
        guard !keyring.isThrowaway(from.did), !keyring.isThrowaway(to.did) else {
            throw AgentError(.notAllowed, "A throw-away identity is for one contact and moves nowhere.")
        }
        guard let (oldKey, newKey) = keys(from.did, to.did) else {
            throw AgentError(
                .notAllowed,
                "Only the device that holds the keys of both identities can say that one is the other."
            )
        }
        if let other = ownMove(of: to.did)?.move, other.new == from.did {
            throw AgentError(.notAllowed, "\(to.name) has moved to this identity. Take that back first.")
        }
        let move = IdentityMove(
            id: makeID(),
            old: from.did,
            new: to.did,
            relay: to.did.method == "key" ? to.relay : nil,
            issuedAt: moveTime(of: from.did),
            expiresAt: now() + Agent.moveLifetime
        )
        do throws(IdentityError) {
            try publish(KeptMove(statement: MoveStatement(move, old: oldKey, new: newKey), move: move))
        } catch {
            throw AgentError(error, doing: "The move could not be stated")
        }
        return own(from)
    }

    /// The old identity is in use after all.
    public func withdrawMove(of old: String? = nil) throws(AgentError) -> OwnIdentity {
        let from = try record(old)
        guard var move = ownMove(of: from.did)?.move else {
            throw AgentError(.notAllowed, "This identity has not moved.")
        }
        guard let key = keyring.controllerKey(of: from.did) else {
            throw AgentError(.notAllowed, "Only the device that holds the key of the identity can take it back.")
        }
        (move.id, move.isWithdrawn, move.issuedAt) = (makeID(), true, moveTime(of: from.did))
        move.expiresAt = now() + Agent.moveLifetime
        do throws(IdentityError) {
            try publish(KeptMove(statement: MoveStatement(old: try move.signed(by: key), new: nil), move: move))
        } catch {
            throw AgentError(error, doing: "The move could not be taken back")
        }
        return own(from)
    }

    private func keys(_ old: DID, _ new: DID) -> (SigningKey, SigningKey)? {
        guard let old = keyring.controllerKey(of: old), let new = keyring.controllerKey(of: new) else { return nil }
        return (old, new)
    }

    /// Makes the statement of a move anew once half its time is over, where the keys of both identities are here. It stays the same move:
    /// what others decided about it holds.
    func renewMove(of old: DID) {
        guard var move = ownMove(of: old)?.move, move.expiresAt - now() < Agent.moveLifetime / 2,
            let (oldKey, newKey) = keys(old, move.new)
        else { return }
        (move.issuedAt, move.expiresAt) = (moveTime(of: old), now() + Agent.moveLifetime)
        do throws(IdentityError) {
            try publish(KeptMove(statement: MoveStatement(move, old: oldKey, new: newKey), move: move))
        } catch {
            logger.error("a move could not be stated anew")
        }
    }

    /// Later than what was said before, so that of two in one second the last stands.
    private func moveTime(of did: DID) -> Int64 { max(now(), (kept(Agent.moveSetting(did))?.move.issuedAt ?? 0) + 1) }

    private func publish(_ kept: KeptMove) throws(IdentityError) {
        do throws(AgentError) {
            try store.set(Agent.moveSetting(kept.move.old), kept.json.text)
        } catch {
            throw IdentityError(.storage, error.message)
        }
        if let desk = desks[kept.move.old], desk.mail != nil {
            work(desk) { (mail, now) throws(MessagingError) in try mail.tell(kept.statement, at: now) }
        }
        announceSoon(kept.move.old)
        hub.publish(.stateChanged)
    }

    /// Who calls an identity that has moved is told where to; strangers are not.
    ///
    /// - Returns: whether that is the answer.
    func answersMoved(_ message: Verified<Message>, _ desk: Desk, path: String) -> Bool {
        guard configuration.mode == .full, let statement = ownMove(of: desk.identity)?.statement,
            let contact = (try? store.contact(did: message.principal, of: desk.identity)) ?? nil, contact.allowed,
            !contact.blocked, case .object(let detail) = statement.json
        else { return false }
        let stamp = Message.Stamp(id: makeID(), from: desk.key.did, issuedAt: now())
        transmit(
            Message(
                stamp,
                to: message.body.from,
                session: message.body.id,
                Reject(.identityMoved, detail: .object(["move": .object(detail)]))
            ),
            desk,
            path: path
        )
        return true
    }

    // MARK: Others

    private static func contactSetting(_ did: DID, _ owner: DID) -> String { "moved \(owner) \(did)" }

    /// Where a contact says to be from now on, as both identities say; nil when they do not.
    func move(of did: DID, owner: DID) -> IdentityMove? {
        kept(Agent.contactSetting(did, owner)).flatMap { $0.move.isWithdrawn ? nil : $0.move }
    }

    /// A statement came, in a conversation, as the answer to a call or from another of the person’s devices. It counts for contacts and for
    /// the own identity only, once it is verified. For contacts it changes nothing by itself.
    ///
    /// - Parameter shared: what another own device knows of it; nil when it comes from elsewhere.
    func learnMove(_ statement: MoveStatement, of did: DID, _ desk: Desk, shared: SharedMove? = nil) {
        let owner = desk.identity
        guard did == owner || contact(did, of: owner) != nil, statement.parties.contains(did) else { return }
        Task {
            for party in statement.parties where party.method != "key" {
                _ = try? await directory.resolver.resolve(party)
            }
            guard let verified = try? verified(statement), verified.move.old == did, verified.move.new != owner,
                did == owner || contact(did, of: owner) != nil
            else { return logger.info("a statement of a move was not accepted") }
            do throws(AgentError) {
                try keep(verified, shared, owner)
            } catch {
                logger.error("a move could not be stored")
            }
        }
    }

    private func contact(_ did: DID, of owner: DID) -> Contact? { (try? store.contact(did: did, of: owner)) ?? nil }

    private func keep(_ verified: KeptMove, _ shared: SharedMove?, _ owner: DID) throws(AgentError) {
        let (move, did) = (verified.move, verified.move.old)
        let name = did == owner ? Agent.moveSetting(did) : Agent.contactSetting(did, owner)
        let known = kept(name)?.move
        // The last one stands, a withdrawal included.
        let isNew = known.map { $0.issuedAt < move.issuedAt } ?? true
        if isNew { try store.set(name, verified.json.text) }
        let isIgnored = shared?.isIgnored == true && (isNew || known?.id == move.id) && ignored(did, owner) != move.id
        if isIgnored { try store.set(Agent.ignoredSetting(did, owner), move.id.description) }
        guard isNew || isIgnored else { return }
        if shared == nil { announceSoon(owner) }
        guard did != owner else { return hub.publish(.stateChanged) }
        publishPeople()
        if isNew, known?.id != move.id, !move.isWithdrawn, !isIgnored, let contact = contact(did, of: owner) {
            hub.publish(
                .notice(
                    level: .info,
                    sentence: "\(contact.name) says to be another identity from now on. You decide."
                )
            )
        }
    }

    /// What an identity’s devices tell each other of moves: its own, and those of its contacts.
    func sharedMoves(of owner: DID) -> [SharedMove] {
        let contacts = ((try? store.contacts(of: owner)) ?? []).map(\.did)
        return ([owner] + contacts).compactMap { did in
            let name = did == owner ? Agent.moveSetting(did) : Agent.contactSetting(did, owner)
            return kept(name).map {
                SharedMove(did: did, statement: $0.statement, isIgnored: ignored(did, owner) == $0.move.id)
            }
        }
    }

    /// The person agrees: the contact is the new identity from now on, and its keys are those that are seen now.
    public func acceptMove(of id: String) async throws(AgentError) -> Contact {
        guard let contact = try store.contact(id: id) else {
            throw AgentError(.notFound, "This contact no longer exists.")
        }
        guard let move = move(of: contact.did, owner: contact.owner) else {
            throw AgentError(.notAllowed, "\(contact.name) has not moved.")
        }
        if move.new.method != "key" {
            guard let document = try? await directory.resolver.resolve(move.new).document else {
                throw AgentError(.unreachable, "The document of the new identity cannot be read. Try again.")
            }
            if case .changed = keyring.observe(document, at: now()) {
                throw AgentError(
                    .notAllowed,
                    "The key of the new identity is not the one that you know. Ask \(contact.name)."
                )
            }
        }
        let known = try store.contact(did: move.new, of: contact.owner)
        var moved = known ?? contact
        if known == nil {
            moved = Contact(
                id: makeID().description,
                owner: contact.owner,
                did: move.new,
                name: contact.name,
                relay: move.relay,
                addedAt: now(),
                blocked: contact.blocked,
                allowed: contact.allowed,
                pairwise: contact.pairwise,
                changedAt: try changeTime(of: move.new, owner: contact.owner)
            )
            try store.save(moved)
        }
        admit(moved)
        try removeContact(contact.id)
        return moved
    }

    /// The person has read it and leaves everything as it is.
    public func ignoreMove(of id: String) throws(AgentError) {
        guard let contact = try store.contact(id: id) else {
            throw AgentError(.notFound, "This contact no longer exists.")
        }
        guard let move = move(of: contact.did, owner: contact.owner) else { return }
        try store.set(Agent.ignoredSetting(contact.did, contact.owner), move.id.description)
        announceSoon(contact.owner)
        publishPeople()
    }

    /// Of somebody who is no contact any more nothing is kept.
    func forgetMove(of did: DID, owner: DID) {
        for name in [Agent.contactSetting(did, owner), Agent.ignoredSetting(did, owner)] {
            guard ((try? store.setting(name)) ?? nil)?.isEmpty == false else { continue }
            try? store.set(name, "")
        }
    }

    private static func ignoredSetting(_ did: DID, _ owner: DID) -> String { "move ignored \(owner) \(did)" }

    /// The statement of a contact that the person leaves as it is.
    private func ignored(_ did: DID, _ owner: DID) -> ULID? {
        ((try? store.setting(Agent.ignoredSetting(did, owner))) ?? nil).flatMap { ULID($0) }
    }

    /// What the contact's page shows: a move that the person has not decided about.
    func shownMove(of contact: Contact) -> Contact.Move? {
        guard let move = move(of: contact.did, owner: contact.owner), ignored(contact.did, contact.owner) != move.id
        else {
            return nil
        }
        return Contact.Move(did: move.new, relay: move.relay, at: move.issuedAt)
    }
}

/// A statement of a move, and what it says, since it has been verified.
struct KeptMove {
    var statement: MoveStatement
    var move: IdentityMove

    var json: JSONValue {
        [
            "statement": statement.json, "id": .string(move.id.description), "old": .string(move.old.string),
            "new": .string(move.new.string), "relay": .optional(move.relay), "withdrawn": .bool(move.isWithdrawn),
            "issued_at": .int(move.issuedAt), "expires_at": .int(move.expiresAt),
        ]
    }

    init(statement: MoveStatement, move: IdentityMove) { (self.statement, self.move) = (statement, move) }

    init?(json: JSONValue) {
        guard let statement = json["statement"].flatMap(MoveStatement.init(json:)),
            let id = json["id"]?.string.flatMap({ ULID($0) }), let old = json["old"]?.string.flatMap({ DID($0) }),
            let new = json["new"]?.string.flatMap({ DID($0) }), let issuedAt = json["issued_at"]?.int,
            let expiresAt = json["expires_at"]?.int
        else { return nil }
        self.statement = statement
        self.move = IdentityMove(
            id: id,
            old: old,
            new: new,
            relay: json["relay"]?.string,
            isWithdrawn: json["withdrawn"]?.bool ?? false,
            issuedAt: issuedAt,
            expiresAt: expiresAt
        )
    }
}
