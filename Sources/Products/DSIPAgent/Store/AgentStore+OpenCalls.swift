import DSIPIdentity
import FoundationEssentials
import GRDB

/// A call that has not ended: what is needed to end it properly when the agent is started again.
public struct OpenCall: Sendable, Hashable {
    public var session: String
    public var owner: DID
    public var direction: Call.Direction
    public var did: DID
    public var name: String?
    public var at: Int64
    public var answeredAt: Int64?
    public var video: Bool
    /// Where the last word goes: the other device once answered, else the identity called.
    public var peerDevice: DID?
    public var relay: String?

    public init(
        session: String,
        owner: DID,
        direction: Call.Direction,
        did: DID,
        name: String?,
        at: Int64,
        answeredAt: Int64?,
        video: Bool,
        peerDevice: DID?,
        relay: String?
    ) {
        self.session = session
        self.owner = owner
        self.direction = direction
        self.did = did
        self.name = name
        self.at = at
        self.answeredAt = answeredAt
        self.video = video
        self.peerDevice = peerDevice
        self.relay = relay
    }
}

extension AgentStore {
    public func save(_ call: OpenCall) throws(AgentError) {
        try write { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO open_call VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                arguments: [
                    call.session, call.owner.string, call.direction.rawValue, call.did.string, call.name, call.at,
                    call.answeredAt, call.video, call.peerDevice?.string, call.relay,
                ]
            )
        }
    }

    public func openCalls() throws(AgentError) -> [OpenCall] {
        try read { db in try Row.fetchAll(db, sql: "SELECT * FROM open_call").compactMap(OpenCall.init(row:)) }
    }

    func forget(openCall session: String) throws(AgentError) {
        try write { db in try db.execute(sql: "DELETE FROM open_call WHERE session = ?", arguments: [session]) }
    }

    public func setting(_ name: String) throws(AgentError) -> String? {
        try read { db in try String.fetchOne(db, sql: "SELECT value FROM setting WHERE name = ?", arguments: [name]) }
    }

    public func set(_ name: String, _ value: String) throws(AgentError) {
        try write { db in
            try db.execute(sql: "INSERT OR REPLACE INTO setting VALUES (?, ?)", arguments: [name, value])
        }
    }
}

extension OpenCall {
    init?(row: Row) {
        guard let owner = DID(row["owner"] as String), let did = DID(row["did"] as String),
            let direction = Call.Direction(rawValue: row["direction"])
        else { return nil }
        self.init(
            session: row["session"],
            owner: owner,
            direction: direction,
            did: did,
            name: row["name"],
            at: row["at"],
            answeredAt: row["answered_at"],
            video: row["video"],
            peerDevice: (row["peer_device"] as String?).flatMap { DID($0) },
            relay: row["relay"]
        )
    }
}

extension Row {
    func bytes(_ column: String) -> [UInt8] { (self[column] as Data?).map { Array($0) } ?? [] }
}
