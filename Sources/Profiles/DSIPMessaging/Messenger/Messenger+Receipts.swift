import DSIPIdentity
import Encoding

extension Messenger {
    // MARK: What others tell

    /// - Returns: whether what is shown changed, which is what is archived. M§12.2
    mutating func apply(_ receipt: Receipt, _ said: Saying) throws(MessagingError) -> Bool {
        // M§10.5: a watermark in the personal group, be it one that is gone, names another conversation: the one it is about.
        let isPrivate = receipt.conversation != said.conversation
        guard let thread = isPrivate ? thread(of: receipt.conversation) : said.thread else { return false }
        var said = said
        said.thread = thread
        switch receipt.statement {
        case .delivered(let targets): return try stamp(targets, receipt, said, isPlayed: false)
        case .played(let targets): return try stamp(targets, receipt, said, isPlayed: true)
        case .read(let through):
            guard let line = try ledger.message(through, in: thread) else {
                keepEarly(through, said)
                return false
            }
            let isOwn = receipt.sender == identity && said.device == device && said.origin != .restored
            let advanced = try advance(receipt.sender, in: thread, to: line, at: receipt.sentAt)
            if receipt.sender == identity {
                _ = try mark(Self.toldKey, through: line)
                // M§10.3: a sibling has told what this device was about to tell.
                if try !isUntold(in: thread) { readTold[thread]?.isUntold = false }
            }
            return advanced || isOwn
        case .unknown: return false
        }
    }

    func thread(of conversation: ULID) -> ULID? {
        if let group = groups.values.first(where: { $0.conversation == conversation }) { return group.thread }
        return directs.first { RatchetConfiguration.conversation(identity, $0.key) == conversation }?.value
    }

    private mutating func stamp(
        _ targets: [ULID],
        _ receipt: Receipt,
        _ said: Saying,
        isPlayed: Bool
    ) throws(MessagingError) -> Bool {
        var changed = false
        for target in targets {
            guard var line = try ledger.message(target, in: said.thread) else {
                keepEarly(target, said)
                continue
            }
            // M§10.2: nobody acknowledges what it said itself. M§10.4: only what can be played.
            guard line.sender != receipt.sender, line.isContent,
                !isPlayed || line.kind == .audio || line.kind == .video
            else { continue }
            guard try line.stamp(receipt.sender, at: receipt.sentAt, order: said.order, isPlayed: isPlayed) else {
                continue
            }
            changed = true
            try refreshState(of: &line)
            try save(line)
        }
        return changed
    }

    /// An identity has read up to `line`. M§10.3
    ///
    /// - Returns: whether that is further than before in the group of `line`.
    mutating func advance(
        _ reader: DID,
        in thread: ULID,
        to line: MessageRecord,
        at time: Int64
    ) throws(MessagingError) -> Bool {
        let before = try readMarks(of: reader.string, in: thread).order
        guard line.order < Self.pendingOrder, try mark(reader.string, through: line) else { return false }
        var from = before
        while true {
            let page = try ledger.messages(in: thread, after: from, limit: 500)
            for var message in page where message.order <= line.order {
                if reader == identity {
                    if !message.isMine { try startDisappearing(message) }
                } else if message.isMine, message.markRead(by: reader, at: time) {
                    try refreshState(of: &message)
                    try save(message)
                }
            }
            guard page.count == 500, let last = page.last, last.order < line.order else { break }
            from = last.order
        }
        if reader == identity, var record = try ledger.conversation(thread) {
            record.readOrder = max(record.readOrder, line.order)
            record.unread = try unread(in: record)
            show(record)
        }
        return true
    }

    /// How far a message of ours came: as far as with everybody it was for. M§9.2
    mutating func refreshState(of line: inout MessageRecord) throws(MessagingError) {
        guard line.isMine, line.seq != nil, let record = try ledger.conversation(line.conversation),
            !record.members.isEmpty
        else { return }
        func all(_ has: (MessageRecord.Receipt) -> Bool) -> Bool {
            record.members.allSatisfy { member in line.receipts.contains { $0.identity == member && has($0) } }
        }
        if all({ $0.playedAt != nil }) {
            line.state = .played
        } else if all({ $0.readAt != nil }) {
            line.state = .read
        } else if all({ $0.deliveredAt != nil || $0.readAt != nil }) {
            line.state = .delivered
        }
    }

    // MARK: What this device tells

    /// After a batch: one receipt for what is new and no sibling has acknowledged. M§10.2
    mutating func closeBatch() throws(MessagingError) {
        let arrived = batch.arrived
        batch = Batch()
        guard settings.sendsDelivered else { return }
        for (thread, ids) in arrived.sorted(by: { $0.key < $1.key }) {
            guard let record = try ledger.conversation(thread), !record.isRequest, !record.isRemoved,
                record.members.count + 1 <= MessagingProfile.deliveredGroupLimit, try wire(thread) != nil
            else { continue }
            var targets: [ULID] = []
            for id in ids {
                guard let line = try ledger.message(id, in: thread),
                    line.receipts.first(where: { $0.identity == identity })?.deliveredAt == nil
                else { continue }
                targets.append(id)
            }
            for start in stride(from: 0, to: targets.count, by: Receipt.maximumTargets) {
                let some = Array(targets[start..<min(start + Receipt.maximumTargets, targets.count)])
                try tell(.delivered(some), in: thread)
            }
        }
    }

    private mutating func tell(
        _ statement: Receipt.Statement,
        in thread: ULID,
        privately: Bool = false
    ) throws(MessagingError) {
        guard let conversation = try wire(thread) else { return }
        let receipt = Receipt(id: newULID(), conversation: conversation, sender: identity, sentAt: now, statement)
        if privately, personal == nil, let peer = try carriedPeer(of: thread) {
            return outgoing.append(.copy(receipt.json, of: peer))
        }
        let carrier = privately ? personalThread : thread
        guard let carrier else { return }
        // A receipt is not worth an error when the outbox is full.
        try? queue(receipt.json, in: carrier)
    }

    var personalThread: ULID? { personal.flatMap { groups[$0]?.thread } }

    /// The person has seen everything up to this message.
    public mutating func read(
        through message: ULID,
        in conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let line = try messenger.ledger.message(message, in: conversation) else {
                throw MessagingError(.refused, "There is no such message.")
            }
            // Told is content that has its place: by it others know how far.
            guard let seen = try messenger.lastContent(through: line),
                try seen.order > messenger.readMarks(of: messenger.identity.string, in: conversation).order,
                try messenger.advance(messenger.identity, in: conversation, to: seen, at: now)
            else { return }
            let told = messenger.readTold[conversation]
            if let told, now - told.toldAt < ConversationClient.readInterval {
                messenger.readTold[conversation]?.isUntold = true
            } else {
                try messenger.tellRead(in: conversation)
            }
        }.1
    }

    private func lastContent(through line: MessageRecord) throws(MessagingError) -> MessageRecord? {
        guard !line.isContent || line.order >= Self.pendingOrder else { return line }
        let end = min(line.order, Self.pendingOrder)
        return try ledger.messages(in: line.conversation, before: end, limit: 256).last(where: \.isContent)
    }

    /// Tells how far this identity has read.
    mutating func tellRead(in thread: ULID) throws(MessagingError) {
        guard let read = try readMarks(of: identity.string, in: thread).highest else {
            readTold[thread] = nil
            return
        }
        let isPrivate = !settings.sendsRead
        if isPrivate, personal == nil, try carriedPeer(of: thread) == nil {
            // There is nobody yet to whom it can be told.
            readTold[thread] = nil
            return
        }
        // What is beyond is told after a restart.
        var told = try readMarks(of: Self.toldKey, in: thread)
        if told.insert(read) { ledger.set(.watermark, thread.description, Self.toldKey, told.encoded) }
        readTold[thread] = ReadThrottle(toldAt: now)
        if readTold.count > 4096 { readTold = readTold.filter { $0.value.isUntold } }
        try tell(.read(through: read.message), in: thread, privately: isPrivate)
    }

    func isUntold(in thread: ULID) throws(MessagingError) -> Bool {
        try readMarks(of: identity.string, in: thread).order > readMarks(of: Self.toldKey, in: thread).order
    }

    /// Tells how far each conversation was read, where it has not: the program may have ended before.
    ///
    /// - Parameter again: tells it where it has been told, too.
    mutating func tellAllRead(again: Bool = false) throws(MessagingError) {
        for record in try ledger.store.conversations() where record.readOrder > 0 && !record.isRemoved {
            let isUntold = try isUntold(in: record.id)
            if isUntold || again { try tellRead(in: record.id) }
        }
    }

    /// The person has listened to it, or watched it. M§10.4
    public mutating func played(
        _ message: ULID,
        in conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard var line = try messenger.ledger.message(message, in: conversation), !line.isMine,
                line.kind == .audio || line.kind == .video, messenger.settings.sendsPlayed,
                try line.stamp(messenger.identity, at: now, order: Self.pendingOrder, isPlayed: true)
            else { return }
            try messenger.save(line)
            try messenger.tell(.played([message]), in: conversation)
        }.1
    }
}

extension MessageRecord {
    private mutating func receipt(of identity: DID) -> Int? {
        if let at = receipts.firstIndex(where: { $0.identity == identity }) { return at }
        guard receipts.count < 4096 else { return nil }
        receipts.append(Receipt(identity: identity))
        return receipts.count - 1
    }

    /// - Returns: whether there was none of this kind before. The lowest `seq` keeps its time.
    mutating func stamp(_ identity: DID, at time: Int64, order: Int64, isPlayed: Bool) throws(MessagingError) -> Bool {
        guard let at = receipt(of: identity) else { return false }
        if isPlayed {
            if let earlier = receipts[at].playedSeq, earlier <= order { return false }
            defer { (receipts[at].playedAt, receipts[at].playedSeq) = (time, order) }
            return receipts[at].playedSeq == nil
        }
        if let earlier = receipts[at].deliveredSeq, earlier <= order { return false }
        defer { (receipts[at].deliveredAt, receipts[at].deliveredSeq) = (time, order) }
        return receipts[at].deliveredSeq == nil
    }

    /// - Returns: whether it was not known.
    mutating func markRead(by identity: DID, at time: Int64) -> Bool {
        guard let at = receipt(of: identity), receipts[at].readAt == nil else { return false }
        receipts[at].readAt = time
        return true
    }
}
