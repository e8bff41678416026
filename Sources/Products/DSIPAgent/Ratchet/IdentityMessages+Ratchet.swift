import DSIPMessaging
import FoundationEssentials
import GRDB

/// The rows of the ratchet, beside the messenger's in one table and sealed as those are.
extension IdentityMessages: RatchetStore {
    private static func part(_ table: RatchetTable) -> String { "ratchet/" + table.rawValue }

    func row(_ table: RatchetTable, _ scope: String, _ key: String) throws(MessagingError) -> [UInt8]? {
        try read { db in
            let value = try Data.fetchOne(
                db,
                sql: "SELECT value FROM item WHERE owner = ? AND part = ? AND scope = ? AND key = ?",
                arguments: [owner, IdentityMessages.part(table), scope, key]
            )
            return try value.map { try plain(Array($0), table, scope, key) }
        }
    }

    func rows(
        _ table: RatchetTable,
        _ scope: String,
        after key: String?,
        limit: Int
    ) throws(MessagingError) -> [RatchetRow] {
        try read { db in
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT key, value FROM item WHERE owner = ? AND part = ? AND scope = ? AND key > ?
                    ORDER BY key LIMIT ?
                    """,
                arguments: [owner, IdentityMessages.part(table), scope, key ?? "", max(0, limit)]
            )
            var all: [RatchetRow] = []
            while let row = try rows.next() {
                let key: String = row[0]
                all.append(RatchetRow(key: key, value: try plain(Array(row[1] as Data), table, scope, key)))
            }
            return all
        }
    }

    func commit(_ changes: [RatchetChange]) throws(MessagingError) {
        do {
            try pool.write { db in
                for change in changes {
                    let part = IdentityMessages.part(change.table)
                    guard let value = change.value else {
                        try db.execute(
                            sql: "DELETE FROM item WHERE owner = ? AND part = ? AND scope = ? AND key = ?",
                            arguments: [owner, part, change.scope, change.key]
                        )
                        continue
                    }
                    let kept = change.table.isSecret ? try seal(value, [part, change.scope, change.key]) : value
                    try db.execute(
                        sql: """
                            INSERT INTO item VALUES (?, ?, ?, ?, ?)
                            ON CONFLICT (owner, part, scope, key) DO UPDATE SET value = excluded.value
                            """,
                        arguments: [owner, part, change.scope, change.key, Data(kept)]
                    )
                }
            }
        } catch {
            throw IdentityMessages.failure(error)
        }
    }

    private func plain(_ value: [UInt8], _ table: RatchetTable, _ scope: String, _ key: String) throws -> [UInt8] {
        table.isSecret ? try open(value, [IdentityMessages.part(table), scope, key]) : value
    }
}
