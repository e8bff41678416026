import Encoding

/// The store with the changes of one input event laid over it: reads see them, and one `commit` writes them all.
struct RatchetLedger<Store: RatchetStore>: Sendable {
    private struct Place: Hashable {
        let table: RatchetTable
        let scope: String
        let key: String
    }

    let store: Store
    private var rows: [Place: [UInt8]?] = [:]

    init(_ store: Store) { self.store = store }

    func row(_ table: RatchetTable, _ scope: String, _ key: String) throws(MessagingError) -> [UInt8]? {
        if let changed = rows[Place(table: table, scope: scope, key: key)] { return changed }
        return try store.row(table, scope, key)
    }

    func json(_ table: RatchetTable, _ scope: String, _ key: String) throws(MessagingError) -> JSONValue? {
        guard let bytes = try row(table, scope, key) else { return nil }
        return try RatchetLedger.parse(bytes)
    }

    func rows(_ table: RatchetTable, _ scope: String, limit: Int) throws(MessagingError) -> [RatchetRow] {
        var found: [String: [UInt8]] = [:]
        for row in try store.rows(table, scope, after: nil, limit: limit) { found[row.key] = row.value }
        for (place, value) in rows where place.table == table && place.scope == scope { found[place.key] = value }
        return found.sorted { $0.key < $1.key }.prefix(limit).map { RatchetRow(key: $0.key, value: $0.value) }
    }

    mutating func set(_ table: RatchetTable, _ scope: String, _ key: String, _ value: [UInt8]?) {
        rows[Place(table: table, scope: scope, key: key)] = .some(value)
    }

    mutating func set(_ table: RatchetTable, _ scope: String, _ key: String, json: JSONValue) {
        set(table, scope, key, json.utf8)
    }

    mutating func commit() throws(MessagingError) {
        defer { rows = [:] }
        guard !rows.isEmpty else { return }
        try store.commit(
            rows.map { RatchetChange($0.key.table, scope: $0.key.scope, key: $0.key.key, $0.value) }
        )
    }

    static func parse(_ bytes: [UInt8]) throws(MessagingError) -> JSONValue {
        do throws(EncodingError) {
            return try JSONValue(parsing: bytes, limits: .init(bytes: 1 << 20, depth: 32, members: 4096))
        } catch {
            throw MessagingError(.storeFailed, "a row is damaged")
        }
    }
}
