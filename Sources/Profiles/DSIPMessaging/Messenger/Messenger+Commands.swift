import DSIPIdentity
import DSIPSignaling
import Encoding

extension Messenger {
    /// The order of what the hub has not placed yet: after everything that it has.
    static var pendingOrder: Int64 { 1 << 52 }

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
            id: newULID(after: current(thread)?.titleOrder ?? 0),
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
            // From here on others would hear as well what is owed to those the group was made with.
            messenger.forgetOwed(in: group)
        }
    }

    public mutating func remove(
        _ members: [DID],
        from conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try change(conversation, at: now) { messenger, record throws(MessagingError) in
            let group = try messenger.changeable(record)
            messenger.withhold(members, from: group)
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
            if let peer = record.peer {
                messenger.directs[peer] = nil
                messenger.ledger.drop(.history, peer.string)
            }
            for item in messenger.outbox[conversation] ?? [] where item.purpose == .object {
                messenger.removeFromOutbox(item.id, thread: conversation)
                if let group = item.group { try messenger.withdraw(item.id, from: group) }
            }
            for group in messenger.groups.values where group.thread == conversation && !group.isConfirmed {
                messenger.configure(group.id, .left)
            }
            messenger.ledger.dropConversation(conversation)
            messenger.ledger.drop(.watermark, conversation.description)
            messenger.touched.gone.insert(conversation)
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
