import DSIPIdentity
import Encoding

extension Messenger {
    /// Seconds between two requests in one group, and between two minutes' answers.
    static var resendInterval: Int64 { 30 }
    static var answersAMinute: Int { 64 }

    /// Asks for what did not open; never oftener than every 30 seconds in a group, and each item three times at most.
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

    private func isSaidAgain(_ seq: Int64, of group: GroupID, in thread: ULID) -> Bool {
        (outbox[thread] ?? []).contains { item in
            guard item.purpose == .object, let object = item.object, let value = RowReader(object)?.value else {
                return false
            }
            return value["object"]?.string == SaidAgain.objectName && value["group"]?.string == group.text
                && value["seq"]?.int == seq
        }
    }

    /// Says once more what this device said under these `seq`: the same objects, with the same ids.
    mutating func answer(_ request: ResendRequest, _ said: Saying) throws(MessagingError) {
        guard said.origin == .live, said.device != device, let group = groups[request.group],
            group.thread == said.thread
        else { return }
        let minute = now / 60
        for seq in request.seqs {
            guard let object = try ledger.row(.sent, request.group.text, OutboxItem.key(seq)) else { continue }
            let isAllowed = update(request.group) { group -> Bool in
                if group.answeredAt != minute { (group.answeredAt, group.answered) = (minute, 0) }
                group.answered += 1
                return group.answered <= Self.answersAMinute
            }
            guard isAllowed == true else { return }
            sayAgain(object, seq, of: request.group, in: group.thread)
        }
    }

    private mutating func sayAgain(_ object: [UInt8], _ seq: Int64, of group: GroupID, in thread: ULID) {
        guard case .object(let payload)? = RowReader(object)?.value, !isSaidAgain(seq, of: group, in: thread),
            let conversation = current(thread)?.conversation
        else { return }
        guard payload["object"]?.string != SaidAgain.objectName else {
            try? queue(.object(payload), in: thread)
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
        do {
            try queue(again.json, in: thread)
        } catch {
            // Too long to be wrapped: in a new place then.
            try? queue(.object(payload), in: thread)
        }
    }

    // MARK: Those a group was made with

    static var maximumOwed: Int { 64 }

    /// Something was said while some of those the group was made with were not in it yet.
    mutating func owe(_ seq: Int64, in id: GroupID) {
        update(id) { group in
            guard group.awaitsFounders, group.changes.contains(where: \.isAddition), group.owed.count < Self.maximumOwed
            else { return }
            group.owed.append(seq)
        }
    }

    /// Some of them have come in: they hear what was said meanwhile, in its place.
    mutating func settleOwed(in id: GroupID) {
        guard let group = groups[id], group.awaitsFounders else { return }
        for seq in group.owed {
            guard let object = try? ledger.row(.sent, id.text, OutboxItem.key(seq)) else { continue }
            sayAgain(object, seq, of: id, in: group.thread)
        }
        guard !group.changes.contains(where: \.isAddition) else { return }
        forgetOwed(in: id)
    }

    /// Those that a conversation was made with and who are still to come in: what is said meanwhile is for them too.
    package func awaitedFounders(in conversation: ULID) -> [DID] {
        guard let group = current(conversation), group.awaitsFounders else { return [] }
        return group.changes.flatMap { change -> [DID] in if case .add(let who) = change { who } else { [] } }
    }

    mutating func forgetOwed(in id: GroupID) {
        update(id) { group in
            group.awaitsFounders = false
            group.owed = []
        }
    }
}
