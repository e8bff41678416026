import DSIPIdentity
import Encoding
import MLS

extension Messenger {
    /// Unix seconds at which ``advance(to:)`` has something to do; nil when nothing waits for time.
    public var deadline: Int64? {
        var times: [Int64] = inFlight.values.map(\.deadline)
        times += [inbox.deadline, gapDeadline, documentDeadline, keyDeadline, isInterrupted || isStale ? now : nil]
            .compactMap(
                \.self
            )
        let isBound = primary.map { bound.contains($0) } ?? false
        for group in groups.values where group.phase != .left {
            if isBound, let outage = group.outage.deadline { times.append(outage) }
            // What is overdue waits for the mailbox.
            times += [group.retryAt, group.passUntil, group.leaveAt, group.handover?.publishAt].compactMap(\.self)
                .filter { isBound || $0 > now }
            if isBound, group.phase == .active, let due = group.infoDueAt { times.append(due) }
            if isBound, let gathers = group.gathersUntil, gathers > now { times.append(gathers) }
            if group.phase == .active, group.renewAt != .max, group.renewAt < delegationRenewal {
                times.append(group.renewAt)
            }
            if group.phase == .active, !group.isLeaving, group.lapsesAt != .max { times.append(group.lapsesAt) }
            if group.phase == .active, group.askedAt > 0 { times.append(group.askedAt + 60) }
            if group.phase == .active, !group.unopened.isEmpty { times.append(group.askedAt + Self.resendInterval) }
        }
        for progress in syncs.values { times += [progress.acknowledgeAt, progress.askAt].compactMap(\.self) }
        times += readTold.values.filter(\.isUntold).map { $0.toldAt + ConversationClient.readInterval }
        times += expiries.values.map(\.at)
        times += clients.values.compactMap(\.deadline)
        times += blobJobs.values.compactMap(\.retryAt)
        times += attachmentRetries.values.map(\.1)
        times += uncarried.compactMap { resolving[$0] }
        times += mailboxQuestions.values.map(\.retryAt).filter { $0 > now }
        if isBound {
            if let errandsRetryAt, !errands.isEmpty { times.append(errandsRetryAt) }
            if let waitsUntil { times.append(waitsUntil) }
            times.append(restockAt)
        }
        return times.min().map { max($0, now + 1) }
    }

    /// Does what has become due.
    public mutating func advance(to now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            messenger.missLate()
            for action in messenger.inbox.advance(to: now) {
                if case .rejoin(let group, _) = action { messenger.dirtyGroups.insert(group) }
                try messenger.follow(action, in: nil)
            }
            try messenger.advanceGroups()
            for (mailbox, progress) in messenger.syncs {
                if [progress.acknowledgeAt, progress.askAt].contains(where: { $0.map { $0 <= now } ?? false }) {
                    messenger.ask(mailbox)
                }
            }
            for (thread, told) in messenger.readTold {
                guard told.isUntold, now - told.toldAt >= ConversationClient.readInterval else { continue }
                try messenger.tellRead(in: thread)
            }
            try messenger.disappear()
            for (thread, var client) in messenger.clients {
                let before = client.activity
                _ = client.advance(to: now)
                messenger.clients[thread] = client
                if before != client.activity { messenger.touched.conversations.insert(thread) }
            }
            try messenger.fillGaps()
            try messenger.retryBlobs()
            messenger.resolveAwaited()
            if now >= messenger.restockAt {
                messenger.wantsKeyPackages = true
                messenger.restockAt = now + 3600
            }
        }.1
    }

    private mutating func missLate() {
        for (id, sent) in inFlight where sent.deadline <= now {
            inFlight[id] = nil
            late.append(sent)
        }
    }

    private mutating func advanceGroups() throws(MessagingError) {
        let now = now
        for sent in late { try missed(sent) }
        late = []
        for id in groups.keys.sorted() {
            guard let group = groups[id], group.phase != .left else { continue }
            if group.phase == .active, group.passUntil.map({ $0 <= now }) ?? false {
                // The hub is ahead, and what it ordered does not come.
                try lose(id)
                continue
            }
            if group.phase == .active, group.renewAt <= now, group.renewAt < delegationRenewal { plan(.renew, in: id) }
            if group.phase == .active, !group.isLeaving, group.lapsesAt <= now {
                let lapsed = try roster(of: id).entries.filter {
                    $0.device != device && $0.expiresAt + GroupState.lapseGrace <= now
                }
                update(id) { $0.lapsesAt = now + 86_400 }
                if !lapsed.isEmpty { plan(.removeLapsed(lapsed.map(\.device)), in: id) }
            }
            try foundMoved(id)
            if group.phase == .active, group.infoDueAt.map({ $0 <= now }) ?? false { try publishMissingInfo(of: id) }
            if group.phase == .active, group.leaveAt.map({ $0 <= now }) ?? false {
                update(id) { $0.leaveAt = nil }
                plan(.leave, in: id)
            }
        }
    }

    /// A third of a delegation's life before its end, at most two days. M§6.2
    static func renewal(of delegation: Envelope) -> Int64 { Delegation.decode(delegation).map(renewal) ?? .min }

    static func renewal(of delegation: Delegation) -> Int64 {
        delegation.expiresAt - min((delegation.expiresAt - delegation.issuedAt) / 3, 172_800)
    }

    /// When a device that waits for its siblings acts by itself.
    private var waitsUntil: Int64? {
        for key in ["sibling-wait", "entered"] {
            guard let row = try? ledger.row(.setting, "", key), let reader = RowReader(row) else { continue }
            if let since = reader.int("since") ?? reader.int("at") { return since + configuration.siblingPatience }
        }
        return nil
    }

    /// What follows from an event, whatever it was: groups move, queues run.
    mutating func settle() throws(MessagingError) {
        try beginPersonalGroup()
        try joinConversations()
        let now = now
        let isBound = primary.map { bound.contains($0) } ?? false
        for id in groups.keys.sorted() {
            if isBound, groups[id]?.outage.deadline.map({ $0 <= now }) ?? false {
                let actions = update(id) { $0.outage.advance(to: now) } ?? []
                try follow(actions, in: id)
            }
            guard let phase = groups[id]?.phase else { continue }
            switch phase {
            case .founding, .left: break
            case .lost: try driveRejoin(id)
            case .active:
                try keepPeer(in: id)
                try drive(id)
                try askAgain(in: id)
            }
        }
        try askForKeys()
        for thread in outbox.keys.sorted() {
            try foundDirect(thread)
            try pump(thread)
            try carry(thread)
        }
        try stockKeyPackages()
        runErrands()
    }

    /// Devices in the group in which a conversation goes on.
    package mutating func leafCount(in conversation: ULID) throws(MessagingError) -> Int {
        guard let group = current(conversation) else { return 0 }
        return try roster(of: group.id).entries.count
    }

    // MARK: Disappearing

    /// The time of a message that is to disappear begins: it was read, or sent (`Disappearance`).
    mutating func startDisappearing(_ line: MessageRecord) throws(MessagingError) {
        guard let life = line.disappearAfter, line.expiresAt == nil, expiries.count < Disappearance.maximumEntries
        else {
            return
        }
        var line = line
        var timer = Disappearance()
        timer.received(line.id, for: life)
        timer.read(line.id, at: now)
        guard let end = timer.deadline else { return }
        line.expiresAt = end
        try save(line)
        expiries[line.id] = Expiry(conversation: line.conversation, at: end)
        var row = RowWriter()
        row.put("thread", line.conversation)
        row.put("at", end)
        ledger.set(.expiry, "", line.id.description, row.bytes)
    }

    private mutating func disappear() throws(MessagingError) {
        for (id, expiry) in expiries where expiry.at <= now {
            expiries[id] = nil
            ledger.set(.expiry, "", id.description, nil)
            // Nor is it said again to a device that comes later.
            if let line = try ledger.message(id, in: expiry.conversation), line.isMine, let group = line.group,
                let seq = line.seq
            {
                ledger.set(.sent, group.text, OutboxItem.key(seq), nil)
            }
            ledger.dropMessage(id, in: expiry.conversation)
            touched.messages[.init(id: id, conversation: expiry.conversation)] = false
            guard var record = try ledger.conversation(expiry.conversation) else { continue }
            if record.lastMessage == id {
                record.lastMessage = try ledger.messages(in: record.id, limit: 1).last?.id
            }
            record.unread = try unread(in: record)
            show(record)
        }
    }
}
