import DSIPDiscovery
import DSIPIdentity
import FoundationEssentials
import GRDB

/// The latest that was seen of others, so that nobody can take back what they said before this agent was started again.
///
/// Bounded: of each kind, what was not renewed for longest is forgotten. What cannot be written is not remembered, and nothing fails.
struct SeenMemory: VersionMemory, SequenceMemory {
    private enum Kind: String {
        /// Of documents, by DID.
        case version
        /// Of records, by their key in the directory.
        case sequence
    }

    static let capacity = 4096

    let store: AgentStore
    /// Unix seconds.
    let clock: @Sendable () -> Int64

    func version(of did: DID) -> String? { value(.version, Array(did.string.utf8)) }
    func remember(_ version: String, of did: DID) { set(.version, Array(did.string.utf8), version) }

    func sequence(under key: [UInt8]) -> Int64? { value(.sequence, key).flatMap { Int64($0) } }

    func remember(_ seq: Int64, under key: [UInt8]) {
        guard sequence(under: key).map({ $0 < seq }) ?? true else { return }
        set(.sequence, key, "\(seq)")
    }

    private func value(_ kind: Kind, _ key: [UInt8]) -> String? {
        let row = try? store.read { db in
            try String.fetchOne(
                db,
                sql: "SELECT value FROM seen WHERE kind = ? AND key = ?",
                arguments: [kind.rawValue, Data(key)]
            )
        }
        return row ?? nil
    }

    private func set(_ kind: Kind, _ key: [UInt8], _ value: String) {
        try? store.write { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO seen (kind, key, value, at) VALUES (?, ?, ?, ?)",
                arguments: [kind.rawValue, Data(key), value, clock()]
            )
            let count = try Int.fetchOne(
                db,
                sql: "SELECT count(*) FROM seen WHERE kind = ?",
                arguments: [kind.rawValue]
            )
            guard let count, count > SeenMemory.capacity else { return }
            // An eighth at once, so that a full table is not searched for each newcomer.
            try db.execute(
                sql: """
                    DELETE FROM seen WHERE kind = :kind AND key IN (
                        SELECT key FROM seen WHERE kind = :kind ORDER BY at LIMIT :surplus)
                    """,
                arguments: ["kind": kind.rawValue, "surplus": SeenMemory.capacity / 8]
            )
        }
    }
}
