import GRDB

/// Tables of ``SQLiteMailboxStore``, version by version (`PRAGMA user_version`).
///
/// Owners are numbered, since each of their items would name them four times over: in its row and in three indexes.
enum MailboxSchema {
    static let version = 1

    /// Brings the file to `version`. A file of a later version is refused rather than guessed at.
    @Sendable static func migrate(_ db: Database) throws {
        let current = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard current <= version else {
            throw RelayError(
                .storage,
                "the database of the mailboxes was written by a later version of this program (\(current) > \(version))"
            )
        }
        guard current < version else { return }
        try db.inTransaction {
            try db.execute(sql: tables)
            try db.execute(sql: "PRAGMA user_version = \(version)")
            return .commit
        }
    }

    private static let tables = """
        CREATE TABLE record (
            scope TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (scope, name)) WITHOUT ROWID;
        CREATE TABLE owner (id INTEGER PRIMARY KEY, did TEXT NOT NULL UNIQUE);
        CREATE TABLE item (
            id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, position INTEGER NOT NULL, class TEXT NOT NULL, grp TEXT,
            seq INTEGER, stored_at INTEGER NOT NULL, size INTEGER NOT NULL, digest TEXT, expires_at INTEGER,
            content BLOB NOT NULL);
        CREATE UNIQUE INDEX item_place ON item (owner, position);
        CREATE INDEX item_group ON item (owner, grp, class, seq) WHERE grp IS NOT NULL;
        CREATE INDEX item_age ON item (owner, class, stored_at) WHERE expires_at IS NULL;
        CREATE INDEX item_end ON item (owner, expires_at) WHERE expires_at IS NOT NULL;
        CREATE TABLE ordered (
            id INTEGER PRIMARY KEY, grp TEXT NOT NULL, seq INTEGER NOT NULL, class TEXT NOT NULL, digest TEXT NOT NULL,
            ordered_at INTEGER NOT NULL, content BLOB);
        CREATE UNIQUE INDEX ordered_place ON ordered (grp, seq);
        CREATE INDEX ordered_digest ON ordered (grp, digest);
        """
}
