/// Deadlines by key: the earliest first, those of one second in the order they were set.
///
/// A binary heap with lazy removal; its size stays within twice the live keys.
struct DeadlineQueue<Key: Hashable & Sendable>: Sendable {
    private struct Entry {
        let deadline: Int64
        let order: UInt64
        let key: Key

        static func < (a: Entry, b: Entry) -> Bool { (a.deadline, a.order) < (b.deadline, b.order) }
    }

    private var heap: [Entry] = []
    private var orders: [Key: UInt64] = [:]
    private var nextOrder: UInt64 = 0

    var count: Int { orders.count }
    /// The earliest deadline.
    var next: Int64? { heap.first?.deadline }

    /// Sets or moves the deadline of `key`.
    mutating func set(_ key: Key, to deadline: Int64) {
        nextOrder += 1
        orders[key] = nextOrder
        heap.append(Entry(deadline: deadline, order: nextOrder, key: key))
        siftUp(heap.count - 1)
        removeStale()
    }

    mutating func cancel(_ key: Key) {
        guard orders.removeValue(forKey: key) != nil else { return }
        removeStale()
    }

    /// Takes the earliest key whose deadline is at or before `now`.
    mutating func pop(at now: Int64) -> Key? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        removeFirst()
        orders[first.key] = nil
        removeStale()
        return first.key
    }

    /// Keeps the first entry live, and the heap in proportion.
    private mutating func removeStale() {
        while let first = heap.first, orders[first.key] != first.order { removeFirst() }
        guard heap.count > 2 * orders.count + 32 else { return }
        heap.removeAll { orders[$0.key] != $0.order }
        heap.sort(by: <)
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        siftDown(0)
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0, heap[child] < heap[(child - 1) / 2] {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
