/// Where ``RatchetConversations`` keeps what must survive: rows that only it reads.
///
/// `commit` is atomic and durable when it returns: all changes of one input event, or none. Rows of ``RatchetTable/isSecret`` hold keys
/// and plaintext and are sealed at rest by the store. The machine is the only writer.
public protocol RatchetStore: Sendable {
    func row(_ table: RatchetTable, _ scope: String, _ key: String) throws(MessagingError) -> [UInt8]?
    /// The first `limit` rows of a scope whose keys come after `key`, ascending by key (as UTF-8).
    func rows(
        _ table: RatchetTable,
        _ scope: String,
        after key: String?,
        limit: Int
    ) throws(MessagingError) -> [RatchetRow]

    func commit(_ changes: [RatchetChange]) throws(MessagingError)
}

public struct RatchetRow: Hashable, Sendable {
    public var key: String
    public var value: [UInt8]

    public init(key: String, value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

/// Kinds of rows.
public enum RatchetTable: String, Hashable, Sendable, CaseIterable {
    /// Few small values by name.
    case setting
    /// The prekeys of this device, one row.
    case ring
    /// The sessions with one person's devices; the key is the person.
    case sessions
    /// What is known of a person.
    case person
    /// Persons whose bundles are wanted.
    case wanted
    /// Said, and not encrypted yet for want of a session; the scope is the person.
    case waiting
    /// Encrypted, and not taken by a relay yet.
    case outbox
    /// Sent, kept to be sent again; the scope is the person.
    case sent
    /// What came and could not be opened; the scope is the person.
    case failed
    /// What came; the scope is the person.
    case seen
    /// What the owner gave to be carried, and what became of it; the key is the owner's.
    case carried
    /// What came and was opened, until the owner has it.
    case arrived
    /// How a device speaks where that is not as this one does by itself; the key is the device.
    case manner
    /// Which content an envelope of the proposal's brought or took; the scope is the person. And the other way round, in a scope beside.
    case named

    /// Whether the rows hold keys or plaintext, which a store seals at rest.
    public var isSecret: Bool {
        switch self {
        case .ring, .sessions, .waiting, .sent, .arrived: true
        case .setting, .person, .wanted, .outbox, .failed, .seen, .carried, .manner, .named: false
        }
    }
}

/// One row's change.
public struct RatchetChange: Hashable, Sendable {
    public var table: RatchetTable
    public var scope: String
    public var key: String
    /// Nil deletes the row.
    public var value: [UInt8]?

    public init(_ table: RatchetTable, scope: String, key: String, _ value: [UInt8]?) {
        self.table = table
        self.scope = scope
        self.key = key
        self.value = value
    }
}

/// A store without a disk, for tests and for a device that keeps nothing.
public struct MemoryRatchetStore: RatchetStore {
    private final class Storage: @unchecked Sendable {
        // Unchecked: one machine uses it, and a machine is called by one at a time.
        var rows: [RatchetTable: [String: [String: [UInt8]]]] = [:]
        var commits = 0
        var failsAt: Int?
    }

    private let storage = Storage()

    public init() {}

    /// Another store that holds the same, as when an old backup is put back.
    public func copy() -> MemoryRatchetStore {
        let copy = MemoryRatchetStore()
        copy.storage.rows = storage.rows
        return copy
    }

    /// Commits that succeeded.
    public var commits: Int { storage.commits }

    /// Makes the commit of this number, counted from 0, fail once; nothing of it is written.
    public func fail(atCommit number: Int?) { storage.failsAt = number }

    public func row(_ table: RatchetTable, _ scope: String, _ key: String) -> [UInt8]? {
        storage.rows[table]?[scope]?[key]
    }

    public func rows(_ table: RatchetTable, _ scope: String, after key: String?, limit: Int) -> [RatchetRow] {
        let sorted = (storage.rows[table]?[scope] ?? [:]).filter { key == nil || $0.key > key ?? "" }
            .sorted { $0.key < $1.key }
        return sorted.prefix(limit).map { RatchetRow(key: $0.key, value: $0.value) }
    }

    public func commit(_ changes: [RatchetChange]) throws(MessagingError) {
        if storage.failsAt == storage.commits {
            storage.failsAt = nil
            throw MessagingError(.storeFailed, "the store was told to fail")
        }
        storage.commits += 1
        for change in changes {
            storage.rows[change.table, default: [:]][change.scope, default: [:]][change.key] = change.value
        }
    }
}
