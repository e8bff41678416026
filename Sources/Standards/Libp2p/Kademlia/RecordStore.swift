/// Records kept for others, each verified before it came here. Bounded by count and bytes: when full, what lies farthest from us goes.
struct RecordStore: Sendable {
    struct Record: Sendable {
        let value: [UInt8]
        /// Milliseconds.
        let expiresAt: Int64
    }

    private let own: KademliaKey
    private let maximumCount: Int
    private let maximumBytes: Int
    private var records: [[UInt8]: (record: Record, distance: KademliaKey.Distance)] = [:]
    private(set) var bytes = 0

    init(own: KademliaKey, configuration: KademliaConfiguration) {
        self.own = own
        self.maximumCount = configuration.maximumRecords
        self.maximumBytes = configuration.maximumRecordBytes
    }

    var count: Int { records.count }

    func record(_ key: [UInt8], at now: Int64) -> Record? {
        guard let record = records[key]?.record, record.expiresAt > now else { return nil }
        return record
    }

    /// - Returns: false when there is no room and the key lies farther than all that is kept.
    mutating func put(_ key: [UInt8], _ record: Record, at now: Int64) -> Bool {
        remove(key)
        if isFull(with: record) { expire(at: now) }
        let distance = own.distance(to: KademliaKey(hashing: key))
        while isFull(with: record) {
            guard let farthest = records.max(by: { $0.value.distance < $1.value.distance }),
                distance < farthest.value.distance
            else { return false }
            remove(farthest.key)
        }
        records[key] = (record, distance)
        bytes += record.value.count
        return true
    }

    mutating func expire(at now: Int64) {
        for (key, entry) in records where entry.record.expiresAt <= now { remove(key) }
    }

    private mutating func remove(_ key: [UInt8]) { bytes -= records.removeValue(forKey: key)?.record.value.count ?? 0 }

    private func isFull(with record: Record) -> Bool {
        records.count >= maximumCount || bytes + record.value.count > maximumBytes
    }
}

/// Who said that it provides a key, with when that ends.
struct ProviderStore: Sendable {
    private struct Provider: Sendable {
        let peer: KademliaPeer
        let expiresAt: Int64
    }

    private let maximumKeys: Int
    private let maximumProviders: Int
    private var providers: [[UInt8]: [Provider]] = [:]

    init(configuration: KademliaConfiguration) {
        self.maximumKeys = configuration.maximumProvidedKeys
        self.maximumProviders = configuration.maximumProvidersPerKey
    }

    var count: Int { providers.count }

    /// Takes the place of an earlier entry of the peer; when the key is full, of the one that ends first.
    mutating func add(_ peer: KademliaPeer, to key: [UInt8], until expiresAt: Int64, at now: Int64) -> Bool {
        if providers[key] == nil, providers.count >= maximumKeys {
            expire(at: now)
            guard providers.count < maximumKeys else { return false }
        }
        var list = providers[key] ?? []
        list.removeAll { $0.peer.id == peer.id || $0.expiresAt <= now }
        if list.count >= maximumProviders,
            let first = list.indices.min(by: { list[$0].expiresAt < list[$1].expiresAt })
        {
            list.remove(at: first)
        }
        list.append(Provider(peer: peer, expiresAt: expiresAt))
        providers[key] = list
        return true
    }

    /// The newest first.
    func peers(_ key: [UInt8], at now: Int64) -> [KademliaPeer] {
        (providers[key] ?? []).filter { $0.expiresAt > now }.reversed().map(\.peer)
    }

    mutating func expire(at now: Int64) {
        for (key, list) in providers {
            let left = list.filter { $0.expiresAt > now }
            providers[key] = left.isEmpty ? nil : left
        }
    }
}
