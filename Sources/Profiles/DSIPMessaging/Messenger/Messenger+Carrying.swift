import DSIPIdentity
import Encoding

/// Direct conversations that no group carries: what is said goes to the owner, who brings it over a ratchet (``RatchetConversations``), and
/// what comes is told by the owner. Lines, receipts and edits are the same as in a group, and so is the thread: when both have a mailbox
/// it goes on in a group.
extension Messenger {
    /// Objects of one thread that are with the owner at once.
    static var carriedAtOnce: Int { 64 }
    /// Seconds after which somebody who is written to over a ratchet is looked up again: they may have a mailbox by now.
    static var carriedLookUp: Int64 { 3600 }

    func choice(for did: DID) throws(MessagingError) -> ConversationChoice {
        let peer = try known(did)
        return ConversationChoice(
            own: configuration.mailboxes,
            peer: peer.usableMailboxes,
            hasPreKeys: peer.preKeys != nil
        )
    }

    /// Whether what is said in a conversation goes over a ratchet at present.
    public func isCarried(_ conversation: ULID) -> Bool { ((try? carriedPeer(of: conversation)) ?? nil) != nil }

    /// The relay (`wss`) where somebody's prekeys are had and messages for their devices are taken, as it was found last.
    public func preKeyService(of did: DID) -> String? {
        (try? known(did))?.preKeys
    }

    private func known(_ did: DID) throws(MessagingError) -> Peer {
        if let peer = peers[did] { return peer }
        guard let row = try ledger.row(.peer, "", did.string) else { return Peer() }
        return Peer(decoding: row) ?? Peer()
    }

    func carriedPeer(of thread: ULID) throws(MessagingError) -> DID? {
        guard current(thread) == nil, let record = try ledger.conversation(thread), !record.isRemoved,
            let peer = record.peer, try choice(for: peer) == .ratchet
        else { return nil }
        return peer
    }

    /// `conversation` of what is said in a thread; nil when nothing can be said there.
    func wire(_ thread: ULID) throws(MessagingError) -> ULID? {
        if let group = current(thread) { return group.conversation }
        guard let record = try ledger.conversation(thread), !record.isRemoved, let peer = record.peer else {
            return nil
        }
        return RatchetConfiguration.conversation(identity, peer)
    }

    /// The group of a direct conversation, once both can be in it. M§7.2
    ///
    /// - Parameter id: of the group; nil for a new one.
    mutating func foundDirect(_ thread: ULID, as id: GroupID? = nil) throws(MessagingError) {
        guard current(thread) == nil, let record = try ledger.conversation(thread), !record.isRemoved,
            let peer = record.peer
        else { return }
        switch try choice(for: peer) {
        case .mls where try known(peer).isUncertain: try askForMailbox(of: peer)
        case .mls:
            let id = id ?? GroupID(newULID())
            try found(id, thread: thread, kind: .direct, members: [peer], conversation: newULID())
        case .ratchet: if lookedUp[peer].map({ now - $0 > Self.carriedLookUp }) ?? true { resolve(peer) }
        case .none: resolve(peer)
        }
    }

    // MARK: Whether there is a mailbox

    /// Asks the service that a hint names for somebody's KeyPackages: it tells whether it has a mailbox for them.
    mutating func askForMailbox(of did: DID) throws(MessagingError) {
        guard mailboxQuestions[did] != nil || mailboxQuestions.count < Self.maximumDocuments else { return }
        let question = mailboxQuestions[did] ?? MailboxQuestion(group: GroupID(newULID()))
        guard question.retryAt <= now else { return }
        mailboxQuestions[did] = question
        try fetchKeyPackages(of: did, for: question.group)
    }

    /// It has one: what waits goes there.
    mutating func foundMailbox(of did: DID) throws(MessagingError) {
        guard let id = mailboxQuestions.removeValue(forKey: did)?.group else { return }
        var peer = try peer(did)
        peer.hinted = .there
        set(peer, for: did)
        if let thread = directs[did], outbox[thread] != nil { try foundDirect(thread, as: id) }
    }

    /// It has none, and is asked again when they are looked up again.
    mutating func lacksMailbox(_ did: DID) throws(MessagingError) {
        mailboxQuestions[did] = nil
        var peer = try peer(did)
        peer.hinted = .absent
        set(peer, for: did)
    }

    /// No answer. Nobody waits for one where the ratchet carries what is said.
    mutating func missedMailbox(of did: DID) throws(MessagingError) {
        guard var question = mailboxQuestions[did], try peer(did).hinted == .unasked else {
            mailboxQuestions[did] = nil
            return
        }
        question.attempts = min(question.attempts + 1, 16)
        question.retryAt = now + MessagingProfile.backoff(attempt: question.attempts)
        mailboxQuestions[did] = question
    }

    /// Nothing is there yet by which these could be written to.
    var uncarried: [DID] {
        outbox.keys.compactMap { thread in
            guard current(thread) == nil, let record = try? ledger.conversation(thread), let peer = record.peer,
                (try? choice(for: peer)) == ConversationChoice.none
            else { return nil }
            return peer
        }
    }

    /// Somebody could not be reached the way that was found last.
    public mutating func lookAgain(_ did: DID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in messenger.resolve(did) }.1
    }

    // MARK: Out

    /// Hands on what waits in a thread that a ratchet carries.
    mutating func carry(_ thread: ULID) throws(MessagingError) {
        guard let waiting = outbox[thread]?.filter({ $0.purpose == .object && $0.deposit == nil }), !waiting.isEmpty,
            let peer = try carriedPeer(of: thread), let conversation = try wire(thread)
        else { return }
        var room = Self.carriedAtOnce - waiting.count { carrying.contains($0.id) }
        for item in waiting where room > 0 && !carrying.contains(item.id) {
            guard let object = item.object.flatMap({ Self.addressed($0, to: conversation) }) else { continue }
            carrying.insert(item.id)
            room -= 1
            outgoing.append(.carry(item.id, object, to: peer))
        }
    }

    /// An object that was said before it was known what carries it, in the conversation that it goes to.
    static func addressed(_ object: [UInt8], to conversation: ULID) -> JSONValue? {
        guard var object = try? MessagingObject.parse(object).object else { return nil }
        object["conversation"] = .string(conversation.description)
        return .object(object)
    }

    /// A relay has what was handed on. Told twice, it changes nothing.
    public mutating func carried(_ item: ULID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            messenger.carrying.remove(item)
            guard let kept = messenger.carriedItem(item), let bytes = kept.object,
                let conversation = try messenger.wire(kept.thread)
            else { return }
            messenger.removeFromOutbox(item, thread: kept.thread)
            guard let object = Self.addressed(bytes, to: conversation) else { return }
            try messenger.apply(
                carried: object,
                by: messenger.identity,
                device: messenger.device,
                in: kept.thread,
                conversation
            )
        }.1
    }

    /// No relay will ever take it.
    public mutating func carryFailed(_ item: ULID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            messenger.carrying.remove(item)
            guard let kept = messenger.carriedItem(item) else { return }
            messenger.removeFromOutbox(item, thread: kept.thread)
            if let content = kept.content {
                try messenger.failed(content, in: kept.thread, "Their relay refused it.")
            }
        }.1
    }

    private func carriedItem(_ id: ULID) -> OutboxItem? {
        outbox.values.lazy.flatMap(\.self).first { $0.id == id && $0.deposit == nil }
    }

    // MARK: In

    /// An object that came over a ratchet: of a device of the peer's, or of another of this identity's. Come twice, it changes nothing.
    public mutating func received(
        carried arrival: RatchetArrival,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard arrival.peer != messenger.identity,
                arrival.sender == arrival.peer || arrival.sender == messenger.identity
            else { return }
            if try messenger.isPast(arrival) { return }
            guard
                let thread = try messenger.carriedThread(with: arrival.peer, by: arrival.sender)
            else { return }
            var peer = try messenger.peer(arrival.peer)
            let before = peer
            // Their device's word, until they are looked up.
            if peer.preKeys == nil { peer.preKeys = arrival.relay }
            if arrival.sender == arrival.peer, let isProposal = arrival.isProposal { peer.hasNone = isProposal }
            if peer.preKeys != before.preKeys || peer.hasNone != before.hasNone {
                messenger.set(peer, for: arrival.peer)
            }
            try messenger.apply(
                carried: arrival.object,
                by: arrival.sender,
                device: arrival.device,
                in: thread,
                RatchetConfiguration.conversation(messenger.identity, arrival.peer)
            )
            try messenger.closeBatch()
        }.1
    }

    mutating func carriedThread(with peer: DID, by sender: DID) throws(MessagingError) -> ULID? {
        if let known = directs[peer], var record = try ledger.conversation(known) {
            if record.isRemoved {
                // Left, and written to again.
                record.isRemoved = false
                record.isRequest = sender != identity && !contacts.contains(peer)
                show(record)
            }
            return known
        }
        var record = ConversationRecord(id: newULID(), kind: .direct, members: [peer], at: now)
        if sender != identity, !contacts.contains(peer) {
            let requests = try ledger.store.conversations().count { $0.isRequest }
            guard requests < Self.maximumRequests else { return nil }
            record.isRequest = true
        }
        directs[peer] = record.id
        show(record)
        if try choice(for: peer) == .none { resolve(peer) }
        // What was told of it before this device showed it.
        try openWaiting(for: RatchetConfiguration.conversation(identity, peer))
        return record.id
    }

    private mutating func apply(
        carried object: JSONValue,
        by sender: DID,
        device: DID,
        in thread: ULID,
        _ conversation: ULID
    ) throws(MessagingError) {
        let context = ObjectContext(conversation: conversation, kind: .direct, sender: sender)
        guard let read = try? MessagingObject(object, in: context) else { return }
        let place = try carriedPlace(in: thread)
        try apply(
            read,
            Saying(
                group: GroupID(conversation),
                thread: thread,
                conversation: conversation,
                order: place << 1 | 1,
                seq: place,
                sender: sender,
                device: device,
                receivedAt: now,
                blobs: [],
                origin: .carried,
                payload: object
            )
        )
    }

    /// Behind everything that has a place in the thread; below the first group's, when there was none.
    mutating func carriedPlace(in thread: ULID) throws(MessagingError) -> Int64 {
        let last = try ledger.messages(in: thread, before: Self.pendingOrder, limit: 1).last?.order ?? 0
        let used = try ledger.row(.setting, "carried", thread.description).flatMap { RowReader($0) }?.int("place") ?? 0
        let place = max(last >> 1, used) + 1
        var row = RowWriter()
        row.put("place", place)
        ledger.set(.setting, "carried", thread.description, row.bytes)
        return place
    }

    // MARK: Now or never

    /// Whether the peer types, as the ratchet told.
    public mutating func receivedTyping(_ isOn: Bool, by peer: DID, at now: Int64) throws(MessagingError)
        -> [MessengerAction]
    {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let thread = messenger.directs[peer], messenger.current(thread) == nil else { return }
            messenger.note(
                Activity(
                    conversation: RatchetConfiguration.conversation(messenger.identity, peer),
                    sender: peer,
                    kind: .typing,
                    state: isOn ? .active : .stopped
                ),
                in: thread,
                expiresAt: now + MessagingProfile.maximumEphemeralLifetime
            )
        }.1
    }
}
