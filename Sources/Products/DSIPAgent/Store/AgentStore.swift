import DSIPIdentity
import Encoding
import GRDB

/// What the agent remembers besides keys: contacts, grants, requests, the call log, settings. One SQLite file in WAL mode.
///
/// A change is on disk before the method that made it returns (`synchronous = FULL`): these are a person's rows, written a few a
/// minute, so durability costs nothing that is felt. Every table carries the identity of ours it belongs to (`owner`), so that what
/// one identity knows is never shown or used by another.
public final class AgentStore: Sendable {
    let database: DatabasePool

    /// Opens or makes the file at `path`.
    /// - Throws: `AgentError` `.damaged` when it is no database of ours; `.internal` when it cannot be opened.
    public init(path: String) throws(AgentError) {
        var configuration = GRDB.Configuration()
        // One that has just ended may hold it for a moment.
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA busy_timeout = 5000")
        }
        do {
            let database = try DatabasePool(path: path, configuration: configuration)
            try AgentSchema.migrator.migrate(database)
            self.database = database
        } catch let error as DatabaseError
            where [.SQLITE_NOTADB, .SQLITE_CORRUPT].contains(error.resultCode)
        {
            throw AgentError(
                .damaged,
                "The contact database is damaged. Move \(path) away to start afresh; your keys are not in it."
            )
        } catch {
            throw AgentError(.internal, "The contact database at \(path) could not be opened: \(error)")
        }
    }

    func write<T: Sendable>(_ body: (Database) throws -> T) throws(AgentError) -> T {
        do {
            return try database.write(body)
        } catch {
            throw AgentStore.explain(error)
        }
    }

    func read<T: Sendable>(_ body: (Database) throws -> T) throws(AgentError) -> T {
        do {
            return try database.read(body)
        } catch {
            throw AgentStore.explain(error)
        }
    }

    private static func explain(_ error: any Error) -> AgentError {
        guard let error = error as? DatabaseError else {
            return AgentError(.internal, "The contact database could not be used.")
        }
        switch error.resultCode {
        case .SQLITE_FULL:
            return AgentError(.internal, "The disk is full. Free some space and try again; nothing was changed.")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: return AgentError(.damaged, "The contact database is damaged.")
        default:
            return AgentError(
                .internal,
                "The contact database could not be used (SQLite \(error.resultCode.rawValue))."
            )
        }
    }
}

/// The tables, one migration a version.
enum AgentSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    CREATE TABLE contact (
                        id TEXT PRIMARY KEY, owner TEXT NOT NULL, did TEXT NOT NULL, name TEXT NOT NULL, alias TEXT,
                        relay TEXT, added_at INTEGER NOT NULL, blocked INTEGER NOT NULL, allowed INTEGER NOT NULL,
                        key_old TEXT, key_new TEXT, key_seen_at INTEGER, pairwise INTEGER NOT NULL,
                        UNIQUE (owner, did)
                    ) STRICT;
                    CREATE TABLE grant_held (
                        id TEXT PRIMARY KEY, owner TEXT NOT NULL, peer TEXT NOT NULL, given INTEGER NOT NULL,
                        scope TEXT NOT NULL, valid_until INTEGER NOT NULL, introduction TEXT, envelope BLOB NOT NULL
                    ) STRICT;
                    CREATE INDEX grant_by_peer ON grant_held (owner, peer);
                    CREATE TABLE request (
                        id TEXT PRIMARY KEY, owner TEXT NOT NULL, did TEXT NOT NULL, name TEXT NOT NULL,
                        purpose TEXT NOT NULL, received_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
                        state TEXT NOT NULL, direction TEXT NOT NULL, relay TEXT
                    ) STRICT;
                    CREATE TABLE log (
                        session TEXT PRIMARY KEY, owner TEXT NOT NULL, direction TEXT NOT NULL, did TEXT NOT NULL,
                        name TEXT, outcome TEXT NOT NULL, reason TEXT, sentence TEXT NOT NULL, at INTEGER NOT NULL,
                        duration INTEGER NOT NULL, video INTEGER NOT NULL, seen INTEGER NOT NULL
                    ) STRICT;
                    CREATE INDEX log_by_time ON log (owner, at);
                    CREATE TABLE open_call (
                        session TEXT PRIMARY KEY, owner TEXT NOT NULL, direction TEXT NOT NULL, did TEXT NOT NULL,
                        name TEXT, at INTEGER NOT NULL, answered_at INTEGER, video INTEGER NOT NULL, peer_device TEXT,
                        relay TEXT
                    ) STRICT;
                    CREATE TABLE notice (
                        session TEXT PRIMARY KEY, owner TEXT NOT NULL, peer TEXT NOT NULL, relay TEXT NOT NULL,
                        next_at INTEGER NOT NULL, until INTEGER NOT NULL
                    ) STRICT;
                    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
                    """
            )
        }
        migrator.registerMigration("2") { db in try db.execute(sql: "DROP TABLE notice") }
        migrator.registerMigration("3") { db in
            try db.execute(
                sql: """
                    ALTER TABLE contact ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;
                    UPDATE contact SET changed_at = added_at;
                    CREATE TABLE contact_removed (
                        owner TEXT NOT NULL, did TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (owner, did)
                    ) STRICT;
                    """
            )
        }
        migrator.registerMigration("4") { db in
            try db.execute(
                sql: """
                    CREATE TABLE seen (
                        kind TEXT NOT NULL, key BLOB NOT NULL, value TEXT NOT NULL, at INTEGER NOT NULL,
                        PRIMARY KEY (kind, key)
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX seen_by_time ON seen (kind, at);
                    """
            )
        }
        return migrator
    }
}
