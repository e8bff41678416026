/// Keys of messages that were passed over and may still come (MKSKIPPED), oldest chain first.
///
/// Bounded twice: by the number of keys and by the number of chains. With encrypted headers each chain costs a trial.
struct SkippedKeys: Sendable {
    struct Chain: Sendable {
        let ratchetKey: [UInt8]
        let headerKey: Secret?
        /// In ascending order.
        var keys: [(number: UInt32, key: Secret)]

        func index(of number: UInt32) -> Int? {
            var (low, high) = (0, keys.count)
            while low < high {
                let middle = (low + high) / 2
                if keys[middle].number < number { low = middle + 1 } else { high = middle }
            }
            return low < keys.count && keys[low].number == number ? low : nil
        }
    }

    private(set) var chains: [Chain] = []
    private(set) var count = 0

    struct Place {
        let chain: Int
        let key: Int
    }

    func find(_ ratchetKey: [UInt8], _ number: UInt32) -> Place? {
        for (index, chain) in chains.enumerated() where chain.ratchetKey == ratchetKey {
            return chain.index(of: number).map { Place(chain: index, key: $0) }
        }
        return nil
    }

    subscript(_ place: Place) -> Secret { chains[place.chain].keys[place.key].key }

    mutating func remove(_ place: Place) {
        chains[place.chain].keys.remove(at: place.key)
        count -= 1
        if chains[place.chain].keys.isEmpty { chains.remove(at: place.chain) }
    }

    mutating func insert(
        _ keys: [(number: UInt32, key: Secret)],
        ratchetKey: [UInt8],
        headerKey: Secret?,
        limits: RatchetProfile.Limits
    ) {
        guard !keys.isEmpty else { return }
        if let last = chains.indices.last, chains[last].ratchetKey == ratchetKey {
            chains[last].keys += keys
        } else {
            chains.append(Chain(ratchetKey: ratchetKey, headerKey: headerKey, keys: keys))
        }
        count += keys.count
        while chains.count > limits.skippedChains { count -= chains.removeFirst().keys.count }
        while count > limits.skipped, let first = chains.first {
            let excess = min(count - limits.skipped, first.keys.count)
            chains[0].keys.removeFirst(excess)
            count -= excess
            if chains[0].keys.isEmpty { chains.removeFirst() }
        }
    }

    func write(to writer: inout ByteWriter) {
        writer.append(count: chains.count)
        for chain in chains {
            writer.append(chain.ratchetKey)
            writer.append(optional: chain.headerKey) { $0.append($1) }
            writer.append(count: chain.keys.count)
            for (number, key) in chain.keys {
                writer.append(number)
                writer.append(key)
            }
        }
    }

    init() {}

    init(from reader: inout ByteReader, _ profile: RatchetProfile) throws(RatchetError) {
        for _ in 0..<(try reader.count(atMost: profile.limits.skippedChains)) {
            let ratchetKey = Array(try reader.bytes(32))
            let header = try reader.optional { (reader) throws(RatchetError) in try reader.secret() }
            guard (header != nil) == profile.encryptsHeaders else {
                throw RatchetError(.malformed, "a chain of another profile")
            }
            var keys: [(number: UInt32, key: Secret)] = []
            for _ in 0..<(try reader.count(atMost: profile.limits.skipped - count)) {
                let number = try reader.uint32()
                if let last = keys.last?.number, last >= number { throw RatchetError(.malformed, "out of order") }
                keys.append((number, try reader.secret()))
            }
            guard !keys.isEmpty else { throw RatchetError(.malformed, "a chain without keys") }
            chains.append(Chain(ratchetKey: ratchetKey, headerKey: header, keys: keys))
            count += keys.count
        }
    }
}
