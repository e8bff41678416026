import DSIPIdentity
import GRDB

extension AgentStore {
    /// How many contacts one identity may have.
    static let maximumContacts = 10_000

    public func contacts(of owner: DID) throws(AgentError) -> [Contact] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: "SELECT * FROM contact WHERE owner = ? ORDER BY name COLLATE NOCASE, added_at",
                arguments: [owner.string]
            ).compactMap(Contact.init(row:))
        }
    }

    public func contact(id: String) throws(AgentError) -> Contact? {
        try read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM contact WHERE id = ?", arguments: [id]).flatMap(Contact.init(row:))
        }
    }

    public func contact(did: DID, of owner: DID) throws(AgentError) -> Contact? {
        try read { db in
            try Row.fetchOne(
                db,
                sql: "SELECT * FROM contact WHERE owner = ? AND did = ?",
                arguments: [owner.string, did.string]
            ).flatMap(Contact.init(row:))
        }
    }

    /// Inserts `contact`, or replaces the row with its id.
    /// - Throws: `.notAllowed` when the list is full.
    public func save(_ contact: Contact) throws(AgentError) {
        let full = try write { db in
            let others = try Int.fetchOne(
                db,
                sql: "SELECT count(*) FROM contact WHERE owner = ? AND id <> ?",
                arguments: [contact.owner.string, contact.id]
            )
            guard (others ?? 0) < AgentStore.maximumContacts else { return true }
            try db.execute(
                sql: """
                    INSERT INTO contact VALUES (:id, :owner, :did, :name, :alias, :relay, :added, :blocked, :allowed,
                        :old, :new, :seen, :pairwise, :changed)
                    ON CONFLICT (owner, did) DO UPDATE SET name = :name, alias = :alias, relay = :relay,
                        blocked = :blocked, allowed = :allowed, key_old = :old, key_new = :new, key_seen_at = :seen,
                        pairwise = :pairwise, changed_at = :changed
                    """,
                arguments: [
                    "id": contact.id, "owner": contact.owner.string, "did": contact.did.string, "name": contact.name,
                    "alias": contact.alias, "relay": contact.relay, "added": contact.addedAt,
                    "blocked": contact.blocked,
                    "allowed": contact.allowed, "old": contact.keyChanged?.old, "new": contact.keyChanged?.new,
                    "seen": contact.keyChanged?.seenAt, "pairwise": contact.pairwise, "changed": contact.changedAt,
                ]
            )
            try db.execute(
                sql: "DELETE FROM contact_removed WHERE owner = ? AND did = ?",
                arguments: [contact.owner.string, contact.did.string]
            )
            return false
        }
        if full { throw AgentError(.notAllowed, "The contact list is full. Remove someone first.") }
    }

    /// Removes the contact and remembers that, for the person's other devices.
    /// - Returns: whether there was such a contact.
    public func removeContact(id: String, at now: Int64) throws(AgentError) -> Bool {
        guard let contact = try contact(id: id) else { return false }
        try noteRemoval(of: contact.did, owner: contact.owner, at: now)
        return true
    }
}

extension Contact {
    init?(row: Row) {
        guard let owner = DID(row["owner"] as String), let did = DID(row["did"] as String) else { return nil }
        self.init(
            id: row["id"],
            owner: owner,
            did: did,
            name: row["name"],
            alias: row["alias"],
            relay: row["relay"],
            addedAt: row["added_at"],
            blocked: row["blocked"],
            allowed: row["allowed"],
            pairwise: row["pairwise"],
            changedAt: row["changed_at"]
        )
        if let old = row["key_old"] as String?, let new = row["key_new"] as String? {
            keyChanged = KeyChange(old: old, new: new, seenAt: row["key_seen_at"] ?? 0)
        }
    }
}
