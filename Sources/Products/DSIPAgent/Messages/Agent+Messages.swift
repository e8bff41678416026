import DSIPIdentity
import DSIPMessaging
import Encoding
import NIOCore

/// What is said in conversations.
extension Agent {
    public struct MessagePage: Sendable {
        /// Ascending.
        public var messages: [ChatMessage]
        public var hasEarlier: Bool
        public var hasLater: Bool
    }

    /// A page of a conversation: around a message, before or after a place, or the latest.
    public func messages(
        in id: String,
        before: Int64? = nil,
        after: Int64? = nil,
        around: String? = nil,
        limit: Int = 50
    ) throws(AgentError) -> MessagePage {
        let (thread, desk) = try conversation(id)
        guard let messages = desk.mail else { throw AgentError(.notFound, "There is no such conversation.") }
        return try read { () throws(MessagingError) in
            var lines: [MessageRecord]
            if let around,
                let line = try ULID(around).flatMap({ (id) throws(MessagingError) in
                    try messages.store.message(id, in: thread)
                })
            {
                let half = max(1, limit / 2)
                lines =
                    try messages.store.page(of: thread, before: line.order + 1, after: nil, limit: half)
                    + messages.store.page(of: thread, before: nil, after: line.order, limit: half)
            } else {
                lines = try messages.store.page(
                    of: thread,
                    before: before,
                    after: before == nil ? after : nil,
                    limit: limit
                )
            }
            func isThere(before: Int64? = nil, after: Int64? = nil) throws(MessagingError) -> Bool {
                try !messages.store.messages(in: thread, before: before, after: after, limit: 1).isEmpty
            }
            let hasEarlier = try lines.first.map { (line) throws(MessagingError) in try isThere(before: line.order) }
            let hasLater = try lines.last.map { (line) throws(MessagingError) in try isThere(after: line.order) }
            lines.removeAll { !isShown($0, desk) }
            return MessagePage(
                messages: lines.map { shown($0, desk, messages) },
                hasEarlier: hasEarlier ?? false,
                hasLater: hasLater ?? false
            )
        }
    }

    /// Says something. A text that is longer than a message takes goes as a file of text, which pages show as text.
    public func send(_ draft: MessageDraft, in id: String) async throws(AgentError) -> ChatMessage {
        if case .text(let text, _) = draft.body, Agent.isTooLong(text, draft.mentions.count) {
            let upload = try await upload(Array(text.utf8), contentType: Agent.longText)
            let file = AttachmentDraft(.file, name: "Message.txt", contentType: Agent.longText, size: 0)
            var words = draft
            words.mentions = []
            return try await attach(upload, file, words, in: id)
        }
        let (thread, desk) = try conversation(id)
        let message = try attempt(desk) { (mail, now) throws(MessagingError) in
            try mail.send(draft, in: thread, at: now)
        }
        return try show(message, in: thread, desk)
    }

    private static let longText = "text/plain; charset=utf-8"

    /// Whether the content object that says it may be larger than an object may be, as JSON with all that stands beside it.
    private static func isTooLong(_ text: String, _ mentions: Int) -> Bool {
        JSONValue.string(text).utf8.count
            > MessagingProfile.maximumObject - 2_500 - 150 * min(mentions, ContentExtensions.maximumMentions)
    }

    /// Takes a file to be sent with ``attach(_:_:_:caption:in:)``, as `POST /api/v1/uploads` does.
    /// - Returns: its id.
    public func upload(_ bytes: [UInt8], contentType: String) async throws(AgentError) -> String {
        let body = AsyncStream<ByteBuffer> { continuation in
            continuation.yield(ByteBuffer(bytes: bytes))
            continuation.finish()
        }
        let upload = try await uploads.receive(
            body,
            announced: Int64(bytes.count),
            contentType: contentType,
            id: makeID(),
            at: now()
        )
        return upload.id.description
    }

    /// Sends a file that was uploaded before. It is on disk under its message's name before anything of it is said.
    /// - Parameter caption: said after it, in a message of its own.
    public func attach(
        _ upload: String,
        _ draft: AttachmentDraft,
        _ words: MessageDraft,
        caption: String = "",
        in id: String
    ) async throws(AgentError) -> ChatMessage {
        guard let upload = ULID(upload) else { throw AgentError(.notFound, "The file is no longer here.") }
        let (thread, desk) = try conversation(id)
        guard let messages = desk.mail else { throw AgentError(.notFound, "There is no such conversation.") }
        let (uploads, shelf, key, message) = (uploads, attachments, messages.dataKey, makeID())
        let held = await Task.detached { () -> Result<Int64, AgentError> in
            do throws(AgentError) {
                let (file, bytes) = try uploads.read(upload)
                try shelf.hold(bytes, for: message, key: key)
                return .success(file.size)
            } catch {
                return .failure(error)
            }
        }.value
        var (draft, words) = (draft, words)
        draft.size = try held.get()
        words.id = message
        words.body = .attachment(draft)
        let whole = words
        do throws(AgentError) {
            let sent = try attempt(desk) { (mail, now) throws(MessagingError) in
                try mail.send(whole, in: thread, at: now)
            }
            uploads.remove(upload)
            if !caption.isEmpty {
                var said = MessageDraft(text: caption)
                said.after = sent
                _ = try await send(said, in: id)
            }
            return try show(sent, in: thread, desk)
        } catch {
            shelf.release(message)
            throw error
        }
    }

    /// Runs a command about one message.
    private func about(
        _ id: String,
        _ command: (inout Mail, MessageRecord, Int64) throws(MessagingError) -> [MessengerAction]
    ) throws(AgentError) -> ChatMessage {
        let (line, desk) = try line(id)
        try attempt(desk) { (mail, now) throws(MessagingError) in ((), try command(&mail, line, now)) }
        return try show(line.id, in: line.conversation, desk)
    }

    public func edit(_ id: String, text: String) throws(AgentError) -> ChatMessage {
        try about(id) { (mail, line, now) throws(MessagingError) in
            try mail.edit(line.id, in: line.conversation, text: text, at: now)
        }
    }

    public func retract(_ id: String) throws(AgentError) -> ChatMessage {
        let shown = try about(id) { (mail, line, now) throws(MessagingError) in
            try mail.retract(line.id, in: line.conversation, at: now)
        }
        if let reference = shown.record.attachment?.reference { attachments.drop(reference.sha256) }
        return shown
    }

    /// - Parameter emoji: "" takes the reaction back.
    public func react(_ id: String, emoji: String) throws(AgentError) -> ChatMessage {
        try about(id) { (mail, line, now) throws(MessagingError) in
            try mail.react(emoji, to: line.id, in: line.conversation, at: now)
        }
    }

    public func retry(_ id: String) throws(AgentError) -> ChatMessage {
        try about(id) { (mail, line, now) throws(MessagingError) in
            try mail.retry(line.id, in: line.conversation, at: now)
        }
    }

    public func markRead(_ id: String, through message: String) throws(AgentError) {
        let (thread, desk) = try conversation(id)
        guard let message = ULID(message) else { throw AgentError(.notFound, "There is no such message.") }
        try attempt(desk) { (mail, now) throws(MessagingError) in
            ((), try mail.read(through: message, in: thread, at: now))
        }
    }

    public func markPlayed(_ id: String) throws(AgentError) {
        _ = try about(id) { (mail, line, now) throws(MessagingError) in
            try mail.played(line.id, in: line.conversation, at: now)
        }
    }

    public func act(_ activity: String, isActive: Bool, in id: String) throws(AgentError) {
        let (thread, desk) = try conversation(id)
        guard let kind = ActivityKind(activity), kind.effective == kind else {
            throw AgentError(.badRequest, "“activity” must be typing, recording-audio, recording-video or uploading.")
        }
        try attempt(desk) { (mail, now) throws(MessagingError) in
            ((), try mail.act(kind, isActive ? .active : .stopped, in: thread, at: now))
        }
    }

    public struct SearchResult: Sendable {
        public var message: ChatMessage
        /// What matched stands between U+0002 and U+0003.
        public var snippet: String
    }

    public func search(_ query: String, in id: String? = nil, limit: Int = 50) throws(AgentError) -> [SearchResult] {
        var results: [SearchResult] = []
        let thread = try id.map { (id) throws(AgentError) in try conversation(id).id }
        for owner in desks.keys.sorted() where visible(owner) {
            guard let desk = desks[owner], let messages = desk.mail else { continue }
            let matches = try read { () throws(MessagingError) in
                try messages.store.search(query, in: thread, limit: limit)
            }
            for match in matches where isShown(match.message, desk) {
                results.append(SearchResult(message: shown(match.message, desk, messages), snippet: match.snippet))
            }
        }
        results.sort { $0.message.record.sentAt > $1.message.record.sentAt }
        return Array(results.prefix(limit))
    }

    public func setMessaging(
        readReceipts: Bool? = nil,
        typing: Bool? = nil,
        mode: MailboxMode? = nil
    ) throws(AgentError) -> MessagingStatus {
        guard let desk = desks[current] else { throw AgentError(.internal, "No identity is open.") }
        try attempt(desk) { (mail, now) throws(MessagingError) in
            var settings = mail.settings
            if let readReceipts { (settings.sendsRead, settings.sendsPlayed) = (readReceipts, readReceipts) }
            if let typing { settings.sendsActivity = typing }
            if let mode { settings.mode = mode }
            return ((), try mail.update(settings: settings, at: now))
        }
        publishMessaging()
        return messaging()
    }

    // MARK: Finding

    private func line(_ id: String) throws(AgentError) -> (MessageRecord, Desk) {
        if let id = ULID(id) {
            for owner in desks.keys.sorted() where visible(owner) {
                guard let desk = desks[owner], let messages = desk.mail,
                    let line = try read({ () throws(MessagingError) in try messages.store.message(id) })
                else { continue }
                return (line, desk)
            }
        }
        throw AgentError(.notFound, "There is no such message.")
    }

    func found(_ id: ULID, in thread: ULID, _ messages: MessagingDesk) throws(AgentError) -> MessageRecord {
        guard let line = try read({ () throws(MessagingError) in try messages.store.message(id, in: thread) }) else {
            throw AgentError(.notFound, "There is no such message.")
        }
        return line
    }

    private func show(_ id: ULID, in thread: ULID, _ desk: Desk) throws(AgentError) -> ChatMessage {
        guard let messages = desk.mail else { throw AgentError(.notFound, "There is no such message.") }
        return shown(try found(id, in: thread, messages), desk, messages)
    }
}
