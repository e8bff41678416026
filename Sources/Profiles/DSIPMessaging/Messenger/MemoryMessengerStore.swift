import Encoding
import Synchronization

/// A store in memory: the reference for others, and for tests, which can make it fail.
public final class MemoryMessengerStore: MessengerStore {
    fileprivate struct Key: Hashable {
        let table: MessengerTable
        let scope: String
    }

    fileprivate struct Contents {
        var rows: [Key: [String: [UInt8]]] = [:]
        var conversations: [ULID: [UInt8]] = [:]
        var messages: [ULID: [ULID: [UInt8]]] = [:]
        /// Ascending; kept beside the messages so that a page costs what it holds.
        var order: [ULID: [Place]] = [:]
        var commits = 0
        var failsAfter: Int?
    }

    fileprivate struct Place: Comparable {
        let order: Int64
        let id: ULID
        static func < (a: Place, b: Place) -> Bool { (a.order, a.id) < (b.order, b.id) }
    }

    private let contents = Mutex(Contents())

    public init() {}

    /// Commits so far.
    public var commits: Int { contents.withLock(\.commits) }

    /// The commit after so many more fails, and every one after it, until this is nil again.
    public func fail(after commits: Int?) { contents.withLock { $0.failsAfter = commits } }

    /// Bytes in the rows of one table.
    public func byteCount(of table: MessengerTable) -> Int {
        contents.withLock { contents in
            contents.rows.filter { $0.key.table == table }.values.reduce(0) {
                $0 + $1.values.reduce(0) { $0 + $1.count }
            }
        }
    }

    public func row(_ table: MessengerTable, _ scope: String, _ key: String) -> [UInt8]? {
        contents.withLock { $0.rows[Key(table: table, scope: scope)]?[key] }
    }

    public func rows(_ table: MessengerTable, _ scope: String) -> [MessengerRow] {
        contents.withLock { contents in
            (contents.rows[Key(table: table, scope: scope)] ?? [:]).map { MessengerRow(key: $0.key, value: $0.value) }
                .sorted { $0.key < $1.key }
        }
    }

    public func conversations() -> [ConversationRecord] {
        contents.withLock { $0.conversations.values.compactMap { ConversationRecord(decoding: $0) } }
            .sorted { $0.id < $1.id }
    }

    public func conversation(_ id: ULID) -> ConversationRecord? {
        contents.withLock { $0.conversations[id].flatMap { ConversationRecord(decoding: $0) } }
    }

    public func message(_ id: ULID, in conversation: ULID) -> MessageRecord? {
        contents.withLock { $0.messages[conversation]?[id].flatMap { MessageRecord(decoding: $0) } }
    }

    public func messages(in conversation: ULID, before: Int64?, after: Int64?, limit: Int) -> [MessageRecord] {
        contents.withLock { contents in
            guard let places = contents.order[conversation] else { return [] }
            let within = places.filter { $0.order < before ?? .max && $0.order > after ?? .min }
            let page = after != nil ? within.prefix(limit) : within.suffix(limit)
            return page.compactMap { contents.messages[conversation]?[$0.id].flatMap { MessageRecord(decoding: $0) } }
        }
    }

    public func commit(_ changes: [MessengerChange]) throws(MessagingError) {
        try contents.withLock { contents throws(MessagingError) in
            if let left = contents.failsAfter {
                guard left > 0 else { throw MessagingError(.storeFailed, "the store was told to fail") }
                contents.failsAfter = left - 1
            }
            contents.commits += 1
            for change in changes { contents.apply(change) }
        }
    }
}

extension MemoryMessengerStore.Contents {
    fileprivate mutating func apply(_ change: MessengerChange) {
        switch change {
        case .row(let table, let scope, let key, let value):
            rows[.init(table: table, scope: scope), default: [:]][key] = value
        case .scopeGone(let table, let scope): rows[.init(table: table, scope: scope)] = nil
        case .conversation(let record): conversations[record.id] = record.encoded
        case .conversationGone(let id):
            conversations[id] = nil
            messages[id] = nil
            order[id] = nil
        case .message(let record):
            unplace(record.id, in: record.conversation)
            messages[record.conversation, default: [:]][record.id] = record.encoded
            let place = MemoryMessengerStore.Place(order: record.order, id: record.id)
            var places = order[record.conversation] ?? []
            places.insert(place, at: places.lastIndex { $0 < place }.map { $0 + 1 } ?? 0)
            order[record.conversation] = places
        case .messageGone(let id, let conversation):
            unplace(id, in: conversation)
            messages[conversation]?[id] = nil
        }
    }

    private mutating func unplace(_ id: ULID, in conversation: ULID) {
        guard messages[conversation]?[id] != nil else { return }
        if let at = order[conversation]?.lastIndex(where: { $0.id == id }) { order[conversation]?.remove(at: at) }
    }
}
