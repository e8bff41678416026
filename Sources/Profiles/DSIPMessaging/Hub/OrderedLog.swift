/// What a hub has ordered, as its machine asks for it: a table in memory, or rows of a store. M§6.5, M§9.3
public protocol OrderedLog: Sendable {
    /// The `seq` of the item with this digest, as long as re-deposits are answered.
    func seq(of digest: String) -> Int64?
    /// Nil when the item is kept no more.
    func itemClass(of seq: Int64) -> DepositClass?
    mutating func insert(_ item: Hub.State.Ordered)
}

/// The last so many items, in memory.
struct OrderedIndex: OrderedLog {
    private let capacity: Int
    private var byDigest: [String: Int64] = [:]
    private var bySeq: [Int64: Hub.State.Ordered] = [:]
    private var oldest: Int64 = 1

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// The oldest first.
    var entries: [Hub.State.Ordered] { bySeq.values.sorted { $0.seq < $1.seq } }

    func seq(of digest: String) -> Int64? { byDigest[digest] }
    func itemClass(of seq: Int64) -> DepositClass? { bySeq[seq]?.itemClass }

    mutating func insert(_ item: Hub.State.Ordered) {
        guard byDigest.updateValue(item.seq, forKey: item.digest) == nil else { return }
        if bySeq.isEmpty { oldest = item.seq }
        bySeq[item.seq] = item
        while bySeq.count > capacity {
            if let gone = bySeq.removeValue(forKey: oldest) { byDigest[gone.digest] = nil }
            oldest += 1
        }
    }
}
