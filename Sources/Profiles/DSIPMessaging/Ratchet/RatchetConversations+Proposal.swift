import DSIPIdentity
import DSIPSignaling
import DoubleRatchet
import Encoding

/// Devices that speak the proposal: in which form they are written to, what its envelopes are called, and what is said beside the ratchet.
extension RatchetConversations {
    /// By which device something was said, and in what.
    struct Said {
        var head: ExtensionHead
        /// Nil when it came in an envelope, which everybody writes in one form.
        var form: WireForm?
        /// The identity whose device signed it.
        var sender: DID

        var device: DID { head.from }
    }

    /// How a device speaks.
    struct Manner: Hashable {
        var form = WireForm.jose
        /// It sends receipts and typing beside the ratchet, and is told them so.
        var saysPlainly = false
        /// Whether it is sent stored envelopes.
        var sealing = RatchetSealing.whereKept
    }

    /// Seconds after which an envelope that a device opens, and its relay would not keep, is sent again.
    static var resealAfter: Int64 { 3600 }

    // MARK: Forms

    func manner(of device: DID) throws(MessagingError) -> Manner {
        guard let row = try ledger.json(.manner, "", device.string) else { return Manner() }
        return Manner(
            form: row["form"]?.string.flatMap(WireForm.init(rawValue:)) ?? .jose,
            saysPlainly: row["plain"]?.bool ?? false,
            sealing: row["stored"]?.bool.map { $0 ? .always : .never } ?? .whereKept
        )
    }

    private mutating func set(_ manner: Manner, of device: DID) {
        guard manner != Manner() else { return ledger.set(.manner, "", device.string, nil) }
        var row: JSONObject = ["form": .string(manner.form.rawValue), "plain": .bool(manner.saysPlainly)]
        if manner.sealing != .whereKept { row["stored"] = .bool(manner.sealing == .always) }
        ledger.set(.manner, "", device.string, json: .object(row))
    }

    /// A device was heard in a form: it is answered in that, the proposal's in JSON.
    mutating func note(_ form: WireForm, of device: DID) throws(MessagingError) {
        var manner = try manner(of: device)
        let heard: WireForm = form == .proposal || form == .proposalCOSE ? .proposal : .jose
        guard manner.form != heard else { return }
        manner.form = heard
        set(manner, of: device)
    }

    /// What a device says, inside the ratchet, of whether it opens stored envelopes.
    mutating func note(opensStored: Bool, of device: DID) throws(MessagingError) {
        var manner = try manner(of: device)
        let sealing = opensStored ? RatchetSealing.always : manner.sealing == .always ? .whereKept : manner.sealing
        guard manner.sealing != sealing else { return }
        manner.sealing = sealing
        set(manner, of: device)
    }

    /// The relay says that the device does not open stored envelopes.
    ///
    /// - Returns: false when the device itself has said that it does.
    mutating func speakOpenly(_ flight: Flight) throws(MessagingError) -> Bool {
        guard let row = try ledger.json(.outbox, "", flight.reference),
            let device = row["device"]?.string.flatMap({ DID($0) })
        else { return false }
        var manner = try manner(of: device)
        guard manner.sealing != .always else { return false }
        manner.sealing = .never
        set(manner, of: device)
        return true
    }

    /// The relay says that the device reads another form than this was sent in.
    ///
    /// - Returns: false when both have been refused.
    mutating func speakOtherwise(_ flight: Flight) throws(MessagingError) -> Bool {
        guard let row = try ledger.json(.outbox, "", flight.reference),
            let device = row["device"]?.string.flatMap({ DID($0) })
        else { return false }
        var manner = try manner(of: device)
        // Several may have been under way when the first was refused.
        guard manner.form == flight.form else { return true }
        let sealing = manner.sealing
        manner = flight.form == .jose ? Manner(form: .proposal, sealing: sealing) : Manner(sealing: sealing)
        set(manner, of: device)
        return flight.form == .jose
    }

    // MARK: Names

    /// The proposal's receipts and edits name a `dsip.msg`, ours the content in it.
    mutating func name(_ envelope: ULID, _ content: ULID, with person: DID) {
        let (row, back): (JSONValue, JSONValue) = (
            ["content": .string(content.description)], ["envelope": .string(envelope.description)]
        )
        ledger.set(.named, person.string, envelope.description, json: row)
        ledger.set(.named, Self.envelopes(of: person.string), content.description, json: back)
    }

    static func envelopes(of person: String) -> String { person + " envelopes" }

    /// - Parameter reference: of what is kept to be sent again.
    mutating func name(_ envelope: ULID, contentKept reference: String, with person: DID) throws(MessagingError) {
        guard let row = try ledger.row(.sent, person.string, reference),
            let object = try? MessagingObject.parse(try Self.kept(row).plaintext), object["object"] == "content",
            let content = object["id"]?.string.flatMap({ ULID($0) })
        else { return }
        name(envelope, content, with: person)
    }

    /// What is meant by an id of the proposal: that of a `dsip.msg`, or of the content in it.
    private func content(named text: String, with person: DID) throws(MessagingError) -> String? {
        guard let id = ULID(text) else { return nil }
        return try ledger.json(.named, person.string, id.description)?["content"]?.string ?? id.description
    }

    // MARK: Beside the ratchet

    /// A receipt, typing or an edit came, signed for itself.
    public mutating func received(
        _ message: Verified<RatchetStatement>,
        keptAs stored: ULID? = nil,
        at now: Int64
    ) throws(MessagingError) -> [RatchetAction] {
        let (head, sender) = (message.body.head, message.principal)
        guard message.mayMessage, head.from == message.device, head.to == configuration.device.did,
            sender != configuration.identity
        else { return [.acknowledge(stored ?? head.id)] }
        return try event { (me: inout Self) throws(MessagingError) in
            defer { me.actions.append(.acknowledge(stored ?? head.id)) }
            guard try me.ledger.row(.seen, sender.string, head.id.description) == nil else { return }
            me.ledger.set(.seen, sender.string, head.id.description, [])
            // Whoever is not written to with a ratchet has said nothing that could be confirmed or changed.
            guard try me.sessions(with: sender).hasSession(with: head.from.string) else { return }
            var manner = try me.manner(of: head.from)
            if message.envelope.form != .jose, manner.form != .proposal || !manner.saysPlainly {
                (manner.form, manner.saysPlainly) = (.proposal, true)
                me.set(manner, of: head.from)
            }
            guard let said = try me.resolved(message.body.statement, by: sender) else { return }
            // Of several edits the one with the highest id stands: it is made of the time, which the proposal's ids do not tell.
            let by = Said(head: head, form: message.envelope.form, sender: sender)
            try me.arrived(said.json, by, with: sender, at: now)
        }
    }

    /// The statement about content, of the identity; nil when it is about nothing that is known.
    private func resolved(
        _ statement: ProposalStatement,
        by sender: DID
    ) throws(MessagingError) -> ProposalStatement? {
        var resolved = statement
        resolved.from = sender
        switch statement.body {
        case .typing: return resolved
        case .delivered(let text):
            guard let id = try content(named: text, with: sender) else { return nil }
            resolved.body = .delivered(id)
        case .read(let text):
            guard let id = try content(named: text, with: sender) else { return nil }
            resolved.body = .read(id)
        case .update(let text, let patch):
            guard let id = try content(named: text, with: sender) else { return nil }
            resolved.body = .update(id, patch)
        }
        return resolved
    }

    /// A receipt as a device of the proposal knows it: about the `dsip.msg` that brought the content. Nil for everything else.
    func receipt(_ plaintext: [UInt8], to person: DID) throws(MessagingError) -> ProposalStatement? {
        guard let object = try? MessagingObject.parse(plaintext),
            var statement = ProposalStatement(object, signedBy: configuration.identity)
        else { return nil }
        func envelope(_ content: String) throws(MessagingError) -> String {
            let scope = Self.envelopes(of: person.string)
            return try ledger.json(.named, scope, content)?["envelope"]?.string ?? content
        }
        switch statement.body {
        case .delivered(let content): statement.body = .delivered(try envelope(content))
        case .read(let content): statement.body = .read(try envelope(content))
        case .typing, .update: return nil
        }
        return statement
    }

    @discardableResult
    mutating func say(
        _ body: ProposalStatement.Body,
        to device: DID,
        of person: DID,
        at now: Int64,
        lifetime: Int64 = RatchetMessage.maximumLifetime
    ) -> ULID {
        let statement = RatchetStatement(
            body,
            id: newID(at: now),
            from: configuration.device.did,
            to: device,
            issuedAt: now,
            lifetime: lifetime
        )
        actions.append(.say(statement, to: person))
        return statement.head.id
    }
}
