import DSIPIdentity
import DSIPMessaging
import Encoding

/// Conversations: finding, opening and changing them.
extension Agent {
    /// Everything that is listed, the latest first.
    public func conversations() throws(AgentError) -> [Conversation] {
        var all: [Conversation] = []
        for owner in desks.keys.sorted() where visible(owner) {
            guard let desk = desks[owner], let messages = desk.mail else { continue }
            for record in try read({ () throws(MessagingError) in try messages.store.conversations() })
            where isShown(record, desk) {
                all.append(shown(record, desk, messages))
            }
        }
        return all.sorted { ($0.record.lastActivity, $0.id) > ($1.record.lastActivity, $1.id) }
    }

    /// The direct conversation with whom `input` means: a DID, an alias, a link, or a contact's id.
    public func openConversation(with input: String) async throws(AgentError) -> Conversation {
        let did = try await person(input)
        let desk = try desk(for: did)
        guard did != desk.identity else { throw AgentError(.notAllowed, "This is your own address.") }
        return try show(
            attempt(desk) { (mail, now) throws(MessagingError) in try mail.open(with: did, at: now) },
            desk
        )
    }

    public func createGroup(title: String, members: [String]) async throws(AgentError) -> Conversation {
        var people: [DID] = []
        for member in members { people.append(try await person(member)) }
        guard let desk = desks[current] else { throw AgentError(.internal, "No identity is open.") }
        people.removeAll { $0 == desk.identity }
        guard !people.isEmpty else { throw AgentError(.badRequest, "A group needs someone else in it.") }
        let members = people
        return try show(
            attempt(desk) { (mail, now) throws(MessagingError) in
                try mail.createGroup(title: title, members: members, at: now)
            },
            desk
        )
    }

    /// What a person may change of a conversation; nil leaves it as it is.
    public struct ConversationChange: Sendable {
        public var title: String?
        public var isMuted: Bool?
        public var draft: String?
        /// Seconds; a nil inside turns it off.
        public var disappearAfter: Int64??

        public init() {}
    }

    public func updateConversation(_ id: String, _ change: ConversationChange) throws(AgentError) -> Conversation {
        let (thread, desk) = try conversation(id)
        try attempt(desk) { (mail, now) throws(MessagingError) in
            var actions: [MessengerAction] = []
            if let title = change.title { actions += try mail.setTitle(title, of: thread, at: now) }
            if let isMuted = change.isMuted { actions += try mail.setMuted(isMuted, of: thread, at: now) }
            if let draft = change.draft { actions += try mail.setDraft(draft, of: thread, at: now) }
            if let seconds = change.disappearAfter {
                actions += try mail.setDisappearAfter(seconds, of: thread, at: now)
            }
            return ((), actions)
        }
        return try show(thread, desk)
    }

    public func acceptConversation(_ id: String) throws(AgentError) -> Conversation {
        let (thread, desk) = try conversation(id)
        try attempt(desk) { (mail, now) throws(MessagingError) in ((), try mail.accept(thread, at: now)) }
        return try show(thread, desk)
    }

    public func leaveConversation(_ id: String) throws(AgentError) {
        let (thread, desk) = try conversation(id)
        try attempt(desk) { (mail, now) throws(MessagingError) in ((), try mail.leave(thread, at: now)) }
    }

    public func deleteConversation(_ id: String) throws(AgentError) {
        let (thread, desk) = try conversation(id)
        try attempt(desk) { (mail, now) throws(MessagingError) in ((), try mail.delete(thread, at: now)) }
    }

    public func addMembers(_ inputs: [String], to id: String) async throws(AgentError) -> Conversation {
        var people: [DID] = []
        for input in inputs { people.append(try await person(input)) }
        let (thread, desk) = try conversation(id)
        let members = people
        try attempt(desk) { (mail, now) throws(MessagingError) in ((), try mail.add(members, to: thread, at: now)) }
        return try show(thread, desk)
    }

    public func removeMembers(_ inputs: [String], from id: String) async throws(AgentError) -> Conversation {
        var people: [DID] = []
        for input in inputs { people.append(try await person(input)) }
        let (thread, desk) = try conversation(id)
        let members = people
        try attempt(desk) { (mail, now) throws(MessagingError) in
            ((), try mail.remove(members, from: thread, at: now))
        }
        return try show(thread, desk)
    }

    /// Has this person's own service order a group from now on.
    ///
    /// - Parameter relay: which of their services, as a `wss` address or its host; nil for the one that keeps their messages.
    public func moveConversation(_ id: String, to relay: String? = nil) throws(AgentError) -> Conversation {
        let (thread, desk) = try conversation(id)
        let own = desk.mail?.mail.configuration.mailboxes ?? []
        var mailbox: DID?
        if let relay {
            func host(_ address: String) -> Substring {
                (address.hasPrefix("wss://") ? address.dropFirst(6) : address[...]).prefix { $0 != "/" }
            }
            guard let found = own.first(where: { host($0.uri) == host(relay) }) else {
                throw AgentError(.notAllowed, "Only a service that keeps your own messages can take a group over.")
            }
            mailbox = found.mailbox
        }
        let target = mailbox
        try attempt(desk) { (mail, now) throws(MessagingError) in ((), try mail.move(thread, to: target, at: now)) }
        return try show(thread, desk)
    }

    // MARK: Finding

    /// Whom `input` means; where a link says they can be reached is remembered.
    private func person(_ input: String) async throws(AgentError) -> DID {
        if let contact = try store.contact(id: input), visible(contact.owner) { return contact.did }
        let found = try await lookup(input)
        if let relay = found.relay, let desk = try? desk(for: found.peer.did) {
            desk.mail?.note(hint: relay, for: found.peer.did)
        }
        return found.peer.did
    }

    func conversation(_ id: String) throws(AgentError) -> (id: ULID, desk: Desk) {
        guard let thread = ULID(id) else { throw AgentError(.notFound, "There is no such conversation.") }
        return (thread, try deskOfMail(thread).desk)
    }

    /// The identity of ours that a conversation belongs to.
    func deskOfMail(_ conversation: ULID) throws(AgentError) -> (desk: Desk, messages: MessagingDesk) {
        for owner in desks.keys.sorted() where visible(owner) {
            guard let desk = desks[owner], let messages = desk.mail,
                try read({ () throws(MessagingError) in try messages.store.conversation(conversation) }) != nil
            else { continue }
            return (desk, messages)
        }
        throw AgentError(.notFound, "There is no such conversation.")
    }

    func show(_ thread: ULID, _ desk: Desk) throws(AgentError) -> Conversation {
        guard let messages = desk.mail,
            let record = try read({ () throws(MessagingError) in try messages.store.conversation(thread) })
        else { throw AgentError(.notFound, "There is no such conversation.") }
        return shown(record, desk, messages)
    }

    func read<T>(_ body: () throws(MessagingError) -> T) throws(AgentError) -> T {
        do throws(MessagingError) {
            return try body()
        } catch {
            throw AgentError(error)
        }
    }

    // MARK: Showing

    /// What a blocked person says to us alone is not shown (M§14.3).
    func isShown(_ record: ConversationRecord, _ desk: Desk) -> Bool {
        guard let peer = record.peer else { return true }
        return !isBlocked(peer, desk)
    }

    /// Nor is what they say in a group.
    func isShown(_ message: MessageRecord, _ desk: Desk) -> Bool {
        message.isMine || message.kind == .roster || !isBlocked(message.sender, desk)
    }

    private func isBlocked(_ did: DID, _ desk: Desk) -> Bool {
        ((try? store.contact(did: did, of: desk.identity)) ?? nil)?.blocked ?? false
    }

    func shown(_ record: ConversationRecord, _ desk: Desk, _ messages: MessagingDesk) -> Conversation {
        let last = record.lastMessage.flatMap { (try? messages.store.message($0, in: record.id)) ?? nil }
        return Conversation(
            record: record,
            members: record.members.map { peer($0, of: desk.identity, claimed: nil) },
            last: last.flatMap { isShown($0, desk) ? shown($0, desk, messages) : nil },
            typing: messages.mail.activity(in: record.id).sorted { $0.key < $1.key }
                .flatMap { did, kinds in kinds.map { Conversation.Typing(did: did, activity: $0) } }
                .filter { !isBlocked($0.did, desk) },
            isCarried: messages.mail.isCarried(record.id),
            hub: record.kind == .group
                ? messages.mail.hub(of: record.id).map { hub in
                    Conversation.Hub(service: hub, isOwn: hub.did == messages.mailbox?.mailbox)
                } : nil
        )
    }

    func shown(_ record: MessageRecord, _ desk: Desk, _ messages: MessagingDesk) -> ChatMessage {
        var names: [DID: String] = [:]
        if let roster = record.roster {
            for did in [roster.by] + roster.added + roster.removed where did != desk.identity {
                names[did] = peer(did, of: desk.identity, claimed: nil).name
            }
        }
        return ChatMessage(
            record: record,
            progress: messages.progress[record.id] ?? 0,
            isHeld: record.state == .pending && messages.mail.isGathering(record.conversation),
            names: names,
            me: desk.identity
        )
    }

    /// How messaging stands for the current identity.
    public func messaging() -> MessagingStatus {
        let messages = desks[current]?.mail
        let settings = messages?.mail.settings ?? MessengerSettings()
        let unread = ((try? conversations()) ?? []).reduce(0) { $0 + ($1.record.isMuted ? 0 : $1.record.unread) }
        return MessagingStatus(
            isEnabled: messages?.mailbox != nil || messages?.hasShelf == true,
            unread: unread,
            mode: settings.mode,
            readReceipts: settings.sendsRead,
            typing: settings.sendsActivity,
            mailbox: mailboxSentence(messages)
        )
    }

    private func mailboxSentence(_ messages: MessagingDesk?) -> String {
        guard let messages else {
            return "This device may not carry messages yet. Open DSIP on your first device once."
        }
        guard let mailbox = messages.mailbox else {
            if messages.hasShelf {
                return relayStatus.state == .connected
                    ? "Your relay keeps what you are sent, encrypted, until you have it."
                    : "Not connected. What you write waits."
            }
            return relayStatus.state == .connected
                ? "Your relay keeps no messages. Choose another one to write and to be written to."
                : "Not connected. What you write waits."
        }
        let host = String(mailbox.uri.dropFirst(6).prefix { $0 != "/" })
        return messages.isBound
            ? "Your messages are kept at \(host), encrypted." : "Not connected. What you write waits."
    }

    func publishMessaging() { hub.publish(.messaging(messaging())) }

    /// Who is blocked has changed, and with it what is shown.
    func publishConversations() {
        for desk in desks.values {
            guard let messages = desk.mail, let all = try? messages.store.conversations() else { continue }
            for record in all where visible(desk.identity) {
                guard isShown(record, desk) else {
                    hub.publish(.conversationGone(record.id.description))
                    continue
                }
                hub.publish(.conversation(shown(record, desk, messages)))
                hub.publish(.messagesReset(record.id.description))
            }
        }
        publishMessaging()
    }

    /// A device of ours is there that may carry messages: it gets into our groups and reads what was said before (M§12.3).
    func welcome(_ device: DID, _ delegation: Delegation?, _ desk: Desk) {
        guard let messages = desk.mail, delegation?.capabilities.contains(Delegation.Capability.messaging) == true
        else {
            return
        }
        workRatchet(desk) { (ratchet, now) throws(MessagingError) in try ratchet.expect(device, at: now) }
        guard (try? messages.mail.devices())?.contains(device) == false else { return }
        work(desk) { (mail, now) throws(MessagingError) in try mail.addDevice(device, at: now) }
    }

    /// Tells each messenger who need not ask before they write.
    func shareContacts(_ desk: Desk) {
        guard let messages = desk.mail, let contacts = try? store.contacts(of: desk.identity) else { return }
        let known = Set(contacts.filter { $0.allowed && !$0.blocked }.map(\.did))
        if messages.mail.contacts != known { messages.mail.contacts = known }
        messages.mail.blocked = Set(contacts.filter(\.blocked).map(\.did))
    }
}
