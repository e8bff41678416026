import DSIPIdentity
import Encoding

/// The items of one mailbox in its store.
///
/// A machine's questions cannot fail; what the store throws meanwhile is kept in ``failure``, and the host looks there after every
/// call. `@unchecked Sendable`: it is used by its host alone, on the host's thread.
final class StoredItems: MailboxItems, @unchecked Sendable {
    private let store: any MailboxStore
    private let owner: DID
    var usedBytes: Int64
    var introductions: Int
    /// What the next item is to hold; its cursor, time and class are put in when it is filed.
    var draft: StoredItem?
    private(set) var failure: StoreFailure?

    init(_ store: any MailboxStore, of owner: DID, usedBytes: Int64, introductions: Int) {
        self.store = store
        self.owner = owner
        self.usedBytes = usedBytes
        self.introductions = introductions
    }

    func items(_ selection: ItemSelection, limit: Int) -> [MailboxItem] {
        attempt { () throws(StoreFailure) in try store.items(of: owner, selection, limit: limit) } ?? []
    }

    func highestSeq(of group: GroupID) -> Int64? {
        attempt { () throws(StoreFailure) in try store.highestSeq(of: group, for: owner) } ?? nil
    }

    func append(_ item: MailboxItem) {
        guard var content = draft else {
            failure = .corrupt
            return
        }
        draft = nil
        content.cursor = item.cursor
        content.storedAt = item.storedAt
        content.itemClass = item.itemClass
        let change = MailboxChange.insertItem(item, content: content.json.utf8, owner: owner)
        attempt { () throws(StoreFailure) in try store.apply(change) }
        count(item, 1)
    }

    /// So many at once, until none is left.
    private static let chunk = 256

    func remove(_ selection: ItemSelection) -> [Cursor] {
        var gone: [Cursor] = []
        while failure == nil {
            let found = items(selection, limit: Self.chunk)
            for item in found {
                attempt { () throws(StoreFailure) in try store.apply(.removeItem(item.position, owner: owner)) }
                count(item, -1)
                gone.append(item.cursor)
            }
            if found.count < Self.chunk { break }
        }
        return gone
    }

    private func count(_ item: MailboxItem, _ sign: Int64) {
        if !item.isFirstContact { usedBytes += sign * item.size }
        if item.itemClass == .introduction { introductions += Int(sign) }
    }

    @discardableResult
    private func attempt<Value>(_ body: () throws(StoreFailure) -> Value) -> Value? {
        guard failure == nil else { return nil }
        do throws(StoreFailure) {
            return try body()
        } catch {
            failure = error
            return nil
        }
    }
}

/// What one hub has ordered, in its store. See ``StoredItems`` for failures and threads.
final class StoredLog: OrderedLog, @unchecked Sendable {
    private let store: any MailboxStore
    private let group: GroupID
    /// Ordered by the input at hand, not written yet.
    private var fresh: [Int64: OrderedItem] = [:]
    private(set) var failure: StoreFailure?

    init(_ store: any MailboxStore, of group: GroupID) {
        self.store = store
        self.group = group
    }

    func seq(of digest: String) -> Int64? {
        attempt { () throws(StoreFailure) in try store.orderedSeq(of: digest, in: group) } ?? nil
    }

    /// Nil also for an item whose content is gone: it cannot be sent.
    func itemClass(of seq: Int64) -> DepositClass? {
        guard let item = item(seq), item.content != nil else { return nil }
        return item.itemClass
    }

    func item(_ seq: Int64) -> OrderedItem? {
        if let item = fresh[seq] { return item }
        return attempt { () throws(StoreFailure) in try store.ordered(seq, in: group) } ?? nil
    }

    /// The machine tells of an item; its content follows.
    func insert(_ item: Hub.State.Ordered) {
        fresh[item.seq] = OrderedItem(
            group: group,
            seq: item.seq,
            itemClass: item.itemClass,
            digest: item.digest,
            orderedAt: 0,
            content: nil
        )
    }

    func put(_ content: OrderedContent, for seq: Int64, at now: Int64) {
        fresh[seq]?.content = content.json.utf8
        fresh[seq]?.orderedAt = now
    }

    /// Writes what was ordered, without the contents of items that everybody has.
    ///
    /// - Returns: the first `seq` written.
    func flush(needed lowest: Int64) -> Int64? {
        let first = fresh.keys.min()
        for (seq, var item) in fresh.sorted(by: { $0.key < $1.key }) {
            if seq < lowest { item.content = nil }
            attempt { () throws(StoreFailure) in try store.apply(.insertOrdered(item)) }
        }
        fresh = [:]
        return first
    }

    @discardableResult
    private func attempt<Value>(_ body: () throws(StoreFailure) -> Value) -> Value? {
        guard failure == nil else { return nil }
        do throws(StoreFailure) {
            return try body()
        } catch {
            failure = error
            return nil
        }
    }
}
