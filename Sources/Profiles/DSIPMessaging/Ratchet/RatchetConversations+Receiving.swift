import DSIPIdentity
import DSIPSignaling
import DoubleRatchet
import Encoding

extension RatchetConversations {
    /// An envelope came. It is acknowledged when what it brought is on the disk, and also when it can bring nothing.
    public mutating func received(
        _ message: Verified<RatchetMessage>,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        guard message.mayMessage, message.body.head.from == message.device else {
            return [.acknowledge(message.body.head.id)]
        }
        return try received(message.body, from: message.principal, at: now)
    }

    /// - Parameter sender: the identity whose device signed it.
    mutating func received(
        _ message: RatchetMessage,
        from sender: DID,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            defer { me.actions.append(.acknowledge(message.head.id)) }
            guard message.head.to == me.configuration.device.did, message.head.from != message.head.to,
                let (reference, bytes) = try? message.opened(by: me.configuration.device),
                try me.ledger.row(.seen, sender.string, reference.description) == nil
            else { return }
            try me.open(bytes, reference: reference, from: message.head.from, of: sender, at: now)
        }
    }

    private mutating func open(
        _ bytes: [UInt8],
        reference: ULID,
        from device: DID,
        of sender: DID,
        at now: Int64
    ) throws(MessagingError) {
        guard let message = try? SessionMessage(bytes) else { return }
        var sessions = try sessions(with: sender)
        var ring = try ring(for: message, at: now)
        let known = Self.identityKey(of: device)
        let opened: Correspondent.Received
        do throws(RatchetError) {
            opened = try sessions.decrypt(bytes, from: device.string, known: known, preKeys: &ring)
        } catch {
            ledger.set(.seen, sender.string, reference.description, [])
            guard error.callsForReset else { return }
            ledger.set(.failed, sender.string, reference.description, json: ["device": .string(device.string)])
            return want(sender, device: device, at: now)
        }
        save(sessions, with: sender)
        ledger.set(.seen, sender.string, reference.description, [])
        if opened.beganSession {
            save(ring)
            set("published", max(0, try number("published") - 1))
        }
        guard case .message(let plaintext) = opened.content, let object = try? MessagingObject.parse(plaintext) else {
            return
        }
        try handle(object, from: sender, device: device, at: now)
        if opened.beganSession, isBound { try publish(at: now) }
        try transmit(at: now)
    }

    private mutating func handle(
        _ object: JSONValue,
        from sender: DID,
        device: DID,
        at now: Int64
    ) throws(MessagingError) {
        if object["type"] == "dsip.resend" { return try resend(object, to: device, of: sender, at: now) }
        guard sender == configuration.identity else { return try take(object, saidBy: sender, with: sender, at: now) }
        // Of an own device: what this identity said to somebody.
        guard object["type"] == "dsip.copy", let of = object["of"],
            let peer = object["peer"]?.string.flatMap({ DID($0) }), peer != sender
        else { return }
        try take(of, saidBy: sender, with: peer, at: now)
    }

    private mutating func take(
        _ object: JSONValue,
        saidBy speaker: DID,
        with peer: DID,
        at now: Int64
    ) throws(MessagingError) {
        if object["object"] != nil {
            let context = ObjectContext(conversation: conversation(with: peer), kind: .direct, sender: speaker)
            guard case .content(let content)? = try? MessagingObject(object, in: context) else { return }
            // Sent again, and come twice after all.
            if try ledger.line(content.id, with: peer) == nil { try add(content, with: peer, at: now) }
            if speaker == peer { try tellDelivered(content.id, to: peer, at: now) }
        } else if let statement = ProposalStatement(object, signedBy: speaker) {
            try take(statement, with: peer, at: now)
        }
    }

    private mutating func tellDelivered(_ id: ULID, to peer: DID, at now: Int64) throws(MessagingError) {
        // Not copied: every device tells by itself.
        try deliver(statement(.delivered(id.description), at: now).json, to: peer, line: nil, at: now)
    }

    private mutating func take(_ statement: ProposalStatement, with peer: DID, at now: Int64) throws(MessagingError) {
        let isPeer = statement.from == peer
        switch statement.body {
        case .delivered(let text):
            guard isPeer, let id = ULID(text), var line = try ledger.line(id, with: peer), line.isMine else { return }
            if line.deliveredAt == nil { line.deliveredAt = statement.timestamp }
            _ = line.reach(.delivered)
            set(line)
        case .read(let text):
            guard let id = ULID(text) else { return }
            if isPeer {
                try readByPeer(through: id, peer, statement.timestamp)
            } else {
                actions.append(.readElsewhere(id, with: peer))
            }
        case .typing(_, let isOn):
            if isPeer, let time = statement.timestamp, abs(now - time) <= 30 {
                actions.append(.typing(peer, isOn: isOn))
            }
        case .update(let text, let patch):
            guard let id = ULID(text) else { return }
            guard var line = try ledger.line(id, with: peer) else {
                // Before what it edits: bounded, and swept like what is kept.
                let early = try ledger.rows(.early, peer.string, limit: configuration.limits.kept)
                guard early.count < configuration.limits.kept else { return }
                let row: JSONValue = ["from": .string(statement.from.string), "statement": statement.json]
                return ledger.set(.early, peer.string, id.description, json: row)
            }
            guard line.content.sender == statement.from else { return }
            if line.apply(patch, at: statement.timestamp ?? now) { set(line) }
        }
    }

    /// Everything of ours up to the line. What is read already ends the search.
    private mutating func readByPeer(through id: ULID, _ peer: DID, _ time: Int64?) throws(MessagingError) {
        guard let last = try ledger.line(id, with: peer), last.isMine else { return }
        for var line in try ledger.lines(with: peer, before: last.order + 1, limit: 1000) where line.isMine {
            if line.state == .read { break }
            line.readAt = time
            if line.reach(.read) { set(line) }
        }
    }

    // MARK: What could not be opened

    /// References of what could not be opened, by device.
    func failures(with person: DID) throws(MessagingError) -> [DID: [String]] {
        var failures: [DID: [String]] = [:]
        for row in try ledger.rows(.failed, person.string, limit: configuration.limits.kept) {
            guard let device = try RatchetLedger<Store>.parse(row.value)["device"]?.string.flatMap({ DID($0) }) else {
                continue
            }
            failures[device, default: []].append(row.key)
        }
        return failures
    }

    /// Asks a device to send again, in the session that was begun for it.
    mutating func askAgain(_ references: [String], of device: DID, _ person: DID, at now: Int64) throws(MessagingError)
    {
        var sessions = try sessions(with: person)
        guard sessions.hasSession(with: device.string) else { return }
        for start in stride(from: 0, to: references.count, by: 64) {
            let part = references[start..<min(references.count, start + 64)]
            let request: JSONValue = ["type": "dsip.resend", "for": .array(part.map { .string($0) }), "ts": .int(now)]
            guard let message = try? sessions.encrypt(request.utf8, to: device.string, using: &random) else { return }
            let reference = enqueue(message, to: device, of: person, line: nil, at: now)
            // A request that is lost in its turn is sent again like anything else.
            keep(request.utf8, as: reference, for: device, of: person, line: nil, resends: 0)
            for key in part { ledger.set(.failed, person.string, key, nil) }
        }
        save(sessions, with: person)
    }

    /// A device could not open these: they are encrypted to it anew, and to it alone.
    private mutating func resend(
        _ request: JSONValue,
        to device: DID,
        of person: DID,
        at now: Int64
    ) throws(MessagingError) {
        var sessions = try sessions(with: person)
        for value in (request["for"]?.array ?? []).prefix(64) {
            guard let reference = value.string.flatMap({ ULID($0) }),
                let row = try ledger.row(.sent, person.string, reference.description)
            else { continue }
            let (plaintext, line, kept, resends) = try Self.kept(row)
            guard kept == device, resends < Int64(configuration.limits.resends),
                let message = try? sessions.encrypt(plaintext, to: device.string, using: &random)
            else { continue }
            let again = enqueue(message, to: device, of: person, line: line, at: now)
            keep(plaintext, as: again, for: device, of: person, line: line, resends: resends + 1)
            ledger.set(.sent, person.string, reference.description, nil)
            // Whatever of it was still in the outbox is of the session that is gone.
            ledger.set(.outbox, "", reference.description, nil)
        }
        save(sessions, with: person)
    }

    // MARK: Forgetting

    /// Drops what nobody can ask for any more, and what is beyond the bounds; the oldest first.
    mutating func sweep(at now: Int64) throws(MessagingError) {
        let oldest = ULID(
            milliseconds: UInt64(max(0, now - MessagingProfile.retention - 86_400)) * 1000,
            using: &random
        )
        for person in try ledger.rows(.sessions, "", limit: 65_536).map(\.key) {
            for table in [RatchetTable.sent, .seen, .early] {
                let limit = configuration.limits.kept * (table == .seen ? 4 : 1)
                let rows = try ledger.rows(table, person, limit: limit + 1024)
                for (at, row) in rows.enumerated() where row.key < oldest.description || at < rows.count - limit {
                    ledger.set(table, person, row.key, nil)
                }
            }
        }
    }
}
