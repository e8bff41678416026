/// Which `seq` of a group a device has behind it: everything up to a point, and some beyond a gap. M§8.5
///
/// One position serves both the recognition of redelivered items and the gap rule of M§6.5. It is durable: commit it together
/// with the MLS state that an item changed. M§5.4
public struct GroupPosition: Hashable, Sendable {
    /// Everything up to here is processed, or was never this device's.
    public private(set) var contiguous: Int64
    /// Processed beyond the gap, ascending.
    public private(set) var beyond: [Int64] = []

    /// `seq` kept beyond a gap. When a hub leaves more holes than this, the lowest are given up.
    public static let maximumBeyond = 16_384

    /// - Parameter contiguous: the `seq` of the commit that added the device: the one its welcome carries. M§6.5
    public init(contiguous: Int64, beyond: [Int64] = []) {
        self.contiguous = max(0, contiguous)
        for seq in beyond { pass(seq) }
    }

    public var highest: Int64 { beyond.last ?? contiguous }

    public func contains(_ seq: Int64) -> Bool {
        if seq <= contiguous { return true }
        let index = place(of: seq)
        return index < beyond.count && beyond[index] == seq
    }

    /// Where `seq` stands, or would stand, beyond the gap.
    private func place(of seq: Int64) -> Int {
        var (low, high) = (0, beyond.count)
        while low < high {
            let middle = (low + high) / 2
            if beyond[middle] < seq { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The device has processed `seq`.
    public mutating func pass(_ seq: Int64) {
        guard seq > contiguous, !contains(seq) else { return }
        beyond.insert(seq, at: place(of: seq))
        if beyond.count > Self.maximumBeyond { contiguous = beyond[0] }
        var filled = 0
        while filled < beyond.count, beyond[filled] <= contiguous &+ 1 {
            contiguous = max(contiguous, beyond[filled])
            filled += 1
        }
        beyond.removeFirst(filled)
    }

    /// `seq` beyond the gap was not processed after all.
    mutating func withdraw(_ seq: Int64) {
        let index = place(of: seq)
        if index < beyond.count, beyond[index] == seq { beyond.remove(at: index) }
    }

    /// The device re-joined: what is behind will not come back. M§6.5
    public mutating func pass(through seq: Int64) {
        contiguous = max(seq, highest)
        beyond = []
    }
}
