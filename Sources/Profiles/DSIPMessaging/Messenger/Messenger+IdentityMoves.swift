import DSIPIdentity
import Encoding

/// Statements that somebody moves to another identity: told in conversations of two, kept, handed out.
extension Messenger {
    private static var moves: String { "moves" }

    /// Tells everybody in a conversation of two with this identity, those with whom nothing is open left out.
    public mutating func tell(_ statement: MoveStatement, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            for (_, thread) in messenger.directs.sorted(by: { $0.key < $1.key }) {
                let isCarried = try messenger.carriedPeer(of: thread) != nil
                guard try messenger.ledger.conversation(thread)?.isRemoved == false,
                    isCarried || messenger.current(thread) != nil, let conversation = try messenger.wire(thread)
                else { continue }
                let notice = MoveNotice(
                    id: messenger.newULID(),
                    conversation: conversation,
                    sender: messenger.identity,
                    sentAt: messenger.now,
                    statement: statement
                )
                try messenger.queue(notice.json, in: thread)
            }
        }.1
    }

    mutating func apply(_ notice: MoveNotice, _ said: Saying) throws(MessagingError) -> Bool {
        let bytes = notice.statement.json.utf8
        guard try ledger.row(.setting, Self.moves, notice.sender.string) != bytes else { return false }
        ledger.set(.setting, Self.moves, notice.sender.string, bytes)
        outgoing.append(.moved(notice.statement, notice.sender))
        return true
    }

    /// Hands out again what was said: whoever was to hear it may have been ended before.
    mutating func repeatMoves() throws(MessagingError) {
        for row in try ledger.rows(.setting, Self.moves) {
            guard let sender = DID(row.key), let json = try? JSONValue(parsing: row.value),
                let statement = MoveStatement(json: json)
            else { continue }
            outgoing.append(.moved(statement, sender))
        }
    }
}
