import DSIPIdentity
import Encoding

/// What is said about something that was said.
extension Messenger {
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
                    id: messenger.newULID(after: line.editOrder),
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
                    id: messenger.newULID(after: line.editOrder),
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
            let known = line.reactions.first { $0.sender == messenger.identity }
            try messenger.queue(
                Content(
                    id: messenger.newULID(after: known?.order ?? 0),
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
}
