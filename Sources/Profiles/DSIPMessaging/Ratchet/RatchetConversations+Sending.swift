import DSIPIdentity
import DoubleRatchet
import Encoding

extension RatchetConversations {
    // MARK: What a person does

    /// Says something. It is a line at once, whether or not anybody can be reached.
    ///
    /// - Throws: `refused` when too much waits for a person who cannot be written to yet, `object-too-large`.
    public mutating func send(
        _ body: ContentBody,
        to peer: DID,
        purpose: ContentPurpose = .message,
        replyTo: ULID? = nil,
        extensions: ContentExtensions = ContentExtensions(),
        at now: Int64
    ) throws(MessagingError) -> (ULID, [RatchetAction]) {
        let content = Content(
            id: newID(at: now),
            conversation: conversation(with: peer),
            sender: configuration.identity,
            sentAt: now,
            purpose: purpose,
            body: body,
            replyTo: replyTo,
            extensions: extensions
        )
        let actions = try event { (me: inout Self) throws(MessagingError) in
            try me.add(content, with: peer, at: now)
            try me.deliver(content.json, to: peer, line: content.id, at: now)
        }
        return (content.id, actions)
    }

    /// Edits or retracts what was said here.
    ///
    /// - Throws: `refused` for what is not there, is somebody else's, or is retracted.
    public mutating func update(
        _ id: ULID,
        with peer: DID,
        _ patch: MessageUpdate.Patch,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            guard var line = try me.ledger.line(id, with: peer), line.isMine, line.apply(patch, at: now) else {
                throw MessagingError(.refused, "This message cannot be changed.")
            }
            me.set(line)
            try me.tell(.update(id.description, patch), to: peer, at: now)
        }
    }

    /// The person has read up to and including a line of the peer.
    public mutating func read(through id: ULID, with peer: DID, at now: Int64) throws(MessagingError) -> [RatchetAction]
    {
        try event { (me: inout Self) throws(MessagingError) in
            guard let line = try me.ledger.line(id, with: peer), !line.isMine else {
                throw MessagingError(.refused, "There is nothing to read.")
            }
            let statement = me.statement(.read(id.description), at: now)
            if me.configuration.sendsReadReceipts { try me.deliver(statement.json, to: peer, line: nil, at: now) }
            try me.copy(statement.json, with: peer, at: now)
        }
    }

    /// Says that the person types, or no longer does. Lost when it does not arrive at once.
    public mutating func typing(_ isOn: Bool, to peer: DID, at now: Int64) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            guard me.configuration.sendsTyping, me.isBound else { return }
            let thread = me.conversation(with: peer).description
            let plaintext = me.statement(.typing(thread: thread, isOn: isOn), at: now).json.utf8
            var sessions = try me.sessions(with: peer)
            for device in sessions.devices where sessions.hasSession(with: device) {
                guard let did = DID(device),
                    let message = try? sessions.encrypt(plaintext, to: device, using: &me.random),
                    let sealed = try? me.seal(message, reference: me.newID(at: now), to: did, at: now, lifetime: 30)
                else { continue }
                me.actions.append(.send(sealed, to: peer))
            }
            me.save(sessions, with: peer)
        }
    }

    // MARK: On the way out

    func statement(_ body: ProposalStatement.Body, at now: Int64) -> ProposalStatement {
        ProposalStatement(body, from: configuration.identity, timestamp: now)
    }

    mutating func tell(_ body: ProposalStatement.Body, to peer: DID, at now: Int64) throws(MessagingError) {
        try deliver(statement(body, at: now).json, to: peer, line: nil, at: now)
        try copy(statement(body, at: now).json, with: peer, at: now)
    }

    /// Encrypts to every device of a person, or waits for their bundles. What was said by a person is copied to the own devices.
    mutating func deliver(_ object: JSONValue, to person: DID, line: ULID?, at now: Int64) throws(MessagingError) {
        let plaintext = object.utf8
        guard plaintext.count <= MessagingProfile.maximumMLSBytes else {
            throw MessagingError(.objectTooLarge, "too large to be sent")
        }
        if try !encrypt(plaintext, to: person, line: line, at: now) {
            let waiting = try ledger.rows(.waiting, person.string, limit: configuration.limits.waiting)
            guard waiting.count < configuration.limits.waiting else {
                // Copies for devices that never came are not worth refusing what is said.
                if person == configuration.identity { return }
                throw MessagingError(.refused, "Too much waits for this person already.")
            }
            let key = newID(at: now).description
            ledger.set(.waiting, person.string, key, json: Self.row(plaintext, line: line))
            want(person, at: now)
        }
        if line != nil { try copy(object, with: person, at: now) }
        try transmit(at: now)
    }

    /// To the other devices of this identity, so that they show what was said on this one.
    mutating func copy(_ object: JSONValue, with peer: DID, at now: Int64) throws(MessagingError) {
        guard configuration.hasSiblings else { return }
        let copy: JSONValue = ["type": "dsip.copy", "peer": .string(peer.string), "of": object]
        try deliver(copy, to: configuration.identity, line: nil, at: now)
    }

    /// - Returns: false when there is no session with any device of the person.
    private mutating func encrypt(
        _ plaintext: [UInt8],
        to person: DID,
        line: ULID?,
        at now: Int64
    ) throws(MessagingError) -> Bool {
        var sessions = try sessions(with: person)
        let devices = sessions.devices.filter { $0 != configuration.device.did.string }
        var isSent = false
        for device in devices where sessions.hasSession(with: device) {
            guard let did = DID(device), let message = try? sessions.encrypt(plaintext, to: device, using: &random)
            else {
                continue
            }
            let reference = enqueue(message, to: did, of: person, line: line, at: now)
            keep(plaintext, as: reference, for: did, of: person, line: line, resends: 0)
            isSent = true
        }
        guard isSent else { return false }
        save(sessions, with: person)
        // A device that joined since is found in time for what is said next.
        let listed = try ledger.json(.person, "", person.string)?["listed"]?.int ?? 0
        if now - listed > configuration.limits.deviceListLife { want(person, at: now) }
        return true
    }

    mutating func sendWaiting(to person: DID, at now: Int64) throws(MessagingError) {
        for row in try ledger.rows(.waiting, person.string, limit: configuration.limits.waiting) {
            let (plaintext, line, _, _) = try Self.kept(row.value)
            guard try encrypt(plaintext, to: person, line: line, at: now) else { return }
            ledger.set(.waiting, person.string, row.key, nil)
        }
    }

    /// Puts a ratchet message into the outbox. Its reference stays the same however often it is sent.
    @discardableResult
    mutating func enqueue(_ message: [UInt8], to device: DID, of person: DID, line: ULID?, at now: Int64) -> ULID {
        let reference = newID(at: now)
        var row: JSONObject = [
            "person": .string(person.string), "device": .string(device.string),
            "message": .string(Base64URL.encode(message)),
        ]
        if let line { row["line"] = .string(line.description) }
        ledger.set(.outbox, "", reference.description, json: .object(row))
        return reference
    }

    /// Sends what is in the outbox, as much as may be under way.
    mutating func transmit(at now: Int64) throws(MessagingError) {
        guard isBound, inFlight.count < configuration.limits.inFlight else { return }
        let flying = Set(inFlight.values.map(\.reference))
        for row in try ledger.rows(.outbox, "", limit: configuration.limits.inFlight * 2)
        where !flying.contains(row.key) {
            guard inFlight.count < configuration.limits.inFlight else { return }
            let json = try RatchetLedger<Store>.parse(row.value)
            guard let reference = ULID(row.key), let person = json["person"]?.string.flatMap({ DID($0) }),
                let device = json["device"]?.string.flatMap({ DID($0) }),
                let message = json["message"]?.string.flatMap({ Base64URL.decode($0) })
            else { throw MessagingError(.storeFailed, "a row of the outbox is damaged") }
            // Sealed anew each time: an envelope's time has to be of now, and the reference tells that it is the same.
            let sealed = try seal(message, reference: reference, to: device, at: now)
            inFlight[sealed.head.id] = Flight(reference: row.key, at: now)
            actions.append(.send(sealed, to: person))
        }
    }

    mutating func seal(
        _ message: [UInt8],
        reference: ULID,
        to device: DID,
        at now: Int64,
        lifetime: Int64 = RatchetMessage.maximumLifetime
    ) throws(MessagingError) -> RatchetMessage {
        try RatchetMessage(
            sealing: message,
            reference: reference,
            id: newID(at: now),
            from: configuration.device.did,
            to: device,
            issuedAt: now,
            lifetime: lifetime
        )
    }

    /// A relay has it.
    mutating func taken(_ reference: String) throws(MessagingError) {
        guard let row = try ledger.json(.outbox, "", reference) else { return }
        ledger.set(.outbox, "", reference, nil)
        guard let person = row["person"]?.string.flatMap({ DID($0) }),
            let id = row["line"]?.string.flatMap({ ULID($0) }), var line = try ledger.line(id, with: person)
        else { return }
        if line.reach(.accepted) { set(line) }
    }

    /// No relay will ever take it.
    mutating func undeliverable(_ reference: String) throws(MessagingError) {
        guard let row = try ledger.json(.outbox, "", reference) else { return }
        ledger.set(.outbox, "", reference, nil)
        guard let person = row["person"]?.string.flatMap({ DID($0) }),
            let id = row["line"]?.string.flatMap({ ULID($0) }), var line = try ledger.line(id, with: person),
            line.state == .pending
        else { return }
        // It may reach another of the person's devices.
        let others = try ledger.rows(.outbox, "", limit: 4096).contains { other in
            other.key != reference && (try? RatchetLedger<Store>.parse(other.value))?["line"]?.string == id.description
        }
        guard !others else { return }
        line.state = .failed
        set(line)
    }

    // MARK: Kept to be sent again

    mutating func keep(
        _ plaintext: [UInt8],
        as reference: ULID,
        for device: DID,
        of person: DID,
        line: ULID?,
        resends: Int64
    ) {
        var row = Self.row(plaintext, line: line).object ?? [:]
        row["device"] = .string(device.string)
        row["resends"] = .int(resends)
        ledger.set(.sent, person.string, reference.description, json: .object(row))
    }

    static func row(_ plaintext: [UInt8], line: ULID?) -> JSONValue {
        var row: JSONObject = ["plaintext": .string(String(decoding: plaintext, as: UTF8.self))]
        if let line { row["line"] = .string(line.description) }
        return .object(row)
    }

    static func kept(
        _ bytes: [UInt8]
    ) throws(MessagingError) -> (plaintext: [UInt8], line: ULID?, device: DID?, resends: Int64) {
        let row = try RatchetLedger<Store>.parse(bytes)
        guard let text = row["plaintext"]?.string else { throw MessagingError(.storeFailed, "a row is damaged") }
        return (
            Array(text.utf8), row["line"]?.string.flatMap { ULID($0) }, row["device"]?.string.flatMap { DID($0) },
            row["resends"]?.int ?? 0
        )
    }

    // MARK: Lines

    mutating func set(_ line: RatchetLine) {
        ledger.set(line)
        actions.append(.line(line.id, with: line.peer))
    }

    mutating func add(_ content: Content, with peer: DID, at now: Int64) throws(MessagingError) {
        let order = try number("order") + 1
        set("order", order)
        let isMine = content.sender == configuration.identity
        var line = RatchetLine(
            peer: peer,
            content: content,
            isMine: isMine,
            order: order,
            receivedAt: now,
            state: isMine ? .pending : .received
        )
        if let early = try ledger.json(.early, peer.string, content.id.description),
            early["from"]?.string == content.sender.string,
            let statement = ProposalStatement(early["statement"] ?? .null, signedBy: content.sender),
            case .update(_, let patch) = statement.body
        {
            _ = line.apply(patch, at: statement.timestamp ?? content.sentAt)
            ledger.set(.early, peer.string, content.id.description, nil)
        }
        set(line)
    }
}
