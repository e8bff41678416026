/// The items of a mailbox in the order of their cursors, with what is asked of them often kept at hand: who holds a `seq`, how many
/// bytes there are, when the next of them ends.
struct ItemIndex: Sendable {
    private struct Place: Hashable, Sendable {
        var group: GroupID
        var seq: Int64
    }

    /// Ascending by position.
    private(set) var items: [MailboxItem] = []
    /// Bytes that count to the quota. M§4.4
    private(set) var usedBytes: Int64 = 0
    private(set) var introductions = 0
    private var sequenced: [Place: UInt64] = [:]
    private var archived: [Place: UInt64] = [:]
    /// Nothing ends at or before this.
    private var nextEnd = Int64.max

    func sequenced(_ seq: Int64?, of group: GroupID) -> Cursor? {
        seq.flatMap { sequenced[Place(group: group, seq: $0)] }.map(Cursor.init(position:))
    }

    func archived(_ seq: Int64, of group: GroupID) -> Cursor? {
        archived[Place(group: group, seq: seq)].map(Cursor.init(position:))
    }

    mutating func append(_ item: MailboxItem, _ retention: Retention) {
        items.append(item)
        count(item, 1)
        if let place = place(of: item) {
            if item.itemClass == .archive { archived[place] = item.position } else { sequenced[place] = item.position }
        }
        nextEnd = min(nextEnd, retention.end(of: item))
    }

    /// - Returns: what went.
    mutating func remove(where isGone: (MailboxItem) -> Bool) -> [Cursor] {
        let gone = items.filter(isGone)
        guard !gone.isEmpty else { return [] }
        for item in gone {
            count(item, -1)
            guard let place = place(of: item) else { continue }
            if item.itemClass == .archive { archived[place] = nil } else { sequenced[place] = nil }
        }
        items.removeAll(where: isGone)
        return gone.map(\.cursor)
    }

    /// The first item behind `position`.
    func firstIndex(after position: UInt64) -> Int {
        var (low, high) = (0, items.count)
        while low < high {
            let middle = (low + high) / 2
            if items[middle].position <= position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// How long items of each class are kept, in seconds. M§4.4
    struct Retention: Hashable, Sendable {
        var messages: Int64
        /// Nil for ever.
        var archive: Int64?

        /// The last moment of an item.
        func end(of item: MailboxItem) -> Int64 {
            if let end = item.expiresAt { return end }
            guard let seconds = item.itemClass == .archive ? archive : messages else { return .max }
            let (end, overflow) = item.storedAt.addingReportingOverflow(seconds)
            return overflow ? .max : end
        }
    }

    /// The retention changed: ends are counted anew.
    mutating func reconsider() { nextEnd = .min }

    mutating func expire(at now: Int64, _ retention: Retention) -> [Cursor] {
        guard now > nextEnd else { return [] }
        let gone = remove { retention.end(of: $0) < now }
        nextEnd = items.lazy.map { retention.end(of: $0) }.min() ?? .max
        return gone
    }

    private func place(of item: MailboxItem) -> Place? {
        guard let group = item.group, let seq = item.seq, item.isSequenced || item.itemClass == .archive else {
            return nil
        }
        return Place(group: group, seq: seq)
    }

    private mutating func count(_ item: MailboxItem, _ sign: Int64) {
        if !item.isFirstContact { usedBytes += sign * item.size }
        if item.itemClass == .introduction { introductions += Int(sign) }
    }
}
