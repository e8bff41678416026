import DSIPIdentity
import DSIPSignaling
import Encoding

extension Messenger {
    /// The identity's own mailbox that everything is deposited in.
    var primary: DID? { configuration.mailboxes.first?.mailbox }

    func isOwn(_ mailbox: DID) -> Bool { configuration.mailboxes.contains { $0.mailbox == mailbox } }

    // MARK: What the owner tells

    /// A verified connection to this mailbox is up.
    public mutating func bound(_ mailbox: DID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            messenger.bound.insert(mailbox)
            messenger.resume(mailbox)
        }.1
    }

    /// It is gone: what was not answered is sent again when it is back.
    public mutating func unbound(_ mailbox: DID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            messenger.bound.remove(mailbox)
            messenger.syncs[mailbox] = nil
            for (id, sent) in messenger.inFlight where sent.via == mailbox { messenger.inFlight[id] = nil }
        }.1
    }

    /// A message of the profile came, from a mailbox or a hub.
    public mutating func received(
        _ message: Verified<MailboxMessage>,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try received(message.body, by: message.principal, at: now)
    }

    /// - Parameter speaker: the verified service.
    package mutating func received(
        _ message: MailboxMessage,
        by speaker: DID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            switch message.body {
            case .accepted(let accepted): try messenger.accepted(accepted, by: speaker)
            case .items(let delivery) where messenger.isOwn(speaker):
                try messenger.received(delivery, from: speaker)
            case .keyPackages(let packages): try messenger.received(packages, by: speaker)
            case .items, .deposit, .sync, .keyPackageFetch, .blobPut, .mailboxConfig: break
            }
        }.1
    }

    /// A verified core `error` that answers one of this device's messages.
    public mutating func refused(
        _ inReplyTo: ULID,
        _ reason: Reason,
        by speaker: DID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let sent = messenger.take(inReplyTo, by: speaker) else { return }
            try messenger.refused(sent, reason)
        }.1
    }

    /// No answer to this message will come.
    public mutating func missedAnswer(_ id: ULID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let sent = messenger.inFlight.removeValue(forKey: id) else { return }
            try messenger.missed(sent)
        }.1
    }

    private mutating func take(_ id: ULID, by speaker: DID) -> InFlight? {
        guard let sent = inFlight[id], sent.answerers.contains(speaker) else { return nil }
        inFlight[id] = nil
        return sent
    }

    // MARK: Sending

    /// Messages on their way at once; what is beyond waits.
    static var maximumInFlight: Int { 1024 }

    mutating func message(to recipient: DID, _ body: MailboxMessage.Body, lifetime: Int64 = 60) -> MailboxMessage {
        MailboxMessage(
            id: newULID(),
            from: device,
            to: recipient,
            issuedAt: now,
            expiresAt: now + lifetime,
            body: body
        )
    }

    /// Sends over `route` and remembers what the answer is for. Nothing is sent to an own mailbox that is not bound.
    ///
    /// - Returns: whether it was sent.
    @discardableResult
    mutating func post(
        _ body: MailboxMessage.Body,
        to recipient: DID,
        via route: MailboxRoute,
        _ purpose: InFlight.Purpose
    ) -> Bool {
        guard !isOwn(route.mailbox) || bound.contains(route.mailbox), inFlight.count < Self.maximumInFlight else {
            return false
        }
        let message = message(to: recipient, body)
        inFlight[message.id] = InFlight(
            purpose: purpose,
            answerers: [recipient, route.mailbox],
            via: route.mailbox,
            deadline: now + configuration.answerTimeout
        )
        outgoing.append(.send(message, via: route))
        return true
    }

    // MARK: Answers

    private mutating func accepted(_ accepted: Accepted, by speaker: DID) throws(MessagingError) {
        guard let sent = take(accepted.inReplyTo, by: speaker) else { return }
        switch sent.purpose {
        case .outbox(let group, let id):
            guard let seq = accepted.seq else { return }
            try ordered(id, in: group, as: seq)
        case .errand(let number): try done(errand: number)
        case .keyPackages: try storedKeyPackages()
        case .sync, .fetch: break
        }
    }

    private mutating func refused(_ sent: InFlight, _ reason: Reason) throws(MessagingError) {
        switch sent.purpose {
        case .outbox(let group, let id): try refusedByHub(id, in: group, reason)
        case .errand(let number): try refused(errand: number, reason)
        case .sync(let mailbox):
            syncs[mailbox]?.isAsking = false
            if reason == .mailboxCursorInvalid {
                readAnew(mailbox)
            }
            syncs[mailbox]?.askAt = now + (reason == .mailboxCursorInvalid ? 0 : 5)
        case .keyPackages: missedStock()
        case .fetch(let did, let group): try refusedKeyPackages(of: did, for: group, reason)
        }
    }

    mutating func missed(_ sent: InFlight) throws(MessagingError) {
        let now = now
        switch sent.purpose {
        case .outbox(let group, let id):
            let actions = update(group) { $0.outage.missedAnswer(id, at: now) } ?? []
            try follow(actions, in: group)
        case .errand(let number): delayErrand(number)
        case .sync(let mailbox):
            syncs[mailbox]?.isAsking = false
            syncs[mailbox]?.askAt = now + 2
        case .keyPackages: missedStock()
        case .fetch(let did, let group): try missedKeyPackages(of: did, for: group)
        }
    }

    // MARK: Reading

    /// What is due when a connection comes up.
    mutating func resume(_ mailbox: DID) {
        let now = now
        let configuration = configuration
        guard isOwn(mailbox) else { return }
        syncs[mailbox] = SyncProgress()
        ask(mailbox)
        errandsRetryAt = nil
        guard mailbox == primary else { return }
        wantsKeyPackages = true
        for id in groups.keys {
            guard let outage = groups[id]?.outage, outage.state != .abandoned, !outage.pending.isEmpty else { continue }
            // An outage goes on, but the hub is asked once more before it is given up.
            let since = outage.state == .down && outage.attempt > 0 ? outage.downSince : nil
            let asked = since.map { max($0, now - configuration.hubTimeout + 60) }
            update(id) {
                $0.outage = HubOutage(
                    timeout: configuration.hubTimeout,
                    pending: outage.pending,
                    downSince: asked,
                    attempt: since == nil ? 0 : outage.attempt,
                    at: now
                )
            }
        }
    }

    /// Reads on, and acknowledges what is committed by then: this event's changes are written before the request leaves.
    mutating func ask(_ mailbox: DID) {
        guard bound.contains(mailbox), var progress = syncs[mailbox] else { return }
        guard !progress.isAsking else {
            syncs[mailbox]?.asksAgain = true
            return
        }
        let request = inbox.request(to: mailbox, limit: 200, live: true)
        if post(.sync(request), to: mailbox, via: MailboxRoute(mailbox: mailbox), .sync(mailbox)) {
            progress.isAsking = true
            progress.acknowledgeAt = nil
            progress.unacknowledged = 0
            progress.askAt = now + Self.idleInterval
        } else {
            progress.askAt = now + 1
        }
        progress.asksAgain = false
        syncs[mailbox] = progress
    }

    /// The mailbox is to be read from its start.
    mutating func readAnew(_ mailbox: DID) {
        inbox.receivedCursorInvalid(from: mailbox)
        dirtyCursors.insert(mailbox)
        syncs[mailbox]?.isCaughtUp = false
    }

    /// Reads every own mailbox once more: something is missing.
    mutating func askAll() { for service in configuration.mailboxes { ask(service.mailbox) } }

    private mutating func received(_ delivery: ItemsDelivery, from mailbox: DID) throws(MessagingError) {
        var answered = false
        if let id = delivery.inReplyTo, let sent = inFlight[id], sent.purpose == .sync(mailbox) {
            inFlight[id] = nil
            answered = true
            syncs[mailbox]?.isAsking = false
        }
        batch = Batch()
        let cursor = inbox.cursors[mailbox]
        for item in delivery.items {
            switch item {
            case .stored(let item): try received(item, from: mailbox)
            case .ephemeral(let item): try received(item)
            }
        }
        // What is pushed lies beyond what has not been read yet: it comes again in its place.
        if !answered, syncs[mailbox]?.isCaughtUp != true { inbox.cursors[mailbox] = cursor }
        try closeBatch()
        noteGaps(in: dirtyGroups)
        let stored = delivery.items.count { if case .stored = $0 { true } else { false } }
        guard syncs[mailbox] != nil else { return }
        if stored > 0 {
            dirtyCursors.insert(mailbox)
            syncs[mailbox]?.unacknowledged += stored
            if syncs[mailbox]?.acknowledgeAt == nil { syncs[mailbox]?.acknowledgeAt = now + 3 }
        }
        let isBehind = answered && delivery.next != nil
        if answered, delivery.next == nil { syncs[mailbox]?.isCaughtUp = true }
        if isBehind || syncs[mailbox]?.asksAgain == true || (syncs[mailbox]?.unacknowledged ?? 0) >= 64 { ask(mailbox) }
    }
}
