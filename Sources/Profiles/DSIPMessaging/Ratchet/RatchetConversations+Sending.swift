import DSIPIdentity
import DoubleRatchet
import Encoding

extension RatchetConversations {
    // MARK: From the owner

    /// Carries an object of the profile to a person, and a copy to the own devices. Given again under the same id, it is told again what
    /// became of it.
    ///
    /// - Throws: `refused` when too much waits for a person who cannot be written to yet, `object-too-large`.
    public mutating func send(
        _ object: JSONValue,
        as item: ULID,
        to peer: DID,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            switch try me.ledger.json(.carried, "", item.description)?["state"]?.string {
            case "taken": return me.actions.append(.taken(item))
            case "failed": return me.actions.append(.failed(item))
            case .some: return
            case nil: break
            }
            let said = me.dialect(of: object)
            guard !said.isEmpty else { return me.actions.append(.taken(item)) }
            me.ledger.set(.carried, "", item.description, json: ["state": "waiting"])
            for object in said { try me.deliver(object, to: peer, item: item, at: now) }
            // Every device tells by itself what it was delivered.
            let isCopied = object["kind"]?.string != "delivered"
            if isCopied { for object in said { try me.copy(object, with: peer, at: now) } }
        }
    }

    /// Tells the own devices alone.
    public mutating func copy(
        _ object: JSONValue,
        of peer: DID,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            for object in me.dialect(of: object) { try me.copy(object, with: peer, at: now) }
        }
    }

    /// Says that the person types, or no longer does. Lost when it does not arrive at once.
    public mutating func typing(_ isOn: Bool, to peer: DID, at now: Int64) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            guard me.isBound else { return }
            let thread = me.conversation(with: peer).description
            let statement = ProposalStatement(
                .typing(thread: thread, isOn: isOn),
                from: me.configuration.identity,
                timestamp: now
            )
            var sessions = try me.sessions(with: peer)
            for device in sessions.devices where sessions.hasSession(with: device) {
                guard let did = DID(device) else { continue }
                let manner = try me.manner(of: did)
                if manner.saysPlainly {
                    me.say(statement.body, to: did, of: peer, at: now, lifetime: 30)
                    continue
                }
                guard let message = try? sessions.encrypt(statement.json.utf8, to: device, using: &me.random),
                    let sealed = try? me.seal(message, reference: me.newID(at: now), to: did, at: now, lifetime: 30)
                else { continue }
                me.actions.append(.send(sealed, to: peer, in: manner.form, sealed: manner.sealing))
            }
            me.save(sessions, with: peer)
        }
    }

    // MARK: On the way out

    /// Encrypts to every device of a person, or waits for their bundles. What was said by a person is copied to the own devices.
    mutating func deliver(_ object: JSONValue, to person: DID, item: ULID?, at now: Int64) throws(MessagingError) {
        let plaintext = object.utf8
        guard plaintext.count <= MessagingProfile.maximumMLSBytes else {
            throw MessagingError(.objectTooLarge, "too large to be sent")
        }
        let isPutOff = wanted[person].map { $0.attempts > 0 } ?? false
        if try !encrypt(plaintext, to: person, item: item, isUrgent: isPutOff, at: now) {
            let waiting = try ledger.rows(.waiting, person.string, limit: configuration.limits.waiting)
            guard waiting.count < configuration.limits.waiting else {
                // Copies for devices that never came are not worth refusing what is said.
                if person == configuration.identity { return }
                throw MessagingError(.refused, "Too much waits for this person already.")
            }
            let key = newID(at: now).description
            ledger.set(.waiting, person.string, key, json: Self.row(plaintext, item: item))
            want(person, at: now)
        }
        try transmit(at: now)
    }

    /// To the other devices of this identity, so that they show what was said on this one.
    mutating func copy(_ object: JSONValue, with peer: DID, at now: Int64) throws(MessagingError) {
        guard try mayHaveSiblings(at: now) else { return }
        let copy: JSONValue = ["type": "dsip.copy", "peer": .string(peer.string), "of": object]
        try deliver(copy, to: configuration.identity, item: nil, at: now)
    }

    /// Whether the relay has not said within the hour that there are none, or the owner knows better.
    private func mayHaveSiblings(at now: Int64) throws(MessagingError) -> Bool {
        if configuration.hasSiblings { return true }
        let own = configuration.identity
        guard shelf != nil, own != configuration.device.did else { return false }
        let listed = try ledger.json(.person, "", own.string)?["listed"]?.int ?? 0
        guard now - listed <= configuration.limits.deviceListLife else { return true }
        return try sessions(with: own).devices.contains { $0 != configuration.device.did.string }
    }

    /// - Parameter isUrgent: to the devices that are known, though the person's were never listed.
    /// - Returns: false when there is no session with any device of the person, or not yet with all.
    private mutating func encrypt(
        _ plaintext: [UInt8],
        to person: DID,
        item: ULID?,
        isUrgent: Bool = false,
        at now: Int64
    ) throws(MessagingError) -> Bool {
        let listed = try ledger.json(.person, "", person.string)?["listed"]?.int ?? 0
        // Whoever wrote first is known by one device: the others are to have the answer, too.
        guard listed > 0 || isUrgent else { return false }
        var sessions = try sessions(with: person)
        let devices = sessions.devices.filter { $0 != configuration.device.did.string }
        var isSent = false
        for device in devices where sessions.hasSession(with: device) {
            guard let did = DID(device) else { continue }
            let manner = try manner(of: did)
            let receipt = manner.form == .proposal ? try receipt(plaintext, to: person) : nil
            if manner.saysPlainly, var receipt {
                receipt.from = configuration.device.did
                enqueue(("statement", receipt.json), to: did, of: person, item: item, at: now)
                isSent = true
                continue
            }
            let plaintext = receipt?.json.utf8 ?? plaintext
            guard let message = try? sessions.encrypt(plaintext, to: device, using: &random) else { continue }
            let reference = enqueue(message, to: did, of: person, item: item, at: now)
            keep(plaintext, as: reference, for: did, of: person, item: item, resends: 0)
            isSent = true
        }
        guard isSent else { return false }
        save(sessions, with: person)
        // A device that joined since is found in time for what is said next.
        if now - listed > configuration.limits.deviceListLife { want(person, at: now) }
        return true
    }

    mutating func sendWaiting(to person: DID, isUrgent: Bool = false, at now: Int64) throws(MessagingError) {
        for row in try ledger.rows(.waiting, person.string, limit: configuration.limits.waiting) {
            let (plaintext, item, _, _) = try Self.kept(row.value)
            guard try encrypt(plaintext, to: person, item: item, isUrgent: isUrgent, at: now) else { return }
            ledger.set(.waiting, person.string, row.key, nil)
        }
    }

    /// Puts a ratchet message into the outbox. Its reference stays the same however often it is sent.
    @discardableResult
    mutating func enqueue(_ message: [UInt8], to device: DID, of person: DID, item: ULID?, at now: Int64) -> ULID {
        enqueue(("message", .string(Base64URL.encode(message))), to: device, of: person, item: item, at: now)
    }

    @discardableResult
    mutating func enqueue(
        _ said: (name: String, value: JSONValue),
        to device: DID,
        of person: DID,
        item: ULID?,
        at now: Int64
    ) -> ULID {
        let reference = newID(at: now)
        var row: JSONObject = ["person": .string(person.string), "device": .string(device.string)]
        row[said.name] = said.value
        if let item { row["item"] = .string(item.description) }
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
                let device = json["device"]?.string.flatMap({ DID($0) })
            else { throw MessagingError(.storeFailed, "a row of the outbox is damaged") }
            if let statement = json["statement"].flatMap({ ProposalStatement($0, signedBy: configuration.device.did) })
            {
                let id = say(statement.body, to: device, of: person, at: now)
                inFlight[id] = Flight(reference: row.key, at: now, form: .proposal)
                continue
            }
            guard let message = json["message"]?.string.flatMap({ Base64URL.decode($0) })
            else { throw MessagingError(.storeFailed, "a row of the outbox is damaged") }
            // Sealed anew each time: an envelope's time has to be of now, and the reference tells that it is the same.
            let sealed = try seal(message, reference: reference, to: device, at: now)
            let manner = try manner(of: device)
            let form = manner.form
            if form != .jose { try name(sealed.head.id, contentKept: row.key, with: person) }
            inFlight[sealed.head.id] = Flight(reference: row.key, at: now, form: form)
            // Own devices' relay knows whose they are.
            let sealing = person == configuration.identity ? RatchetSealing.never : manner.sealing
            actions.append(.send(sealed, to: person, in: form, sealed: sealing))
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
        if let item = row["item"]?.string.flatMap({ ULID($0) }) { try settled(item, as: "taken", .taken(item)) }
    }

    private mutating func settled(_ item: ULID, as state: String, _ action: RatchetAction) throws(MessagingError) {
        guard try ledger.json(.carried, "", item.description)?["state"] == "waiting" else { return }
        ledger.set(.carried, "", item.description, json: ["state": .string(state)])
        actions.append(action)
    }

    /// No relay will ever take it, for this device.
    ///
    /// - Parameter isGone: the device is not served there any more: who the person's devices are is asked anew.
    mutating func undeliverable(_ reference: String, isGone: Bool, at now: Int64) throws(MessagingError) {
        guard let row = try ledger.json(.outbox, "", reference) else { return }
        ledger.set(.outbox, "", reference, nil)
        guard let person = row["person"]?.string.flatMap({ DID($0) }), let device = row["device"]?.string else {
            return
        }
        let kept = try ledger.row(.sent, person.string, reference)
        ledger.set(.sent, person.string, reference, nil)
        if isGone {
            var sessions = try sessions(with: person)
            sessions.forget(device)
            save(sessions, with: person)
            want(person, at: now)
        }
        guard let item = row["item"]?.string.flatMap({ ULID($0) }),
            try ledger.json(.carried, "", item.description)?["state"] == "waiting"
        else { return }
        // It may reach another of the person's devices.
        let others = try ledger.rows(.outbox, "", limit: 4096).contains { other in
            (try? RatchetLedger<Store>.parse(other.value))?["item"]?.string == item.description
        }
        guard !others else { return }
        if isGone, let kept {
            // Nobody has it: it waits for the devices that the person has now.
            let (plaintext, _, _, _) = try Self.kept(kept)
            ledger.set(.waiting, person.string, newID(at: now).description, json: Self.row(plaintext, item: item))
        } else {
            try settled(item, as: "failed", .failed(item))
        }
    }

    // MARK: Kept to be sent again

    mutating func keep(
        _ plaintext: [UInt8],
        as reference: ULID,
        for device: DID,
        of person: DID,
        item: ULID?,
        resends: Int64
    ) {
        var row = Self.row(plaintext, item: item).object ?? [:]
        row["device"] = .string(device.string)
        row["resends"] = .int(resends)
        ledger.set(.sent, person.string, reference.description, json: .object(row))
    }

    static func row(_ plaintext: [UInt8], item: ULID?) -> JSONValue {
        var row: JSONObject = ["plaintext": .string(String(decoding: plaintext, as: UTF8.self))]
        if let item { row["item"] = .string(item.description) }
        return .object(row)
    }

    static func kept(
        _ bytes: [UInt8]
    ) throws(MessagingError) -> (plaintext: [UInt8], item: ULID?, device: DID?, resends: Int64) {
        let row = try RatchetLedger<Store>.parse(bytes)
        guard let text = row["plaintext"]?.string else { throw MessagingError(.storeFailed, "a row is damaged") }
        return (
            Array(text.utf8), row["item"]?.string.flatMap { ULID($0) }, row["device"]?.string.flatMap { DID($0) },
            row["resends"]?.int ?? 0
        )
    }
}
