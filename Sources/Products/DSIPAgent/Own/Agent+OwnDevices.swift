import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding
import FoundationEssentials
import Logging

/// A person's devices keep one contact list, and know of the same moves (`own-devices/1.0`, docs/agent-api.md).
///
/// ```
/// A → own identity   hello                  A is back, or a contact or a move changed there
/// B → A   sealed     digest                 from each device that is there, of contacts and of moves
/// A → B   sealed     rows, want             A's rows of the parts that differ, and which parts those are
/// B → A   sealed     rows                   what B has in those parts that A does not
/// A → B   sealed     moves, want            A's statements of moves, where B's digest of them is another
/// B → A   sealed     moves                  those that A has not
/// B → A   sealed     delegation             when A's is to be renewed and B holds the identity's key
/// ```
///
/// A message counts when a device of the same identity signed it and it is sealed to this device. There are no loops: each step answers
/// the one before, and nothing that comes in starts anew.
extension Agent {
    static let ownDevices = "own-device"
    private static let purpose = "dsip own devices v1"
    /// Bytes of rows in one message: sealed and enveloped it stays well within a frame.
    private static let rowBytes = 16_384
    private static let maximumRows = 1024

    /// Tells our other devices, soon, that there may be something new here.
    func announceSoon(_ owner: DID) {
        guard configuration.mode == .full, announcing.insert(owner).inserted else { return }
        Task {
            try? await Task.sleep(for: .milliseconds(300))
            announcing.remove(owner)
            guard !links.isClosed, let desk = desks[owner], !desk.delegations.isEmpty else { return }
            sendOwn(["type": .string(Agent.ownDevices), "step": "hello"], to: desk.identity, desk)
        }
    }

    /// The time of a change made now: later than every change known before, so that of two in one second the last stands.
    func changeTime(of contact: DID, owner: DID) throws(AgentError) -> Int64 {
        max(now(), (try store.lastChange(of: contact, owner: owner) ?? 0) + 1)
    }

    func receiveOwn(_ notify: Notify, _ message: Verified<Message>, path: String, _ desk: Desk) {
        let sender = message.device
        guard configuration.mode == .full, notify.content["type"]?.string == Agent.ownDevices, path == desk.relay,
            message.principal == desk.identity, sender != desk.key.did, message.body.from == sender,
            let own = try? store.sharedContacts(of: desk.identity)
        else { return }
        if notify.content["step"]?.string == "hello" {
            let moves = SharedMove.digest(sharedMoves(of: desk.identity))
            sendSealed(
                ["step": "digest", "digest": ContactDigest(own).json, "moves": .string(moves)],
                to: sender,
                desk
            )
            welcome(sender, message.delegation, desk)
            // It may come with the word of a new key.
            adoptPublished(desk)
            if let renewed = message.delegation.flatMap({ keyring.renew($0, at: now()) }) {
                sendSealed(["step": "delegation", "delegation": renewed.json], to: sender, desk)
            }
            return
        }
        guard let sealed = notify.content["sealed"]?.string.flatMap({ Base64URL.decode($0) }),
            let plaintext = try? DeviceSeal.open(
                sealed,
                with: desk.key,
                purpose: Agent.purpose,
                context: Agent.context(from: sender, to: desk.key.did)
            ),
            let content = try? JSONValue(parsing: plaintext, limits: .init(bytes: 1 << 16, depth: 8, members: 1 << 14))
        else { return logger.info("a message of an own device was not accepted") }
        switch content["step"]?.string {
        case "digest":
            let moves = sharedMoves(of: desk.identity)
            if let theirs = content["moves"]?.string, theirs != SharedMove.digest(moves) {
                sendMoves(moves, wants: true, to: sender, desk)
            }
            guard let theirs = ContactDigest(content["digest"]) else { return }
            let parts = ContactDigest(own).differences(from: theirs)
            guard !parts.isEmpty else { return }
            sendRows(own.filter { parts.contains(ContactDigest.part(of: $0.did)) }, want: parts, to: sender, desk)
        case "rows":
            let rows = (content["rows"]?.array ?? []).prefix(Agent.maximumRows)
                .compactMap { SharedContact($0, at: now()) }
            let want = Set(
                (content["want"]?.array ?? []).prefix(ContactDigest.parts).compactMap { $0.int.map(Int.init) }
            )
            merge(rows, into: own, desk)
            guard !want.isEmpty, let merged = try? store.sharedContacts(of: desk.identity) else { return }
            // The last of several messages asks; what they said before has been merged by now.
            let told = Set(rows)
            sendRows(
                merged.filter { want.contains(ContactDigest.part(of: $0.did)) && !told.contains($0) },
                want: [],
                to: sender,
                desk
            )
        case "moves":
            let moves = (content["moves"]?.array ?? []).prefix(Agent.maximumRows).compactMap { SharedMove($0) }
            for move in moves { learnMove(move.statement, of: move.did, desk, shared: move) }
            guard content["want"]?.bool == true else { return }
            let told = Set(moves)
            sendMoves(sharedMoves(of: desk.identity).filter { !told.contains($0) }, wants: false, to: sender, desk)
        case "delegation":
            guard let delegation = content["delegation"].flatMap(Envelope.init(published:)),
                let document = directory.document(of: desk.identity),
                keyring.adopt(delegation, of: desk.identity, document: document, at: now())
            else { return }
            present(desk)
        default: break
        }
    }

    /// Speaks under this device's newest delegation from now on.
    func present(_ desk: Desk) {
        guard let (_, delegations) = keyring.signer(for: desk.identity, at: now()) else { return }
        desk.delegations = delegations
        links.rebind(owner: desk.identity, delegations: delegations)
        guard let delegation = delegations.first, desk.mail != nil else {
            // The one before may not have carried messages.
            try? openMail(desk)
            mailLink(links.link(owner: desk.identity, url: desk.relay).state, at: desk.relay, desk)
            return
        }
        work(desk) { (mail, now) throws(MessagingError) in try mail.renew(delegation: delegation, at: now) }
    }

    /// When this device's delegation is to be renewed: half its life before its end, and once an hour while that does not succeed.
    func renewalDue(_ desk: Desk) -> Int64? {
        guard let delegation = desk.delegations.first.flatMap(Delegation.decode) else { return nil }
        // That of a retired key, beside the new one, has its time.
        if desk.delegations.count > 1, let end = keyring.overlapEnds(of: desk.identity) {
            return max(end, desk.renewalTriedAt + 60)
        }
        let half = delegation.issuedAt + (delegation.expiresAt - delegation.issuedAt) / 2
        return max(half, desk.renewalTriedAt + 3600)
    }

    /// Renews what is due: here, when the identity's key is here; else by telling our other devices that we are there.
    func renewDelegations() {
        for desk in desks.values where renewalDue(desk).map({ $0 <= now() }) ?? false {
            desk.renewalTriedAt = now()
            renewMove(of: desk.identity)
            guard let (_, delegations) = keyring.signer(for: desk.identity, at: now()) else { continue }
            if delegations == desk.delegations { announceSoon(desk.identity) } else { present(desk) }
        }
    }

    private func merge(_ rows: [SharedContact], into own: [SharedContact], _ desk: Desk) {
        let known = Dictionary(own.map { ($0.did, $0) }, uniquingKeysWith: { $0.wins(over: $1) ? $0 : $1 })
        var changed = false
        for row in rows where row.did != desk.identity {
            if let mine = known[row.did], !row.wins(over: mine) { continue }
            do throws(AgentError) {
                try take(row, desk)
                changed = true
            } catch {
                logger.error("a contact of another device could not be stored")
            }
        }
        if changed { publishPeople() }
    }

    private func take(_ row: SharedContact, _ desk: Desk) throws(AgentError) {
        let old = try store.contact(did: row.did, of: desk.identity)
        guard let entry = row.entry else {
            try store.noteRemoval(of: row.did, owner: desk.identity, at: row.at)
            if old != nil {
                try revokeGrants(to: row.did, owner: desk.identity)
                forgetMove(of: row.did, owner: desk.identity)
                run(.disallow(row.did), desk)
            }
            return
        }
        let contact = Contact(
            id: old?.id ?? makeID().description,
            owner: desk.identity,
            did: row.did,
            name: entry.name,
            alias: entry.alias,
            relay: entry.relay,
            addedAt: old?.addedAt ?? entry.addedAt,
            blocked: entry.blocked,
            allowed: entry.allowed,
            keyChanged: old?.keyChanged,
            pairwise: old?.pairwise ?? false,
            changedAt: row.at
        )
        try store.save(contact)
        if contact.blocked || !contact.allowed { try revokeGrants(to: contact.did, owner: contact.owner) }
        admit(contact)
    }

    // MARK: Sending

    private func sendRows(_ rows: [SharedContact], want: Set<Int>, to device: DID, _ desk: Desk) {
        let parts = JSONValue.array(want.sorted().map { .int(Int64($0)) })
        send(rows.map(\.json), as: "rows", want: want.isEmpty ? nil : parts, to: device, desk)
    }

    private func sendMoves(_ moves: [SharedMove], wants: Bool, to device: DID, _ desk: Desk) {
        send(moves.map(\.json), as: "moves", want: wants ? true : nil, to: device, desk)
    }

    /// In as many messages as it takes, the last of which says what is wanted.
    private func send(_ rows: [JSONValue], as step: String, want: JSONValue?, to device: DID, _ desk: Desk) {
        var batch: [JSONValue] = []
        var size = 0
        for row in rows {
            let bytes = row.utf8.count
            if size + bytes > Agent.rowBytes {
                sendSealed(.object(["step": .string(step), step: .array(batch)]), to: device, desk)
                (batch, size) = ([], 0)
            }
            batch.append(row)
            size += bytes
        }
        guard !batch.isEmpty || want != nil else { return }
        var content: JSONObject = ["step": .string(step)]
        content[step] = .array(batch)
        content["want"] = want
        sendSealed(.object(content), to: device, desk)
    }

    private func sendSealed(_ content: JSONValue, to device: DID, _ desk: Desk) {
        guard
            let sealed = try? DeviceSeal.seal(
                content.utf8,
                to: device,
                purpose: Agent.purpose,
                context: Agent.context(from: desk.key.did, to: device)
            )
        else { return }
        sendOwn(["type": .string(Agent.ownDevices), "sealed": .string(Base64URL.encode(sealed))], to: device, desk)
    }

    private func sendOwn(_ content: JSONObject, to recipient: DID, _ desk: Desk) {
        let version = VersionBlock(extensions: [.ownDevices])
        let stamp = Message.Stamp(id: makeID(), from: desk.key.did, issuedAt: now(), lifetime: 60, version: version)
        let body = Notify(subscription: makeID(), seq: 1, state: .terminated, content: content)
        transmit(Message(stamp, to: recipient, body), desk, path: desk.relay)
    }

    private static func context(from sender: DID, to recipient: DID) -> [UInt8] {
        Array("\(sender.string) \(recipient.string)".utf8)
    }
}
