import DSIPIdentity
import GRDB

/// What a person's devices tell each other of contacts.
extension AgentStore {
    /// Removals are remembered for this many seconds: a device that was away for longer may bring a contact back.
    static let removalMemory: Int64 = 180 * 86_400
    static let maximumRemovals = 10_000

    /// The contacts of `owner` and those it removed.
    func sharedContacts(of owner: DID) throws(AgentError) -> [SharedContact] {
        let removed = try read { db in
            try Row.fetchAll(db, sql: "SELECT did, at FROM contact_removed WHERE owner = ?", arguments: [owner.string])
                .compactMap { row in
                    DID(row["did"] as String).map { SharedContact(did: $0, at: row["at"], entry: nil) }
                }
        }
        return try contacts(of: owner).map { SharedContact($0) } + removed
    }

    /// When the contact was last changed or removed; nil for someone never known.
    func lastChange(of did: DID, owner: DID) throws(AgentError) -> Int64? {
        try read { db in
            try Int64.fetchOne(
                db,
                sql: """
                    SELECT max(at) FROM (
                        SELECT changed_at AS at FROM contact WHERE owner = :owner AND did = :did
                        UNION ALL SELECT at FROM contact_removed WHERE owner = :owner AND did = :did)
                    """,
                arguments: ["owner": owner.string, "did": did.string]
            )
        }
    }

    func noteRemoval(of did: DID, owner: DID, at: Int64) throws(AgentError) {
        try write { db in
            try db.execute(
                sql: "DELETE FROM contact WHERE owner = ? AND did = ?",
                arguments: [owner.string, did.string]
            )
            try db.execute(
                sql: "INSERT OR REPLACE INTO contact_removed VALUES (?, ?, ?)",
                arguments: [owner.string, did.string, at]
            )
            try db.execute(
                sql: """
                    DELETE FROM contact_removed WHERE owner = :owner AND (at < :oldest OR did NOT IN
                        (SELECT did FROM contact_removed WHERE owner = :owner ORDER BY at DESC LIMIT :kept))
                    """,
                arguments: [
                    "owner": owner.string, "oldest": at - AgentStore.removalMemory,
                    "kept": AgentStore.maximumRemovals,
                ]
            )
        }
    }
}
