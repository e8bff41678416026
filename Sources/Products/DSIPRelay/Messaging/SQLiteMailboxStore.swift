import DSIPIdentity
import DSIPMessaging
import FoundationEssentials
import GRDB
import NIOConcurrencyHelpers

/// The mailboxes and hubs of a relay in one SQLite file of their own: calls must not wait for messages, nor the other way round.
///
/// The transaction that ``MailboxStore`` speaks of is SQLite's: what is applied is read back at once on the one connection there is, and
/// `commit` is one append to the log and one fsync (WAL, `synchronous=FULL`), however many inputs share it. `max_page_count` bounds the
/// file; reaching it is the same failure as a full disk.
final class SQLiteMailboxStore: MailboxStore {
    private struct State {
        /// Rows of `owner`, as far as they are remembered.
        var owners: [DID: Int64] = [:]
        /// A change of the open transaction has failed: nothing of it may become durable.
        var isBroken = false
    }

    private static let maximumOwners = 65_536

    private let metrics: RelayMetrics?
    private let database: DatabaseQueue
    private let state = NIOLockedValueBox(State())

    /// Opens or makes the file at `path`.
    ///
    /// - Parameter maximumBytes: size of the file, rounded to pages; 0 for no bound but the disk.
    init(path: String, maximumBytes: Int = 0, metrics: RelayMetrics? = nil) throws(RelayError) {
        self.metrics = metrics
        var configuration = Configuration()
        configuration.label = "relay-mailboxes"
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(5)
        // The transaction stays open from one call to the next.
        configuration.allowsUnsafeTransactions = true
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA cache_size = -16384")
        }
        do {
            database = try DatabaseQueue(path: path, configuration: configuration)
            try database.writeWithoutTransaction { db in
                try MailboxSchema.migrate(db)
                // Last: a file that has reached its bound must still open, which takes a page or two.
                if maximumBytes > 0 { try db.execute(sql: "PRAGMA max_page_count = \(max(64, maximumBytes / 4096))") }
            }
        } catch let error as RelayError {
            throw error
        } catch {
            throw RelayError(
                SQLiteMailboxStore.failure(error) == .full ? .full : .storage,
                "the database of the mailboxes \(path) cannot be opened: \(SQLiteMailboxStore.sentence(error))"
            )
        }
    }

    /// Folds the log into the file and gives both back; no call may follow.
    func close() {
        rollback()
        _ = try? database.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try? database.close()
    }

    // MARK: Reading

    func record(_ key: MailboxRecord.Key) throws(StoreFailure) -> [UInt8]? {
        try access { db in
            try Data.fetchOne(
                db.cachedStatement(sql: "SELECT value FROM record WHERE scope = ? AND name = ?"),
                arguments: [key.scope, key.name]
            ).map { Array($0) }
        }
    }

    func records(in scope: String, after name: String?, limit: Int) throws(StoreFailure) -> [MailboxRecord] {
        try access { db in
            try Row.fetchAll(
                db.cachedStatement(
                    sql: "SELECT name, value FROM record WHERE scope = ? AND name > ? ORDER BY name LIMIT ?"
                ),
                arguments: [scope, name ?? "", limit]
            ).map { MailboxRecord(.init(scope, $0[0]), Array($0[1] as Data)) }
        }
    }

    func scopes(withPrefix prefix: String, after scope: String?, limit: Int) throws(StoreFailure) -> [String] {
        try access { db in
            // One seek a scope, however many records it has.
            let first = try db.cachedStatement(sql: "SELECT min(scope) FROM record WHERE scope >= ?")
            let next = try db.cachedStatement(sql: "SELECT min(scope) FROM record WHERE scope > ?")
            var found: [String] = []
            var last = scope
            while found.count < limit {
                let isBehind = last.map { Array($0.utf8).lexicographicallyPrecedes(Array(prefix.utf8)) } ?? true
                let scope = try String.fetchOne(
                    isBehind ? first : next,
                    arguments: [isBehind ? prefix : last]
                )
                guard let scope, scope.utf8.starts(with: prefix.utf8) else { break }
                found.append(scope)
                last = scope
            }
            return found
        }
    }

    func items(of owner: DID, _ selection: ItemSelection, limit: Int) throws(StoreFailure) -> [MailboxItem] {
        try access { db in
            guard let owner = try row(of: owner, db) else { return [] }
            let (condition, arguments) = selection.sql
            return try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT position, class, grp, seq, stored_at, size, digest, expires_at FROM item
                        WHERE \(condition) LIMIT ?
                        """
                ),
                arguments: [owner] + arguments + [limit]
            ).map(MailboxItem.init)
        }
    }

    func content(at position: UInt64, of owner: DID) throws(StoreFailure) -> [UInt8]? {
        try access { db in
            guard let owner = try row(of: owner, db) else { return nil }
            return try Data.fetchOne(
                db.cachedStatement(sql: "SELECT content FROM item WHERE owner = ? AND position = ?"),
                arguments: [owner, Int64(clamping: position)]
            ).map { Array($0) }
        }
    }

    func highestSeq(of group: GroupID, for owner: DID) throws(StoreFailure) -> Int64? {
        try access { db in
            guard let owner = try row(of: owner, db) else { return nil }
            // One seek for each class.
            return try ["handshake", "application"].compactMap { itemClass in
                try Int64.fetchOne(
                    db.cachedStatement(sql: "SELECT max(seq) FROM item WHERE owner = ? AND grp = ? AND class = ?"),
                    arguments: [owner, group.text, itemClass]
                )
            }.max()
        }
    }

    func ordered(_ seq: Int64, in group: GroupID) throws(StoreFailure) -> OrderedItem? {
        try access { db in
            try Row.fetchOne(
                db.cachedStatement(
                    sql: "SELECT class, digest, ordered_at, content FROM ordered WHERE grp = ? AND seq = ?"
                ),
                arguments: [group.text, seq]
            ).map { row in
                OrderedItem(
                    group: group,
                    seq: seq,
                    itemClass: DepositClass(checked: row[0]),
                    digest: row[1],
                    orderedAt: row[2],
                    content: (row[3] as Data?).map { Array($0) }
                )
            }
        }
    }

    func orderedSeq(of digest: String, in group: GroupID) throws(StoreFailure) -> Int64? {
        try access { db in
            try Int64.fetchOne(
                db.cachedStatement(sql: "SELECT seq FROM ordered WHERE grp = ? AND digest = ?"),
                arguments: [group.text, digest]
            )
        }
    }

    // MARK: Writing

    func apply(_ change: MailboxChange) throws(StoreFailure) {
        guard !state.withLockedValue(\.isBroken) else { throw .unavailable }
        do throws(StoreFailure) {
            try access { db in
                if !db.isInsideTransaction { try db.beginTransaction(.immediate) }
                try apply(change, db)
            }
        } catch {
            // SQLite may have taken the transaction back by itself.
            state.withLockedValue { $0.isBroken = true }
            throw error
        }
    }

    private func apply(_ change: MailboxChange, _ db: Database) throws {
        func run(_ sql: String, _ arguments: StatementArguments) throws {
            try db.cachedStatement(sql: sql).execute(arguments: arguments)
        }
        switch change {
        case .put(let record):
            try run(
                """
                INSERT INTO record (scope, name, value) VALUES (?, ?, ?)
                ON CONFLICT (scope, name) DO UPDATE SET value = excluded.value
                """,
                [record.key.scope, record.key.name, Data(record.value)]
            )
        case .remove(let key): try run("DELETE FROM record WHERE scope = ? AND name = ?", [key.scope, key.name])
        case .insertItem(let item, let content, let owner):
            try run(
                """
                INSERT INTO item (owner, position, class, grp, seq, stored_at, size, digest, expires_at, content)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    try makeRow(of: owner, db), Int64(clamping: item.position), item.itemClass.token, item.group?.text,
                    item.seq, item.storedAt, item.size, item.digest, item.expiresAt, Data(content),
                ]
            )
        case .removeItem(let position, let owner):
            guard let owner = try row(of: owner, db) else { return }
            try run("DELETE FROM item WHERE owner = ? AND position = ?", [owner, Int64(clamping: position)])
        case .insertOrdered(let item):
            try run(
                "INSERT INTO ordered (grp, seq, class, digest, ordered_at, content) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    item.group.text, item.seq, item.itemClass.token, item.digest, item.orderedAt,
                    item.content.map { Data($0) },
                ]
            )
        case .releaseOrdered(let group, let below):
            try run(
                "UPDATE ordered SET content = NULL WHERE grp = ? AND seq < ? AND content IS NOT NULL",
                [group.text, below]
            )
        case .removeOrdered(let group, let below):
            try run("DELETE FROM ordered WHERE grp = ? AND seq < ?", [group.text, below])
        }
    }

    func commit() throws(StoreFailure) {
        let start = ContinuousClock.now
        do throws(StoreFailure) {
            guard !state.withLockedValue(\.isBroken) else { throw .unavailable }
            try access { db in if db.isInsideTransaction { try db.commit() } }
        } catch {
            metrics?.mailboxFailures.add()
            rollback()
            throw error
        }
        metrics?.mailboxCommit.observe((ContinuousClock.now - start).seconds)
    }

    func rollback() {
        _ = try? database.writeWithoutTransaction { db in if db.isInsideTransaction { try db.rollback() } }
        // Owners that the transaction made are no rows any more.
        state.withLockedValue { $0 = State() }
    }

    // MARK: Parts

    private func row(of owner: DID, _ db: Database) throws -> Int64? {
        if let known = state.withLockedValue({ $0.owners[owner] }) { return known }
        let row = try Int64.fetchOne(
            db.cachedStatement(sql: "SELECT id FROM owner WHERE did = ?"),
            arguments: [owner.string]
        )
        if let row { remember(owner, row) }
        return row
    }

    private func makeRow(of owner: DID, _ db: Database) throws -> Int64 {
        if let row = try row(of: owner, db) { return row }
        try db.cachedStatement(sql: "INSERT INTO owner (did) VALUES (?)").execute(arguments: [owner.string])
        remember(owner, db.lastInsertedRowID)
        return db.lastInsertedRowID
    }

    private func remember(_ owner: DID, _ row: Int64) {
        state.withLockedValue { state in
            if state.owners.count >= SQLiteMailboxStore.maximumOwners { state.owners = [:] }
            state.owners[owner] = row
        }
    }

    private func access<R>(_ body: (Database) throws -> R) throws(StoreFailure) -> R {
        do {
            return try database.writeWithoutTransaction(body)
        } catch {
            throw SQLiteMailboxStore.failure(error)
        }
    }

    private static func failure(_ error: any Error) -> StoreFailure {
        switch (error as? DatabaseError)?.resultCode {
        case .SQLITE_FULL: .full
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: .corrupt
        default: .unavailable
        }
    }

    /// `description` of a DatabaseError may quote arguments; the message does not.
    private static func sentence(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "\(error)" }
        return error.message ?? "SQLite result \(error.resultCode.rawValue)"
    }
}

extension MailboxItem {
    fileprivate init(_ row: Row) {
        self.init(
            position: UInt64(bitPattern: row[0] as Int64),
            itemClass: DepositClass(checked: row[1]),
            group: (row[2] as String?).flatMap { GroupID($0) },
            seq: row[3],
            storedAt: row[4],
            size: row[5],
            digest: row[6],
            expiresAt: row[7]
        )
    }
}

extension ItemSelection {
    /// The condition on `item`, the owner first, and the order. A plus sign keeps SQLite from an index that would do for the order and leave
    /// the condition to a scan of the whole mailbox.
    fileprivate var sql: (String, StatementArguments) {
        switch self {
        case .after(let position): ("owner = ? AND position > ? ORDER BY position", [Int64(clamping: position)])
        case .through(let position): ("owner = ? AND position <= ? ORDER BY position", [Int64(clamping: position)])
        case .sequenced(let group, let seq):
            (
                "owner = ? AND grp = ? AND class IN ('handshake', 'application') AND seq = ? ORDER BY +position",
                [group.text, seq]
            )
        case .archived(let group, let seq):
            ("owner = ? AND grp = ? AND class = 'archive' AND seq = ? ORDER BY +position", [group.text, seq])
        case .welcome(let group, let digest):
            ("owner = ? AND grp = ? AND class = 'welcome' AND digest = ? ORDER BY +position", [group.text, digest])
        case .groupInfo(let group):
            ("owner = ? AND grp = ? AND class = 'group-info' ORDER BY +position", [group.text])
        case .registration(let group, let first):
            (
                "owner = ? AND grp = ? AND class <> 'archive' AND +position >= ? ORDER BY +position",
                [group.text, Int64(clamping: first)]
            )
        case .ended(let now, let messages, let archive):
            // ?1 is the owner. Each part is a range of an index; what is kept is not looked at.
            (
                """
                +owner = ?1 AND id IN (SELECT id FROM item WHERE owner = ?1 AND expires_at IS NOT NULL AND expires_at < ?
                UNION ALL SELECT id FROM item
                WHERE owner = ?1 AND expires_at IS NULL AND class = 'archive' AND stored_at < ?
                UNION ALL SELECT id FROM item WHERE owner = ?1 AND expires_at IS NULL
                AND class IN ('handshake', 'application', 'welcome', 'group-info') AND stored_at < ?) ORDER BY +position
                """, [now, archive ?? Int64.min, messages]
            )
        }
    }
}
