import DSIPIdentity
import DSIPSignaling
import Encoding

/// What mailboxes say, and what hubs and strangers bring them. M§5.4, M§6.6, M§14
extension MailboxHost {
    /// Where the answers of a machine go.
    struct Reply {
        /// Nil when the hub of this service asks, which looks at ``outcome``.
        var connection: ConnectionID?
        /// Of the deposit at hand.
        var ephemeral: EphemeralItem?
        /// Nobody is woken for these: whoever sent it knows.
        var sender: DID?
        let outcome = Outcome()

        init(_ connection: ConnectionID?, ephemeral: EphemeralItem? = nil, sender: DID? = nil) {
            self.connection = connection
            self.ephemeral = ephemeral
            self.sender = sender
        }

        final class Outcome {
            var refusal: (reason: Reason, retryAfter: Int64?)?
            var isAccepted = false
            /// Stored now, and not before.
            var cursor: Cursor?
        }
    }

    func say(_ body: MailboxMessage.Body, to recipient: DID, _ reply: Reply, at now: Int64) {
        guard let connection = reply.connection else { return }
        emit(.send(.profile(message(body, to: recipient, at: now)), to: connection))
    }

    /// Carries a mailbox's actions out.
    func perform(
        _ actions: [MailboxAction],
        at hosted: HostedMailbox,
        _ reply: Reply,
        group: GroupID? = nil,
        at now: Int64
    ) throws(HostStop) {
        for action in actions {
            switch action {
            case .accepted(let to, let id, let cursor, let duplicate):
                reply.outcome.isAccepted = true
                if !duplicate { reply.outcome.cursor = cursor }
                let body = Accepted(inReplyTo: id, group: group, cursor: cursor, duplicate: duplicate)
                say(.accepted(body), to: to, reply, at: now)
            case .error(let to, let id, let reason, let retryAfter):
                reply.outcome.refusal = (reason, retryAfter)
                guard let connection = reply.connection else { continue }
                emit(.send(error(reason, to: to, about: id, retryAfter: retryAfter, at: now), to: connection))
            case .items(let to, let id, let cursors, let next):
                let delivery = try page(cursors, next: next, inReplyTo: id, of: hosted)
                say(.items(delivery), to: to, reply, at: now)
            case .push(let device, let cursor):
                let live = liveConnections(of: device, of: hosted.owner)
                guard !live.isEmpty, let item = try item(at: cursor, of: hosted) else { continue }
                for connection in live {
                    let body = MailboxMessage.Body.items(ItemsDelivery(items: [.stored(item)]))
                    emit(.send(.profile(message(body, to: device, at: now)), to: connection))
                }
            case .pushEphemeral(let device):
                guard let item = reply.ephemeral else { continue }
                for connection in liveConnections(of: device, of: hosted.owner) {
                    let body = MailboxMessage.Body.items(ItemsDelivery(items: [.ephemeral(item)]))
                    // No hop may let it live longer. M§11.2
                    let end = min(item.expiresAt, now + Self.lifetime)
                    emit(.send(.profile(message(body, to: device, until: end, at: now)), to: connection))
                }
            case .keyPackages(let to, let id, let served):
                try serve(served, of: hosted, to: to, about: id, reply, at: now)
            case .close(let device):
                for connection in connections[DeviceKey(owner: hosted.owner, device: device)] ?? [] {
                    emit(.close(connection))
                }
            case .handoverExpired(let group, let hub, let missing):
                emit(.handoverExpired(group, hub: hub, missing: missing.count))
            case .forward, .drop: break
            }
        }
    }

    /// An item as it is handed out: with the blobs that are held here at their address here. M§5.4, M§8.4
    private func item(at cursor: Cursor, of hosted: HostedMailbox) throws(HostStop) -> StoredItem? {
        guard let position = cursor.position else { return nil }
        let content = try ask { () throws(StoreFailure) in try store.content(at: position, of: hosted.owner) }
        guard let content else { return nil }
        var item: StoredItem
        do {
            item = try StoredItem(JSONValue(parsing: content, limits: .host))
        } catch {
            throw .failed(.corrupt)
        }
        if let endpoint = service.blobEndpoint, !item.blobs.isEmpty {
            var held: Set<String> = []
            for blob in item.blobs where try isHeld(blob.sha256) { held.insert(blob.sha256) }
            item.blobs = BlobReplication.manifest(item.blobs, endpoint: endpoint, isStored: held.contains)
        }
        return item
    }

    /// As many of the items as one frame takes. M§5.4
    private func page(
        _ cursors: [Cursor],
        next: Cursor?,
        inReplyTo id: ULID,
        of hosted: HostedMailbox
    ) throws(HostStop) -> ItemsDelivery {
        var items: [ItemsDelivery.Item] = []
        var used = 0
        for cursor in cursors {
            guard let item = try item(at: cursor, of: hosted) else { continue }
            let size = item.json.utf8.count + 1
            guard items.isEmpty || used + size <= limits.page else {
                guard case .stored(let last)? = items.last else { break }
                return ItemsDelivery(inReplyTo: id, items: items, next: last.cursor)
            }
            used += size
            items.append(.stored(item))
        }
        return ItemsDelivery(inReplyTo: id, items: items, next: next)
    }

    /// Devices that are away are woken for what was stored. `deposit` names it.
    func wake(_ hosted: HostedMailbox, for deposit: ULID, sender: DID?) {
        guard hosted.owner != sender else { return }
        for device in hosted.mailbox.devices.sorted()
        where connections[DeviceKey(owner: hosted.owner, device: device)] == nil {
            emit(.wake(device: device, of: hosted.owner, envelope: deposit))
        }
    }

    // MARK: From hubs

    /// Another hub's item.
    func fanOut(
        _ deposit: Deposit,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        guard let recipient = deposit.recipient, let group = deposit.group, let hosted = try mailbox(of: recipient)
        else {
            return refuse(message, .transportUnknownRecipient, on: connection, at: now)
        }
        let reply = Reply(connection)
        try deliver(
            deposit,
            id: message.id,
            from: verified.principal,
            until: message.expiresAt,
            group,
            to: hosted,
            reply,
            at: now
        )
    }

    /// One item of a hub for one mailbox, of this service's hub or of another.
    func deliver(
        _ deposit: Deposit,
        id: ULID,
        from hub: DID,
        until end: Int64,
        _ group: GroupID,
        to hosted: HostedMailbox,
        _ reply: Reply,
        at now: Int64
    ) throws(HostStop) {
        var item = StoredItem(
            cursor: Cursor(position: 0),
            storedAt: now,
            itemClass: deposit.depositClass,
            source: hub,
            group: group,
            seq: deposit.seq
        )
        var reply = reply
        var size = 0
        switch deposit.content {
        case .handshake(let handshake):
            item.mls = handshake.mls
            size = handshake.mls.decodedCount
        case .application(let mls, let blobs):
            item.mls = mls
            item.blobs = blobs
            size = mls.decodedCount
        case .groupInfo(let mls, let tree, _):
            item.mls = mls
            item.blobs = tree.map { [$0] } ?? []
            item.seq = nil
            size = mls.decodedCount
        case .ephemeral(let sealed):
            reply.ephemeral = EphemeralItem(group: group, source: hub, sealed: sealed, expiresAt: end)
        case .welcome, .archive, .introduction, .grant: return
        }
        hosted.items.draft = item
        let actions = hosted.mailbox.received(
            Mailbox.FanOutDeposit(
                id: id,
                from: hub,
                recipient: hosted.owner,
                group: group,
                itemClass: deposit.depositClass,
                seq: item.seq,
                size: Int64(size),
                expiresAt: deposit.depositClass == .ephemeral ? end : nil
            ),
            at: now
        )
        hosted.items.draft = nil
        if deposit.depositClass != .ephemeral {
            try ask { () throws(StoreFailure) in try hosted.save(.init(groups: [group])) }
        }
        try perform(actions, at: hosted, reply, group: group, at: now)
        guard reply.outcome.cursor != nil, deposit.depositClass != .groupInfo else { return }
        try replicate(item.blobs, for: hosted, at: now)
        wake(hosted, for: id, sender: reply.sender)
    }

    // MARK: Welcomes

    func welcome(
        _ deposit: Deposit,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        guard case .welcome(let welcome) = deposit.content, let recipient = deposit.recipient else { return }
        guard let hosted = try mailbox(of: recipient) else {
            return refuse(message, .transportUnknownRecipient, on: connection, at: now)
        }
        let wants = wants
        var adder: DID?
        if welcome.origin != nil || verified.principal == welcome.hub.did {
            adder = self.adder(by: welcome, of: deposit.group, depositedAt: message.issuedAt, wants, at: now)
        } else if verified.mayMessage {
            adder = verified.principal
        }
        let grants = presented(welcome.grants, from: recipient, to: adder, wants)
        try wants.settle()
        try deliver(
            welcome,
            deposit,
            id: message.id,
            from: verified.principal,
            adder,
            grants,
            to: hosted,
            Reply(connection),
            at: now
        )
    }

    /// A welcome for one mailbox, its adder proven.
    func deliver(
        _ welcome: Deposit.Welcome,
        _ deposit: Deposit,
        id: ULID,
        from depositor: DID,
        _ adder: DID?,
        _ grants: [PresentedGrant],
        to hosted: HostedMailbox,
        _ reply: Reply,
        at now: Int64
    ) throws(HostStop) {
        guard let group = deposit.group else { return }
        hosted.items.draft = StoredItem(
            cursor: Cursor(position: 0),
            storedAt: now,
            itemClass: .welcome,
            source: depositor,
            group: group,
            seq: deposit.seq,
            mls: welcome.mls,
            hub: welcome.hub,
            blobs: welcome.ratchetTree.map { [$0] } ?? []
        )
        let isNew = hosted.mailbox.groups[group] == nil
        let actions = hosted.mailbox.received(
            Mailbox.WelcomeDeposit(
                id: id,
                from: depositor,
                adder: adder,
                recipient: hosted.owner,
                group: group,
                hub: welcome.hub.did,
                grant: grants.first {
                    $0.to == adder && $0.validUntil > now && !hosted.mailbox.revokedGrants.contains($0.id)
                }
                    ?? grants.first,
                successorOf: welcome.successorOf,
                digest: Self.digest(welcome.mls),
                size: Int64(welcome.mls.decodedCount)
            ),
            at: now
        )
        hosted.items.draft = nil
        // The group is reached where the welcome that registered it says. M§5.2
        if isNew, hosted.mailbox.groups[group] != nil, let uri = welcome.hub.uri { hosted.hubURIs[group] = uri }
        try ask { () throws(StoreFailure) in try hosted.save(.init(groups: [group])) }
        try perform(actions, at: hosted, reply, group: group, at: now)
        if reply.outcome.cursor != nil { wake(hosted, for: id, sender: reply.sender) }
    }

    /// Who added, by the adder's own signed deposit. M§14.2
    ///
    /// The deposit is good for 300 seconds, so that a hub cannot bring an old one. One that carries the very Welcome that is deposited
    /// proves its adder for as long as items are kept: a mailbox that was away for longer is still told who added its owner.
    private func adder(
        by welcome: Deposit.Welcome,
        of group: GroupID?,
        depositedAt: Int64,
        _ wants: Wants,
        at now: Int64
    ) -> DID? {
        guard let text = welcome.origin, let envelope = Envelope(compact: text),
            let origin = credential(envelope, wants), origin.mayMessage,
            case .deposit(let made) = origin.body.body, case .handshake(let handshake) = made.content,
            made.group == group
        else { return nil }
        let isTimely = Mailbox.isOriginTimely(originIssuedAt: origin.body.issuedAt, depositIssuedAt: depositedAt)
        let carriesIt =
            handshake.welcome == welcome.mls && origin.body.issuedAt <= now + MessagingProfile.timeTolerance
            && now - origin.body.issuedAt <= limits.retention
        return isTimely || carriesIt ? origin.principal : nil
    }

    /// A message of the profile as a credential: verified as of when it was made, by whom is known now to be revoked. M§14.2
    private func credential(_ envelope: Envelope, _ wants: Wants) -> Verified<MailboxMessage>? {
        guard let payload = try? JSONValue(parsing: envelope.decodedPayload(), limits: .host),
            let issuedAt = payload["issued_at"]?.int
        else { return nil }
        var once = ReplayWindow(capacity: 1, lastingCapacity: 1)
        let verdict = verifier.verify(
            envelope.bytes,
            at: issuedAt,
            replay: &once,
            documents: documents,
            revocations: revocations,
            reading: { (view) throws(MessagingError) in try MailboxMessage(view) }
        )
        switch verdict {
        case .accepted(let verified): return verified
        case .needs(let did):
            wants.want(.document(did))
            return nil
        case .refused, .rejected: return nil
        }
    }

    // MARK: Grants and introductions

    /// A core message that somebody presents, as the credential it is.
    private func kept(_ envelope: Envelope, until now: Int64, _ wants: Wants) -> Verified<Message>? {
        switch verifier.verifyKept(
            envelope.bytes,
            issued: 0...(now + ProtocolLimits.replayWindow),
            documents: documents,
            revocations: revocations
        ) {
        case .accepted(let verified): return verified
        case .needs(let did):
            wants.want(.document(did))
            return nil
        case .rejected: return nil
        }
    }

    /// A grant with its signature and the binding of its signer verified. DSIP §19.4
    func presented(_ compact: String, _ wants: Wants) -> PresentedGrant? {
        guard let envelope = Envelope(compact: compact),
            let verified = kept(envelope, until: .max - ProtocolLimits.replayWindow, wants),
            case .grant(let grant) = verified.body.body, let to = verified.body.to
        else { return nil }
        return PresentedGrant(
            id: verified.body.id,
            from: verified.principal,
            to: to,
            scope: grant.scope,
            validUntil: grant.validUntil
        )
    }

    /// Grants looked at of those that a welcome carries.
    private static let maximumGrants = 16

    /// Those that the owner gave the adder, of what a commit's grants for everybody are.
    func presented(_ compact: [String], from owner: DID, to adder: DID?, _ wants: Wants) -> [PresentedGrant] {
        guard let adder else { return [] }
        // Most are for other identities: what they say is looked at before whether it is true.
        let own = compact.filter { text in
            guard let envelope = Envelope(compact: text),
                let payload = try? JSONValue(parsing: envelope.decodedPayload(), limits: .host)
            else { return false }
            return payload["to"]?.string == adder.string
        }
        return own.prefix(Self.maximumGrants).compactMap { presented($0, wants) }.filter { $0.from == owner }
    }

    func firstContact(
        _ deposit: Deposit,
        _ verified: Verified<MailboxMessage>,
        on connection: ConnectionID,
        at now: Int64
    ) throws(HostStop) {
        let message = verified.body
        let text: String
        switch deposit.content {
        case .introduction(let envelope), .grant(let envelope): text = envelope
        default: return
        }
        let wants = wants
        let envelope = Envelope(compact: text) ?? Envelope(Array(text.utf8))
        let carried = envelope.flatMap { kept($0, until: now, wants) }
        try wants.settle()
        guard let recipient = deposit.recipient, let carried, carried.body.to == recipient,
            carried.body.expiresAt > now
        else { return refuse(message, .policyBlocked, on: connection, at: now) }
        let kind: Mailbox.FirstContact.Kind
        switch (deposit.depositClass, carried.body.body) {
        case (.introduction, .introduction): kind = .introduction
        case (.grant, .grant): kind = .grant(session: carried.body.session)
        default: return refuse(message, .policyBlocked, on: connection, at: now)
        }
        let contact = Mailbox.FirstContact(
            id: message.id,
            from: message.from,
            sender: carried.principal,
            recipient: recipient,
            kind: kind,
            expiresAt: carried.body.expiresAt
        )
        guard let hosted = try mailbox(of: recipient) else {
            return receiveForNobody(contact, on: connection, at: now)
        }
        hosted.items.draft = StoredItem(
            cursor: Cursor(position: 0),
            storedAt: now,
            itemClass: deposit.depositClass,
            source: message.from,
            envelope: text
        )
        let actions = hosted.mailbox.received(contact, at: now)
        hosted.items.draft = nil
        var touched = HostedMailbox.Touched(hasContacts: true)
        if case .grant(let session?) = kind { touched.introductionsSent = [session] }
        try ask { () throws(StoreFailure) in try hosted.save(touched) }
        let reply = Reply(connection)
        try perform(hideCursors(actions), at: hosted, reply, at: now)
        if actions.contains(where: { if case .accepted(_, _, _?, _) = $0 { true } else { false } }) {
            wake(hosted, for: message.id, sender: nil)
        }
    }

    /// Whether it was held is nobody's business. M§14.1
    private func hideCursors(_ actions: [MailboxAction]) -> [MailboxAction] {
        actions.map { action in
            guard case .accepted(let to, let id, _, let duplicate) = action else { return action }
            return .accepted(to: to, inReplyTo: id, cursor: nil, duplicate: duplicate)
        }
    }

    /// Nobody learns from the answer that nobody is here. M§14.1, M§15.5
    private func receiveForNobody(_ contact: Mailbox.FirstContact, on connection: ConnectionID, at now: Int64) {
        var window =
            strangers.value(for: contact.recipient)
            ?? RateWindow(limit: limits.mailbox.introductions, window: limits.mailbox.introductionWindow)
        let wait = window.admit(from: contact.sender, to: contact.recipient, at: now)
        strangers.put(window, for: contact.recipient)
        if let wait {
            let refusal = error(.policyRateLimited, to: contact.from, about: contact.id, retryAfter: wait, at: now)
            return emit(.send(refusal, to: connection))
        }
        say(.accepted(Accepted(inReplyTo: contact.id)), to: contact.from, Reply(connection), at: now)
    }
}
