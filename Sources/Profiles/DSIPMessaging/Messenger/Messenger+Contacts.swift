import DSIPIdentity
import DSIPSignaling
import Encoding

extension Messenger {
    /// Introductions kept that nobody has answered.
    static var maximumRequests: Int { 256 }
    /// Seconds a grant given on accepting somebody lasts: one year.
    static var grantLifetime: Int64 { 31_536_000 }

    // MARK: Asking

    /// The peer takes messages after an introduction only: it is introduced, once. M§14.2
    mutating func introduce(to did: DID, for group: GroupState) throws(MessagingError) {
        try noticed(.inviteOnly, in: group.id)
        var peer = try peer(did)
        guard peer.introduction == nil else { return }
        let id = newULID()
        peer.introduction = id
        set(peer, for: did)
        // M§5.7: the mailbox expects the answer before the question leaves.
        if let primary {
            addErrand(
                .config,
                .mailboxConfig(MailboxConfig(subject: identity, introductionsSent: [id])),
                via: MailboxRoute(mailbox: primary)
            )
        }
        outgoing.append(.sign(.introduction(id, to: did, purpose: nil)))
    }

    /// The owner has signed what was asked of it.
    ///
    /// - Parameter compact: the envelope, `protected.payload.signature`.
    public mutating func signed(
        _ compact: String,
        as statement: ContactStatement,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            let (recipient, word): (DID, String) =
                switch statement {
                case .introduction(_, let to, _): (to, "introduction")
                case .grant(_, let to, _, _): (to, "grant")
                }
            // It is kept until it is known where to: the mailbox may have to be looked up first.
            messenger.ledger.set(.setting, Self.statements, "\(word) \(recipient)", Array(compact.utf8))
            try messenger.sendStatements(to: recipient)
        }.1
    }

    /// Scope of what was signed for somebody whose mailbox is not known yet.
    static var statements: String { "statements" }

    /// What waited for the mailbox of `recipient` goes there.
    mutating func sendStatements(to recipient: DID) throws(MessagingError) {
        let words = ["introduction", "grant"]
        guard let service = try peer(recipient).mailboxes.first else {
            for word in words where try ledger.row(.setting, Self.statements, "\(word) \(recipient)") != nil {
                awaitDocument(of: recipient)
            }
            return
        }
        for word in words {
            let key = "\(word) \(recipient)"
            guard let row = try ledger.row(.setting, Self.statements, key) else { continue }
            let compact = String(decoding: row, as: UTF8.self)
            ledger.set(.setting, Self.statements, key, nil)
            addErrand(
                .contact,
                .deposit(
                    Deposit(
                        recipient: recipient,
                        word == "grant" ? .grant(envelope: compact) : .introduction(envelope: compact)
                    )
                ),
                via: MailboxRoute(mailbox: service.mailbox, uri: isOwn(service.mailbox) ? nil : service.uri)
            )
        }
    }

    // MARK: Being asked

    /// An introduction or a grant that a mailbox held. It was verified by the mailbox, and is again here: as a credential, since its
    /// delivery window has passed. M§14.1
    mutating func receivedContact(_ item: StoredItem) throws(MessagingError) {
        guard let compact = item.envelope, let envelope = Envelope(compact: compact) else { return }
        let known = documents
        let verdict = verifier.verifyKept(
            envelope.bytes,
            issued: max(0, now - ProtocolLimits.introductionValidity)...(now + ProtocolLimits.replayWindow),
            documents: { known[$0].map { .found($0) } ?? .unknown }
        )
        switch verdict {
        case .rejected: return
        case .needs(let did):
            ledger.set(.held, Self.contactScope, item.cursor.text, item.json.utf8)
            awaitDocument(of: did)
        case .accepted(let message):
            if let introduction = message.body.body(as: Introduction.self) {
                try introduced(message.body.id, by: message.principal, purpose: introduction.purpose)
            } else if let grant = message.body.body(as: Grant.self),
                grant.scope.contains(Grant.messageScope) || grant.scope.contains(Grant.inviteScope)
            {
                try keep(compact, until: grant.validUntil, from: message.principal)
            }
        }
    }

    private static var contactScope: String { "contacts" }

    /// Introductions and grants that waited for a document.
    mutating func retryContacts() throws(MessagingError) {
        for row in try ledger.rows(.held, Self.contactScope) {
            ledger.set(.held, Self.contactScope, row.key, nil)
            guard let item = RowReader(row.value).flatMap({ try? StoredItem($0.value) }) else { continue }
            try receivedContact(item)
        }
    }

    /// Somebody wants to write: a conversation that is a request, and nothing more. M§14.1
    mutating func introduced(_ id: ULID, by did: DID, purpose: String?) throws(MessagingError) {
        let known = try directs[did].flatMap { (thread) throws(MessagingError) in try ledger.conversation(thread) }
        guard did != identity, !blocked.contains(did), known?.isRemoved ?? true || contacts.contains(did) else {
            return
        }
        var peer = try peer(did)
        guard peer.asked != id else { return }
        peer.asked = id
        set(peer, for: did)
        if contacts.contains(did) {
            try grantMessages(to: did, answering: id)
            return
        }
        let requests = try ledger.store.conversations().count { $0.isRequest }
        guard requests < Self.maximumRequests else { return }
        var record = known ?? ConversationRecord(id: newULID(), kind: .direct, members: [did], at: now)
        record.isRemoved = false
        record.isRequest = true
        record.purpose = purpose.map { String($0.prefix(280)) }
        directs[did] = record.id
        show(record)
    }

    /// The same by core signaling.
    public mutating func introduced(
        by did: DID,
        id: ULID,
        purpose: String?,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in try messenger.introduced(id, by: did, purpose: purpose)
        }
        .1
    }

    mutating func grantMessages(to did: DID, answering introduction: ULID) throws(MessagingError) {
        let until = now + Self.grantLifetime
        let grant = newULID()
        var peer = try peer(did)
        peer.granted = until
        peer.asked = nil
        peer.grants = peer.grants.suffix(Peer.maximumGrants - 1) + [grant]
        set(peer, for: did)
        if peer.mailboxes.isEmpty { resolve(did) }
        outgoing.append(.sign(.grant(grant, to: did, session: introduction, validUntil: until)))
    }

    private mutating func keep(_ grant: String, until: Int64, from did: DID) throws(MessagingError) {
        guard until > now else { return }
        var peer = try peer(did)
        guard until > peer.grantUntil || peer.grant == nil else { return }
        peer.grant = grant
        peer.grantUntil = until
        peer.introduction = nil
        set(peer, for: did)
        // What waited for it goes on.
        hurry()
    }

    /// A grant of `dsip.message` or `dsip.invite` came by core signaling.
    public mutating func granted(
        by did: DID,
        compact: String,
        validUntil: Int64,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            try messenger.keep(compact, until: validUntil, from: did)
        }.1
    }

    /// The person accepts a request: a stranger's conversation becomes one like others.
    public mutating func accept(_ conversation: ULID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard var record = try messenger.ledger.conversation(conversation), record.isRequest else { return }
            record.isRequest = false
            record.purpose = nil
            messenger.show(record)
            for id in messenger.groups.keys.sorted() {
                guard let group = messenger.groups[id], group.thread == conversation, !group.isConfirmed else {
                    continue
                }
                messenger.configure(id, .joined)
            }
            if let did = record.peer, let asked = try messenger.peer(did).asked {
                try messenger.grantMessages(to: did, answering: asked)
            }
        }.1
    }
}
