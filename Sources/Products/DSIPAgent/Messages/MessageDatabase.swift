import DSIPIdentity
import GRDB

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What has been said, in one SQLite file of mode 0600: WAL, `synchronous = FULL`, deleted text overwritten.
///
/// What holds keys or more than search needs is sealed under the identity's data key, which lies in the wallet. In clear are the index
/// of words (`line_text`), who is in which conversation by number, times and sizes; docs/threat-model.md says why.
final class MessageDatabase: Sendable {
    let pool: DatabasePool

    /// - Throws: `AgentError` `.damaged` when it is no database of ours; `.internal` when it cannot be opened.
    init(path: String) throws(AgentError) {
        // SQLite gives its log the mode of the file beside it.
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw AgentError(.internal, "The messages at \(path) could not be opened.") }
        close(file)
        var configuration = Configuration()
        configuration.label = "messages"
        configuration.maximumReaderCount = 2
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA secure_delete = ON")
        }
        do {
            let pool = try DatabasePool(path: path, configuration: configuration)
            try MessageDatabase.migrator.migrate(pool)
            self.pool = pool
        } catch let error as DatabaseError where [.SQLITE_NOTADB, .SQLITE_CORRUPT].contains(error.resultCode) {
            throw AgentError(.damaged, "The messages are damaged. Move \(path) away to start afresh.")
        } catch {
            throw AgentError(.internal, "The messages at \(path) could not be opened.")
        }
    }

    /// The number by which rows name an identity of ours.
    func number(of identity: DID) throws(AgentError) -> Int64 {
        do {
            return try pool.write { db in
                try db.execute(
                    sql: "INSERT INTO identity (did) VALUES (?) ON CONFLICT DO NOTHING",
                    arguments: [identity.string]
                )
                return try Int64.fetchOne(
                    db,
                    sql: "SELECT number FROM identity WHERE did = ?",
                    arguments: [identity.string]
                ) ?? 0
            }
        } catch {
            throw AgentError(.internal, "The messages could not be opened.")
        }
    }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    CREATE TABLE identity (number INTEGER PRIMARY KEY, did TEXT NOT NULL UNIQUE) STRICT;
                    CREATE TABLE item (
                        owner INTEGER NOT NULL, part TEXT NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL,
                        value BLOB NOT NULL, UNIQUE (owner, part, scope, key)
                    ) STRICT;
                    CREATE TABLE conversation (
                        owner INTEGER NOT NULL, id TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (owner, id)
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE line (
                        number INTEGER PRIMARY KEY, owner INTEGER NOT NULL, conversation TEXT NOT NULL, id TEXT NOT NULL,
                        place INTEGER NOT NULL, sealed BLOB NOT NULL, UNIQUE (owner, conversation, id)
                    ) STRICT;
                    CREATE INDEX line_by_place ON line (owner, conversation, place, id);
                    CREATE INDEX line_by_id ON line (owner, id);
                    CREATE VIRTUAL TABLE line_text USING fts5(
                        text, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
                    );
                    """
            )
        }
        return migrator
    }
}
