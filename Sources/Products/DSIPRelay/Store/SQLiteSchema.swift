import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import FoundationEssentials
import GRDB

/// Tables of `SQLiteStore`, version by version (`PRAGMA user_version`), and how rows are read back.
///
/// A row that cannot be read back (a file edited by hand) is skipped, never trusted and never a crash.
enum SQLiteSchema {
    static let version = 1

    /// Brings the file to `version`. A file of a later version is refused rather than guessed at.
    @Sendable static func migrate(_ db: Database) throws {
        let current = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard current <= version else {
            throw RelayError(
                .storage,
                "the database was written by a later version of this program (\(current) > \(version))"
            )
        }
        guard current < version else { return }
        try db.inTransaction {
            try db.execute(
                sql: """
                    CREATE TABLE held (
                        handle INTEGER PRIMARY KEY, recipient TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL,
                        sender TEXT NOT NULL, identity TEXT NOT NULL, deadline INTEGER NOT NULL, expires_at INTEGER,
                        report INTEGER NOT NULL, missed INTEGER NOT NULL, envelope BLOB NOT NULL);
                    CREATE TABLE known (recipient TEXT PRIMARY KEY, identity TEXT NOT NULL, until INTEGER NOT NULL)
                        WITHOUT ROWID;
                    CREATE TABLE revocation (
                        subject TEXT NOT NULL, device TEXT NOT NULL, revoked_at INTEGER NOT NULL, envelope BLOB NOT NULL,
                        PRIMARY KEY (subject, device)) WITHOUT ROWID;
                    CREATE TABLE name (
                        name TEXT PRIMARY KEY, did TEXT NOT NULL, owner TEXT NOT NULL, document BLOB,
                        created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) WITHOUT ROWID;
                    CREATE INDEX name_owner ON name (owner);
                    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
                    """
            )
            try db.execute(sql: "PRAGMA user_version = \(version)")
            return .commit
        }
    }

    static let selectHeld = """
        SELECT handle, recipient, type, id, sender, identity, deadline, expires_at, report, missed, length(envelope) AS size
        FROM held WHERE deadline > ? ORDER BY handle
        """
    static let insertHeld = """
        INSERT OR REPLACE INTO held
        (handle, recipient, type, id, sender, identity, deadline, expires_at, report, missed, envelope)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
    static let insertRevocation = """
        INSERT INTO revocation (subject, device, revoked_at, envelope) VALUES (?, ?, ?, ?)
        ON CONFLICT (subject, device) DO UPDATE SET revoked_at = excluded.revoked_at, envelope = excluded.envelope
        WHERE excluded.revoked_at > revoked_at
        """
    static let insertName = """
        INSERT OR REPLACE INTO name (name, did, owner, document, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)
        """
}

extension HeldEnvelope {
    init?(_ row: Row) {
        guard let handle: Int64 = row["handle"], let recipient = DID(row["recipient"] as String),
            let type = MessageType(rawValue: row["type"]), let id = ULID(row["id"] as String),
            let from = DID(row["sender"] as String), let identity = DID(row["identity"] as String)
        else { return nil }
        self.init(
            handle: UInt64(bitPattern: handle),
            recipient: recipient,
            type: type,
            id: id,
            from: from,
            identity: identity,
            deadline: row["deadline"],
            expiresAt: row["expires_at"],
            wantsDeliveryReport: row["report"],
            isMissed: row["missed"],
            size: row["size"]
        )
    }
}

extension KnownRecipient {
    init?(_ row: Row) {
        guard let recipient = DID(row["recipient"] as String), let identity = DID(row["identity"] as String) else {
            return nil
        }
        self.init(recipient: recipient, identity: identity, until: row["until"])
    }
}

extension StoredRevocation {
    init?(_ row: Row) {
        guard let subject = DID(row["subject"] as String), let device = DID(row["device"] as String) else { return nil }
        self.init(
            subject: subject,
            device: device,
            revokedAt: row["revoked_at"],
            envelope: Array(row["envelope"] as Data)
        )
    }
}

extension NameRecord {
    init?(_ row: Row) {
        guard let did = DID(row["did"] as String), let owner = DID(row["owner"] as String) else { return nil }
        self.init(
            name: row["name"],
            did: did,
            owner: owner,
            document: (row["document"] as Data?).map { Array($0) },
            createdAt: row["created_at"],
            updatedAt: row["updated_at"]
        )
    }
}
