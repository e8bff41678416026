/// The digests of items a hub has ordered, with their `seq`: the last so many. M§9.3
struct DigestLog: Hashable, Sendable {
    private let capacity: Int
    private var seqs: [String: Int64] = [:]
    /// In the order they came; `oldest` is where the ones still held begin.
    private var order: [String] = []
    private var oldest = 0

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// The oldest first.
    var entries: [(digest: String, seq: Int64)] {
        order[oldest...].compactMap { digest in seqs[digest].map { (digest, $0) } }
    }

    func seq(of digest: String) -> Int64? { seqs[digest] }

    mutating func insert(_ digest: String, seq: Int64) {
        guard seqs.updateValue(seq, forKey: digest) == nil else { return }
        order.append(digest)
        guard order.count - oldest > capacity else { return }
        seqs[order[oldest]] = nil
        oldest += 1
        if oldest > capacity {
            order.removeFirst(oldest)
            oldest = 0
        }
    }
}
