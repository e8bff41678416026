import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding
import FoundationEssentials
import GRDB

/// The part of the message database that belongs to one of our identities: the store of its `Messenger`.
///
/// A sealed value is bound to its place, so that rows cannot be exchanged for one another (AES-256-GCM, a random nonce each).
final class IdentityMessages: MessengerStore {
    let pool: DatabasePool
    let owner: Int64
    private let key: SymmetricKey

    /// - Parameter key: the identity's data key.
    init(_ database: MessageDatabase, of identity: DID, key: SymmetricKey) throws(AgentError) {
        pool = database.pool
        owner = try database.number(of: identity)
        self.key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key,
            info: Array("dsip messages v1".utf8),
            outputByteCount: 32
        )
    }

    // MARK: Rows

    func row(_ table: MessengerTable, _ scope: String, _ key: String) throws(MessagingError) -> [UInt8]? {
        try read { db in
            let value = try Data.fetchOne(
                db,
                sql: "SELECT value FROM item WHERE owner = ? AND part = ? AND scope = ? AND key = ?",
                arguments: [owner, table.rawValue, scope, key]
            )
            return try value.map { try plain(Array($0), table, scope, key) }
        }
    }

    func rows(_ table: MessengerTable, _ scope: String) throws(MessagingError) -> [MessengerRow] {
        try read { db in
            let rows = try Row.fetchCursor(
                db,
                sql: "SELECT key, value FROM item WHERE owner = ? AND part = ? AND scope = ? ORDER BY key",
                arguments: [owner, table.rawValue, scope]
            )
            var all: [MessengerRow] = []
            while let row = try rows.next() {
                let key: String = row[0]
                all.append(MessengerRow(key: key, value: try plain(Array(row[1] as Data), table, scope, key)))
            }
            return all
        }
    }

    // MARK: What is shown

    func conversations() throws(MessagingError) -> [ConversationRecord] {
        try read { db in
            let rows = try Row.fetchCursor(
                db,
                sql: "SELECT id, sealed FROM conversation WHERE owner = ?",
                arguments: [owner]
            )
            var all: [ConversationRecord] = []
            while let row = try rows.next() { all.append(try conversation(row)) }
            return all
        }
    }

    func conversation(_ id: ULID) throws(MessagingError) -> ConversationRecord? {
        try read { db in
            try Row.fetchOne(
                db,
                sql: "SELECT id, sealed FROM conversation WHERE owner = ? AND id = ?",
                arguments: [owner, id.description]
            ).map(conversation)
        }
    }

    func message(_ id: ULID, in conversation: ULID) throws(MessagingError) -> MessageRecord? {
        try read { db in
            try Row.fetchOne(
                db,
                sql: "SELECT conversation, id, sealed FROM line WHERE owner = ? AND conversation = ? AND id = ?",
                arguments: [owner, conversation.description, id.description]
            ).map(line)
        }
    }

    func messages(
        in conversation: ULID,
        before: Int64?,
        after: Int64?,
        limit: Int
    ) throws(MessagingError) -> [MessageRecord] {
        try read { db in
            let isForward = after != nil
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT conversation, id, sealed FROM line
                    WHERE owner = ? AND conversation = ? AND place > ? AND place < ?
                    ORDER BY place \(isForward ? "ASC" : "DESC"), id \(isForward ? "ASC" : "DESC") LIMIT ?
                    """,
                arguments: [owner, conversation.description, after ?? .min, before ?? .max, max(0, limit)]
            )
            return try (isForward ? rows : rows.reversed()).map(line)
        }
    }

    /// Wherever it was said.
    func message(_ id: ULID) throws(MessagingError) -> MessageRecord? {
        try read { db in
            try Row.fetchOne(
                db,
                sql: "SELECT conversation, id, sealed FROM line WHERE owner = ? AND id = ?",
                arguments: [owner, id.description]
            ).map(line)
        }
    }

    /// A page of a conversation, ascending. Lines of one place are never parted: a page may be a little longer than asked for.
    func page(
        of conversation: ULID,
        before: Int64?,
        after: Int64?,
        limit: Int
    ) throws(MessagingError) -> [MessageRecord] {
        let page = try messages(in: conversation, before: before, after: after, limit: limit)
        guard page.count == limit, let edge = after == nil ? page.first : page.last else { return page }
        let ties = try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT conversation, id, sealed FROM line
                    WHERE owner = ? AND conversation = ? AND place = ? ORDER BY id LIMIT 1000
                    """,
                arguments: [owner, conversation.description, edge.order]
            ).map(line)
        }
        return after == nil
            ? ties + page.drop { $0.order == edge.order } : page.prefix { $0.order != edge.order } + ties
    }

    // MARK: Search

    struct Match: Sendable {
        var message: MessageRecord
        /// A part of the text, what matched between U+0002 and U+0003.
        var snippet: String
    }

    /// Lines that have a word beginning with each word of `query`, whatever its case and accents; the latest first.
    func search(_ query: String, in conversation: ULID?, limit: Int) throws(MessagingError) -> [Match] {
        guard let pattern = IdentityMessages.pattern(query) else { return [] }
        return try read { db in
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT line.conversation, line.id, line.sealed, snippet(line_text, 0, char(2), char(3), '…', 24)
                    FROM line_text JOIN line ON line.number = line_text.rowid
                    WHERE line_text MATCH :pattern AND line.owner = :owner
                        AND (:conversation IS NULL OR line.conversation = :conversation)
                    ORDER BY line.place DESC LIMIT :limit
                    """,
                arguments: [
                    "pattern": pattern, "owner": owner, "conversation": conversation?.description, "limit": limit,
                ]
            )
            var matches: [Match] = []
            while let row = try rows.next() { matches.append(Match(message: try line(row), snippet: row[3])) }
            return matches
        }
    }

    /// What the person typed as words of FTS5, each quoted: nothing in it is an operator.
    private static func pattern(_ query: String) -> String? {
        let words = query.split { $0.isWhitespace || $0 == "\0" }.prefix(16)
            .filter { word in
                word.unicodeScalars.contains { $0.properties.isAlphabetic || $0.properties.numericType != nil }
            }
        return words.isEmpty
            ? nil : words.map { "\"" + $0.replacing("\"", with: "\"\"") + "\"*" }.joined(separator: " ")
    }

    // MARK: Changes

    func commit(_ changes: [MessengerChange]) throws(MessagingError) {
        do {
            try pool.write { db in for change in changes { try apply(change, db) } }
        } catch {
            throw IdentityMessages.failure(error)
        }
    }

    private func apply(_ change: MessengerChange, _ db: Database) throws {
        switch change {
        case .row(let table, let scope, let key, let value?):
            try db.execute(
                sql: """
                    INSERT INTO item VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (owner, part, scope, key) DO UPDATE SET value = excluded.value
                    """,
                arguments: [
                    owner, table.rawValue, scope, key,
                    Data(table.isSecret ? try seal(value, [table.rawValue, scope, key]) : value),
                ]
            )
        case .row(let table, let scope, let key, nil):
            try db.execute(
                sql: "DELETE FROM item WHERE owner = ? AND part = ? AND scope = ? AND key = ?",
                arguments: [owner, table.rawValue, scope, key]
            )
        case .scopeGone(let table, let scope):
            try db.execute(
                sql: "DELETE FROM item WHERE owner = ? AND part = ? AND scope = ?",
                arguments: [owner, table.rawValue, scope]
            )
        case .conversation(let record):
            let id = record.id.description
            try db.execute(
                sql: """
                    INSERT INTO conversation VALUES (?, ?, ?)
                    ON CONFLICT (owner, id) DO UPDATE SET sealed = excluded.sealed
                    """,
                arguments: [owner, id, Data(try seal(record.encoded, ["conversation", id]))]
            )
        case .conversationGone(let id):
            try db.execute(
                sql: """
                    DELETE FROM line_text WHERE rowid IN
                        (SELECT number FROM line WHERE owner = ? AND conversation = ?)
                    """,
                arguments: [owner, id.description]
            )
            for table in ["line", "conversation"] {
                try db.execute(
                    sql: "DELETE FROM \(table) WHERE owner = ? AND \(table == "line" ? "conversation" : "id") = ?",
                    arguments: [owner, id.description]
                )
            }
        case .message(let record): try put(record, db)
        case .messageGone(let id, let conversation):
            let place: StatementArguments = [owner, conversation.description, id.description]
            guard let number = try IdentityMessages.number(at: place, db) else { return }
            try db.execute(sql: "DELETE FROM line_text WHERE rowid = ?", arguments: [number])
            try db.execute(sql: "DELETE FROM line WHERE number = ?", arguments: [number])
        }
    }

    private func put(_ record: MessageRecord, _ db: Database) throws {
        let (conversation, id) = (record.conversation.description, record.id.description)
        let sealed = Data(try seal(record.encoded, ["line", conversation, id]))
        let text =
            record.isRetracted
            ? "" : [record.text, record.attachment?.name ?? ""].filter { !$0.isEmpty }.joined(separator: "\n")
        guard let number = try IdentityMessages.number(at: [owner, conversation, id], db) else {
            try db.execute(
                sql: "INSERT INTO line (owner, conversation, id, place, sealed) VALUES (?, ?, ?, ?, ?)",
                arguments: [owner, conversation, id, record.order, sealed]
            )
            guard !text.isEmpty else { return }
            return try db.execute(
                sql: "INSERT INTO line_text (rowid, text) VALUES (?, ?)",
                arguments: [db.lastInsertedRowID, text]
            )
        }
        try db.execute(
            sql: "UPDATE line SET place = ?, sealed = ? WHERE number = ?",
            arguments: [record.order, sealed, number]
        )
        // Most changes are of receipts and states: the words stay.
        let indexed =
            try String.fetchOne(db, sql: "SELECT text FROM line_text WHERE rowid = ?", arguments: [number]) ?? ""
        guard indexed != text else { return }
        try db.execute(sql: "DELETE FROM line_text WHERE rowid = ?", arguments: [number])
        guard !text.isEmpty else { return }
        try db.execute(sql: "INSERT INTO line_text (rowid, text) VALUES (?, ?)", arguments: [number, text])
    }

    private static func number(at place: StatementArguments, _ db: Database) throws -> Int64? {
        try Int64.fetchOne(
            db,
            sql: "SELECT number FROM line WHERE owner = ? AND conversation = ? AND id = ?",
            arguments: place
        )
    }

    // MARK: Sealing

    private func conversation(_ row: Row) throws -> ConversationRecord {
        guard let record = ConversationRecord(decoding: try open(Array(row[1] as Data), ["conversation", row[0]]))
        else {
            throw MessagingError(.storeFailed, "a conversation is damaged")
        }
        return record
    }

    private func line(_ row: Row) throws -> MessageRecord {
        guard let record = MessageRecord(decoding: try open(Array(row[2] as Data), ["line", row[0], row[1]])) else {
            throw MessagingError(.storeFailed, "a message is damaged")
        }
        return record
    }

    private func plain(_ value: [UInt8], _ table: MessengerTable, _ scope: String, _ key: String) throws -> [UInt8] {
        table.isSecret ? try open(value, [table.rawValue, scope, key]) : value
    }

    /// nonce (12) ‖ ciphertext ‖ tag (16)
    func seal(_ plaintext: [UInt8], _ place: [String]) throws -> [UInt8] {
        guard let sealed = try AES.GCM.seal(plaintext, using: key, authenticating: context(place)).combined else {
            throw MessagingError(.storeFailed, "a row could not be sealed")
        }
        return Array(sealed)
    }

    func open(_ sealed: [UInt8], _ place: [String]) throws -> [UInt8] {
        Array(try AES.GCM.open(AES.GCM.SealedBox(combined: sealed), using: key, authenticating: context(place)))
    }

    private func context(_ place: [String]) -> [UInt8] {
        // Lengths, so that no two places read the same.
        place.reduce(into: Array("\(owner)".utf8)) { $0 += Array(";\($1.utf8.count):\($1)".utf8) }
    }

    // MARK: Errors

    func read<T: Sendable>(_ body: (Database) throws -> T) throws(MessagingError) -> T {
        do {
            return try pool.read(body)
        } catch {
            throw IdentityMessages.failure(error)
        }
    }

    static func failure(_ error: any Error) -> MessagingError {
        switch error {
        case let error as MessagingError: error
        case let error as DatabaseError where error.resultCode == .SQLITE_FULL:
            MessagingError(.storeFailed, "The disk is full. Free some space and try again; nothing was changed.")
        case is CryptoKitError: MessagingError(.storeFailed, "The messages cannot be read with this wallet.")
        default: MessagingError(.storeFailed, "The messages could not be stored or read.")
        }
    }
}
