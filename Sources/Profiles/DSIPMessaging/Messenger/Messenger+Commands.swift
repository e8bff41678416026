import DSIPIdentity
import DSIPSignaling
import Encoding

extension Messenger {
    /// The order of what the hub has not placed yet: after everything that it has.
    static var pendingOrder: Int64 { 1 << 51 }

    // MARK: Conversations

    /// The direct conversation with a person; the group behind it is made when something is said.
    public mutating func open(with did: DID, at now: Int64) throws(MessagingError) -> (ULID, [MessengerAction]) {
        try turn(at: now) { messenger throws(MessagingError) in
            guard did != messenger.identity else { throw MessagingError(.refused, "This is you.") }
            if let known = messenger.directs[did] {
                try messenger.reopen(known)
                return known
            }
            let record = ConversationRecord(id: messenger.newULID(), kind: .direct, members: [did], at: now)
            messenger.directs[did] = record.id
            messenger.show(record)
            if try messenger.peer(did).mailboxes.isEmpty { messenger.resolve(did) }
            return record.id
        }
    }

    /// A conversation of any number of people. M§7.3
    public mutating func createGroup(
        title: String,
        members: [DID],
        at now: Int64
    ) throws(MessagingError) -> (ULID, [MessengerAction]) {
        try turn(at: now) { messenger throws(MessagingError) in
            var seen: Set<DID> = [messenger.identity]
            let members = members.filter { seen.insert($0).inserted }
            guard !members.isEmpty else { throw MessagingError(.refused, "A group needs at least one other person.") }
            let id = messenger.newULID()
            try messenger.found(
                GroupID(messenger.newULID()),
                thread: id,
                kind: .group,
                members: members
            )
            var record = ConversationRecord(id: id, kind: .group, members: members, at: now)
            record.title = title.isEmpty ? nil : title
            messenger.show(record)
            if !title.isEmpty { try messenger.tellTitle(title, in: id) }
            return id
        }
    }

    mutating func tellTitle(_ title: String, in thread: ULID) throws(MessagingError) {
        guard title.unicodeScalars.count <= ConversationInfo.longestTitle else {
            throw MessagingError(.refused, "The title is too long.")
        }
        guard let conversation = current(thread)?.conversation else {
            throw MessagingError(.refused, "You are not in this conversation.")
        }
        let info = ConversationInfo(
            id: newULID(),
            conversation: conversation,
            sender: identity,
            sentAt: now,
            title: title
        )
        try queue(info.json, in: thread)
    }

    public mutating func setTitle(
        _ title: String,
        of conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try change(conversation, at: now) { messenger, record throws(MessagingError) in
            guard record.kind == .group else { throw MessagingError(.refused, "Only a group has a title.") }
            try messenger.tellTitle(title, in: conversation)
            record.title = title.isEmpty ? nil : title
        }
    }

    public mutating func setMuted(_ isMuted: Bool, of conversation: ULID, at now: Int64) throws(MessagingError)
        -> [MessengerAction]
    { try change(conversation, at: now) { $1.isMuted = isMuted } }

    public mutating func setDraft(_ draft: String, of conversation: ULID, at now: Int64) throws(MessagingError)
        -> [MessengerAction]
    { try change(conversation, at: now) { $1.draft = String(draft.prefix(20_000)) } }

    /// - Parameter seconds: 1 to 31,536,000, or nil for never.
    public mutating func setDisappearAfter(
        _ seconds: Int64?,
        of conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try change(conversation, at: now) { _, record throws(MessagingError) in
            guard seconds.map({ (1...ContentExtensions.longestLife).contains($0) }) ?? true else {
                throw MessagingError(.refused, "Messages disappear after a second at least and a year at most.")
            }
            record.disappearAfter = seconds
        }
    }

    private mutating func change(
        _ conversation: ULID,
        at now: Int64,
        _ body: (inout Self, inout ConversationRecord) throws(MessagingError) -> Void
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard var record = try messenger.ledger.conversation(conversation) else {
                throw MessagingError(.refused, "There is no such conversation.")
            }
            try body(&messenger, &record)
            messenger.show(record)
        }.1
    }

    public mutating func add(
        _ members: [DID],
        to conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try change(conversation, at: now) { messenger, record throws(MessagingError) in
            let group = try messenger.changeable(record)
            messenger.plan(.add(members.filter { $0 != messenger.identity }), in: group)
            messenger.hasten(group)
        }
    }

    public mutating func remove(
        _ members: [DID],
        from conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try change(conversation, at: now) { messenger, record throws(MessagingError) in
            let group = try messenger.changeable(record)
            messenger.plan(.remove(members.filter { $0 != messenger.identity }), in: group)
            messenger.hasten(group)
        }
    }

    private func changeable(_ record: ConversationRecord) throws(MessagingError) -> GroupID {
        guard record.kind == .group else { throw MessagingError(.refused, "A direct conversation has two members.") }
        guard let group = current(record.id), !record.isRemoved else {
            throw MessagingError(.refused, "You are not in this conversation.")
        }
        return group.id
    }

    /// This identity leaves, with all its devices. M§7.3
    public mutating func leave(_ conversation: ULID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try change(conversation, at: now) { messenger, record in messenger.part(with: &record) }
    }

    /// Forgets a conversation on this device; one that is still alive is left first.
    public mutating func delete(_ conversation: ULID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let record = try messenger.ledger.conversation(conversation) else { return }
            guard messenger.current(conversation) == nil || record.isRemoved || record.isRequest else {
                throw MessagingError(.refused, "Leave the conversation first.")
            }
            if let peer = record.peer { messenger.directs[peer] = nil }
            for item in messenger.outbox[conversation] ?? [] where item.purpose == .object {
                messenger.removeFromOutbox(item.id, thread: conversation)
            }
            for group in messenger.groups.values where group.thread == conversation && !group.isConfirmed {
                messenger.configure(group.id, .left)
            }
            messenger.ledger.dropConversation(conversation)
            messenger.ledger.drop(.watermark, conversation.description)
            messenger.touched.gone.insert(conversation)
        }.1
    }

    // MARK: Saying

    /// Says something. It is kept before it leaves, and leaves until the hub has it, restarts included.
    ///
    /// - Returns: the message's id.
    public mutating func send(
        _ draft: MessageDraft,
        in conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> (ULID, [MessengerAction]) {
        try turn(at: now) { messenger throws(MessagingError) in try messenger.say(draft, in: conversation) }
    }

    private mutating func say(_ draft: MessageDraft, in thread: ULID) throws(MessagingError) -> ULID {
        guard var record = try ledger.conversation(thread), !record.isRemoved else {
            throw MessagingError(.refused, "You are not in this conversation.")
        }
        if record.isRequest {
            record.isRequest = false
            show(record)
        }
        try begin(record)
        if let id = draft.id, try ledger.message(id, in: thread) != nil {
            throw MessagingError(.refused, "This was said already.")
        }
        var line = MessageRecord(
            id: draft.id ?? newULID(),
            conversation: thread,
            sender: identity,
            isMine: true,
            kind: .text,
            purpose: draft.purpose.effective,
            sentAt: now,
            receivedAt: now,
            order: (Self.pendingOrder + nextNumber()) << 1 | 1,
            state: .pending
        )
        line.mentions = Array(draft.mentions.prefix(ContentExtensions.maximumMentions))
        line.session = draft.session
        line.disappearAfter = record.disappearAfter
        if let target = draft.replyTo { line.replyTo = try reply(to: target, in: thread) }
        switch draft.body {
        case .text(let text, let type):
            guard !text.isEmpty else { throw MessagingError(.refused, "There is nothing to send.") }
            line.fill(.text(text, type: type ?? "text/plain"))
        case .location(let place): line.fill(.location(place))
        case .contact(let did, let name): line.fill(.contact(did, displayName: name, token: nil))
        case .attachment(let attachment):
            guard attachment.isWellFormed else { throw MessagingError(.refused, "The attachment is not well formed.") }
            guard primary != nil else { throw MessagingError(.refused, "Your relay keeps no files.") }
            line.kind = attachment.kind
            line.contentType = attachment.contentType
            line.attachment = .init(
                name: attachment.name,
                contentType: attachment.contentType,
                size: attachment.size,
                duration: attachment.duration,
                width: attachment.width,
                height: attachment.height,
                thumbnail: attachment.thumbnail,
                waveform: attachment.waveform,
                state: .uploading,
                key: random.bytes(32),
                nonce: random.bytes(Seal.nonceBytes),
                sources: [],
                attempts: 0
            )
        }
        try save(line)
        try place(line)
        if line.attachment == nil {
            try enqueue(line)
        } else {
            try upload(line)
        }
        return line.id
    }

    /// The group of a direct conversation, made with the first thing that is said in it, or when it is known what may carry it. M§7.2
    mutating func begin(_ record: ConversationRecord) throws(MessagingError) {
        guard current(record.id) == nil else { return }
        guard record.kind == .direct else { throw MessagingError(.refused, "The conversation is over.") }
        try foundDirect(record.id)
    }

    /// Queues the content of a line whose attachment, if it has one, has its place.
    mutating func enqueue(_ line: MessageRecord) throws(MessagingError) {
        guard let conversation = try wire(line.conversation) else {
            throw MessagingError(.refused, "The conversation is over.")
        }
        let content = Content(
            id: line.id,
            conversation: conversation,
            sender: identity,
            sentAt: line.sentAt,
            purpose: line.purpose,
            body: try body(of: line),
            replyTo: line.replyTo?.id,
            session: line.session,
            extensions: ContentExtensions(mentions: line.mentions, disappearAfter: line.disappearAfter)
        )
        try queue(
            content.json,
            in: line.conversation,
            content: line.id,
            blobs: [line.attachment?.reference].compactMap(\.self)
        )
    }

    private func body(of line: MessageRecord) throws(MessagingError) -> ContentBody {
        if let attachment = line.attachment {
            guard let reference = attachment.reference else {
                throw MessagingError(.refused, "The attachment has not been stored.")
            }
            let blob = ContentBlob(
                reference,
                key: attachment.key,
                contentType: attachment.contentType,
                name: line.kind == .file ? nil : attachment.name
            )
            switch line.kind {
            case .audio: return .audio(blob, milliseconds: attachment.duration ?? 0)
            case .video: return .video(blob, milliseconds: attachment.duration ?? 0)
            case .image:
                return .image(
                    .init(blob, width: attachment.width, height: attachment.height, thumbnail: attachment.thumbnail)
                )
            default: return .file(blob, name: attachment.name ?? "file")
            }
        }
        if let place = line.location { return .location(place) }
        if let did = line.contact { return .contact(did, displayName: line.text.isEmpty ? nil : line.text, token: nil) }
        return .text(line.text, type: line.contentType)
    }

    // MARK: About what was said

    private mutating func about(
        _ message: ULID,
        in conversation: ULID,
        at now: Int64,
        _ body: (inout Self, MessageRecord, ULID) throws(MessagingError) -> Void
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let line = try messenger.ledger.message(message, in: conversation) else {
                throw MessagingError(.refused, "There is no such message.")
            }
            guard let wire = try messenger.wire(conversation) else {
                throw MessagingError(.refused, "The conversation is over.")
            }
            try body(&messenger, line, wire)
        }.1
    }

    public mutating func edit(
        _ message: ULID,
        in conversation: ULID,
        text: String,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try about(message, in: conversation, at: now) { messenger, line, wire throws(MessagingError) in
            guard line.isMine, line.kind == .text, !line.isRetracted, line.seq != nil, !text.isEmpty else {
                throw MessagingError(.refused, "This message cannot be edited.")
            }
            try messenger.queue(
                MessageUpdate(
                    id: messenger.newULID(),
                    conversation: wire,
                    sender: messenger.identity,
                    sentAt: now,
                    for: message,
                    .text(text)
                ).json,
                in: conversation
            )
        }
    }

    /// Takes a message back; one that has not left is gone without a word.
    public mutating func retract(
        _ message: ULID,
        in conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try about(message, in: conversation, at: now) { messenger, line, wire throws(MessagingError) in
            guard line.isMine, line.isContent, !line.isRetracted else {
                throw MessagingError(.refused, "This message cannot be taken back.")
            }
            try messenger.queue(
                MessageUpdate(
                    id: messenger.newULID(),
                    conversation: wire,
                    sender: messenger.identity,
                    sentAt: now,
                    for: message,
                    .retraction
                ).json,
                in: conversation
            )
        }
    }

    /// - Parameter emoji: one, or empty to take the reaction back.
    public mutating func react(
        _ emoji: String,
        to message: ULID,
        in conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try about(message, in: conversation, at: now) { messenger, line, wire throws(MessagingError) in
            guard line.isContent, emoji.isEmpty || (emoji.count == 1 && emoji.utf8.count <= Content.maximumReaction)
            else {
                throw MessagingError(.refused, "A reaction is one emoji.")
            }
            try messenger.queue(
                Content(
                    id: messenger.newULID(),
                    conversation: wire,
                    sender: messenger.identity,
                    sentAt: now,
                    purpose: .reaction,
                    body: .text(emoji, type: "text/plain"),
                    replyTo: message
                ).json,
                in: conversation
            )
        }
    }

    /// Tries once more to send what failed.
    public mutating func retry(
        _ message: ULID,
        in conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard var line = try messenger.ledger.message(message, in: conversation), line.state == .failed,
                line.isMine,
                let record = try messenger.ledger.conversation(conversation), !record.isRemoved
            else { throw MessagingError(.refused, "This message cannot be sent again.") }
            try messenger.begin(record)
            line.state = .pending
            line.stateSentence = nil
            if line.attachment != nil, line.attachment?.reference == nil { line.attachment?.state = .uploading }
            // A content id and its time belong together. M§8.1
            try messenger.save(line)
            if line.attachment?.reference == nil, line.attachment != nil {
                try messenger.upload(line)
            } else {
                try messenger.enqueue(line)
            }
        }.1
    }

    // MARK: Settings and calls

    public mutating func update(
        settings: MessengerSettings,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            let before = messenger.settings
            messenger.settings = settings
            messenger.ledger.set(.setting, "", "settings", settings.encoded)
            guard before.mode != settings.mode || before.admit != settings.admit else { return }
            for service in messenger.configuration.mailboxes {
                messenger.addErrand(
                    .config,
                    .mailboxConfig(
                        MailboxConfig(subject: messenger.identity, mode: settings.mode, admit: settings.admit)
                    ),
                    via: MailboxRoute(mailbox: service.mailbox)
                )
            }
        }.1
    }

    /// A call of this device ended unanswered; the identity's devices are told. M§13.3
    public mutating func callEnded(_ event: CallEvent, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let thread = messenger.personalThread else { return }
            try messenger.queue(event.json, in: thread)
        }.1
    }
}
