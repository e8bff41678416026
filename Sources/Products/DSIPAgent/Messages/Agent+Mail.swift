import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging

/// The shell around each identity's `Messenger`: connections and verified messages in, actions out.
extension Agent {
    typealias Mail = MessagingDesk.Mail

    /// Opens what the identity has said and been told. A device that may not carry messages (its delegation is an old one) has none.
    func openMail(_ desk: Desk) throws(AgentError) {
        guard desk.mail == nil,
            let delegation = desk.delegations.first,
            Delegation.decode(delegation)?.capabilities
                .contains(Delegation.Capability.messaging) == true
        else { return }
        let key = try keyring.dataKey(of: desk.identity)
        let rows = try IdentityMessages(messageDatabase, of: desk.identity, key: key)
        let known = try knownMailbox(of: desk.identity)
        let mail: Mail
        let ratchet: MessagingDesk.Ratchet
        do throws(MessagingError) {
            var settings = MessengerConfiguration(
                identity: desk.identity,
                device: desk.key,
                delegation: delegation,
                mailboxes: known.map { [$0] } ?? []
            )
            settings.hubTimeout = configuration.hubTimeout
            mail = try Mail(
                settings,
                store: rows,
                random: SystemRandomNumberGenerator(),
                at: now()
            )
            ratchet = try MessagingDesk.Ratchet(
                RatchetConfiguration(
                    identity: desk.identity,
                    device: desk.key,
                    delegation: delegation.compact,
                    relay: desk.relay,
                    hasSiblings: hasSiblings(desk)
                ),
                store: rows,
                at: now()
            )
        } catch {
            throw AgentError(error)
        }
        let messages = MessagingDesk(identity: desk.identity, store: rows, dataKey: key, mail: mail, ratchet: ratchet)
        messages.mailbox = known
        desk.mail = messages
        shareContacts(desk)
        work(desk) { (mail, now) throws(MessagingError) in try mail.start(at: now) }
    }

    /// Does one thing with the messenger and everything that follows from it.
    ///
    /// - Returns: false when the store would not have it: nothing happened.
    @discardableResult
    func work(_ desk: Desk, _ event: (inout Mail, Int64) throws(MessagingError) -> [MessengerAction]) -> Bool {
        do throws(AgentError) {
            try attempt(desk) { (mail, now) throws(MessagingError) -> (Void, [MessengerAction]) in
                ((), try event(&mail, now))
            }
            return true
        } catch {
            logger.error("mail could not be dealt with", metadata: ["why": "\(error.code.rawValue)"])
            if error.code == .internal { hub.publish(.notice(level: .error, sentence: error.message)) }
            return false
        }
    }

    /// The same for a command of the person, whose failure they are told.
    @discardableResult
    func attempt<Result>(
        _ desk: Desk,
        _ command: (inout Mail, Int64) throws(MessagingError) -> (Result, [MessengerAction])
    ) throws(AgentError) -> Result {
        guard let messages = desk.mail else {
            throw AgentError(
                .notAllowed,
                "This device may not carry messages yet. Open DSIP on your first device once."
            )
        }
        do throws(MessagingError) {
            let (result, actions) = try command(&messages.mail, now())
            perform(actions, desk, messages)
            reschedule()
            return result
        } catch {
            throw AgentError(error)
        }
    }

    // MARK: Connections

    /// The state of one of a desk's links has changed.
    func mailLink(_ state: RelayLink.State, at url: String, _ desk: Desk) {
        if state.isConnected, url == desk.relay { sendPush(desk) }
        guard let messages = desk.mail else { return }
        if url == desk.relay { ratchetLink(state, desk, messages) }
        guard case .connected(let relay, let capabilities) = state else {
            if url == desk.relay { unbind(messages, desk) }
            return
        }
        let capability = MailboxCapability(capabilities)
        if url == desk.relay {
            guard let capability, let mailbox = ownMailbox(relay.identity, desk) else { return }
            messages.blobEndpoint = capability.blobEndpoint
            if messages.mailbox != mailbox {
                messages.mailbox = mailbox
                try? store.set(Agent.mailboxSetting(desk.identity), mailbox.json.text)
                work(desk) { (mail, now) throws(MessagingError) in try mail.moved(mailboxes: [mailbox], at: now) }
            }
            messages.isBound = true
            work(desk) { (mail, now) throws(MessagingError) in try mail.bound(relay.identity, at: now) }
            publishMessaging()
        } else if messages.knocking[relay.identity] != nil {
            send(knocking: relay.identity, at: url, desk, messages)
        }
    }

    private func unbind(_ messages: MessagingDesk, _ desk: Desk) {
        guard messages.isBound, let mailbox = messages.mailbox?.mailbox else { return }
        messages.isBound = false
        work(desk) { (mail, now) throws(MessagingError) in try mail.unbound(mailbox, at: now) }
        publishMessaging()
    }

    /// The mailbox this identity reads at its relay: of its document when that names one there, else the relay itself.
    private func ownMailbox(_ relay: DID, _ desk: Desk) -> MailboxService? {
        let document = directory.document(of: desk.identity)
        let named = MailboxSelection(document: document?.mailboxEntries ?? []).order
        guard named.isEmpty else { return named.first { $0.mailbox == relay } }
        return MailboxService(
            uri: desk.relay,
            mailbox: relay,
            voicemail: .init(maximumDuration: Agent.voicemailSeconds)
        )
    }

    /// Seconds of voicemail that callers may leave us.
    static let voicemailSeconds: Int64 = 180

    private static func mailboxSetting(_ identity: DID) -> String { "mailbox \(identity)" }

    private func knownMailbox(of identity: DID) throws(AgentError) -> MailboxService? {
        guard let text = try store.setting(Agent.mailboxSetting(identity)), let json = try? JSONValue(parsing: text)
        else {
            return nil
        }
        return try? MailboxService(json)
    }

    // MARK: What comes in

    func receivedMail(_ message: Verified<MailboxMessage>, owner: DID, path: String) {
        guard let desk = desks[owner], desk.mail != nil,
            message.body.to == desk.key.did || message.body.to == desk.identity
        else { return }
        logger.debug("mail came", metadata: ["kind": "\(message.body.kind.rawValue)"])
        if case .accepted(let accepted) = message.body.body, receivedRatchet(accepted, desk) { return }
        let isTaken = work(desk) { (mail, now) throws(MessagingError) in try mail.received(message, at: now) }
        guard !isTaken, path == desk.relay, let mailbox = desk.mail?.mailbox?.mailbox else { return }
        // The store failed, and so nothing was acknowledged: the mailbox says it again when it is asked again.
        Task {
            try? await Task.sleep(for: .seconds(5))
            guard desk.mail?.isBound == true else { return }
            work(desk) { (mail, now) throws(MessagingError) in
                try mail.unbound(mailbox, at: now) + mail.bound(mailbox, at: now)
            }
        }
    }

    /// A core `error` that answers something said to a mailbox.
    func receivedRefusal(_ report: ErrorReport, _ message: Verified<Message>, _ desk: Desk) {
        guard let about = report.inReplyTo, message.body.session == nil, desk.mail != nil else { return }
        logger.debug("mail refused", metadata: ["reason": "\(report.reason.token)"])
        if receivedRatchet(report, about: about, desk) { return }
        work(desk) { (mail, now) throws(MessagingError) in
            try mail.refused(about, report.reason, by: message.principal, at: now)
        }
    }

    func advanceMail() {
        let now = now()
        for desk in desks.values where desk.mail?.mail.deadline.map({ $0 <= now }) ?? false {
            work(desk) { (mail, now) throws(MessagingError) in try mail.advance(to: now) }
        }
        for desk in desks.values where desk.mail?.ratchet.deadline.map({ $0 <= now }) ?? false {
            workRatchet(desk) { (ratchet, now) throws(MessagingError) in try ratchet.advance(to: now) }
        }
    }

    // MARK: What goes out

    private func perform(_ actions: [MessengerAction], _ desk: Desk, _ messages: MessagingDesk) {
        var changed: [ULID] = []
        func touch(_ conversation: ULID) {
            if !changed.contains(conversation) { changed.append(conversation) }
        }
        for action in actions {
            logger.debug("mail goes on", metadata: ["to": "\(action.word)"])
            switch action {
            case .send(let message, let route): send(message, via: route, desk, messages)
            case .putBlob(let job): put(job, desk, messages)
            case .getBlob(let request): get(request, desk, messages)
            case .resolve(let did): resolve(did, desk, messages)
            case .sign(let statement): sign(statement, desk)
            case .carry(let item, let object, let peer): carry(item, object, to: peer, desk)
            case .copy(let object, let peer):
                workRatchet(desk) { (ratchet, now) throws(MessagingError) in
                    try ratchet.copy(object, of: peer, at: now)
                }
            case .carryTyping(let isOn, let peer):
                workRatchet(desk) { (ratchet, now) throws(MessagingError) in
                    try ratchet.typing(isOn, to: peer, at: now)
                }
            case .conversation(let id): touch(id)
            case .conversationGone(let id): hub.publish(.conversationGone(id.description))
            case .message(let id, let conversation):
                touch(conversation)
                if let message = try? messages.store.message(id, in: conversation), isShown(message, desk) {
                    hub.publish(.message(shown(message, desk, messages)))
                    wakePages(for: message, desk)
                    if let call = message.call { noteMissed(call, from: message.sender, desk) }
                }
            case .messageGone(_, let conversation), .reset(let conversation):
                touch(conversation)
                hub.publish(.messagesReset(conversation.description))
            case .moved(let statement, let did): learnMove(statement, of: did, desk)
            case .failed(let failure): tell(failure)
            }
        }
        for id in changed {
            guard let record = try? messages.store.conversation(id), isShown(record, desk) else { continue }
            hub.publish(.conversation(shown(record, desk, messages)))
        }
        if !changed.isEmpty { publishMessaging() }
    }

    private func tell(_ failure: MessengerAction.Failure) {
        let sentence =
            switch failure {
            case .change(_, let reason): "The group could not be changed: \(Sentences.table(reason))."
            case .historyUnreadable:
                "None of your devices could hand over the earlier messages. They cannot be read here."
            }
        hub.publish(.notice(level: .warning, sentence: sentence))
    }

    private func send(_ message: MailboxMessage, via route: MailboxRoute, _ desk: Desk, _ messages: MessagingDesk) {
        guard let envelope = try? message.signed(by: desk.key, delegations: desk.delegations) else {
            return logger.error("a message could not be signed")
        }
        var item = RelayLink.Item(envelope: envelope, expiresAt: message.expiresAt)
        item.isMail = true
        if route.mailbox == messages.mailbox?.mailbox {
            return links.link(owner: desk.identity, url: desk.relay).enqueue(item)
        }
        guard let url = route.uri, RelayURL.isValid(url) else { return missed([message.id], desk) }
        let link = links.link(owner: desk.identity, url: url)
        if let relay = links.connected(owner: desk.identity, url: url) {
            guard relay.identity == route.mailbox else { return missed([message.id], desk) }
            return link.enqueue(item)
        }
        // Not connected: what is for it waits until it has said who it is.
        let isFirst = messages.knocking[route.mailbox] == nil
        messages.knocking[route.mailbox, default: []].append(.init(id: message.id, item: item))
        guard isFirst else { return }
        let (owner, mailbox) = (desk.identity, route.mailbox)
        Task {
            _ = await link.ready(within: .seconds(10))
            guard let desk = desks[owner], let messages = desk.mail else { return }
            send(knocking: mailbox, at: url, desk, messages)
        }
    }

    /// A foreign mailbox answers, or does not: what waited for it goes out, or is known not to.
    private func send(knocking mailbox: DID, at url: String, _ desk: Desk, _ messages: MessagingDesk) {
        guard let waiting = messages.knocking.removeValue(forKey: mailbox) else { return }
        guard links.connected(owner: desk.identity, url: url)?.identity == mailbox else {
            return missed(waiting.map(\.id), desk)
        }
        let link = links.link(owner: desk.identity, url: url)
        for one in waiting { link.enqueue(one.item) }
    }

    private func missed(_ ids: [ULID], _ desk: Desk) {
        let owner = desk.identity
        // Not from within the messenger's own actions.
        Task {
            guard let desk = desks[owner] else { return }
            for id in ids { work(desk) { (mail, now) throws(MessagingError) in try mail.missedAnswer(id, at: now) } }
        }
    }

    /// What a stranger is asked, or told, is a core message signed by this device (DSIP §19.4).
    private func sign(_ statement: ContactStatement, _ desk: Desk) {
        let message: Message
        switch statement {
        case .introduction(let id, let recipient, let purpose):
            let stamp = Message.Stamp(
                id: id,
                from: desk.key.did,
                issuedAt: now(),
                lifetime: Agent.introductionLifetime
            )
            let body = Introduction(identity: presentation(of: desk), purpose: purpose, contactToken: nil)
            message = Message(stamp, to: recipient, body)
        case .grant(let id, let recipient, let session, let validUntil):
            let stamp = Message.Stamp(id: id, from: desk.key.did, issuedAt: now(), lifetime: 290)
            message = Message(
                stamp,
                to: recipient,
                session: session,
                Grant(scope: Agent.grantScope, validUntil: validUntil)
            )
        }
        guard let envelope = try? message.signed(by: desk.key, delegations: desk.delegations) else {
            return logger.error("a statement could not be signed")
        }
        let owner = desk.identity
        Task {
            guard let desk = desks[owner] else { return }
            work(desk) { (mail, now) throws(MessagingError) in
                try mail.signed(envelope.compact, as: statement, at: now)
            }
        }
    }
}

/// Something that waits for a foreign mailbox to answer.
struct Knock {
    var id: ULID
    var item: RelayLink.Item
}

extension DIDDocument {
    /// The `serviceEndpoint`s of its mailboxes. M§4.2
    var mailboxEntries: [JSONValue] {
        services.filter { $0.type == MailboxService.serviceType }.map { .object($0.endpoint) }
    }
}

extension AgentError {
    /// Why the messenger did not do it, for the person.
    init(_ error: MessagingError) {
        switch error.code {
        case .storeFailed: self.init(.internal, error.detail)
        case .refused: self.init(.notAllowed, error.detail)
        default: self.init(.badRequest, "That cannot be sent: \(error.detail).")
        }
    }
}

extension MessengerAction {
    /// What is done, for the log: nothing of whom or what it is about.
    fileprivate var word: String {
        switch self {
        case .send(let message, let route):
            if case .deposit(let deposit) = message.body {
                "deposit \(deposit.depositClass) \(route.uri == nil ? "here" : "elsewhere")"
            } else {
                "\(message.kind.rawValue) \(route.uri == nil ? "here" : "elsewhere")"
            }
        case .putBlob: "put a blob"
        case .getBlob: "get a blob"
        case .resolve: "resolve"
        case .sign(.introduction): "introduce"
        case .sign(.grant): "grant"
        case .carry, .copy, .carryTyping: "the ratchet"
        case .conversation, .conversationGone, .message, .messageGone, .reset: "show"
        case .moved: "moved"
        case .failed: "fail"
        }
    }
}
