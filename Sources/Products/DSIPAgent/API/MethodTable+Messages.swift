import DSIPIdentity
import DSIPMessaging
import Encoding
import FoundationEssentials

/// The part of the local API that is about messages.
extension MethodTable {
    /// Bytes of the text of one message, and of a draft.
    private static let maximumText = 16 << 10
    /// Beyond what a message takes it goes as a file; below what one request takes.
    private static let maximumLongText = 192 << 10
    private static let maximumMembers = 200

    static let conversations: [String: Method] = [
        "conversations.list": method { agent, _, _ throws(AgentError) in
            ["conversations": .array(try await agent.conversations().map(\.json))]
        },
        "conversations.open": slow { agent, p, _ throws(AgentError) in
            try await agent.openConversation(with: p.text("with", limit: 2048)).json
        },
        "conversations.create": slow { agent, p, _ throws(AgentError) in
            try await agent.createGroup(title: p.text("title"), members: p.people("members")).json
        },
        "conversations.update": method { agent, p, _ throws(AgentError) in
            var change = Agent.ConversationChange()
            change.title = try p.optionalString("title", limit: 200)?.trimmed
            change.isMuted = try p.optionalBool("muted")
            change.draft = try p.optionalString("draft", limit: maximumLongText)
            if p.names("disappear_after_s") {
                let seconds = try p.optionalInteger("disappear_after_s")
                guard seconds.map({ (1...ContentExtensions.longestLife).contains($0) }) ?? true else {
                    throw AgentError(.badRequest, "“disappear_after_s” must be from a second to a year, or null.")
                }
                change.disappearAfter = .some(seconds)
            }
            return try await agent.updateConversation(p.string("id"), change).json
        },
        "conversations.accept": method { agent, p, _ throws(AgentError) in
            try await agent.acceptConversation(p.string("id")).json
        },
        "conversations.leave": method { agent, p, _ throws(AgentError) in
            try await agent.leaveConversation(p.string("id"))
            return [:]
        },
        "conversations.delete": method { agent, p, _ throws(AgentError) in
            try await agent.deleteConversation(p.string("id"))
            return [:]
        },
        "conversations.add": slow { agent, p, _ throws(AgentError) in
            try await agent.addMembers(p.people("members"), to: p.string("id")).json
        },
        "conversations.remove": slow { agent, p, _ throws(AgentError) in
            try await agent.removeMembers(p.people("members"), from: p.string("id")).json
        },
        "conversations.move": method { agent, p, _ throws(AgentError) in
            try await agent.moveConversation(p.string("id"), to: p.optionalString("relay")).json
        },
        "conversations.safety": slow { agent, p, _ throws(AgentError) in
            try await agent.safetyNumber(in: p.string("id"), with: p.optionalString("did"))
        },
        "conversations.safety.compare": slow { agent, p, _ throws(AgentError) in
            try await agent.compareSafetyNumber(
                in: p.string("id"),
                with: p.optionalString("did"),
                scanned: p.text("scanned", limit: 4096)
            )
        },
    ]

    static let messages: [String: Method] = [
        "messages.list": method { agent, p, _ throws(AgentError) in
            let page = try await agent.messages(
                in: p.string("conversation"),
                before: p.optionalInteger("before"),
                after: p.optionalInteger("after"),
                around: p.optionalString("around"),
                limit: p.limit("limit", 1...200, else: 50)
            )
            return [
                "messages": .array(page.messages.map(\.json)), "more_before": .bool(page.hasEarlier),
                "more_after": .bool(page.hasLater),
            ]
        },
        "messages.send": method { agent, p, _ throws(AgentError) in
            let body: MessageDraft.Body
            switch try p.optionalString("kind") ?? "text" {
            case "text":
                body = .text(try p.text("text", limit: maximumLongText), type: nil)
            case "location":
                guard let latitude = try p.optionalInteger("lat_e7"), let longitude = try p.optionalInteger("lon_e7"),
                    (-900_000_000...900_000_000).contains(latitude),
                    (-1_800_000_000...1_800_000_000).contains(longitude)
                else { throw AgentError(.badRequest, "“lat_e7” and “lon_e7” must name a place.") }
                body = .location(.init(latitudeE7: latitude, longitudeE7: longitude))
            case "contact":
                guard let did = DID(try p.string("did")) else {
                    throw AgentError(.badRequest, "“did” must name an identity.")
                }
                let name = try p.optionalString("text", limit: 200)?.trimmed
                body = .contact(did, displayName: name.flatMap { $0.isEmpty ? nil : $0 })
            default: throw AgentError(.badRequest, "“kind” must be text, location or contact.")
            }
            return try await agent.send(p.draft(body), in: p.string("conversation")).json
        },
        "messages.attach": slow { agent, p, _ throws(AgentError) in
            let file = try p.attachment()
            let draft = try p.draft(.attachment(file))
            return try await agent.attach(
                p.string("upload"),
                file,
                draft,
                caption: p.optionalString("text", limit: maximumText)?.trimmed ?? "",
                in: p.string("conversation")
            ).json
        },
        "messages.edit": method { agent, p, _ throws(AgentError) in
            try await agent.edit(p.string("id"), text: p.text("text", limit: maximumText)).json
        },
        "messages.retract": method { agent, p, _ throws(AgentError) in try await agent.retract(p.string("id")).json },
        "messages.react": method { agent, p, _ throws(AgentError) in
            try await agent.react(p.string("id"), emoji: p.string("emoji", limit: 64)).json
        },
        "messages.retry": method { agent, p, _ throws(AgentError) in try await agent.retry(p.string("id")).json },
        "messages.read": method { agent, p, _ throws(AgentError) in
            try await agent.markRead(p.string("conversation"), through: p.string("through"))
            return [:]
        },
        "messages.played": method { agent, p, _ throws(AgentError) in
            try await agent.markPlayed(p.string("id"))
            return [:]
        },
        "messages.typing": method { agent, p, _ throws(AgentError) in
            let state = try p.string("state")
            guard state == "active" || state == "stopped" else {
                throw AgentError(.badRequest, "“state” must be active or stopped.")
            }
            try await agent.act(p.string("activity"), isActive: state == "active", in: p.string("conversation"))
            return [:]
        },
        "messages.search": method { agent, p, _ throws(AgentError) in
            let results = try await agent.search(
                p.text("query", limit: 512),
                in: p.optionalString("conversation"),
                limit: p.limit("limit", 1...200, else: 50)
            )
            return [
                "results": .array(
                    results.map { ["message": $0.message.json, "snippet": .string($0.snippet)] }
                )
            ]
        },
        "messages.settings": method { agent, p, _ throws(AgentError) in
            let mode = try p.optionalString("mode").map { (text) throws(AgentError) in
                guard let mode = MailboxMode(rawValue: text) else {
                    throw AgentError(.badRequest, "“mode” must be sync or queue.")
                }
                return mode
            }
            return try await agent.setMessaging(
                readReceipts: p.optionalBool("read_receipts"),
                typing: p.optionalBool("typing"),
                mode: mode
            ).json
        },
        "voicemail.offer": method { agent, p, _ throws(AgentError) in
            try await agent.voicemailOffer(after: p.string("session"))
        },
    ]
}

extension MethodTable {
    static let push: [String: Method] = [
        "push.key": method { agent, _, _ throws(AgentError) in await agent.pushKey() },
        "push.subscribe": method { agent, p, _ throws(AgentError) in
            try await agent.subscribe(
                endpoint: p.text("endpoint", limit: 2048),
                p256dh: p.text("p256dh", limit: 128),
                auth: p.text("auth", limit: 64)
            )
            return [:]
        },
        "push.unsubscribe": method { agent, p, _ throws(AgentError) in
            try await agent.unsubscribe(endpoint: p.text("endpoint", limit: 2048))
            return [:]
        },
    ]
}

extension Parameters {
    /// Whether the parameter is there at all, null included.
    func names(_ name: String) -> Bool { object[name] != nil }

    func limit(_ name: String, _ range: ClosedRange<Int64>, else value: Int64) throws(AgentError) -> Int {
        let limit = try optionalInteger(name) ?? value
        guard range.contains(limit) else {
            throw AgentError(.badRequest, "“\(name)” must be from \(range.lowerBound) to \(range.upperBound).")
        }
        return Int(limit)
    }

    func people(_ name: String) throws(AgentError) -> [String] {
        guard let array = value(name)?.array, (1...200).contains(array.count) else {
            throw AgentError(.badRequest, "“\(name)” must be a list of 1 to 200 people.")
        }
        var people: [String] = []
        for element in array {
            guard let text = element.string?.trimmed, !text.isEmpty, text.utf8.count <= 2048 else {
                throw AgentError(.badRequest, "“\(name)” must hold addresses or contacts.")
            }
            people.append(text)
        }
        return people
    }

    /// What all kinds of messages have in common.
    func draft(_ body: MessageDraft.Body) throws(AgentError) -> MessageDraft {
        var draft = MessageDraft(body)
        if let purpose = try optionalString("purpose") {
            guard let token = ContentPurpose(purpose), token.effective == token, token != .reaction else {
                throw AgentError(.badRequest, "“purpose” is not one that can be sent.")
            }
            draft.purpose = token
        }
        draft.replyTo = try ulid("reply_to")
        draft.session = try ulid("session")
        for json in (value("mentions")?.array ?? []).prefix(ContentExtensions.maximumMentions) {
            guard let did = json["did"]?.string.flatMap({ DID($0) }), let start = json["start"]?.int,
                let length = json["length"]?.int, (0...1_000_000).contains(start), (1...1_000_000).contains(length)
            else { throw AgentError(.badRequest, "A mention needs “did”, “start” and “length”.") }
            draft.mentions.append(Mention(did, range: Int(start)..<Int(start + length)))
        }
        return draft
    }

    private func ulid(_ name: String) throws(AgentError) -> ULID? {
        guard let text = try optionalString(name) else { return nil }
        guard let id = ULID(text) else { throw AgentError(.badRequest, "“\(name)” names nothing.") }
        return id
    }

    func attachment() throws(AgentError) -> AttachmentDraft {
        let kind: MessageRecord.Kind
        switch try string("kind") {
        case "image": kind = .image
        case "audio": kind = .audio
        case "video": kind = .video
        case "file": kind = .file
        default: throw AgentError(.badRequest, "“kind” must be image, audio, video or file.")
        }
        var draft = AttachmentDraft(kind, contentType: try text("content_type"), size: 0)
        draft.name = try optionalString("name", limit: 512)
        draft.duration = try natural("duration_ms")
        draft.width = try natural("width")
        draft.height = try natural("height")
        if let text = try optionalString("thumbnail", limit: ContentBody.Image.maximumThumbnail * 4 / 3 + 4) {
            guard let bytes = Data(base64Encoded: text), bytes.count <= ContentBody.Image.maximumThumbnail else {
                throw AgentError(.badRequest, "“thumbnail” must be base64 of at most 8 KiB.")
            }
            draft.thumbnail = Array(bytes)
        }
        draft.waveform = (value("waveform")?.array ?? []).prefix(64).map { UInt8(min(100, max(0, $0.int ?? 0))) }
        return draft
    }

    private func natural(_ name: String) throws(AgentError) -> Int64? {
        guard let number = try optionalInteger(name) else { return nil }
        guard (0...1 << 40).contains(number) else { throw AgentError(.badRequest, "“\(name)” is out of range.") }
        return number
    }
}
