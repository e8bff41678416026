import Encoding

/// The history of an identity on one device: which archive keys it holds, which records wait for theirs, what is shown, and what
/// the device must archive. M§12
///
/// Records are opened by the owner, with the key named here, before this machine sees what they hold; one whose key is not there
/// yet is kept as it came, durably.
public struct History: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// Shown in the timeline.
        case content
        /// A receipt, a call event: it changes what is shown elsewhere. M§12.2, M§13.3
        case state
    }

    /// An opened record or message.
    public struct Entry: Hashable, Sendable {
        public var group: GroupID
        public var seq: Int64
        /// What it is deduplicated by: of content its id, of a call event its session. M§8.5
        public var id: String
        public var kind: Kind

        public init(group: GroupID, seq: Int64, id: String, kind: Kind = .content) {
            self.group = group
            self.seq = seq
            self.id = id
            self.kind = kind
        }
    }

    public enum Action: Hashable, Sendable {
        /// Keep the record sealed, until its key comes.
        case hold(Cursor)
        case show(id: String)
        /// Apply the restored receipt or call event of this record, saying nothing. M§12.2
        case apply(Cursor)
        case duplicate(id: String)
        /// It was said before this device was in the group, which cannot read it: passed over. M§12.3
        case preJoin(id: String)
        /// Seal it under this key and deposit it in every mailbox of the identity. M§12.2
        case archive(group: GroupID, seq: Int64, key: ULID)
    }

    private struct Waiting: Hashable, Sendable {
        var cursor: Cursor
        var key: ULID
        var entry: Entry
    }

    private struct Place: Hashable, Sendable {
        var rank: Int
        var seq: Int64
        var id: String
    }

    /// When each key was made; keys themselves are the owner's.
    public private(set) var keys: [ULID: Int64] = [:]
    private var joined: [GroupID: UInt64]
    private var seen: Set<String> = []
    private var waiting: [Waiting] = []
    private var places: [Place] = []
    private var ranks: [GroupID: Int] = [:]

    /// - Parameters:
    ///   - keys: archive keys held, with their `created_at`.
    ///   - joined: the epoch in which this device came to each group.
    public init(keys: [ULID: Int64] = [:], joined: [GroupID: UInt64] = [:]) {
        self.keys = keys
        self.joined = joined
    }

    /// The key new records are sealed under: the newest, ties broken by id. M§12.1
    public var currentKey: ULID? { keys.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key }
    /// By `seq`; the groups of a conversation in the order in which they were met.
    public var timeline: [String] { places.map(\.id) }
    public var held: [Cursor] { waiting.map(\.cursor) }

    /// A record came. `entry` is what it holds when its key is there; before, only its group and `seq` can be known.
    public mutating func receivedRecord(_ entry: Entry, sealedUnder key: ULID, at cursor: Cursor) -> [Action] {
        guard keys[key] != nil else {
            if !waiting.contains(where: { $0.cursor == cursor }) {
                waiting.append(Waiting(cursor: cursor, key: key, entry: entry))
            }
            return [.hold(cursor)]
        }
        return [open(entry, at: cursor)]
    }

    /// An archive key came by the personal group: what waited for it can be opened. M§12.1
    public mutating func receivedKey(_ key: ULID, createdAt: Int64) -> [Action] {
        if keys[key] == nil { keys[key] = createdAt }
        let ready = waiting.filter { $0.key == key }
        waiting.removeAll { $0.key == key }
        return ready.map { open($0.entry, at: $0.cursor) }
    }

    private mutating func open(_ entry: Entry, at cursor: Cursor) -> Action {
        guard seen.insert(entry.id).inserted else { return .duplicate(id: entry.id) }
        switch entry.kind {
        case .content:
            place(entry)
            return .show(id: entry.id)
        case .state: return .apply(cursor)
        }
    }

    /// This device is in a group since `epoch`.
    public mutating func joined(_ group: GroupID, epoch: UInt64) { joined[group] = epoch }

    /// An MLS message of `epoch` came, to be opened unless the device was not in the group then.
    public mutating func receivedMessage(_ entry: Entry, epoch: UInt64) -> [Action] {
        if let since = joined[entry.group], epoch < since { return [.preJoin(id: entry.id)] }
        return record(entry)
    }

    /// The hub has ordered what this device sent: content, or its own read watermark. M§12.2
    public mutating func sent(_ entry: Entry) -> [Action] { record(entry) }

    private mutating func record(_ entry: Entry) -> [Action] {
        guard seen.insert(entry.id).inserted else { return [.duplicate(id: entry.id)] }
        var actions: [Action] = []
        if entry.kind == .content {
            place(entry)
            actions.append(.show(id: entry.id))
        }
        if let key = currentKey { actions.append(.archive(group: entry.group, seq: entry.seq, key: key)) }
        return actions
    }

    private mutating func place(_ entry: Entry) {
        let rank = ranks[entry.group] ?? ranks.count
        ranks[entry.group] = rank
        let index = places.lastIndex { ($0.rank, $0.seq) <= (rank, entry.seq) }.map { $0 + 1 } ?? 0
        places.insert(Place(rank: rank, seq: entry.seq, id: entry.id), at: index)
    }
}
