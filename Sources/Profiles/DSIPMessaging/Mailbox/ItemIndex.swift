/// The items of a mailbox as its machine asks for them: a table in memory, or rows of a store.
public protocol MailboxItems: Sendable {
    /// Bytes that count to the quota. M§4.4
    var usedBytes: Int64 { get }
    /// Introductions that are held.
    var introductions: Int { get }

    /// Items that the selection names, ascending by position.
    func items(_ selection: ItemSelection, limit: Int) -> [MailboxItem]
    /// The highest `seq` of the sequenced items that are kept for the group.
    func highestSeq(of group: GroupID) -> Int64?
    /// Adds an item behind all others.
    mutating func append(_ item: MailboxItem)
    /// - Returns: what went.
    mutating func remove(_ selection: ItemSelection) -> [Cursor]
}

extension MailboxItems {
    func first(_ selection: ItemSelection) -> Cursor? { items(selection, limit: 1).first?.cursor }
}

/// Items in memory, with who holds a `seq` at hand.
struct ItemIndex: MailboxItems {
    private struct Place: Hashable, Sendable {
        var group: GroupID
        var seq: Int64
        var isArchive: Bool
    }

    /// Ascending by position.
    private(set) var all: [MailboxItem] = []
    private(set) var usedBytes: Int64 = 0
    private(set) var introductions = 0
    private var places: [Place: UInt64] = [:]

    func items(_ selection: ItemSelection, limit: Int) -> [MailboxItem] {
        switch selection {
        case .after(let position): return Array(all[firstIndex(after: position)...].prefix(limit))
        case .sequenced(let group, let seq): return item(at: Place(group: group, seq: seq, isArchive: false))
        case .archived(let group, let seq): return item(at: Place(group: group, seq: seq, isArchive: true))
        case .through, .welcome, .groupInfo, .registration, .ended:
            return Array(all.lazy.filter(selection.includes).prefix(limit))
        }
    }

    func highestSeq(of group: GroupID) -> Int64? {
        all.lazy.filter { $0.group == group && $0.isSequenced }.compactMap(\.seq).max()
    }

    mutating func append(_ item: MailboxItem) {
        all.append(item)
        count(item, 1)
        if let place = place(of: item) { places[place] = item.position }
    }

    mutating func remove(_ selection: ItemSelection) -> [Cursor] {
        let gone = items(selection, limit: .max)
        guard !gone.isEmpty else { return [] }
        for item in gone {
            count(item, -1)
            if let place = place(of: item) { places[place] = nil }
        }
        let positions = Set(gone.map(\.position))
        all.removeAll { positions.contains($0.position) }
        return gone.map(\.cursor)
    }

    private func item(at place: Place) -> [MailboxItem] {
        guard let position = places[place] else { return [] }
        return all[firstIndex(after: position - 1)...].first.map { [$0] } ?? []
    }

    /// The first item behind `position`.
    private func firstIndex(after position: UInt64) -> Int {
        var (low, high) = (0, all.count)
        while low < high {
            let middle = (low + high) / 2
            if all[middle].position <= position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func place(of item: MailboxItem) -> Place? {
        guard let group = item.group, let seq = item.seq, item.isSequenced || item.itemClass == .archive else {
            return nil
        }
        return Place(group: group, seq: seq, isArchive: item.itemClass == .archive)
    }

    private mutating func count(_ item: MailboxItem, _ sign: Int64) {
        if !item.isFirstContact { usedBytes += sign * item.size }
        if item.itemClass == .introduction { introductions += Int(sign) }
    }
}
