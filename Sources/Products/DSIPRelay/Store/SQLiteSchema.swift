import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding
import FoundationEssentials
import GRDB

/// Tables of `SQLiteStore`, version by version (`PRAGMA user_version`), and how rows are read back.
///
/// A row that cannot be read back (a file edited by hand) is skipped, never trusted and never a crash.
enum SQLiteSchema {
    static let version = 5

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
            if current < 1 { try db.execute(sql: tables) }
            if current < 2 { try db.execute(sql: attempts) }
            if current < 3 { try db.execute(sql: wakes) }
            if current < 4 { try db.execute(sql: records) }
            try db.execute(sql: broadcasts)
            try db.execute(sql: "PRAGMA user_version = \(version)")
            return .commit
        }
    }

    private static let broadcasts = """
        CREATE TABLE broadcast (
            id TEXT PRIMARY KEY, stream TEXT NOT NULL, identity TEXT NOT NULL, until INTEGER NOT NULL, envelope BLOB NOT NULL)
            WITHOUT ROWID;
        CREATE INDEX broadcast_stream ON broadcast (stream);
        """

    private static let records = """
        CREATE TABLE record (key BLOB PRIMARY KEY, value BLOB NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
        """

    private static let wakes = """
        CREATE TABLE wake (
            device TEXT NOT NULL, identity TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (device, target))
            WITHOUT ROWID;
        """

    private static let attempts = """
        CREATE TABLE attempt (
            session TEXT PRIMARY KEY, initiator TEXT NOT NULL, identity TEXT NOT NULL,
            recipient TEXT NOT NULL, expires_at INTEGER, report INTEGER NOT NULL, reports INTEGER NOT NULL,
            legs TEXT NOT NULL, until INTEGER NOT NULL, best_from TEXT, best_id TEXT, best_reason TEXT,
            best_expires_at INTEGER, best BLOB, invite BLOB NOT NULL);
        """

    private static let tables = """
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

    /// A target as it was told, canonical, so that one and the same is one text.
    static func text(_ target: PushTarget) -> String { String(decoding: target.json.canonical, as: UTF8.self) }

    static let selectHeld = """
        SELECT handle, recipient, type, id, sender, identity, deadline, expires_at, report, missed, length(envelope) AS size,
            substr(envelope, 1, 64) AS head
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
    static let saveAttempt = """
        INSERT INTO attempt
        (session, initiator, identity, recipient, expires_at, report, reports, legs, until, best_from, best_id, best_reason,
            best_expires_at, best, invite)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (session) DO UPDATE SET reports = excluded.reports, legs = excluded.legs, until = excluded.until,
            best_from = excluded.best_from, best_id = excluded.best_id, best_reason = excluded.best_reason,
            best_expires_at = excluded.best_expires_at, best = excluded.best
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
            size: row["size"],
            form: WireForm(of: row["head"] as Data? ?? Data())
        )
    }
}

extension StoredAttempt {
    init?(_ row: Row) {
        guard let session = ULID(row["session"] as String), let initiator = DID(row["initiator"] as String),
            let identity = DID(row["identity"] as String), let recipient = DID(row["recipient"] as String),
            let legs = (try? JSONValue(parsing: Array((row["legs"] as String).utf8)))?.array
        else { return nil }
        var best: Rejected?
        if let envelope = row["best"] as Data?, let from = (row["best_from"] as String?).flatMap({ DID($0) }),
            let id = (row["best_id"] as String?).flatMap({ ULID($0) })
        {
            best = Rejected(
                from: from,
                id: id,
                reason: (row["best_reason"] as String?).flatMap { Reason($0) },
                expiresAt: row["best_expires_at"],
                envelope: Array(envelope)
            )
        }
        self.init(
            session: session,
            initiator: initiator,
            initiatorIdentity: identity,
            recipient: recipient,
            expiresAt: row["expires_at"],
            wantsDeliveryReport: row["report"],
            reports: row["reports"],
            legs: legs.compactMap { AttemptRecord.Leg($0) },
            best: best,
            until: row["until"],
            invite: Array(row["invite"] as Data)
        )
    }

    /// `[[device, state, acknowledged, deadline], …]`
    var legsText: String {
        let list = legs.map { leg -> JSONValue in
            [.string(leg.device.string), .string(leg.state.rawValue), .bool(leg.acknowledged), .int(leg.deadline)]
        }
        return String(decoding: JSONValue.array(list).utf8, as: UTF8.self)
    }
}

extension AttemptRecord.Leg {
    fileprivate init?(_ json: JSONValue) {
        guard let fields = json.array, fields.count == 4, let device = fields[0].string.flatMap({ DID($0) }),
            let state = fields[1].string.flatMap({ LegState(rawValue: $0) }), let acknowledged = fields[2].bool,
            let deadline = fields[3].int
        else { return nil }
        self.init(device: device, state: state, acknowledged: acknowledged, deadline: deadline)
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

extension StoredBroadcast {
    init?(_ row: Row) {
        guard let id = ULID(row["id"] as String), let identity = DID(row["identity"] as String) else { return nil }
        self.init(
            id: id,
            stream: row["stream"],
            identity: identity,
            replaces: false,
            until: row["until"],
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

extension [StoredWake] {
    /// Rows come by device.
    mutating func add(_ row: Row) {
        guard let device = DID(row[0] as String), let identity = DID(row[1] as String),
            let json = try? JSONValue(parsing: [UInt8]((row[2] as String).utf8)), let target = try? PushTarget(json)
        else { return }
        if last?.device == device {
            self[count - 1].targets.append(target)
        } else {
            append(StoredWake(device: device, identity: identity, targets: [target]))
        }
    }
}
