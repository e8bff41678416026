import DSIPIdentity
import Encoding

extension Messenger {
    /// What waits for content that has not come, in one conversation.
    static var maximumEarly: Int { 4096 }

    /// Takes an object in, whichever way it came; the same object twice changes nothing. What changes the picture is archived.
    mutating func apply(_ object: MessagingObject, _ said: Saying) throws(MessagingError) {
        var (object, said) = (object, said)
        if case .saidAgain(let again) = object, again.isSealed {
            guard let opened = again.opened(by: configuration.device) else { return }
            (object, said.payload) = (.saidAgain(opened), opened.json)
        }
        let changed = try take(object, said)
        guard changed, said.origin != .restored else { return }
        if said.origin == .carried { try keep(said) } else { try archive(said) }
    }

    /// - Returns: whether what is shown changed.
    private mutating func take(_ object: MessagingObject, _ said: Saying) throws(MessagingError) -> Bool {
        var changed = false
        switch object {
        case .content(let content):
            if content.purpose == .reaction {
                changed = try react(content, said)
            } else {
                changed = try show(content, said)
            }
        case .receipt(let receipt): changed = try apply(receipt, said)
        case .update(let update): changed = try apply(update, said)
        case .conversationInfo(let info): changed = try apply(info, said)
        case .identityMove(let notice): changed = try apply(notice, said)
        case .callEvent(let event): changed = try show(event, said)
        case .archiveKey(let key): try received(key)
        case .resendRequest(let request): try answer(request, said)
        case .archiveKeyRequest(let request): try answer(request, said)
        case .saidAgain(let again): changed = try take(again, said)
        case .activity, .recordingAcceptance, .unknown: break
        }
        return changed
    }

    /// What its sender said before, where it stood; nobody but its sender is believed about it.
    private mutating func take(_ again: SaidAgain, _ said: Saying) throws(MessagingError) -> Bool {
        guard let payload = again.payload.map({ JSONValue.object($0) }),
            let named = payload["conversation"]?.string.flatMap({ ULID($0) }),
            named == said.conversation || thread(of: named) == said.thread,
            groups[again.group].map({ $0.thread == said.thread }) ?? true,
            again.group != said.group || again.seq < said.seq
        else { return false }
        let context = ObjectContext(
            conversation: named,
            kind: groups[said.group]?.kind ?? .group,
            sender: said.sender
        )
        guard let object = try? MessagingObject(payload, in: context) else { return false }
        var earlier = said
        switch object {
        case .content, .receipt, .update, .conversationInfo, .identityMove, .resendRequest: break
        default: return false
        }
        earlier.group = again.group
        earlier.seq = again.seq
        earlier.order = order(of: again.seq, in: again.group)
        earlier.conversation = named
        earlier.payload = payload
        earlier.isLate = true
        return try take(object, earlier)
    }

    // MARK: Content

    private mutating func show(_ content: Content, _ said: Saying) throws(MessagingError) -> Bool {
        if var known = try ledger.message(content.id, in: said.thread) {
            // An id is one person's; somebody else who uses it says nothing.
            guard known.sender == content.sender, known.isContent else { return false }
            // Said twice, in two groups perhaps: of its places all take the same.
            let isFirst = known.seq.map { Self.precedes(said, $0, in: known.group) } ?? true
            guard isFirst else { return false }
            let wasPending = known.seq == nil
            known.seq = said.seq
            known.order = said.order
            known.group = said.group
            if wasPending, known.isMine { known.state = .accepted }
            try save(known)
            try place(known)
            try appliedEarly(to: known)
            if wasPending, known.isMine { try startDisappearing(known) }
            if !wasPending { try settleWatermarks(of: said.thread) }
            return true
        }
        var line = MessageRecord(content, said, mine: content.sender == identity)
        if let target = content.replyTo { line.replyTo = try reply(to: target, in: said.thread) }
        try settleCalls(around: line)
        try save(line)
        try place(line)
        try appliedEarly(to: line)
        if said.origin == .live || said.origin == .carried, !line.isMine {
            batch.arrived[said.thread, default: []].append(line.id)
        }
        if line.isMine, said.origin != .restored { try startDisappearing(line) }
        return true
    }

    mutating func reply(to target: ULID, in thread: ULID) throws(MessagingError) -> MessageRecord.Reply {
        let answered = try ledger.message(target, in: thread)
        return .init(
            id: target,
            sender: answered?.sender,
            preview: answered.map { $0.isRetracted ? "" : String($0.text.prefix(120)) }
        )
    }

    /// The conversation with a new or moved line in it: latest, unread.
    mutating func place(_ line: MessageRecord) throws(MessagingError) {
        guard var record = try ledger.conversation(line.conversation) else { return }
        let last = try record.lastMessage.flatMap { (id) throws(MessagingError) in
            try ledger.message(id, in: line.conversation)
        }
        if last.map({ ($0.order, $0.id) <= (line.order, line.id) }) ?? true { record.lastMessage = line.id }
        if line.isContent { record.lastActivity = max(record.lastActivity, line.receivedAt) }
        record.unread = try unread(in: record)
        if record.notice == .waitingForKey { record.notice = nil }
        show(record)
    }

    /// Content of others behind the watermark, as far as one counts.
    func unread(in record: ConversationRecord) throws(MessagingError) -> Int {
        try ledger.messages(in: record.id, after: record.readOrder, limit: 1000)
            .count { !$0.isMine && $0.isContent && !$0.isRetracted }
    }

    // MARK: What is about content

    private mutating func react(_ content: Content, _ said: Saying) throws(MessagingError) -> Bool {
        guard let target = content.replyTo, case .text(let emoji, _) = content.body else { return false }
        guard var line = try ledger.message(target, in: said.thread) else {
            keepEarly(target, said)
            return true
        }
        if let at = line.reactions.firstIndex(where: { $0.sender == content.sender }) {
            let known = line.reactions[at]
            guard (Self.rank(content.id), emoji) > (known.order, known.emoji) else { return false }
            line.reactions[at].emoji = emoji
            line.reactions[at].order = Self.rank(content.id)
        } else {
            guard line.reactions.count < 4096 else { return false }
            line.reactions.append(.init(sender: content.sender, emoji: emoji, order: Self.rank(content.id)))
            line.reactions.sort { $0.sender < $1.sender }
        }
        try save(line)
        return true
    }

    /// An edit or a retraction: only by who said it; of several the highest stands, and nothing follows a retraction.
    private mutating func apply(_ update: MessageUpdate, _ said: Saying) throws(MessagingError) -> Bool {
        guard var line = try ledger.message(update.target, in: said.thread) else {
            keepEarly(update.target, said)
            return true
        }
        guard line.sender == update.sender, line.isContent, !line.isRetracted else { return false }
        switch update.patch {
        case .retraction:
            line.isRetracted = true
            line.text = ""
            line.attachment = nil
            line.location = nil
            line.contact = nil
            line.mentions = []
            line.editOrder = Self.rank(update.id)
        case .text(let text):
            guard (Self.rank(update.id), text) > (line.editOrder, line.text) else { return false }
            line.editOrder = Self.rank(update.id)
            line.isEdited = true
            line.text = text
        }
        try save(line)
        oweChange(of: line, said)
        if var record = try ledger.conversation(said.thread) {
            record.unread = try unread(in: record)
            show(record)
        }
        return true
    }

    private mutating func apply(_ info: ConversationInfo, _ said: Saying) throws(MessagingError) -> Bool {
        guard try ledger.message(info.id, in: said.thread) == nil,
            let group = groups[said.group] ?? groups.values.first(where: { $0.conversation == said.conversation }),
            group.kind.effective == .group
        else { return false }
        if Self.rank(info.id) > group.titleOrder, var record = try ledger.conversation(said.thread) {
            update(group.id) { $0.titleOrder = Self.rank(info.id) }
            record.title = info.title.isEmpty ? nil : info.title
            show(record)
        }
        var line = MessageRecord(
            id: info.id,
            conversation: said.thread,
            sender: info.sender,
            isMine: info.sender == identity,
            kind: .roster,
            sentAt: info.sentAt,
            receivedAt: said.receivedAt,
            order: said.order,
            state: .received
        )
        line.seq = said.seq
        line.group = said.group
        line.roster = .init(by: info.sender, added: [], removed: [], joinedDevice: false, title: info.title)
        try save(line)
        try place(line)
        return true
    }

    // MARK: Early

    /// Keeps what is about content that has not come: an archive is read in any order.
    mutating func keepEarly(_ target: ULID, _ said: Saying) {
        guard earlyKept[said.thread, default: 0] < Self.maximumEarly else { return }
        earlyKept[said.thread, default: 0] += 1
        ledger.set(
            .early,
            "\(said.thread)/\(target)",
            said.group.text + OutboxItem.key(said.seq),
            said.encoded
        )
    }

    private mutating func appliedEarly(to line: MessageRecord) throws(MessagingError) {
        let scope = "\(line.conversation)/\(line.id)"
        for row in try ledger.rows(.early, scope) {
            ledger.set(.early, scope, row.key, nil)
            // It was archived when it came.
            guard let said = RowReader(row.value).flatMap({ Saying($0, thread: line.conversation) }) else { continue }
            // M§10.5: what an identity has read may have been told in its personal group.
            let isPrivate = said.payload["conversation"]?.string != said.conversation.description
            let context = ObjectContext(
                conversation: said.conversation,
                kind: isPrivate ? .personal : .group,
                sender: said.sender
            )
            guard let object = try? MessagingObject(said.payload, in: context) else { continue }
            try apply(object, said)
        }
    }

    // MARK: Own

    /// The hub has ordered what this device said. M§12.2
    mutating func said(_ item: OutboxItem, in id: GroupID, _ seq: Int64) throws(MessagingError) {
        guard let group = groups[id], let bytes = item.object, let payload = try? MessagingObject.parse(bytes),
            let object = try? MessagingObject(
                payload,
                in: ObjectContext(conversation: group.conversation, kind: group.kind, sender: identity)
            )
        else { return }
        keep(Sent(object: bytes, audience: item.audience), in: id, seq)
        switch object {
        case .content, .update: try owe(seq, for: item.audience, in: id)
        default: try saidOwed(item, in: id)
        }
        try apply(
            object,
            Saying(
                group: id,
                thread: group.thread,
                conversation: group.conversation,
                order: group.order(seq),
                seq: seq,
                sender: identity,
                device: device,
                receivedAt: now,
                blobs: item.blobs,
                origin: .own,
                payload: payload
            )
        )
    }

    mutating func failed(_ content: ULID, in thread: ULID, _ sentence: String) throws(MessagingError) {
        guard var line = try ledger.message(content, in: thread), line.isMine, line.seq == nil else { return }
        line.state = .failed
        line.stateSentence = sentence
        try save(line)
    }

    // MARK: Records

    mutating func save(_ line: MessageRecord) throws(MessagingError) {
        ledger.set(line)
        touched.messages[.init(id: line.id, conversation: line.conversation)] = true
    }

    mutating func show(_ record: ConversationRecord) {
        ledger.set(record)
        touched.conversations.insert(record.id)
    }

    /// Puts up what stands in the way.
    mutating func noticed(_ notice: ConversationRecord.Notice, in id: GroupID) throws(MessagingError) {
        guard let group = groups[id], current(group.thread)?.id == id,
            var record = try ledger.conversation(group.thread), record.notice != notice
        else { return }
        record.notice = notice
        show(record)
    }

    mutating func cleared(_ notice: ConversationRecord.Notice, in id: GroupID) throws(MessagingError) {
        guard let group = groups[id], var record = try ledger.conversation(group.thread), record.notice == notice else {
            return
        }
        record.notice = nil
        show(record)
    }

    /// The members of a conversation as its group has them now.
    mutating func refreshMembers(of thread: ULID) throws(MessagingError) {
        guard let group = current(thread), var record = try ledger.conversation(thread) else { return }
        let members = try roster(of: group.id).identities.filter { $0 != identity }
        guard group.kind.effective == .group || !members.isEmpty, record.members != members else { return }
        // This device may have come in before the peer.
        if record.kind == .direct, let peer = members.first, directs[peer] == nil { directs[peer] = thread }
        record.members = members
        show(record)
    }
}
