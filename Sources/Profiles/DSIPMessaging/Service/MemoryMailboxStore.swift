import DSIPIdentity
import Synchronization

/// A ``MailboxStore`` in memory: for tests and simulations, and to say what a store is.
///
/// What was committed is what ``reopened()`` has, as after a crash. ``failure`` makes the next commit fail, as on a full disk.
public final class MemoryMailboxStore: MailboxStore {
    private struct Tables {
        var records: [String: [String: [UInt8]]] = [:]
        var items: [DID: [UInt64: Row]] = [:]
        var ordered: [GroupID: [Int64: OrderedItem]] = [:]
        var digests: [GroupID: [String: Int64]] = [:]
    }

    private struct Row {
        var item: MailboxItem
        var content: [UInt8]
    }

    private struct State {
        var tables = Tables()
        var committed = Tables()
        var failure: StoreFailure?
        var commits = 0
    }

    private let state: Mutex<State>

    public init() { state = Mutex(State()) }

    private init(_ tables: Tables) { state = Mutex(State(tables: tables, committed: tables)) }

    /// A store of its own with what was committed.
    public func reopened() -> MemoryMailboxStore { MemoryMailboxStore(state.withLock { $0.committed }) }

    /// What every change and commit fails with from now on; nil to work again.
    public var failure: StoreFailure? {
        get { state.withLock { $0.failure } }
        set { state.withLock { $0.failure = newValue } }
    }

    /// Commits that were made.
    public var commits: Int { state.withLock { $0.commits } }

    // MARK: Reading

    public func record(_ key: MailboxRecord.Key) throws(StoreFailure) -> [UInt8]? {
        state.withLock { $0.tables.records[key.scope]?[key.name] }
    }

    public func records(
        in scope: String,
        after name: String?,
        limit: Int
    ) throws(StoreFailure) -> [MailboxRecord] {
        state.withLock { state in
            let found = (state.tables.records[scope] ?? [:]).filter { row in name.map { $0.precedes(row.key) } ?? true }
            return found.sorted { $0.key.precedes($1.key) }.prefix(limit).map {
                MailboxRecord(.init(scope, $0.key), $0.value)
            }
        }
    }

    public func scopes(
        withPrefix prefix: String,
        after scope: String?,
        limit: Int
    ) throws(StoreFailure) -> [String] {
        state.withLock { state in
            let found = state.tables.records.keys.filter { key in
                key.hasPrefix(prefix) && (scope.map { $0.precedes(key) } ?? true)
            }
            return Array(found.sorted { $0.precedes($1) }.prefix(limit))
        }
    }

    public func items(
        of owner: DID,
        _ selection: ItemSelection,
        limit: Int
    ) throws(StoreFailure) -> [MailboxItem] {
        state.withLock { state in
            let rows = (state.tables.items[owner] ?? [:]).values.lazy.map(\.item).filter(selection.includes)
            return Array(rows.sorted { $0.position < $1.position }.prefix(limit))
        }
    }

    public func content(at position: UInt64, of owner: DID) throws(StoreFailure) -> [UInt8]? {
        state.withLock { $0.tables.items[owner]?[position]?.content }
    }

    public func highestSeq(of group: GroupID, for owner: DID) throws(StoreFailure) -> Int64? {
        state.withLock { state in
            (state.tables.items[owner] ?? [:]).values.lazy.map(\.item)
                .filter { $0.group == group && $0.isSequenced }.compactMap(\.seq).max()
        }
    }

    public func ordered(_ seq: Int64, in group: GroupID) throws(StoreFailure) -> OrderedItem? {
        state.withLock { $0.tables.ordered[group]?[seq] }
    }

    public func orderedSeq(of digest: String, in group: GroupID) throws(StoreFailure) -> Int64? {
        state.withLock { $0.tables.digests[group]?[digest] }
    }

    // MARK: Changing

    public func apply(_ change: MailboxChange) throws(StoreFailure) {
        let failure = state.withLock { state in
            if state.failure == nil { Self.apply(change, to: &state.tables) }
            return state.failure
        }
        if let failure { throw failure }
    }

    private static func apply(_ change: MailboxChange, to tables: inout Tables) {
        switch change {
        case .put(let record): tables.records[record.key.scope, default: [:]][record.key.name] = record.value
        case .remove(let key):
            tables.records[key.scope]?[key.name] = nil
            if tables.records[key.scope]?.isEmpty == true { tables.records[key.scope] = nil }
        case .insertItem(let item, let content, let owner):
            tables.items[owner, default: [:]][item.position] = Row(item: item, content: content)
        case .removeItem(let position, let owner): tables.items[owner]?[position] = nil
        case .insertOrdered(let item):
            tables.ordered[item.group, default: [:]][item.seq] = item
            tables.digests[item.group, default: [:]][item.digest] = item.seq
        case .releaseOrdered(let group, let end):
            for seq in tables.ordered[group]?.keys.filter({ $0 < end }) ?? [] {
                tables.ordered[group]?[seq]?.content = nil
            }
        case .removeOrdered(let group, let end):
            for seq in tables.ordered[group]?.keys.filter({ $0 < end }) ?? [] {
                guard let item = tables.ordered[group]?.removeValue(forKey: seq) else { continue }
                if tables.digests[group]?[item.digest] == seq { tables.digests[group]?[item.digest] = nil }
            }
        }
    }

    public func commit() throws(StoreFailure) {
        let failure = state.withLock { state in
            if state.failure == nil {
                state.committed = state.tables
                state.commits += 1
            } else {
                state.tables = state.committed
            }
            return state.failure
        }
        if let failure { throw failure }
    }

    public func rollback() { state.withLock { $0.tables = $0.committed } }
}

extension String {
    /// Bytewise, as stores order names.
    fileprivate func precedes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}
