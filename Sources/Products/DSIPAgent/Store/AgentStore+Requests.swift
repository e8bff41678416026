import DSIPIdentity
import FoundationEssentials
import GRDB

/// A grant given or held (DSIP §19.4), with the signed envelope that is the receipt.
public struct StoredGrant: Sendable, Hashable {
    public var id: String
    public var owner: DID
    public var peer: DID
    /// True when we gave it, false when we hold it.
    public var given: Bool
    public var scope: [String]
    public var validUntil: Int64
    public var introduction: String?
    public var envelope: [UInt8]

    public init(
        id: String,
        owner: DID,
        peer: DID,
        given: Bool,
        scope: [String],
        validUntil: Int64,
        introduction: String?,
        envelope: [UInt8]
    ) {
        self.id = id
        self.owner = owner
        self.peer = peer
        self.given = given
        self.scope = scope
        self.validUntil = validUntil
        self.introduction = introduction
        self.envelope = envelope
    }
}

extension AgentStore {
    /// Pending requests kept for one identity; a flood beyond this is not stored (DSIP §19.4).
    static let maximumPending = 256

    /// Requests that still matter: pending and unexpired, or settled in the last 30 days; newest first.
    public func requests(of owner: DID, at now: Int64) throws(AgentError) -> [ContactRequest] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM request WHERE owner = ? AND (state <> 'pending' OR expires_at > ?) AND received_at > ?
                    ORDER BY received_at DESC LIMIT 512
                    """,
                arguments: [owner.string, now, now - 30 * 86_400]
            ).compactMap(ContactRequest.init(row:))
        }
    }

    public func request(id: String) throws(AgentError) -> ContactRequest? {
        try read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM request WHERE id = ?", arguments: [id])
                .flatMap(ContactRequest.init(row:))
        }
    }

    /// Keeps a new request. One pending request a sender: a second replaces the first.
    /// - Returns: false when it is a duplicate or the inbox is full; nothing is stored then.
    public func add(_ request: ContactRequest) throws(AgentError) -> Bool {
        try write { db in
            let known =
                try Int.fetchOne(
                    db,
                    sql: "SELECT count(*) FROM request WHERE id = ?",
                    arguments: [request.id]
                ) ?? 0
            guard known == 0 else { return false }
            try db.execute(
                sql: "DELETE FROM request WHERE owner = ? AND did = ? AND direction = ? AND state = 'pending'",
                arguments: [request.owner.string, request.did.string, request.direction.rawValue]
            )
            let pending = try Int.fetchOne(
                db,
                sql: "SELECT count(*) FROM request WHERE owner = ? AND direction = ? AND state = 'pending'",
                arguments: [request.owner.string, request.direction.rawValue]
            )
            guard (pending ?? 0) < AgentStore.maximumPending else { return false }
            try db.execute(
                sql: "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    request.id, request.owner.string, request.did.string, request.name, request.purpose,
                    request.receivedAt, request.expiresAt, request.state.rawValue, request.direction.rawValue,
                    request.relay,
                ]
            )
            return true
        }
    }

    public func setRequest(id: String, state: ContactRequest.State) throws(AgentError) {
        try write { db in
            try db.execute(sql: "UPDATE request SET state = ? WHERE id = ?", arguments: [state.rawValue, id])
        }
    }

    public func add(_ grant: StoredGrant) throws(AgentError) {
        try write { db in
            try db.execute(
                sql: "INSERT OR IGNORE INTO grant_held VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    grant.id, grant.owner.string, grant.peer.string, grant.given, grant.scope.joined(separator: " "),
                    grant.validUntil, grant.introduction, Data(grant.envelope),
                ]
            )
        }
    }

    /// The live grants of `owner`, given and held.
    public func grants(of owner: DID, at now: Int64) throws(AgentError) -> [StoredGrant] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: "SELECT * FROM grant_held WHERE owner = ? AND valid_until > ? ORDER BY id LIMIT 65536",
                arguments: [owner.string, now]
            ).compactMap(StoredGrant.init(row:))
        }
    }

    public func removeGrants(owner: DID, peer: DID, given: Bool) throws(AgentError) {
        try write { db in
            try db.execute(
                sql: "DELETE FROM grant_held WHERE owner = ? AND peer = ? AND given = ?",
                arguments: [owner.string, peer.string, given]
            )
        }
    }
}

extension ContactRequest {
    init?(row: Row) {
        guard let owner = DID(row["owner"] as String), let did = DID(row["did"] as String),
            let state = State(rawValue: row["state"]), let direction = Direction(rawValue: row["direction"])
        else { return nil }
        self.init(
            id: row["id"],
            owner: owner,
            did: did,
            name: row["name"],
            purpose: row["purpose"],
            receivedAt: row["received_at"],
            expiresAt: row["expires_at"],
            state: state,
            direction: direction,
            relay: row["relay"]
        )
    }
}

extension StoredGrant {
    init?(row: Row) {
        guard let owner = DID(row["owner"] as String), let peer = DID(row["peer"] as String) else { return nil }
        self.init(
            id: row["id"],
            owner: owner,
            peer: peer,
            given: row["given"],
            scope: (row["scope"] as String).split(separator: " ").map(String.init),
            validUntil: row["valid_until"],
            introduction: row["introduction"],
            envelope: row.bytes("envelope")
        )
    }
}
