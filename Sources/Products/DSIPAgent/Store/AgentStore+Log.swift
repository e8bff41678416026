import DSIPIdentity
import GRDB

extension AgentStore {
    /// Lines kept and shown for one identity.
    static let maximumLog = 500

    /// The call log, newest first.
    public func log(of owner: DID) throws(AgentError) -> [LogEntry] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: "SELECT * FROM log WHERE owner = ? ORDER BY at DESC, session DESC LIMIT ?",
                arguments: [owner.string, AgentStore.maximumLog]
            ).compactMap(LogEntry.init(row:))
        }
    }

    public func log(session: String) throws(AgentError) -> LogEntry? {
        try read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM log WHERE session = ?", arguments: [session])
                .flatMap(LogEntry.init(row:))
        }
    }

    /// Whether this session has ended already: a replayed invite finds its own line here.
    public func hasLog(session: String) throws(AgentError) -> Bool {
        try read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM log WHERE session = ?", arguments: [session]) ?? 0 > 0
        }
    }

    public func missed(of owner: DID) throws(AgentError) -> Int64 {
        try read { db in
            try Int64.fetchOne(
                db,
                sql: "SELECT count(*) FROM log WHERE owner = ? AND outcome = 'missed' AND seen = 0",
                arguments: [owner.string]
            ) ?? 0
        }
    }

    /// Writes the line of a session, once: a session ends once. The call is no longer open after this.
    public func add(_ entry: LogEntry) throws(AgentError) {
        try write { db in
            try db.execute(
                sql: "INSERT OR IGNORE INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    entry.session, entry.owner.string, entry.direction.rawValue, entry.did.string, entry.name,
                    entry.outcome.rawValue, entry.reason, entry.sentence, entry.at, entry.duration, entry.video,
                    entry.seen,
                ]
            )
            try db.execute(sql: "DELETE FROM open_call WHERE session = ?", arguments: [entry.session])
            try db.execute(
                sql: """
                    DELETE FROM log WHERE owner = :owner AND session NOT IN
                        (SELECT session FROM log WHERE owner = :owner ORDER BY at DESC LIMIT :kept)
                    """,
                arguments: ["owner": entry.owner.string, "kept": AgentStore.maximumLog]
            )
        }
    }

    public func markSeen(owner: DID) throws(AgentError) {
        try write { db in
            try db.execute(sql: "UPDATE log SET seen = 1 WHERE owner = ? AND seen = 0", arguments: [owner.string])
        }
    }

    public func clearLog(owner: DID) throws(AgentError) {
        try write { db in try db.execute(sql: "DELETE FROM log WHERE owner = ?", arguments: [owner.string]) }
    }
}

extension LogEntry {
    init?(row: Row) {
        guard let owner = DID(row["owner"] as String), let did = DID(row["did"] as String),
            let direction = Call.Direction(rawValue: row["direction"]), let outcome = Outcome(rawValue: row["outcome"])
        else { return nil }
        self.init(
            session: row["session"],
            owner: owner,
            direction: direction,
            did: did,
            name: row["name"],
            outcome: outcome,
            reason: row["reason"],
            sentence: row["sentence"],
            at: row["at"],
            duration: row["duration"],
            video: row["video"],
            seen: row["seen"]
        )
    }
}
