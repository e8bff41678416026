import DSIPIdentity
import Encoding

extension Messenger {
    /// A call in the timeline of its peer: before the first message said later than it. M§13.3
    mutating func show(_ event: CallEvent, _ said: Saying) throws(MessagingError) -> Bool {
        let thread: ULID
        if let known = directs[event.peer] {
            thread = known
        } else {
            let record = ConversationRecord(id: newULID(), kind: .direct, members: [event.peer], at: event.at)
            directs[event.peer] = record.id
            show(record)
            thread = record.id
        }
        if var known = try ledger.message(event.session, in: thread) {
            // M§13.3: the first by `seq` counts.
            guard known.kind == .call, said.order < known.editOrder else { return known.kind != .call }
            known.editOrder = said.order
            known.call = .init(event)
            try save(known)
            return false
        }
        var line = MessageRecord(
            id: event.session,
            conversation: thread,
            sender: event.direction == .inbound ? event.peer : identity,
            isMine: event.direction == .outbound,
            kind: .call,
            sentAt: event.at,
            receivedAt: said.receivedAt,
            order: try orderOfCall(at: event.at, in: thread),
            state: .received
        )
        line.editOrder = said.order
        line.session = event.session
        line.call = .init(event)
        try save(line)
        try place(line)
        return true
    }

    private func orderOfCall(at time: Int64, in thread: ULID) throws(MessagingError) -> Int64 {
        // Looking back from the end, for as long as messages are later than the call.
        var order: Int64?
        var before: Int64? = Self.pendingOrder
        var pages = 0
        while let bound = before, pages < 64 {
            let page = try ledger.messages(in: thread, before: bound, limit: 200)
            pages += 1
            for line in page.reversed() where line.isContent {
                guard line.sentAt > time else {
                    // A later message may still stand above one with an earlier claim; the nearest counts.
                    return order ?? line.order + 1
                }
                order = line.order - 1
            }
            before = page.count < 200 ? nil : page.first?.order
        }
        return order ?? 2
    }

    /// A message that takes the place before which a call stands, but was said no later than it: the call moves behind it.
    mutating func settleCalls(around line: MessageRecord) throws(MessagingError) {
        guard line.order < Self.pendingOrder else { return }
        for var call in try ledger.messages(
            in: line.conversation,
            before: line.order,
            after: nil,
            limit: 8
        ).reversed() {
            guard call.kind == .call else { break }
            guard line.sentAt <= call.sentAt else { continue }
            call.order = line.order + 1
            try save(call)
        }
    }
}

extension MessageRecord.Call {
    init(_ event: CallEvent) {
        self.init(
            session: event.session,
            outcome: event.outcome.token,
            direction: event.direction,
            at: event.at
        )
    }
}
