import DSIPIdentity
import DSIPSignaling
import Encoding

/// Between the profile's objects and what the proposal writes inside a ratchet message: content is the same in both, receipts, edits and
/// retractions have a form of their own there (``ProposalStatement``).
extension RatchetConversations {
    /// Seconds below which a claimed time names a moment that an id can hold.
    private static var latestTime: Int64 { 1 << 37 }

    /// `object` of what one own device tells another of the past.
    private static var past: JSONValue { .string(RatchetConfiguration.past) }

    /// An object as it is written; nothing for what the proposal has no word for.
    func dialect(of object: JSONValue) -> [JSONValue] {
        if var content = object.object, object["object"] == "content" {
            if let relay = configuration.relay { content["relay"] = .string(relay) }
            content["stored"] = true
            return [.object(content)]
        }
        // Of an own device, for an own device.
        if object["object"] == Self.past { return [object] }
        let context = ObjectContext(
            conversation: object["conversation"]?.string.flatMap { ULID($0) }
                ?? conversation(with: configuration.identity),
            kind: .direct,
            sender: configuration.identity
        )
        switch try? MessagingObject(object, in: context) {
        case .receipt(let receipt): return ProposalStatement.statements(receipt).map(\.json)
        case .update(let update):
            let statement = ProposalStatement(
                .update(update.target.description, update.patch),
                from: update.sender,
                timestamp: update.sentAt
            )
            // With its id, edits of one second have one order on all devices.
            var written = statement.json.object ?? [:]
            written["id"] = .string(update.id.description)
            return [.object(written)]
        // Ours alone; others pass it over.
        case .identityMove: return [object]
        default: return []
        }
    }

    /// `{"text": …}` alone, as others may write it: the rest is what its envelope says.
    private mutating func message(of said: JSONValue, _ by: Said, with peer: DID) -> JSONValue? {
        guard let text = said["text"]?.string, !text.isEmpty, by.sender == peer else { return nil }
        // Ids of content tell the time, those of the proposal do not.
        var id = ULID(milliseconds: UInt64(clamping: by.head.issuedAt) * 1000, using: &random)
        id = ULID(bytes: id.bytes.prefix(6) + by.head.id.bytes.suffix(10)) ?? id
        return Content(
            id: id,
            conversation: conversation(with: peer),
            sender: by.sender,
            sentAt: by.head.issuedAt,
            body: .text(text, type: nil)
        ).json
    }

    /// What was written as an object of the profile; nil for what is none.
    mutating func object(of said: JSONValue, _ by: Said, with peer: DID, at now: Int64) -> JSONValue? {
        let sender = by.sender
        if said["object"] == nil, said["type"] == nil { return message(of: said, by, with: peer) }
        if let content = said.object, said["object"] == "content" {
            return .object(JSONObject(members: content.members.filter { !["relay", "stored"].contains($0.name) }))
        }
        if said["object"] == Self.past { return sender == configuration.identity ? said : nil }
        if said["object"]?.string == MoveNotice.objectName { return said }
        guard let statement = ProposalStatement(said, signedBy: sender) else { return nil }
        let time = statement.timestamp ?? now
        guard time < Self.latestTime else { return nil }
        let made = ULID(milliseconds: UInt64(max(0, time)) * 1000, using: &random)
        if let receipt = statement.receipt {
            return Receipt(id: made, conversation: conversation(with: peer), sender: sender, sentAt: time, receipt).json
        }
        guard case .update(let text, let patch) = statement.body, let target = ULID(text) else { return nil }
        let named = said["id"]?.string.flatMap { ULID($0) }
        return MessageUpdate(
            id: named ?? made,
            conversation: conversation(with: peer),
            sender: sender,
            sentAt: time,
            for: target,
            patch
        ).json
    }
}
