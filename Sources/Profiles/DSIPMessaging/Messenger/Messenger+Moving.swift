import DSIPIdentity
import Encoding
import MLS

/// A group goes on at another hub while its hub is alive. M§7.4
extension Messenger {
    /// Has one of this identity's own services order a conversation from now on; nothing happens when it does already.
    ///
    /// - Parameter mailbox: which of them; nil for the primary one.
    /// - Throws: `refused` when this identity is not in the conversation, or has no mailbox there: no other service would take it.
    public mutating func move(
        _ conversation: ULID,
        to mailbox: DID? = nil,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard try messenger.ledger.conversation(conversation)?.isRemoved == false,
                let group = messenger.current(conversation)
            else { throw MessagingError(.refused, "You are not in this conversation, or nothing has been said in it.") }
            let own = messenger.configuration.mailboxes
            guard let service = mailbox.map({ did in own.first { $0.mailbox == did } }) ?? own.first else {
                throw MessagingError(.refused, "Only a service that keeps your messages can take a conversation over.")
            }
            guard service.mailbox != group.hub.did else { return }
            messenger.plan(.move(HubReference(did: service.mailbox, uri: service.uri)), in: group.id)
            messenger.hasten(group.id)
        }.1
    }

    /// The service that orders a conversation; nil while no group carries it.
    public func hub(of conversation: ULID) -> HubReference? { current(conversation)?.hub }

    /// The commit that moves a group; none when it is there.
    static func move(to hub: HubReference, _ mls: MLS.Group) -> [Proposal] {
        guard let data = mls.extensions[conversationExtension],
            var context = try? ConversationExtension(decoding: data), context.hub.did != hub.did
        else { return [] }
        context.hub = hub
        var extensions = mls.extensions
        extensions[conversationExtension] = context.json.utf8
        return [.groupContextExtensions(extensions)]
    }

    // MARK: Following

    /// Seconds that whoever could found the group at its new hub waits for the committer to do so, and between two tries.
    static var handoverPatience: Int64 { 60 }
    static var handoverInterval: Int64 { 600 }

    /// The group's hub is another now, or its address. What was deposited at the old one is encrypted anew: it takes no more, and what it
    /// has taken comes back and is known.
    ///
    /// - Parameters:
    ///   - seq: of the moving commit.
    ///   - isOwn: this device made it.
    ///   - time: when the mailbox stored it.
    mutating func moved(
        _ id: GroupID,
        to hub: HubReference,
        after seq: Int64,
        isOwn: Bool,
        at time: Int64
    ) throws(MessagingError) {
        guard let group = groups[id] else { return }
        update(id) { $0.hub = hub }
        guard hub.did != group.hub.did else { return }
        recall(id)
        // What was on its way to the old hub is of no use to it.
        drop(.groupInfo, of: id)
        var handover = GroupState.Handover(seq: seq)
        if self.isOwn(hub.did) { handover.publishAt = now + (isOwn ? Self.handoverInterval : Self.handoverPatience) }
        update(id) { $0.handover = handover }
        try cleared(.hubUnreachable, in: id)
        let entry = MailboxConfig.Group(id, .joined, hub: hub.did, hubURI: hub.uri, handoverSeq: seq)
        for service in configuration.mailboxes {
            addErrand(
                .move,
                .mailboxConfig(MailboxConfig(subject: identity, groups: [entry])),
                via: MailboxRoute(mailbox: service.mailbox),
                group: id
            )
        }
        // The mailbox is to know where to before what is said comes to it.
        runErrands()
        // The new hub has been refused here for a while and comes by seldom: it hears that it is expected.
        if !isOwn, group.phase == .active, now - time > Self.handoverPatience { try publishGroupInfo(of: id) }
    }

    /// Takes back what was deposited and has no place yet: objects are encrypted anew, commits and proposals were of that epoch. What
    /// was encrypted may have been ordered; its content id makes it one message whatever happens.
    mutating func recall(_ id: GroupID) {
        let configuration = configuration
        guard let group = groups[id] else { return }
        for item in outbox[group.thread] ?? [] where item.group == id {
            if item.purpose == .object { unencrypt(item) } else { removeFromOutbox(item.id, thread: item.thread) }
        }
        for (message, sent) in inFlight { if case .outbox(id, _) = sent.purpose { inFlight[message] = nil } }
        update(id) { $0.outage = HubOutage(timeout: configuration.hubTimeout) }
    }

    /// A device that cannot follow reads where the group goes on all the same: the hub that ordered the move has judged it, and a group
    /// that is joined there is judged in joining.
    mutating func noteMove(_ item: StoredItem, in id: GroupID) throws(MessagingError) {
        guard item.itemClass == .handshake, let seq = item.seq, let group = groups[id],
            let mls = item.mls?.bytes.flatMap({ try? MLSMessage(decoding: $0) }),
            let context = mls.claimedExtensions.flatMap({ ConversationExtension(of: $0) }),
            context.conversation == group.conversation, seq > group.handover?.seq ?? 0
        else { return }
        try moved(id, to: context.hub, after: seq, isOwn: false, at: item.storedAt)
        // What it was to come back by is of no use at another hub.
        guard group.phase == .lost, context.hub.did != group.hub.did else { return }
        update(id) { ($0.commitItem, $0.retryAt) = (nil, item.storedAt) }
    }

    // MARK: The new hub

    /// What a GroupInfo for the hub says of the numbering: until the new hub is heard of, where it begins.
    func handoverSeq(of group: GroupState) -> Int64? { isOwn(group.hub.did) ? group.handover?.seq : nil }

    /// The hub has ordered something, or taken a GroupInfo: it has begun.
    mutating func heard(fromHubOf id: GroupID, _ seq: Int64 = .max) {
        guard let handover = groups[id]?.handover, seq > handover.seq else { return }
        update(id) { $0.handover = nil }
    }

    /// The new hub brings its GroupInfo to members: it has begun.
    mutating func heardOfHub(by item: StoredItem, in id: GroupID) {
        guard let group = groups[id], group.handover != nil, let bytes = item.mls?.bytes,
            case .groupInfo(let info)? = try? MLSMessage(decoding: bytes),
            ConversationExtension(of: info.claimedContext.extensions)?.hub.did == group.hub.did
        else { return }
        heard(fromHubOf: id)
    }

    /// The committer, or whoever else has a mailbox there when the committer does not, founds the group at its new hub.
    mutating func foundMoved(_ id: GroupID) throws(MessagingError) {
        let now = now
        guard let group = groups[id], group.phase == .active, group.handover?.publishAt.map({ $0 <= now }) == true
        else {
            return
        }
        update(id) { $0.handover?.publishAt = now + Self.handoverInterval }
        try publishGroupInfo(of: id)
    }
}
