/// Peers by their distance from here: a bucket for each number of shared leading bits, `k` peers in each, the longest known first.
///
/// A full bucket takes a newcomer only in the place of a peer that failed; newcomers wait in a short line behind it. Peers of one
/// address range may fill neither a bucket nor the table, so that who owns a network block does not own the neighbourhood.
public struct RoutingTable: Sendable {
    public struct Entry: Hashable, Sendable {
        public let peer: KademliaPeer
        public let key: KademliaKey
        /// Milliseconds.
        public var lastSeen: Int64
        /// Requests in a row without an answer.
        public var failures = 0
        let ranges: Set<AddressRange>
        /// As answers name it.
        let wire: [UInt8]

        init(_ peer: KademliaPeer, _ key: KademliaKey, lastSeen: Int64, countingPrivate: Bool) {
            self.peer = peer
            self.key = key
            self.lastSeen = lastSeen
            self.ranges = peer.ranges(countingPrivate: countingPrivate)
            self.wire = peer.wire
        }
    }

    struct Bucket: Sendable {
        var entries: [Entry] = []
        var waiting: [Entry] = []
        var refreshedAt: Int64 = 0
    }

    public enum Insertion: Hashable, Sendable {
        case added, updated, waiting
        /// The bucket is full, or its address range is.
        case refused
    }

    /// Failures in a row that cost a peer its place when another waits, and without one waiting.
    private static let failuresWhenReplaceable = 1
    private static let failuresAlone = 3
    private static let waitingLine = 8

    public let own: KademliaKey
    private let configuration: KademliaConfiguration
    private(set) var buckets: [Bucket] = []
    private var ranges: [AddressRange: Int] = [:]
    public private(set) var count = 0

    public init(own: KademliaKey, configuration: KademliaConfiguration) {
        self.own = own
        self.configuration = configuration
    }

    public func contains(_ peer: PeerID) -> Bool { entry(peer) != nil }

    public func entry(_ peer: PeerID) -> Entry? {
        let (index, _) = place(KademliaKey(peer))
        guard index < buckets.count else { return nil }
        return buckets[index].entries.first { $0.peer.id == peer }
    }

    /// A peer was heard of at first hand, as a server of this DHT.
    public mutating func insert(_ peer: KademliaPeer, at now: Int64) -> Insertion {
        let key = KademliaKey(peer.id)
        guard key != own else { return .refused }
        let (index, _) = place(key)
        while buckets.count <= index { buckets.append(Bucket()) }
        let entry = Entry(peer, key, lastSeen: now, countingPrivate: configuration.countsPrivateRanges)
        if let at = buckets[index].entries.firstIndex(where: { $0.peer.id == peer.id }) {
            let old = buckets[index].entries[at]
            buckets[index].entries[at].lastSeen = now
            buckets[index].entries[at].failures = 0
            if !peer.addresses.isEmpty, Set(peer.addresses) != Set(old.peer.addresses) {
                removeEntry(at, from: index)
                // Its new addresses may belong to a range that is full.
                guard hasRange(for: entry, in: index) else { return .refused }
                append(entry, to: index)
            }
            return .updated
        }
        guard hasRange(for: entry, in: index) else { return .refused }
        if buckets[index].entries.count < configuration.k {
            append(entry, to: index)
            return .added
        }
        if let bad = buckets[index].entries.firstIndex(where: { $0.failures >= RoutingTable.failuresWhenReplaceable }) {
            removeEntry(bad, from: index)
            append(entry, to: index)
            return .added
        }
        buckets[index].waiting.removeAll { $0.peer.id == peer.id }
        if buckets[index].waiting.count == RoutingTable.waitingLine { buckets[index].waiting.removeFirst() }
        buckets[index].waiting.append(entry)
        return .waiting
    }

    /// A request to the peer was answered.
    public mutating func succeeded(_ peer: PeerID, at now: Int64) {
        update(peer) {
            $0.failures = 0
            $0.lastSeen = now
        }
    }

    /// A request to the peer was not answered.
    public mutating func failed(_ peer: PeerID) {
        update(peer) { $0.failures += 1 }
        let (index, _) = place(KademliaKey(peer))
        guard index < buckets.count, let at = buckets[index].entries.firstIndex(where: { $0.peer.id == peer }) else {
            return
        }
        let failures = buckets[index].entries[at].failures
        let limit =
            buckets[index].waiting.isEmpty ? RoutingTable.failuresAlone : RoutingTable.failuresWhenReplaceable
        if failures >= limit { remove(peer) }
    }

    public mutating func remove(_ peer: PeerID) {
        let (index, _) = place(KademliaKey(peer))
        guard index < buckets.count else { return }
        buckets[index].waiting.removeAll { $0.peer.id == peer }
        guard let at = buckets[index].entries.firstIndex(where: { $0.peer.id == peer }) else { return }
        removeEntry(at, from: index)
        // The newest of those who waited takes the place.
        while let next = buckets[index].waiting.popLast() {
            guard hasRange(for: next, in: index) else { continue }
            append(next, to: index)
            break
        }
    }

    /// The peers nearest to `target`, nearest first.
    public func closest(to target: KademliaKey, count: Int, excluding: PeerID? = nil) -> [Entry] {
        let (index, _) = place(target)
        // Places are sorted, not entries: those are large, and most of them are not wanted.
        var found: [(distance: KademliaKey.Distance, bucket: Int, index: Int)] = []
        func take(_ bucket: Int) {
            for at in buckets[bucket].entries.indices {
                found.append((buckets[bucket].entries[at].key.distance(to: target), bucket, at))
            }
        }
        // One more than is wanted, for the one left out.
        let enough = excluding == nil ? count : count + 1
        // Those of the target's own bucket share most with it; then the nearer buckets, whose peers all share as much as we do;
        // then the farther ones, each farther than the one before.
        if index < buckets.count { take(index) }
        if found.count < enough { for bucket in buckets.indices.dropFirst(index + 1) { take(bucket) } }
        var farther = min(index, buckets.count) - 1
        while found.count < enough, farther >= 0 {
            take(farther)
            farther -= 1
        }
        found.sort { $0.distance < $1.distance }
        var closest: [Entry] = []
        closest.reserveCapacity(min(count, found.count))
        for place in found.prefix(enough) where closest.count < count {
            let entry = buckets[place.bucket].entries[place.index]
            if entry.peer.id != excluding { closest.append(entry) }
        }
        return closest
    }

    /// The nearest peers, and from each bucket beyond them the longest known: whoever is looked for, one of them is a good beginning.
    func mainstays(_ limit: Int) -> [PeerID] {
        var found = closest(to: own, count: min(configuration.k, limit)).map(\.peer.id)
        var seen = Set(found)
        for bucket in buckets {
            for entry in bucket.entries.prefix(RoutingTable.mainstaysOfBucket) where found.count < limit {
                if seen.insert(entry.peer.id).inserted { found.append(entry.peer.id) }
            }
        }
        return found
    }

    private static let mainstaysOfBucket = 8

    public var entries: [Entry] { buckets.flatMap(\.entries) }

    /// Buckets that were not refreshed since `time`, the last one included that holds a peer.
    func stale(before time: Int64) -> [Int] { buckets.indices.filter { buckets[$0].refreshedAt < time } }

    mutating func refreshed(_ index: Int, at now: Int64) {
        guard index < buckets.count else { return }
        buckets[index].refreshedAt = now
    }

    // MARK: Parts

    private func place(_ key: KademliaKey) -> (bucket: Int, distance: KademliaKey.Distance) {
        let distance = own.distance(to: key)
        return (distance.commonPrefix, distance)
    }

    private mutating func update(_ peer: PeerID, _ change: (inout Entry) -> Void) {
        let (index, _) = place(KademliaKey(peer))
        guard index < buckets.count, let at = buckets[index].entries.firstIndex(where: { $0.peer.id == peer }) else {
            return
        }
        change(&buckets[index].entries[at])
    }

    private mutating func append(_ entry: Entry, to index: Int) {
        buckets[index].entries.append(entry)
        count += 1
        count(entry, 1)
    }

    private mutating func removeEntry(_ at: Int, from index: Int) {
        let entry = buckets[index].entries.remove(at: at)
        count -= 1
        count(entry, -1)
    }

    private mutating func count(_ entry: Entry, _ change: Int) {
        for range in entry.ranges {
            let value = (ranges[range] ?? 0) + change
            ranges[range] = value > 0 ? value : nil
        }
    }

    private func hasRange(for entry: Entry, in index: Int) -> Bool {
        entry.ranges.allSatisfy { range in
            ranges[range] ?? 0 < configuration.rangeInTable
                && buckets[index].entries.count { $0.ranges.contains(range) } < configuration.rangeInBucket
        }
    }
}
