import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import FoundationEssentials
import GRDB

/// The store in one SQLite file.
///
/// `journal_mode=WAL` with `synchronous=FULL`: a commit is one append and one fsync of the log. NORMAL would outlive `kill -9` too, but
/// not power loss, and the price of FULL is paid once a batch (see `StoreWriter`), not once an envelope. `max_page_count` bounds the
/// file; reaching it is the same `SQLITE_FULL` as a full disk, and a transaction that meets it changes nothing.
final class SQLiteStore: RelayStore {
    private let database: DatabasePool

    /// Opens or creates the file at `path`, mode 0600 like everything in the state folder.
    /// - Parameter maximumBytes: size of the file, rounded to pages; 0 for no bound but the disk.
    init(path: String, maximumBytes: Int = 0) throws(RelayError) {
        var configuration = Configuration()
        configuration.label = "relay-store"
        configuration.maximumReaderCount = 2
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
        }
        do {
            let database = try DatabasePool(path: path, configuration: configuration)
            try database.writeWithoutTransaction { db in
                try SQLiteSchema.migrate(db)
                // Last: a file that has reached its bound must still open, which takes a page or two.
                if maximumBytes > 0 { try db.execute(sql: "PRAGMA max_page_count = \(max(32, maximumBytes / 4096))") }
            }
            self.database = database
        } catch {
            throw SQLiteStore.translate(error, "the relay's database \(path) cannot be opened")
        }
    }

    func restore(at now: Int64) throws(RelayError) -> StoredState {
        try wrap("what was held cannot be read") {
            try database.write { db in
                var state = StoredState()
                let last = try UInt64.fetchOne(db, sql: "SELECT max(handle) FROM held") ?? 0
                let reserved = try UInt64.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'handle'") ?? 0
                state.nextHandle = max(last, reserved) + 1
                // A full disk must not keep a relay from starting: expired rows are then left for later.
                do {
                    try db.execute(sql: "DELETE FROM held WHERE deadline <= ?", arguments: [now])
                    try db.execute(sql: "DELETE FROM attempt WHERE until <= ?", arguments: [now])
                    try db.execute(
                        sql: "INSERT OR REPLACE INTO meta VALUES ('handle', ?)",
                        arguments: [Int64(state.nextHandle)]
                    )
                } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {}
                let held = try Row.fetchCursor(db, sql: SQLiteSchema.selectHeld, arguments: [now])
                while let row = try held.next() { if let row = HeldEnvelope(row) { state.held.append(row) } }
                let known = try Row.fetchCursor(
                    db,
                    sql: "SELECT recipient, identity, until FROM known WHERE until >= ?",
                    arguments: [now]
                )
                while let row = try known.next() { if let entry = KnownRecipient(row) { state.known.append(entry) } }
                let revocations = try Row.fetchCursor(
                    db,
                    sql: "SELECT subject, device, revoked_at, envelope FROM revocation"
                )
                while let row = try revocations.next() {
                    if let record = StoredRevocation(row) { state.revocations.append(record) }
                }
                let attempts = try Row.fetchCursor(
                    db,
                    sql: "SELECT * FROM attempt WHERE until > ? ORDER BY session",
                    arguments: [now]
                )
                while let row = try attempts.next() {
                    if let attempt = StoredAttempt(row) { state.attempts.append(attempt) }
                }
                let wakes = try Row.fetchCursor(
                    db,
                    sql: "SELECT device, identity, target FROM wake ORDER BY device, target"
                )
                while let row = try wakes.next() { state.wakes.add(row) }
                let records = try Row.fetchCursor(
                    db,
                    sql: "SELECT key, value, until FROM record WHERE until > ?",
                    arguments: [now]
                )
                while let row = try records.next() {
                    state.records.append(
                        StoredRecord(
                            key: Array(row["key"] as Data),
                            value: Array(row["value"] as Data),
                            until: row["until"]
                        )
                    )
                }
                let broadcasts = try Row.fetchCursor(
                    db,
                    sql: "SELECT id, stream, identity, until, envelope FROM broadcast WHERE until > ? ORDER BY id",
                    arguments: [now]
                )
                while let row = try broadcasts.next() {
                    if let row = StoredBroadcast(row) { state.broadcasts.append(row) }
                }
                state.names = try Int.fetchOne(db, sql: "SELECT count(*) FROM name") ?? 0
                return state
            }
        }
    }

    func commit(_ changes: [StoreChange]) throws(RelayError) {
        try wrap("the change cannot be written") {
            try database.write { db in
                for change in changes { try SQLiteStore.apply(change, db) }
            }
        }
    }

    private static func apply(_ change: StoreChange, _ db: Database) throws {
        switch change {
        case .hold(let row, let bytes):
            try db.cachedStatement(sql: SQLiteSchema.insertHeld).execute(arguments: [
                Int64(bitPattern: row.handle), row.recipient.string, row.type.rawValue, row.id.description,
                row.from.string, row.identity.string, row.deadline, row.expiresAt, row.wantsDeliveryReport,
                row.isMissed,
                Data(bytes),
            ])
        case .release(let handle):
            try db.cachedStatement(sql: "DELETE FROM held WHERE handle = ?")
                .execute(arguments: [Int64(bitPattern: handle)])
        case .markMissed(let handle, let deadline):
            try db.cachedStatement(sql: "UPDATE held SET missed = 1, deadline = ? WHERE handle = ?")
                .execute(arguments: [deadline, Int64(bitPattern: handle)])
        case .known(let known):
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO known (recipient, identity, until) VALUES (?, ?, ?)")
                .execute(arguments: [known.recipient.string, known.identity.string, known.until])
        case .forget(let before):
            try db.execute(sql: "DELETE FROM known WHERE until < ?", arguments: [before])
            try db.execute(sql: "DELETE FROM record WHERE until < ?", arguments: [before])
            try db.execute(sql: "DELETE FROM broadcast WHERE until < ?", arguments: [before])
        case .revoke(let record):
            try db.cachedStatement(sql: SQLiteSchema.insertRevocation).execute(arguments: [
                record.subject.string, record.device.string, record.revokedAt, Data(record.envelope),
            ])
        case .attempt(let attempt):
            try db.cachedStatement(sql: SQLiteSchema.saveAttempt).execute(arguments: [
                attempt.session.description, attempt.initiator.string, attempt.initiatorIdentity.string,
                attempt.recipient.string, attempt.expiresAt, attempt.wantsDeliveryReport, attempt.reports,
                attempt.legsText, attempt.until, attempt.best?.from.string, attempt.best?.id.description,
                attempt.best?.reason?.token, attempt.best?.expiresAt, attempt.best.map { Data($0.envelope) },
                Data(attempt.invite),
            ])
        case .wake(let wake):
            try db.cachedStatement(sql: "DELETE FROM wake WHERE device = ?").execute(arguments: [wake.device.string])
            for target in wake.targets {
                try db.cachedStatement(sql: "INSERT INTO wake (device, identity, target) VALUES (?, ?, ?)")
                    .execute(arguments: [wake.device.string, wake.identity.string, SQLiteSchema.text(target)])
            }
        case .dropWake(let device, let target):
            try db.cachedStatement(sql: "DELETE FROM wake WHERE device = ? AND target = ?")
                .execute(arguments: [device.string, SQLiteSchema.text(target)])
        case .record(let record):
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO record (key, value, until) VALUES (?, ?, ?)")
                .execute(arguments: [Data(record.key), Data(record.value), record.until])
        case .dropRecord(let key):
            try db.cachedStatement(sql: "DELETE FROM record WHERE key = ?").execute(arguments: [Data(key)])
        case .broadcast(let row):
            if row.replaces { try SQLiteStore.dropBroadcast(row.stream, db) }
            try db.cachedStatement(
                sql: "INSERT OR REPLACE INTO broadcast (id, stream, identity, until, envelope) VALUES (?, ?, ?, ?, ?)"
            ).execute(arguments: [
                row.id.description, row.stream, row.identity.string, row.until, Data(row.envelope),
            ])
        case .dropBroadcast(let stream): try SQLiteStore.dropBroadcast(stream, db)
        case .endAttempt(let session):
            try db.cachedStatement(sql: "DELETE FROM attempt WHERE session = ?")
                .execute(arguments: [session.description])
        }
    }

    private static func dropBroadcast(_ stream: String, _ db: Database) throws {
        try db.cachedStatement(sql: "DELETE FROM broadcast WHERE stream = ?").execute(arguments: [stream])
    }

    func envelopes(_ handles: [UInt64]) throws(RelayError) -> [(handle: UInt64, bytes: [UInt8])] {
        try wrap("a held envelope cannot be read") {
            try database.read { db in
                let statement = try db.cachedStatement(sql: "SELECT envelope FROM held WHERE handle = ?")
                return try handles.compactMap { handle in
                    try Data.fetchOne(statement, arguments: [Int64(bitPattern: handle)])
                        .map { (handle: handle, bytes: Array($0)) }
                }
            }
        }
    }

    func name(_ name: String) throws(RelayError) -> NameRecord? {
        try wrap("names cannot be read") {
            try database.read { db in try SQLiteStore.fetchName(name, db) }
        }
    }

    func changeName(
        _ name: String,
        _ decide: (_ current: NameRecord?, _ held: (DID) -> Int) throws(RelayError) -> NameRecord?
    ) throws(RelayError) {
        try wrap("the name cannot be written") {
            try database.write { db in
                let next = try decide(SQLiteStore.fetchName(name, db)) { owner in
                    (try? Int.fetchOne(db, sql: "SELECT count(*) FROM name WHERE owner = ?", arguments: [owner.string]))
                        ?? 0
                }
                guard let next else { return try db.execute(sql: "DELETE FROM name WHERE name = ?", arguments: [name]) }
                try db.execute(
                    sql: SQLiteSchema.insertName,
                    arguments: [
                        next.name, next.did.string, next.owner.string, next.document.map { Data($0) }, next.createdAt,
                        next.updatedAt,
                    ]
                )
            }
        }
    }

    func nameCount() throws(RelayError) -> Int {
        try wrap("names cannot be read") {
            try database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM name") ?? 0 }
        }
    }

    func close() {
        // The pool closes its writer before its readers, and a reader that goes last does not fold the log into the file.
        _ = try? database.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try? database.close()
    }

    private static func fetchName(_ name: String, _ db: Database) throws -> NameRecord? {
        try Row.fetchOne(
            db,
            sql: "SELECT name, did, owner, document, created_at, updated_at FROM name WHERE name = ?",
            arguments: [name]
        ).flatMap(NameRecord.init)
    }

    private func wrap<R>(_ sentence: String, _ body: () throws -> R) throws(RelayError) -> R {
        do {
            return try body()
        } catch {
            throw SQLiteStore.translate(error, sentence)
        }
    }

    private static func translate(_ error: any Error, _ sentence: String) -> RelayError {
        if let error = error as? RelayError { return error }
        guard let error = error as? DatabaseError else { return RelayError(.storage, "\(sentence): \(error)") }
        // `description` of a DatabaseError may quote arguments; the message does not.
        let detail = error.message ?? "SQLite result \(error.resultCode.rawValue)"
        return RelayError(error.resultCode == .SQLITE_FULL ? .full : .storage, "\(sentence): \(detail)")
    }
}
