import DSIPIdentity
import Encoding

/// Saying something.
extension Messenger {
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
            order: Self.pendingOrder + (nextNumber() << 1 | 1),
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
            try enqueue(line, after: draft.after)
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
    mutating func enqueue(_ line: MessageRecord, after: ULID? = nil) throws(MessagingError) {
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
            blobs: [line.attachment?.reference].compactMap(\.self),
            after: after
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
}
