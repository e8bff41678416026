import DSIPIdentity
import DSIPSignaling
import DoubleRatchet
import Encoding

extension RatchetConversations {
    /// An envelope came. It is acknowledged when what it brought is on the disk, and also when it can bring nothing.
    ///
    /// - Parameter stored: the envelope around it, which is what the relay has kept; nil when it came as it is.
    public mutating func received(
        _ message: Verified<RatchetMessage>,
        keptAs stored: ULID? = nil,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        guard message.mayMessage, message.body.head.from == message.device else {
            return [.acknowledge(stored ?? message.body.head.id)]
        }
        let form = stored == nil ? message.envelope.form : nil
        return try received(message.body, keptAs: stored, from: message.principal, in: form, at: now)
    }

    /// - Parameters:
    ///   - sender: the identity whose device signed it.
    ///   - form: how it was written, where that says how its sender speaks.
    mutating func received(
        _ message: RatchetMessage,
        keptAs stored: ULID? = nil,
        from sender: DID,
        in form: WireForm? = .jose,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            defer { me.actions.append(.acknowledge(stored ?? message.head.id)) }
            guard message.head.to == me.configuration.device.did, message.head.from != message.head.to,
                let (reference, bytes) = try? message.opened(by: me.configuration.device),
                try me.ledger.row(.seen, sender.string, reference.description) == nil
            else { return }
            let said = Said(head: message.head, form: form, sender: sender)
            try me.open(bytes, reference: reference, said, at: now)
        }
    }

    private mutating func open(
        _ bytes: [UInt8],
        reference: ULID,
        _ said: Said,
        at now: Int64
    ) throws(MessagingError) {
        let (device, sender) = (said.device, said.sender)
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
        if let form = said.form { try note(form, of: device) }
        ledger.set(.seen, sender.string, reference.description, [])
        if opened.beganSession {
            save(ring)
            set("published", max(0, try number("published") - 1))
        }
        guard case .message(let plaintext) = opened.content, let object = try? MessagingObject.parse(plaintext) else {
            return
        }
        try handle(object, said, at: now)
        if opened.beganSession, isBound { try publish(at: now) }
        try transmit(at: now)
    }

    private mutating func handle(_ object: JSONValue, _ said: Said, at now: Int64) throws(MessagingError) {
        let sender = said.sender
        if object["type"] == "dsip.resend" { return try resend(object, to: said.device, of: sender, at: now) }
        guard sender == configuration.identity else { return try arrived(object, said, with: sender, at: now) }
        // Of an own device: what this identity said to somebody.
        guard object["type"] == "dsip.copy", let of = object["of"],
            let peer = object["peer"]?.string.flatMap({ DID($0) }), peer != sender
        else { return }
        try arrived(of, said, with: peer, at: now)
    }

    /// Keeps what was said until the owner has it.
    mutating func arrived(
        _ said: JSONValue,
        _ by: Said,
        with peer: DID,
        at now: Int64
    ) throws(MessagingError) {
        let sender = by.sender
        if case .typing(_, let isOn)? = ProposalStatement(said, signedBy: sender)?.body {
            let time = said["ts"]?.int ?? 0
            if sender == peer, (now - 30...now + 30).contains(time) { actions.append(.typing(peer, isOn: isOn)) }
            return
        }
        guard let object = object(of: said, by, with: peer, at: now) else { return }
        if sender == peer, said["object"] == "content" {
            try note(opensStored: said["stored"]?.bool ?? false, of: by.device)
        }
        if by.form != .jose, object["object"] == "content",
            let content = object["id"]?.string.flatMap({ ULID($0) })
        {
            name(by.head.id, content, with: peer)
        }
        let relay = said["relay"]?.string.flatMap { $0.hasPrefix("wss://") && $0.utf8.count <= 512 ? $0 : nil }
        let arrival = RatchetArrival(
            id: newID(at: now),
            object: object,
            sender: sender,
            device: by.device,
            peer: peer,
            relay: sender == peer ? relay : nil,
            isProposal: by.form.map { $0 != .jose }
        )
        var row: JSONObject = [
            "object": object, "sender": .string(sender.string), "device": .string(by.device.string),
            "peer": .string(peer.string),
        ]
        if let relay = arrival.relay { row["relay"] = .string(relay) }
        if let isProposal = arrival.isProposal { row["proposal"] = .bool(isProposal) }
        ledger.set(.arrived, "", arrival.id.description, json: .object(row))
        actions.append(.arrived(arrival))
    }

    /// What came before and the owner has not taken yet, the first of it.
    mutating func tellArrivals() throws(MessagingError) {
        for row in try ledger.rows(.arrived, "", limit: 1024) {
            let json = try RatchetLedger<Store>.parse(row.value)
            guard let id = ULID(row.key), let object = json["object"],
                let sender = json["sender"]?.string.flatMap({ DID($0) }),
                let device = json["device"]?.string.flatMap({ DID($0) }),
                let peer = json["peer"]?.string.flatMap({ DID($0) })
            else { throw MessagingError(.storeFailed, "something that came is damaged") }
            actions.append(
                .arrived(
                    RatchetArrival(
                        id: id,
                        object: object,
                        sender: sender,
                        device: device,
                        peer: peer,
                        relay: json["relay"]?.string,
                        isProposal: json["proposal"]?.bool
                    )
                )
            )
        }
    }

    /// What arrived is on the owner's disk, or is nothing that the owner will ever take.
    public mutating func handled(_ id: ULID, at now: Int64) throws(MessagingError) -> [RatchetAction] {
        try event { (me: inout Self) throws(MessagingError) in
            me.ledger.set(.arrived, "", id.description, nil)
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
            let reference = enqueue(message, to: device, of: person, item: nil, at: now)
            // A request that is lost in its turn is sent again like anything else.
            keep(request.utf8, as: reference, for: device, of: person, item: nil, resends: 0)
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
            let (plaintext, item, kept, resends) = try Self.kept(row)
            guard kept == device, resends < Int64(configuration.limits.resends),
                let message = try? sessions.encrypt(plaintext, to: device.string, using: &random)
            else { continue }
            let again = enqueue(message, to: device, of: person, item: item, at: now)
            keep(plaintext, as: again, for: device, of: person, item: item, resends: resends + 1)
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
            try sweep(.sent, person, keeping: configuration.limits.kept, from: oldest)
            try sweep(.seen, person, keeping: configuration.limits.kept * 4, from: oldest)
            for scope in [person, Self.envelopes(of: person)] {
                try sweep(.named, scope, keeping: configuration.limits.kept * 4, from: oldest)
            }
        }
        try sweep(.carried, "", keeping: configuration.limits.carried, from: oldest)
    }

    private mutating func sweep(
        _ table: RatchetTable,
        _ scope: String,
        keeping limit: Int,
        from oldest: ULID
    ) throws(MessagingError) {
        let rows = try ledger.rows(table, scope, limit: limit + 1024)
        for (at, row) in rows.enumerated() where row.key < oldest.description || at < rows.count - limit {
            if table == .carried, try RatchetLedger<Store>.parse(row.value)["state"] == "waiting" { continue }
            ledger.set(table, scope, row.key, nil)
        }
    }
}
