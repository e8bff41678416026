import DSIPIdentity
import DSIPMessaging
import Encoding
import FoundationEssentials

/// A line of a conversation as a page shows it.
public struct ChatMessage: Sendable, Hashable {
    public var record: MessageRecord
    /// Of a transfer under way, 0 to 1.
    public var progress: Double
    /// Whether it waits for those whom its conversation was made with to come in.
    var isHeld = false
    /// Names for what the line tells about people.
    var names: [DID: String]
    var me: DID

    public var id: ULID { record.id }

    public var json: JSONValue {
        var object: JSONObject = [
            "id": .string(record.id.description), "conversation": .string(record.conversation.description),
            "sender": .string(record.sender.string), "mine": .bool(record.isMine),
            "kind": .string(record.kind.rawValue),
            "purpose": .string(record.purpose.effective.token), "text": .string(text),
            "content_type": .string(record.contentType), "sent_at": .int(record.sentAt),
            "received_at": .int(record.receivedAt), "seq": .optional(record.seq), "order": .int(record.order),
            "reply_to": reply, "edited": .bool(record.isEdited), "retracted": .bool(record.isRetracted),
            "mentions": .array(record.mentions.map(ChatMessage.json)), "reactions": reactions,
            "state": .string(record.state.rawValue), "state_sentence": .string(stateSentence),
            "receipts": .array(record.receipts.map(ChatMessage.json)), "attachment": attachment,
            "expires_at": .optional(record.expiresAt), "call": call, "roster": roster,
        ]
        if let location = record.location {
            object["location"] = ["lat_e7": .int(location.latitudeE7), "lon_e7": .int(location.longitudeE7)]
        }
        if let contact = record.contact { object["contact"] = .string(contact.string) }
        if let session = record.session { object["session"] = .string(session.description) }
        return .object(object)
    }

    private var text: String {
        if record.isRetracted { return "" }
        guard record.text.isEmpty, let place = record.location else { return record.text }
        return "\(ChatMessage.degrees(place.latitudeE7)), \(ChatMessage.degrees(place.longitudeE7))"
    }

    /// Degrees times ten million as a decimal number.
    private static func degrees(_ value: Int64) -> String {
        let digits = String(value.magnitude % 10_000_000)
        let fraction = String(repeating: "0", count: 7 - digits.count) + digits
        return (value < 0 ? "-" : "") + "\(value.magnitude / 10_000_000).\(fraction)"
    }

    private var stateSentence: String {
        if let sentence = record.stateSentence { return sentence }
        return switch record.state {
        case .pending: isHeld ? "Waiting until everybody is in the group." : "Waiting to be sent."
        case .accepted: "Sent. It is kept until they have it."
        case .delivered: "Delivered."
        case .read: "Read."
        case .played: "Played."
        case .failed: "Not sent. Try again."
        case .received: ""
        }
    }

    private var reply: JSONValue {
        guard let reply = record.replyTo else { return .null }
        return [
            "id": .string(reply.id.description), "sender": .optional(reply.sender?.string),
            "preview": .optional(reply.preview),
        ]
    }

    private static func json(_ mention: Mention) -> JSONValue {
        [
            "did": .string(mention.identity.string), "start": .int(Int64(mention.range.lowerBound)),
            "length": .int(Int64(mention.range.count)),
        ]
    }

    /// By emoji, in the order in which they were first used.
    private var reactions: JSONValue {
        var order: [String] = []
        var people: [String: [DID]] = [:]
        for reaction in record.reactions.sorted(by: { $0.order < $1.order }) where !reaction.emoji.isEmpty {
            if people[reaction.emoji] == nil { order.append(reaction.emoji) }
            people[reaction.emoji, default: []].append(reaction.sender)
        }
        return .array(
            order.map { emoji in
                let by = people[emoji] ?? []
                return [
                    "emoji": .string(emoji), "by": .array(by.map { .string($0.string) }),
                    "mine": .bool(by.contains(me)),
                ]
            }
        )
    }

    private static func json(_ receipt: MessageRecord.Receipt) -> JSONValue {
        [
            "did": .string(receipt.identity.string), "delivered_at": .optional(receipt.deliveredAt),
            "read_at": .optional(receipt.readAt), "played_at": .optional(receipt.playedAt),
        ]
    }

    private var attachment: JSONValue {
        guard let file = record.attachment, !record.isRetracted else { return .null }
        return [
            "name": .optional(file.name), "content_type": .string(file.contentType), "size": .int(file.size),
            "duration_ms": .optional(file.duration), "width": .optional(file.width), "height": .optional(file.height),
            "thumbnail": file.thumbnail.map { .string(Data($0).base64EncodedString()) } ?? .null,
            "waveform": file.waveform.isEmpty ? .null : .array(file.waveform.map { .int(Int64($0)) }),
            "state": .string(file.state.rawValue), "progress": .double(file.state == .ready ? 1 : progress),
        ]
    }

    private var call: JSONValue {
        guard let call = record.call else { return .null }
        return [
            "session": .string(call.session.description), "outcome": .string(call.outcome),
            "direction": .string(call.direction == .inbound ? "incoming" : "outgoing"), "at": .int(call.at),
        ]
    }

    private var roster: JSONValue {
        guard let roster = record.roster else { return .null }
        return [
            "by": .string(roster.by.string), "added": .array(roster.added.map { .string($0.string) }),
            "removed": .array(roster.removed.map { .string($0.string) }), "joined_device": .bool(roster.joinedDevice),
            "sentence": .string(sentence(of: roster)),
        ]
    }

    private func sentence(of roster: MessageRecord.Roster) -> String {
        func name(_ did: DID) -> String { did == me ? "you" : names[did] ?? Agent.short(did) }
        func list(_ dids: [DID]) -> String {
            let names = dids.map(name)
            return names.count < 2
                ? names.joined() : names.dropLast().joined(separator: ", ") + " and " + (names.last ?? "")
        }
        let by = roster.by == me ? "You" : name(roster.by)
        if let title = roster.title { return "\(by) named the group “\(title)”." }
        if roster.joinedDevice { return "\(by) came in on another device." }
        if roster.removed == [roster.by] { return "\(by) left." }
        return switch (roster.added.isEmpty, roster.removed.isEmpty) {
        case (false, false): "\(by) added \(list(roster.added)) and removed \(list(roster.removed))."
        case (false, true): "\(by) added \(list(roster.added))."
        case (true, false): "\(by) removed \(list(roster.removed))."
        case (true, true): "\(by) renewed the keys of the group."
        }
    }
}
