import DSIPIdentity
import Encoding

extension MessageRecord {
    /// The record as a store keeps it. It holds what was said, and keys of attachments.
    public var encoded: [UInt8] {
        var row = RowWriter()
        row.put("id", id)
        row.put("conversation", conversation)
        row.put("group", group)
        row.put("sender", sender)
        row.put("mine", flag: isMine)
        row.put("kind", kind.rawValue)
        row.put("purpose", purpose.token)
        row.put("text", text)
        row.put("type", contentType)
        row.put("sent", sentAt)
        row.put("received", receivedAt)
        row.put("seq", seq)
        row.put("order", order)
        row.put("reply", replyTo?.json)
        row.put("edited", flag: isEdited)
        row.put("retracted", flag: isRetracted)
        row.put("edit_order", editOrder == 0 ? nil : editOrder)
        row.put("mentions", list: mentions.map(\.json))
        row.put("reactions", list: reactions.map(\.json))
        row.put("state", state.rawValue)
        row.put("sentence", stateSentence)
        row.put("receipts", list: receipts.map(\.json))
        row.put("attachment", attachment?.json)
        if let location {
            row.put("lat", location.latitudeE7)
            row.put("lon", location.longitudeE7)
            row.put("accuracy", location.accuracy)
        }
        row.put("contact", contact)
        row.put("session", session)
        row.put("call", call?.json)
        row.put("roster", roster?.json)
        row.put("life", disappearAfter)
        row.put("expires", expiresAt)
        return row.bytes
    }

    /// - Returns: nil for bytes that `encoded` did not write.
    public init?(decoding bytes: [UInt8]) {
        guard let row = RowReader(bytes), let id = row.ulid("id"), let conversation = row.ulid("conversation"),
            let sender = row.did("sender"), let kind = row.text("kind").flatMap(Kind.init),
            let purpose = row.text("purpose").flatMap({ ContentPurpose($0) }),
            let state = row.text("state").flatMap(State.init), let order = row.int("order")
        else { return nil }
        self.init(
            id: id,
            conversation: conversation,
            sender: sender,
            isMine: row.flag("mine"),
            kind: kind,
            purpose: purpose,
            text: row.text("text") ?? "",
            contentType: row.text("type") ?? "text/plain",
            sentAt: row.int("sent") ?? 0,
            receivedAt: row.int("received") ?? 0,
            order: order,
            state: state
        )
        group = row.group("group")
        seq = row.int("seq")
        replyTo = row.value["reply"].flatMap { Reply(RowReader($0)) }
        isEdited = row.flag("edited")
        isRetracted = row.flag("retracted")
        editOrder = row.int("edit_order") ?? 0
        mentions = row.list("mentions").compactMap { Mention($0.value) }
        reactions = row.list("reactions").compactMap { Reaction($0) }
        stateSentence = row.text("sentence")
        receipts = row.list("receipts").compactMap { Receipt($0) }
        attachment = row.value["attachment"].flatMap { Attachment(RowReader($0)) }
        if let latitude = row.int("lat"), let longitude = row.int("lon") {
            location = .init(latitudeE7: latitude, longitudeE7: longitude, accuracy: row.int("accuracy"))
        }
        contact = row.did("contact")
        session = row.ulid("session")
        call = row.value["call"].flatMap { Call(RowReader($0)) }
        roster = row.value["roster"].flatMap { Roster(RowReader($0)) }
        disappearAfter = row.int("life")
        expiresAt = row.int("expires")
    }
}

extension MessageRecord.Reply {
    fileprivate var json: JSONValue {
        var row = RowWriter()
        row.put("id", id)
        row.put("sender", sender)
        row.put("preview", preview)
        return row.json
    }

    fileprivate init?(_ row: RowReader) {
        guard let id = row.ulid("id") else { return nil }
        self.init(id: id, sender: row.did("sender"), preview: row.text("preview"))
    }
}

extension MessageRecord.Reaction {
    fileprivate var json: JSONValue {
        ["by": .string(sender.string), "emoji": .string(emoji), "order": .int(order)]
    }

    fileprivate init?(_ row: RowReader) {
        guard let sender = row.did("by"), let emoji = row.text("emoji"), let order = row.int("order") else {
            return nil
        }
        self.init(sender: sender, emoji: emoji, order: order)
    }
}

extension MessageRecord.Receipt {
    fileprivate var json: JSONValue {
        var row = RowWriter()
        row.put("by", identity)
        row.put("delivered", deliveredAt)
        row.put("delivered_seq", deliveredSeq)
        row.put("read", readAt)
        row.put("played", playedAt)
        row.put("played_seq", playedSeq)
        return row.json
    }

    fileprivate init?(_ row: RowReader) {
        guard let identity = row.did("by") else { return nil }
        self.init(
            identity: identity,
            deliveredAt: row.int("delivered"),
            deliveredSeq: row.int("delivered_seq"),
            readAt: row.int("read"),
            playedAt: row.int("played"),
            playedSeq: row.int("played_seq")
        )
    }
}

extension MessageRecord.Attachment {
    fileprivate var json: JSONValue {
        var row = RowWriter()
        row.put("name", name)
        row.put("type", contentType)
        row.put("size", size)
        row.put("duration", duration)
        row.put("width", width)
        row.put("height", height)
        row.put("thumbnail", bytes: thumbnail)
        row.put("waveform", bytes: waveform.isEmpty ? nil : waveform)
        row.put("state", state.rawValue)
        row.put("reference", reference?.json)
        row.put("key", bytes: key)
        row.put("nonce", bytes: nonce)
        row.put("sources", list: sources.map { .string($0) })
        row.put("attempts", attempts == 0 ? nil : Int64(attempts))
        row.put("retry", retryAt)
        return row.json
    }

    fileprivate init?(_ row: RowReader) {
        guard let type = row.text("type"), let size = row.int("size"),
            let state = row.text("state").flatMap(State.init),
            let key = row.bytes("key")
        else { return nil }
        self.init(
            name: row.text("name"),
            contentType: type,
            size: size,
            duration: row.int("duration"),
            width: row.int("width"),
            height: row.int("height"),
            thumbnail: row.bytes("thumbnail"),
            waveform: row.bytes("waveform") ?? [],
            state: state,
            reference: row.value["reference"].flatMap { BlobReference(RowReader($0)) },
            key: key,
            nonce: row.bytes("nonce"),
            sources: (row.value["sources"]?.array ?? []).compactMap(\.string),
            attempts: Int(row.int("attempts") ?? 0),
            retryAt: row.int("retry")
        )
    }
}

extension MessageRecord.Call {
    fileprivate var json: JSONValue {
        [
            "session": .string(session.description), "outcome": .string(outcome),
            "direction": .string(direction.rawValue), "at": .int(at),
        ]
    }

    fileprivate init?(_ row: RowReader) {
        guard let session = row.ulid("session"), let outcome = row.text("outcome"),
            let direction = row.text("direction").flatMap(CallEvent.Direction.init), let at = row.int("at")
        else { return nil }
        self.init(session: session, outcome: outcome, direction: direction, at: at)
    }
}

extension MessageRecord.Roster {
    fileprivate var json: JSONValue {
        var row = RowWriter()
        row.put("by", by)
        row.put("added", added)
        row.put("removed", removed)
        row.put("device", flag: joinedDevice)
        row.put("title", title)
        return row.json
    }

    fileprivate init?(_ row: RowReader) {
        guard let by = row.did("by") else { return nil }
        self.init(
            by: by,
            added: row.dids("added"),
            removed: row.dids("removed"),
            joinedDevice: row.flag("device"),
            title: row.text("title")
        )
    }
}
