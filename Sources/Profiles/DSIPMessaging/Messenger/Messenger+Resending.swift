import DSIPIdentity
import Encoding

extension Messenger {
    /// Seconds between two requests in one group, and between two minutes' answers.
    static var resendInterval: Int64 { 30 }
    static var answersAMinute: Int { 256 }
    private static var maximumAnswered: Int { 256 }

    /// Asks for what did not open; never oftener than every 30 seconds in a group, and each item once.
    mutating func askAgain(in id: GroupID) throws(MessagingError) {
        let now = now
        if let group = groups[id], group.askedAt > 0, group.unopened.isEmpty, now >= group.askedAt + 60 {
            // Whoever could have said it again has, or never will.
            update(id) { $0.askedAt = 0 }
            try cleared(.waitingForKey, in: id)
        }
        guard let group = groups[id], group.phase == .active, !group.unopened.isEmpty,
            now - group.askedAt >= Self.resendInterval, let conversation = current(group.thread)?.conversation,
            try roster(of: id).entries.count > 1
        else { return }
        let seqs = Array(group.unopened.sorted().prefix(ResendRequest.maximumItems))
        update(id) { group in
            group.askedAt = now
            group.unopened.removeAll { seqs.contains($0) }
        }
        try queue(
            ResendRequest(
                id: newULID(),
                conversation: conversation,
                sender: identity,
                sentAt: now,
                group: id,
                seqs: seqs
            ).json,
            in: group.thread
        )
        try noticed(.waitingForKey, in: id)
    }

    // MARK: What was said

    /// `seq` of a group behind which an object is not said again.
    private static var sentKept: Int64 { 2048 }

    mutating func keep(_ sent: Sent, in id: GroupID, _ seq: Int64) {
        ledger.set(.sent, id.text, OutboxItem.key(seq), sent.encoded)
        if seq > Self.sentKept { ledger.set(.sent, id.text, OutboxItem.key(seq - Self.sentKept), nil) }
    }

    /// What this device said under a `seq`, and who could read it then.
    private mutating func sent(
        _ seq: Int64,
        in id: GroupID
    ) throws(MessagingError) -> (payload: JSONObject, audience: Set<DID>)? {
        guard let sent = try ledger.row(.sent, id.text, OutboxItem.key(seq)).flatMap({ Sent($0) }),
            let payload = RowReader(sent.object)?.value.object
        else { return nil }
        return (payload, try audience(sent.audience, in: id) ?? [])
    }

    private func audience(_ digest: String?, in id: GroupID) throws(MessagingError) -> Set<DID>? {
        guard let digest, let row = try ledger.row(.sent, Self.audienceScope(id), digest) else { return nil }
        return RowReader(row).map { Set($0.dids("who")) }
    }

    private static func audienceScope(_ id: GroupID) -> String { "audience/" + id.text }

    /// Lists of who was in a group; what was said to others before is not said again.
    private static var maximumAudiences: Int { 256 }

    /// Who is in a group now, kept under its digest.
    mutating func audience(of id: GroupID) throws(MessagingError) -> String {
        var row = RowWriter()
        row.put("who", try roster(of: id).identities.sorted())
        let (scope, digest) = (Self.audienceScope(id), Seal.hash(row.bytes))
        guard try ledger.row(.sent, scope, digest) == nil else { return digest }
        if try ledger.rows(.sent, scope).count >= Self.maximumAudiences { ledger.drop(.sent, scope) }
        ledger.set(.sent, scope, digest, row.bytes)
        return digest
    }

    // MARK: Answering

    /// Says once more what this device said under these `seq`, to those who were there then: the same objects, with the same ids.
    mutating func answer(_ request: ResendRequest, _ said: Saying) throws(MessagingError) {
        guard said.origin == .live, said.device != device, let group = groups[request.group],
            group.thread == said.thread
        else { return }
        // It may itself have been said again, to others who could not read it.
        guard !answeredRequests.contains(request.id) else { return }
        answeredRequests = answeredRequests.suffix(Self.maximumAnswered - 1) + [request.id]
        let minute = now / 60
        for seq in request.seqs {
            guard let (object, audience) = try sent(seq, in: request.group), audience.contains(said.sender) else {
                continue
            }
            let isAllowed = update(request.group) { group -> Bool in
                if group.answeredAt != minute { (group.answeredAt, group.answered) = (minute, 0) }
                group.answered += 1
                return group.answered <= Self.answersAMinute
            }
            guard isAllowed == true else { return }
            sayAgain(object, seq, of: request.group, in: group.thread, asked: said.device)
        }
    }

    /// Bytes of what is said again: what an MLS message takes beside its framing. M§5.1
    private static var maximumAgain: Int { MessagingProfile.maximumMLSBytes - 1024 }

    private mutating func sayAgain(
        _ payload: JSONObject,
        _ seq: Int64,
        of group: GroupID,
        in thread: ULID,
        asked asker: DID? = nil
    ) {
        if var item = outbox[thread]?.first(where: { $0.again?.group == group && $0.again?.seq == seq }) {
            guard let asker, let askers = item.again?.askers, !askers.isEmpty, !askers.contains(asker),
                askers.count < OutboxItem.Again.maximumAskers
            else { return }
            item.again?.askers.append(asker)
            return save(item)
        }
        guard let conversation = current(thread)?.conversation else { return }
        let place = OutboxItem.Again(group: group, seq: seq, askers: [asker].compactMap(\.self))
        guard payload["object"]?.string != SaidAgain.objectName else {
            try? queue(.object(payload), in: thread, again: place, limit: Self.maximumAgain)
            return
        }
        let again = SaidAgain(
            id: newULID(),
            conversation: conversation,
            sender: identity,
            sentAt: now,
            group: group,
            seq: seq,
            payload: payload
        )
        try? queue(again.json, in: thread, again: place, limit: Self.maximumAgain)
    }

    /// Whether all who would hear it now could read it when it was said, or were in when what was owed was first said again.
    mutating func mayHear(
        _ again: OutboxItem.Again,
        of item: OutboxItem,
        in id: GroupID
    ) throws(MessagingError) -> Bool {
        let isOwed = again.askers.isEmpty
        let audience = try isOwed ? audience(item.audience, in: id) : sent(again.seq, in: again.group)?.audience
        guard let audience else { return isOwed }
        return try roster(of: id).identities.allSatisfy { audience.contains($0) }
    }

    /// Somebody has come in who may not hear it: it is sealed to the devices that asked for it, or to those to whom it was owed.
    mutating func seal(
        _ again: OutboxItem.Again,
        of item: OutboxItem,
        in id: GroupID
    ) throws(MessagingError) {
        removeFromOutbox(item.id, thread: item.thread)
        guard let (payload, audience) = try sent(again.seq, in: again.group), let group = groups[id] else { return }
        let owed = again.askers.isEmpty ? try self.audience(item.audience, in: id)?.subtracting(audience) ?? [] : []
        for entry in try roster(of: id).entries {
            let asker = entry.device
            guard
                owed.contains(entry.identity) || again.askers.contains(asker) && audience.contains(entry.identity)
            else { continue }
            // What was said again itself stands where it stood first.
            let kept = try? SaidAgain(.object(payload))
            guard kept?.isSealed != true,
                let sealed = try? SaidAgain(
                    id: newULID(),
                    conversation: group.conversation,
                    sender: identity,
                    sentAt: now,
                    group: kept?.group ?? again.group,
                    seq: kept?.seq ?? again.seq,
                    payload: kept?.payload ?? payload
                ).sealed(to: asker)
            else { continue }
            try? queue(sealed.json, in: item.thread, limit: Self.maximumAgain)
        }
    }

    // MARK: Those a group was made with

    static var maximumOwed: Int { 64 }

    /// Something was said, perhaps while some of those the group was made with were not in it yet.
    ///
    /// - Parameter audience: who could read it, by its digest.
    mutating func owe(_ seq: Int64, for audience: String?, in id: GroupID) throws(MessagingError) {
        guard let group = groups[id], group.awaitsFounders else { return }
        guard group.changes.contains(where: \.isAddition) else {
            // All are in by now; the hub's answers came in another order.
            if try audience != self.audience(of: id) { sayOwed(seq, in: group) }
            return settled(in: id)
        }
        update(id) { group in
            if group.owed.count < Self.maximumOwed { group.owed.append(seq) }
        }
    }

    /// Another own device has changed what is owed, or was: it is owed as it is now.
    mutating func oweChange(of line: MessageRecord, _ said: Saying) {
        guard said.origin == .live, said.sender == identity, said.device != device, line.group == said.group,
            let group = groups[said.group], line.seq.map(group.owed.contains) == true,
            group.owed.count < Self.maximumOwed, !group.owed.contains(said.seq)
        else { return }
        // When all are in, they read it themselves, but for what that device had encrypted before.
        let isGathered = !group.awaitsFounders || !group.changes.contains(where: \.isAddition)
        guard said.isLate || !isGathered else { return }
        // That device answers for it: here it is kept for nobody who asks.
        keep(Sent(object: said.payload.utf8, audience: nil), in: said.group, said.seq)
        update(said.group) { $0.owed.append(said.seq) }
        if isGathered { sayOwed(said.seq, in: group) }
    }

    /// Some of them have come in: they hear what was said meanwhile, in its place.
    mutating func settleOwed(in id: GroupID) {
        guard let group = groups[id], group.awaitsFounders else { return }
        for seq in group.owed { sayOwed(seq, in: group) }
        if !group.changes.contains(where: \.isAddition) { settled(in: id) }
    }

    /// What is owed has been said again: who has come in since it was encrypted could not read it, and hears it by itself.
    mutating func saidOwed(_ item: OutboxItem, in id: GroupID) throws(MessagingError) {
        guard let again = item.again, again.askers.isEmpty, again.group == id, let group = groups[id],
            group.owed.contains(again.seq), try item.audience != audience(of: id)
        else { return }
        sayOwed(again.seq, in: group)
    }

    private mutating func sayOwed(_ seq: Int64, in group: GroupState) {
        guard let object = try? sent(seq, in: group.id)?.payload else { return }
        sayAgain(object, seq, of: group.id, in: group.thread)
    }

    /// All are in: what was encrypted before, and has no place yet, is still owed to them.
    private mutating func settled(in id: GroupID) {
        guard let group = groups[id],
            outbox[group.thread]?.contains(where: { $0.group == id && $0.deposit != nil && $0.purpose == .object })
                != true
        else { return }
        update(id) { $0.awaitsFounders = false }
    }

    /// Those that a conversation was made with and who are still to come in: what is said meanwhile is for them too.
    package func awaitedFounders(in conversation: ULID) -> [DID] {
        guard let group = current(conversation), group.awaitsFounders else { return [] }
        return awaited(in: group)
    }

    func awaited(in group: GroupState) -> [DID] {
        group.changes.flatMap { change -> [DID] in if case .add(let who) = change { who } else { [] } }
    }

    mutating func forgetOwed(in id: GroupID) {
        update(id) { group in
            group.awaitsFounders = false
            group.owed = []
        }
    }
}

/// What this device said, and to whom: the digest of a list that is kept.
struct Sent {
    var object: [UInt8]
    var audience: String?

    var encoded: [UInt8] {
        var row = RowWriter()
        row.put("said", bytes: object)
        row.put("audience", audience)
        return row.bytes
    }

    init(object: [UInt8], audience: String?) {
        self.object = object
        self.audience = audience
    }

    init?(_ row: [UInt8]) {
        guard let row = RowReader(row), let object = row.bytes("said") else { return nil }
        self.init(object: object, audience: row.text("audience"))
    }
}
