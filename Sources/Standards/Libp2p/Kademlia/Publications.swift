/// What this node put and puts again before others forget it.
struct PublicationList: Sendable {
    enum Item: Sendable {
        case record([UInt8])
        case provider
    }

    private static let maximumCount = 16_384

    private var items: [[UInt8]: (item: Item, next: Int64)] = [:]

    var count: Int { items.count }

    mutating func add(_ key: [UInt8], _ item: Item, next: Int64) throws(Libp2pError) {
        guard items[key] != nil || items.count < PublicationList.maximumCount else {
            throw Libp2pError(.limit, "too much is published")
        }
        items[key] = (item, next)
    }

    mutating func remove(_ key: [UInt8]) { items[key] = nil }

    /// What is to be put again now; a few at a time.
    mutating func due(at now: Int64, interval: Int64) -> [([UInt8], Item)] {
        let due = items.filter { $0.value.next <= now }.prefix(16).map { ($0.key, $0.value.item) }
        for (key, _) in due { items[key]?.next = now + interval }
        return due
    }
}

/// How long answers take as a rule, after RFC 6298 §2.
struct ResponseTime: Sendable {
    private var mean: Double?
    private var deviation = 0.0
    /// The latest ones, in a ring.
    private var latest: [Int64] = []
    private var next = 0

    private static let memory = 16

    mutating func add(_ sample: Int64) {
        if latest.count < ResponseTime.memory { latest.append(sample) } else { latest[next] = sample }
        next = (next + 1) % ResponseTime.memory
        let sample = Double(max(0, sample))
        guard let old = mean else {
            mean = sample
            deviation = sample / 2
            return
        }
        deviation += (abs(old - sample) - deviation) / 4
        mean = old + (sample - old) / 8
    }

    /// How long a request may take before the search goes on without it; milliseconds.
    func stall(_ configuration: KademliaConfiguration) -> Int64 {
        guard let mean else { return configuration.stallTime }
        return min(configuration.stallTime, max(ResponseTime.shortestStall, Int64(mean + 4 * deviation)))
    }

    /// How long a search for a record makes do with as many answers as it needs, before it asks more peers beside them; milliseconds.
    /// Where answers come at once that spares most of the requests; where they take their time it would cost time. Of the latest the one in
    /// the middle counts: some of them had to be dialled for first.
    var patience: Int64 {
        guard !latest.isEmpty, case let middle = latest.sorted()[latest.count / 2],
            middle < ResponseTime.shortestStall
        else { return 0 }
        return middle + 2
    }

    private static let shortestStall: Int64 = 20
}

/// Keys that fall into a given bucket, for refreshing it: hashes cannot be aimed, so they are tried.
enum RefreshKey {
    private static let attempts: UInt64 = 1024

    /// - Returns: of a thousand keys the one that falls nearest to the bucket.
    static func make(bucket: Int, own: KademliaKey, salt: UInt64) -> [UInt8] {
        var best: (key: [UInt8], miss: Int)?
        for attempt in 0..<attempts {
            // The form of a peer id, since peers exist that answer FIND_NODE for nothing else.
            var digest = [UInt8](repeating: 0, count: 32)
            for i in 0..<8 {
                digest[i] = UInt8(truncatingIfNeeded: salt >> (8 * UInt64(i)))
                digest[8 + i] = UInt8(truncatingIfNeeded: attempt >> (8 * UInt64(i)))
            }
            let key = Multihash(code: Multihash.Function.sha256.rawValue, digest: digest).bytes
            let miss = abs(KademliaKey(hashing: key).distance(to: own).commonPrefix - bucket)
            if miss < best?.miss ?? .max { best = (key, miss) }
            if miss == 0 { break }
        }
        return best?.key ?? []
    }
}
