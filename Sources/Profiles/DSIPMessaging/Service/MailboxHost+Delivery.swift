import DSIPIdentity
import DSIPSignaling
import Encoding
import MLS

/// One thing that is brought to one member's mailbox after another.
struct LaneKey: Hashable {
    enum Kind: Hashable { case items, welcomes, info }

    var group: GroupID
    var identity: DID
    var kind: Kind
}

/// What is on its way to other services, and when it is tried again. M§6.5 rule 5
///
/// A lane has one deposit under way at most; what it carries is read from its hub when it is sent.
struct Outbound {
    struct Lane {
        /// Failures in a row.
        var attempt = 0
        /// When it is tried again, or taken for lost.
        var due: Int64?
        var inFlight: ULID?
    }

    struct Flight {
        var lane: LaneKey
        var seq: Int64
    }

    var lanes: [LaneKey: Lane] = [:]
    var flights: [ULID: Flight] = [:]
    /// Hubs with something to deliver have not been looked for yet.
    var isRestoring = false
    var restoreAt: Int64 = 0

    var deadline: Int64? {
        let next = lanes.values.lazy.compactMap(\.due).min()
        return isRestoring ? min(next ?? .max, restoreAt) : next
    }

    mutating func forget() {
        lanes = [:]
        flights = [:]
    }

    mutating func sent(_ key: LaneKey, _ id: ULID, seq: Int64, until end: Int64) {
        if let old = lanes[key]?.inFlight { flights[old] = nil }
        lanes[key, default: Lane()].inFlight = id
        lanes[key]?.due = end
        flights[id] = Flight(lane: key, seq: seq)
    }

    /// The lane's deposit was taken.
    mutating func settled(_ key: LaneKey) {
        guard let lane = lanes.removeValue(forKey: key), let id = lane.inFlight else { return }
        flights[id] = nil
    }

    mutating func retry(
        _ key: LaneKey,
        at now: Int64,
        after least: Int64?,
        using random: inout any RandomNumberGenerator & Sendable
    ) {
        var lane = lanes[key] ?? Lane()
        if let id = lane.inFlight { flights[id] = nil }
        lane.inFlight = nil
        lane.attempt += 1
        let wait = max(Self.delay(lane.attempt), min(least ?? 0, 3600))
        lane.due = now + max(1, wait - Int64.random(in: 0...wait / 2, using: &random))
        lanes[key] = lane
    }

    /// The member's mailbox will take more now than it did: what it refused is tried at once.
    mutating func hasten(_ group: GroupID, _ identity: DID, at now: Int64) {
        for kind in [LaneKey.Kind.items, .welcomes, .info] {
            let key = LaneKey(group: group, identity: identity, kind: kind)
            guard var lane = lanes[key], lane.inFlight == nil, lane.attempt > 0 else { continue }
            lane.due = now
            lane.attempt = min(lane.attempt, 3)
            lanes[key] = lane
        }
    }

    /// The profile's backoff, and after a while less often: a mailbox that is away for days is asked every hour.
    static func delay(_ attempt: Int) -> Int64 {
        switch attempt {
        case ...20: MessagingProfile.backoff(attempt: attempt)
        case ...60: 600
        default: 3600
        }
    }
}

/// Bringing items to the mailboxes of members: here at once, elsewhere by deposits. M§6.5 rule 5, M§11.2
extension MailboxHost {
    /// Where an identity's mailbox is.
    enum Destination {
        case here
        case there(HubReference)
        case nowhere
        /// Its document, which would say, cannot be had now.
        case unknown
    }

    /// Its document's word, else its leaf's, else here when it is served here. M§4.2
    func destination(of identity: DID, in hosted: HostedHub, _ wants: Wants) throws(HostStop) -> Destination {
        let isServed = try mailbox(of: identity) != nil
        if identity.method != "key" {
            let document = wants.document(identity)
            try wants.settle()
            if let entries = document?.mailboxEntries, !entries.isEmpty {
                guard let service = MailboxSelection(document: entries).primary() else { return .nowhere }
                if service.mailbox == self.service.did { return isServed ? .here : .nowhere }
                return .there(HubReference(did: service.mailbox, uri: service.uri))
            }
        }
        if isServed { return .here }
        if let service = hosted.hint(of: identity), service.mailbox != self.service.did {
            return .there(HubReference(did: service.mailbox, uri: service.uri))
        }
        return wants.isBlind ? .unknown : .nowhere
    }

    /// Lanes with something that its member's mailbox has not taken.
    package var undelivered: [String] {
        outbound.lanes.map { key, lane in
            "\(key.kind) of \(key.group.text.suffix(6)) to \(key.identity.string.suffix(6)), \(lane.attempt) failures, "
                + "due \(lane.due.map(String.init) ?? "never")\(lane.inFlight == nil ? "" : ", under way")"
        }.sorted()
    }

    /// Carries a hub's actions out, and those that follow from what mailboxes here say.
    func perform(_ first: [HubAction], at hosted: HostedHub, _ arrival: Arrival?, _ now: Int64) throws(HostStop) {
        var actions = first[...]
        while let action = actions.popFirst() {
            switch action {
            case .accepted(let to, let id, let seq, let duplicate):
                guard let arrival else { continue }
                let body = Accepted(inReplyTo: id, group: hosted.group, seq: seq, duplicate: duplicate)
                say(.accepted(body), to: to, Reply(arrival.connection), at: now)
            case .error(_, _, let reason):
                guard let arrival, arrival.message.isAnswered || arrival.sealed != nil else { continue }
                refuse(arrival.message, reason, on: arrival.connection, at: now)
            case .fanOut(let identity, _, _):
                let key = LaneKey(group: hosted.group, identity: identity, kind: .items)
                actions += try send(key, hosted, sender: arrival?.identity, at: now)
            case .welcome(let identity, _):
                let key = LaneKey(group: hosted.group, identity: identity, kind: .welcomes)
                actions += try send(key, hosted, sender: arrival?.identity, at: now)
            case .forward(let identity, .ephemeral):
                if let arrival, let sealed = arrival.sealed {
                    try forward(sealed, until: arrival.message.expiresAt, to: identity, hosted, at: now)
                }
            case .forward: break
            }
            if actions.isEmpty { try sendInfo(hosted, at: now) }
        }
    }

    /// The latest GroupInfo to whom it is owed and who may have it.
    func sendInfo(_ hosted: HostedHub, at now: Int64) throws(HostStop) {
        // Nobody can come in here any more where it has moved: its next hub has a later one. M§7.4
        hosted.owesInfo.formIntersection(hosted.hub.movedTo == nil ? hosted.hub.roster.identities : [])
        for identity in hosted.owesInfo.sorted() where hosted.hub.queues[identity]?.isUnregistered == false {
            _ = try send(LaneKey(group: hosted.group, identity: identity, kind: .info), hosted, sender: nil, at: now)
        }
    }

    /// Sends the head of a lane unless it is under way or waits for its time.
    private func send(
        _ key: LaneKey,
        _ hosted: HostedHub,
        sender: DID?,
        at now: Int64
    ) throws(HostStop) -> [HubAction] {
        if let lane = outbound.lanes[key], lane.inFlight != nil || (lane.due ?? 0) > now { return [] }
        let wants = wants
        let destination: Destination
        do throws(HostStop) {
            destination = try self.destination(of: key.identity, in: hosted, wants)
        } catch {
            guard case .needs(let wanted) = error else { throw error }
            // The lane waits; what brought it here goes on.
            outbound.lanes[key] = .init(attempt: 0, due: now + 60, inFlight: nil)
            park(.lane(key), until: wanted, at: now)
            return []
        }
        guard let (deposit, seq) = try head(of: key, hosted) else { return [] }
        switch destination {
        case .here: return try sendHere(deposit, seq, key, hosted, sender: sender, at: now)
        case .there(let service):
            guard outbound.flights.count < limits.inFlight else {
                outbound.lanes[key, default: .init()].due = now + 1
                return []
            }
            let message = message(.deposit(deposit), to: service.did, at: now)
            outbound.sent(key, message.id, seq: seq, until: message.expiresAt + 30)
            emit(.deposit(message, at: service, isAnswered: true))
            return []
        case .nowhere:
            outbound.retry(key, at: now, after: 600, using: &random)
            return []
        case .unknown:
            outbound.retry(key, at: now, after: nil, using: &random)
            return []
        }
    }

    /// What a lane brings next; nil when there is nothing.
    private func head(of key: LaneKey, _ hosted: HostedHub) throws(HostStop) -> (Deposit, seq: Int64)? {
        guard let queue = hosted.hub.queues[key.identity] else { return nil }
        switch key.kind {
        case .items:
            guard !queue.isUnregistered, let seq = queue.head(before: hosted.hub.nextSeq),
                let item = hosted.log.item(seq), let content = try content(of: item)
            else { return nil }
            let body: Deposit.Content =
                item.itemClass == .handshake
                ? .handshake(.init(mls: content.mls)) : .application(mls: content.mls, blobs: content.blobs)
            return (Deposit(recipient: key.identity, group: key.group, seq: seq, body), seq)
        case .welcomes:
            guard let seq = queue.welcomes.first, let item = hosted.log.item(seq),
                let content = try content(of: item), let invitation = content.welcome
            else { return nil }
            let welcome = Deposit.Welcome(
                mls: invitation.mls,
                hub: HubReference(did: service.did, uri: service.uri),
                ratchetTree: invitation.ratchetTree,
                grants: invitation.grants,
                origin: invitation.origin,
                successorOf: hosted.conversation?.successorOf
            )
            return (Deposit(recipient: key.identity, group: key.group, seq: seq, .welcome(welcome)), seq)
        case .info:
            guard hosted.owesInfo.contains(key.identity) else { return nil }
            let info = try ask { () throws(StoreFailure) in try hosted.latestInfo() }
            guard let info else { return nil }
            let body = Deposit.Content.groupInfo(mls: info.mls, ratchetTree: info.ratchetTree, handoverSeq: nil)
            return (Deposit(recipient: key.identity, group: key.group, body), Int64(clamping: hosted.hub.epoch))
        }
    }

    private func content(of item: OrderedItem) throws(HostStop) -> OrderedContent? {
        guard let bytes = item.content else { return nil }
        do throws(StoreFailure) { return try OrderedContent(decoding: bytes) } catch { throw .failed(error) }
    }

    /// A mailbox of this service: no envelope is needed, and the answer is at hand.
    private func sendHere(
        _ deposit: Deposit,
        _ seq: Int64,
        _ key: LaneKey,
        _ hosted: HostedHub,
        sender: DID?,
        at now: Int64
    ) throws(HostStop) -> [HubAction] {
        guard let target = try mailbox(of: key.identity) else { return [] }
        if key.kind == .info, target.mailbox.groups[key.group] == nil {
            // Its owner has left it. It stays owed, and is brought should they come back.
            outbound.settled(key)
            return []
        }
        let reply = Reply(nil, sender: sender)
        let id = id(at: now)
        if case .welcome(let welcome) = deposit.content {
            // Who added was verified when the commit came.
            let adder = try hosted.log.item(seq).flatMap { item throws(HostStop) in try content(of: item) }?.welcome?
                .adder
            let wants = wants
            let grants = presented(welcome.grants, from: key.identity, to: adder, wants)
            do throws(HostStop) { try wants.settle() } catch {
                guard case .needs(let wanted) = error else { throw error }
                outbound.lanes[key] = .init(attempt: 0, due: now + 60, inFlight: nil)
                park(.lane(key), until: wanted, at: now)
                return []
            }
            try deliver(welcome, deposit, id: id, from: service.did, adder, grants, to: target, reply, at: now)
        } else {
            try deliver(
                deposit,
                id: id,
                from: service.did,
                until: now + Self.lifetime,
                key.group,
                to: target,
                reply,
                at: now
            )
        }
        if reply.outcome.isAccepted { return taken(key, seq, hosted) }
        guard let (reason, retryAfter) = reply.outcome.refusal else { return [] }
        return refused(key, seq, reason, retryAfter, hosted, at: now)
    }

    /// A lane's deposit is in its mailbox.
    private func taken(_ key: LaneKey, _ seq: Int64, _ hosted: HostedHub) -> [HubAction] {
        outbound.settled(key)
        switch key.kind {
        case .items: return hosted.hub.acknowledged(seq, by: key.identity)
        case .welcomes: return hosted.hub.acknowledgedWelcome(seq, by: key.identity)
        case .info:
            if seq == Int64(clamping: hosted.hub.epoch) { hosted.owesInfo.remove(key.identity) }
            return []
        }
    }

    /// A mailbox would not have it: now, or ever.
    private func refused(
        _ key: LaneKey,
        _ seq: Int64,
        _ reason: Reason,
        _ retryAfter: Int64?,
        _ hosted: HostedHub,
        at now: Int64
    ) -> [HubAction] {
        if key.kind == .welcomes,
            [.policyBlocked, .policyFirstContactRequired, .transportUnknownRecipient].contains(reason)
        {
            // The owner has not let the adder in; trying again would not change that.
            outbound.settled(key)
            return hosted.hub.refusedWelcome(seq, by: key.identity)
        }
        if key.kind == .items, reason == .mailboxUnknownGroup, hosted.hub.parted(key.identity) {
            outbound.settled(key)
            return []
        }
        // Of what was ordered here before the group was elsewhere, a mailbox takes nothing that it has gone past. M§7.4
        if key.kind == .items, reason == .policyBlocked, seq <= hosted.hub.handoverSeq {
            return taken(key, seq, hosted)
        }
        outbound.retry(key, at: now, after: retryAfter, using: &random)
        return []
    }

    /// Activity goes to whoever can be reached at once. M§11.2
    private func forward(
        _ sealed: EncodedBytes,
        until end: Int64,
        to identity: DID,
        _ hosted: HostedHub,
        at now: Int64
    ) throws(HostStop) {
        let destination: Destination
        do throws(HostStop) {
            destination = try self.destination(of: identity, in: hosted, wants)
        } catch {
            guard case .needs = error else { throw error }
            return
        }
        let deposit = Deposit(recipient: identity, group: hosted.group, .ephemeral(sealed: sealed))
        switch destination {
        case .here:
            guard let target = try mailbox(of: identity) else { return }
            let reply = Reply(nil)
            try deliver(
                deposit,
                id: id(at: now),
                from: service.did,
                until: end,
                hosted.group,
                to: target,
                reply,
                at: now
            )
        case .there(let service):
            guard end > now else { return }
            emit(
                .deposit(
                    message(.deposit(deposit), to: service.did, until: end, at: now),
                    at: service,
                    isAnswered: false
                )
            )
        case .nowhere, .unknown: break
        }
    }

    // MARK: Answers, and trying again

    /// A lane's time has come, or its document.
    func drive(_ key: LaneKey, at now: Int64) throws(HostStop) {
        guard let hosted = try hub(of: key.group) else { return outbound.settled(key) }
        if outbound.lanes[key]?.inFlight != nil {
            outbound.retry(key, at: now, after: nil, using: &random)
            return
        }
        outbound.lanes[key]?.due = nil
        let actions = try send(key, hosted, sender: nil, at: now)
        try perform(actions, at: hosted, nil, now)
        if try head(of: key, hosted) == nil { outbound.settled(key) }
        try ask { () throws(StoreFailure) in try hosted.save() }
    }

    func answered(_ flight: Outbound.Flight, _ answer: ServiceAnswer, at now: Int64) throws(HostStop) {
        let key = flight.lane
        guard let hosted = try hub(of: key.group) else { return outbound.settled(key) }
        var actions: [HubAction] = []
        switch answer {
        case .accepted: actions = taken(key, flight.seq, hosted)
        case .refused(let reason, let retryAfter, _):
            actions = refused(key, flight.seq, reason, retryAfter, hosted, at: now)
        case .unreachable: outbound.retry(key, at: now, after: nil, using: &random)
        }
        try perform(actions, at: hosted, nil, now)
        // A welcome taken may release what was held.
        if key.kind == .welcomes || (key.kind == .info && hosted.owesInfo.contains(key.identity)) {
            try sendInfo(hosted, at: now)
        }
        try ask { () throws(StoreFailure) in try hosted.save() }
    }

    /// After a restart: the head of every queue that is not empty, welcomes included. M§6.5
    func restoreLanes(at now: Int64) throws(HostStop) {
        var last: String?
        repeat {
            let page = try ask { () throws(StoreFailure) in try store.records(in: "due", after: last, limit: 256) }
            for record in page {
                guard let group = GroupID(record.key.name), let hosted = try hub(of: group) else { continue }
                let actions = hosted.hub.retry()
                try perform(actions, at: hosted, nil, now)
                try sendInfo(hosted, at: now)
                try ask { () throws(StoreFailure) in try hosted.save() }
            }
            last = page.count < 256 ? nil : page.last?.key.name
        } while last != nil
        outbound.isRestoring = false
    }
}
