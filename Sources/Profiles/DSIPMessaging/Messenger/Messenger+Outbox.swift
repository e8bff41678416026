import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

extension Messenger {
    /// Encrypted and not ordered yet, of one group.
    static var encryptedAtOnce: Int { 64 }
    /// Times one object is encrypted before it is given up.
    static var maximumTries: Int { 12 }

    // MARK: In

    /// Queues an application object for a thread.
    mutating func queue(
        _ object: JSONValue,
        in thread: ULID,
        content: ULID? = nil,
        blobs: [BlobReference] = [],
        after: ULID? = nil,
        again: OutboxItem.Again? = nil,
        limit: Int = MessagingProfile.maximumObject
    ) throws(MessagingError) {
        let bytes = object.utf8
        guard bytes.count <= limit else {
            throw MessagingError(.refused, "It is too long for a message; send it as a file.")
        }
        guard (outbox[thread]?.count ?? 0) < OutboxItem.maximumWaiting else {
            throw MessagingError(.refused, "Too many messages wait to be sent in this conversation.")
        }
        var item = OutboxItem(
            number: nextNumber(),
            id: newULID(),
            thread: thread,
            purpose: .object,
            object: bytes,
            content: content
        )
        item.blobs = blobs
        item.isUnaddressed = current(thread) == nil
        item.after = after
        item.again = again
        save(item)
    }

    mutating func save(_ item: OutboxItem) {
        var items = outbox[item.thread] ?? []
        if let at = items.firstIndex(where: { $0.id == item.id }) {
            items[at] = item
        } else {
            items.append(item)
            if let last = items.dropLast().last, last.number > item.number { items.sort { $0.number < $1.number } }
        }
        outbox[item.thread] = items
        ledger.set(.outbox, "", item.key, item.encoded)
    }

    mutating func removeFromOutbox(_ id: ULID, thread: ULID) {
        guard let at = outbox[thread]?.firstIndex(where: { $0.id == id }) else { return }
        if let item = outbox[thread]?.remove(at: at) { ledger.set(.outbox, "", item.key, nil) }
        if outbox[thread]?.isEmpty == true { outbox[thread] = nil }
    }

    // MARK: Out

    /// Encrypts what waits, as far as the group that the thread goes on in can take it.
    mutating func pump(_ thread: ULID) throws(MessagingError) {
        let now = now
        guard let waiting = outbox[thread]?.filter({ $0.purpose == .object && $0.deposit == nil }), !waiting.isEmpty,
            let group = current(thread), group.phase == .active, group.outage.state != .abandoned,
            group.stalledOn == nil, group.passing == nil
        else { return }
        let id = group.id
        guard try !isGathering(group), try !isLapsed(in: id), var mls = try mlsGroup(id), mls.status == .active else {
            return
        }
        // RFC 9420 §12.4: first the proposals that wait.
        guard mls.queuedProposals.isEmpty else {
            if !group.changes.contains(.commitProposals) { update(id) { $0.changes.append(.commitProposals) } }
            return
        }
        var room = Self.encryptedAtOnce - group.outage.pending.count
        let audience = try audience(of: id)
        var isSealedAgain = false
        for var item in waiting {
            guard room > 0 else { break }
            if let again = item.again, try !mayHear(again, of: item, in: id) {
                try seal(again, of: item, in: id)
                isSealedAgain = true
                continue
            }
            if let first = try item.after.flatMap({ (id) throws(MessagingError) in try ledger.message(id, in: thread) }
            ),
                first.seq == nil, first.state == .pending
            {
                continue
            }
            if item.isUnaddressed {
                item.object = item.object.flatMap { Self.addressed($0, to: group.conversation) }?.utf8
                item.isUnaddressed = false
            }
            item.object = item.object.map { addressed($0, to: group) }
            guard let object = item.object, let made = try? mls.protect(object, using: &random) else { break }
            room -= 1
            item.group = id
            item.deposit = .application(mls: EncodedBytes(made.encoded), blobs: item.blobs)
            item.tries += 1
            item.audience = audience
            save(item)
            set(mls, for: id)
            let actions = update(id) { $0.outage.deposit(item.id, at: now) } ?? []
            try follow(actions, in: id)
        }
        if isSealedAgain { try pump(thread) }
    }

    /// What was to be said in a group that its thread has left since names the conversation that goes on. M§7.2
    private func addressed(_ object: [UInt8], to group: GroupState) -> [UInt8] {
        guard case .object(var members)? = RowReader(object)?.value,
            let named = members["conversation"]?.string.flatMap({ ULID($0) }), named != group.conversation,
            groups.values.contains(where: {
                $0.conversation == named && $0.thread == group.thread && $0.isPersonal == group.isPersonal
            })
        else { return object }
        members["conversation"] = .string(group.conversation.description)
        return JSONValue.object(members).utf8
    }

    /// Whether nobody would take what this device says, until it has renewed its leaf. M§6.2
    private mutating func isLapsed(in id: GroupID) throws(MessagingError) -> Bool {
        let own = try roster(of: id).entries.first { $0.device == device }
        return own.map { $0.expiresAt <= now } ?? false
    }

    /// A conversation says nothing to itself before its members are there, and a new group nothing to some of them before all are.
    private mutating func isGathering(_ group: GroupState) throws(MessagingError) -> Bool {
        let now = now
        let isAwaiting = !group.isPersonal && group.changes.contains(where: \.isAddition)
        if isAwaiting, let until = group.gathersUntil {
            guard let primary, bound.contains(primary) else {
                update(group.id) { $0.gathersUntil = GroupState.gathering }
                return true
            }
            if until == GroupState.gathering {
                update(group.id) { $0.gathersUntil = now + GroupState.gatheringPatience }
                return true
            }
            if until > now { return true }
        }
        if try !isComplete(group) { return true }
        if isAwaiting, try roster(of: group.id).identities.count < 2 { return true }
        if group.gathersUntil != nil { update(group.id) { $0.gathersUntil = nil } }
        return false
    }

    /// Whether what is said in a conversation waits for those it was made with to come in.
    public func isGathering(_ conversation: ULID) -> Bool { current(conversation)?.gathersUntil != nil }

    mutating func follow(_ actions: [HubOutage.Action], in id: GroupID) throws(MessagingError) {
        for action in actions {
            switch action {
            case .deposit(let item): try deposit(item, in: id)
            case .queued, .sent, .refused: break
            case .retry: try noticed(.hubUnreachable, in: id)
            case .createSuccessor, .handOver: try succeed(id)
            case .retryHandover, .refuseDeposit: break
            }
        }
    }

    /// Deposits, or deposits again, the same bytes.
    mutating func deposit(_ item: ULID, in id: GroupID) throws(MessagingError) {
        let now = now
        guard let group = groups[id], let primary,
            let kept = outbox[group.thread]?.first(where: { $0.id == item }), kept.awaitsBlob == nil,
            let deposit = kept.deposit
        else { return }
        // One copy on its way is enough.
        guard !inFlight.values.contains(where: { $0.purpose == .outbox(id, item) }) else { return }
        let isSent = post(
            .deposit(Deposit(group: id, deposit)),
            to: group.hub.did,
            via: MailboxRoute(mailbox: primary),
            .outbox(id, item)
        )
        // The window is full, though the connection is up: it is not the hub's fault, and is tried again.
        if !isSent, bound.contains(primary) { _ = update(id) { $0.outage.missedAnswer(item, at: now) } }
    }

    /// What was deposited, and may be on its way, is not said again; what waits behind it goes on.
    mutating func withdraw(_ item: ULID, from id: GroupID) throws(MessagingError) {
        let now = now
        guard let group = groups[id] else { return }
        removeFromOutbox(item, thread: group.thread)
        // A refusal of its own takes it out of the queue, whatever state the hub is in.
        let actions = update(id) { $0.outage.receivedRefusal(item, .policyBlocked, at: now) } ?? []
        for case .deposit(let other) in actions { try deposit(other, in: id) }
    }

    // MARK: The hub's word

    /// The hub gave `item` its place: by its answer, or by the copy that came back first. M§6.5
    mutating func ordered(_ item: ULID, in id: GroupID, as seq: Int64) throws(MessagingError) {
        guard let group = groups[id] else { return }
        for (message, sent) in inFlight where sent.purpose == .outbox(id, item) { inFlight[message] = nil }
        guard let kept = outbox[group.thread]?.first(where: { $0.id == item }) else { return }
        let actions = update(id) { $0.outage.receivedAccepted(item) } ?? []
        removeFromOutbox(item, thread: group.thread)
        heard(fromHubOf: id, seq)
        let behind = inbox.sent(seq, in: id)
        dirtyGroups.insert(id)
        switch kept.purpose {
        case .object: try said(kept, in: id, seq)
        case .commit: try mergeOwnCommit(in: id, seq)
        case .externalCommit: try cameBack(to: id, seq)
        case .proposal: break
        }
        try cleared(.hubUnreachable, in: id)
        for action in behind { try follow(action, in: id) }
        try follow(actions, in: id)
    }

    mutating func refusedByHub(_ item: ULID, in id: GroupID, _ reason: Reason) throws(MessagingError) {
        let now = now
        guard let group = groups[id], let kept = outbox[group.thread]?.first(where: { $0.id == item }) else { return }
        let reason = isPassing(reason, of: kept, group) ? .mailboxHubUnreachable : reason
        let actions = update(id) { $0.outage.receivedRefusal(item, reason, at: now) } ?? []
        let isFinal = actions.contains { if case .refused = $0 { true } else { false } }
        if isFinal {
            try cleared(.hubUnreachable, in: id)
            switch kept.purpose {
            case .object: try refusedObject(kept, in: id, reason)
            case .commit: try refusedCommit(in: id, reason)
            case .externalCommit: try refusedExternalCommit(in: id, reason)
            case .proposal: removeFromOutbox(item, thread: kept.thread)
            }
        }
        try follow(actions, in: id)
    }

    /// Too fast is not unwanted. A hub that does not know a group has handed it over, and its last words are still to come; or it is
    /// about to take it over; or it has lost it, which is as if it were gone: the outbox waits, and in the end a successor follows.
    /// M§7.4
    private func isPassing(_ reason: Reason, of item: OutboxItem, _ group: GroupState) -> Bool {
        switch reason {
        case .policyRateLimited: true
        case .mailboxUnknownGroup: item.purpose != .externalCommit || group.handover != nil
        default: false
        }
    }

    private mutating func refusedObject(_ item: OutboxItem, in id: GroupID, _ reason: Reason) throws(MessagingError) {
        let isOfAnotherEpoch = reason == .mailboxStaleEpoch || reason == .mailboxCommitConflict
        if isOfAnotherEpoch, item.tries < Self.maximumTries {
            // Encrypted anew once the group has been read further: the same content, in the present epoch. M§7.4
            unencrypt(item)
            let epoch = item.mls?.bytes.flatMap { try? MLSMessage(decoding: $0) }?.claimedEpoch
            if try mlsGroup(id)?.epoch == epoch { try readOn(id) }
            return
        }
        removeFromOutbox(item.id, thread: item.thread)
        if let content = item.content {
            try failed(content, in: item.thread, Self.sentence(reason))
        }
    }

    /// Takes an object back to be encrypted anew. Its deposit may have been ordered all the same: the copy that comes back is known.
    mutating func unencrypt(_ item: OutboxItem) {
        if let id = item.group, let bytes = item.mls?.bytes, let object = item.object {
            let sent = Sent(object: object, audience: item.audience)
            ledger.set(.sent, Self.strayScope(id), Seal.hash(bytes), sent.encoded)
            update(id) { $0.hasStrays = true }
        }
        var item = item
        item.group = nil
        item.deposit = nil
        save(item)
    }

    private static func strayScope(_ id: GroupID) -> String { "stray/" + id.text }

    /// A deposit of this device that it had taken back, and the hub had ordered.
    mutating func stray(_ bytes: [UInt8], in id: GroupID, as seq: Int64) throws(MessagingError) -> Bool {
        guard let group = groups[id], group.hasStrays,
            let sent = try ledger.row(.sent, Self.strayScope(id), Seal.hash(bytes)).flatMap({ Sent($0) })
        else { return false }
        ledger.set(.sent, Self.strayScope(id), Seal.hash(bytes), nil)
        var item = OutboxItem(number: 0, id: newULID(), thread: group.thread, purpose: .object, object: sent.object)
        item.group = id
        item.audience = sent.audience
        try said(item, in: id, seq)
        return true
    }

    /// The group has gone further than this device knows: it reads, and if nothing comes it joins anew.
    mutating func readOn(_ id: GroupID) throws(MessagingError) {
        let now = now
        let configuration = configuration
        let epoch = try mlsGroup(id)?.epoch ?? 0
        update(id) { group in
            guard group.passing == nil else { return }
            group.passing = epoch
            group.passUntil = now + configuration.gapTimeout
        }
        askAll()
    }

    static func sentence(_ reason: Reason) -> String {
        switch reason {
        case .policyBlocked: "The conversation no longer takes messages from you."
        case .mailboxObjectTooLarge: "It is too large for a message."
        default: "The service refused it (\(reason))."
        }
    }
}
