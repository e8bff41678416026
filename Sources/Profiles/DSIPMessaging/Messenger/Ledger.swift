import Encoding

/// The store with the changes of one input event laid over it: reads see them, and one `commit` writes them all.
struct Ledger<Store: MessengerStore>: Sendable {
    private struct Row: Hashable {
        let table: MessengerTable
        let scope: String
        let key: String
    }

    private struct Line: Hashable {
        let id: ULID
        let conversation: ULID
    }

    let store: Store
    private var rows: [Row: [UInt8]?] = [:]
    private var conversations: [ULID: ConversationRecord?] = [:]
    private var messages: [Line: MessageRecord?] = [:]
    private var scopesGone: Set<Row> = []

    init(_ store: Store) { self.store = store }

    var isEmpty: Bool { rows.isEmpty && conversations.isEmpty && messages.isEmpty && scopesGone.isEmpty }

    // MARK: Rows

    func row(_ table: MessengerTable, _ scope: String, _ key: String) throws(MessagingError) -> [UInt8]? {
        if let changed = rows[Row(table: table, scope: scope, key: key)] { return changed }
        if scopesGone.contains(Row(table: table, scope: scope, key: "")) { return nil }
        return try store.row(table, scope, key)
    }

    func rows(_ table: MessengerTable, _ scope: String) throws(MessagingError) -> [MessengerRow] {
        var found: [String: [UInt8]] = [:]
        if !scopesGone.contains(Row(table: table, scope: scope, key: "")) {
            for row in try store.rows(table, scope) { found[row.key] = row.value }
        }
        for (row, value) in rows where row.table == table && row.scope == scope { found[row.key] = value }
        return found.map { MessengerRow(key: $0.key, value: $0.value) }.sorted { $0.key < $1.key }
    }

    mutating func set(_ table: MessengerTable, _ scope: String, _ key: String, _ value: [UInt8]?) {
        rows[Row(table: table, scope: scope, key: key)] = .some(value)
    }

    mutating func drop(_ table: MessengerTable, _ scope: String) {
        for row in rows.keys where row.table == table && row.scope == scope { rows[row] = nil }
        scopesGone.insert(Row(table: table, scope: scope, key: ""))
    }

    // MARK: Records

    func conversation(_ id: ULID) throws(MessagingError) -> ConversationRecord? {
        if let changed = conversations[id] { return changed }
        return try store.conversation(id)
    }

    mutating func set(_ record: ConversationRecord) { conversations[record.id] = .some(record) }
    mutating func dropConversation(_ id: ULID) { conversations[id] = .some(nil) }

    func message(_ id: ULID, in conversation: ULID) throws(MessagingError) -> MessageRecord? {
        if let changed = messages[Line(id: id, conversation: conversation)] { return changed }
        return try store.message(id, in: conversation)
    }

    mutating func set(_ record: MessageRecord) {
        messages[Line(id: record.id, conversation: record.conversation)] = .some(record)
    }

    mutating func dropMessage(_ id: ULID, in conversation: ULID) {
        messages[Line(id: id, conversation: conversation)] = .some(nil)
    }

    /// Lines of a conversation by order, what was changed just now included.
    func messages(
        in conversation: ULID,
        before: Int64? = nil,
        after: Int64? = nil,
        limit: Int
    ) throws(MessagingError) -> [MessageRecord] {
        let changed = messages.filter { $0.key.conversation == conversation }
        var found = try store.messages(
            in: conversation,
            before: before,
            after: after,
            limit: limit + changed.count
        ).filter { changed[Line(id: $0.id, conversation: conversation)] == nil }
        for record in changed.values.compactMap(\.self)
        where record.order < before ?? .max && record.order > after ?? .min { found.append(record) }
        found.sort { ($0.order, $0.id) < ($1.order, $1.id) }
        return after != nil ? Array(found.prefix(limit)) : Array(found.suffix(limit))
    }

    // MARK: The one commit

    /// - Throws: `store-failed`; the changes are dropped.
    mutating func commit() throws(MessagingError) {
        guard !isEmpty else { return }
        defer { discard() }
        var changes: [MessengerChange] = scopesGone.map { .scopeGone($0.table, scope: $0.scope) }
        for (row, value) in rows { changes.append(.row(row.table, scope: row.scope, key: row.key, value)) }
        for (id, record) in conversations { changes.append(record.map { .conversation($0) } ?? .conversationGone(id)) }
        for (line, record) in messages {
            changes.append(record.map { .message($0) } ?? .messageGone(line.id, in: line.conversation))
        }
        try store.commit(changes)
    }

    mutating func discard() {
        rows = [:]
        conversations = [:]
        messages = [:]
        scopesGone = []
    }
}
