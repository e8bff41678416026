/// A node of a Kademlia DHT (libp2p kad-dht) without sockets, clock or randomness: fed and drained.
///
/// Every record is verified before it is stored, returned or forwarded; what does not verify is counted against the peer that sent it.
/// Every table and queue is bounded.
///
/// ```swift
/// var engine = KademliaEngine(own: id, configuration: configuration, rules: rules)
/// let lookup = engine.get(key, at: now)
/// while let output = engine.pollOutput() { … }      // send, or tell
/// engine.answered(request, message, at: now)         // or failed(request, at: now)
/// engine.advance(to: now)                            // at nextDeadline
/// ```
public struct KademliaEngine: Sendable {
    public struct LookupID: Hashable, Sendable { let number: UInt64 }
    public struct RequestID: Hashable, Sendable { let number: UInt64 }

    /// Counts since the beginning.
    public struct Statistics: Hashable, Sendable {
        public var requestsServed = 0
        public var requestsSent = 0
        public var requestsFailed = 0
        public var recordsRefused = 0
        public var lookups = 0
    }

    private static let maximumRequests = 4096

    struct Request: Sendable {
        let lookup: LookupID
        let peer: KademliaPeer
        let sentAt: Int64
        let isStore: Bool
    }

    public let own: PeerID
    public let configuration: KademliaConfiguration
    public internal(set) var mode: KademliaConfiguration.Mode
    public internal(set) var table: RoutingTable
    public internal(set) var statistics = Statistics()
    /// Where this node says it is reached, in provider entries of its own.
    public var ownAddresses: [Multiaddr] = []
    let rules: RecordRules
    var records: RecordStore
    var providers: ProviderStore
    var offences: OffenceList
    var lookups: [LookupID: Lookup] = [:]
    var requests: [RequestID: Request] = [:]
    var publications = PublicationList()
    var responseTime = ResponseTime()
    private var outputs: [KademliaOutput] = []
    private var nextOutput = 0
    private var nextNumber: UInt64 = 0
    private var nextMaintenance: Int64 = 0
    private var lastRefresh: Int64?
    /// When each lookup last went on.
    private var lastDriven: [LookupID: Int64] = [:]

    public init(own: PeerID, configuration: KademliaConfiguration, rules: RecordRules) {
        self.own = own
        self.configuration = configuration
        self.mode = configuration.mode
        self.rules = rules
        let key = KademliaKey(own)
        self.table = RoutingTable(own: key, configuration: configuration)
        self.records = RecordStore(own: key, configuration: configuration)
        self.providers = ProviderStore(configuration: configuration)
        self.offences = OffenceList(configuration: configuration)
    }

    public mutating func pollOutput() -> KademliaOutput? {
        guard nextOutput < outputs.count else {
            outputs.removeAll(keepingCapacity: true)
            nextOutput = 0
            return nil
        }
        defer { nextOutput += 1 }
        return outputs[nextOutput]
    }

    public var recordCount: Int { records.count }
    /// Wrong records and lies of a peer.
    public func offences(of peer: PeerID) -> Int { offences.count(peer) }

    // MARK: Peers

    /// A peer was identified over a connection that proved its id.
    ///
    /// - Parameter servesDHT: whether it offers our protocol; else it has no place in the table.
    public mutating func identified(_ peer: KademliaPeer, servesDHT: Bool, at now: Int64) {
        guard servesDHT, !offences.isBanned(peer.id, at: now) else {
            table.remove(peer.id)
            return
        }
        _ = table.insert(peer, at: now)
    }

    /// Begins or ceases to answer. A client is not in others' tables once they notice.
    public mutating func setMode(_ mode: KademliaConfiguration.Mode) { self.mode = mode }

    // MARK: Lookups

    /// Looks for a peer's addresses.
    public mutating func find(_ peer: PeerID, at now: Int64) -> LookupID {
        begin(.findPeer(peer), key: peer.bytes, at: now)
    }

    /// Looks for a record. What is kept here is told at once, and the network is asked all the same.
    public mutating func get(_ key: [UInt8], at now: Int64) -> LookupID {
        begin(.getValue, key: key, best: records.record(key, at: now)?.value, at: now)
    }

    /// Puts a record at the peers nearest to its key.
    ///
    /// - Throws: `malformed` when our own rules refuse it.
    public mutating func put(_ key: [UInt8], _ value: [UInt8], at now: Int64) throws(Libp2pError) -> LookupID {
        _ = try validity(key, value, at: now)
        return begin(.putValue(value), key: key, at: now)
    }

    private func validity(_ key: [UInt8], _ value: [UInt8], at now: Int64) throws(Libp2pError) -> Int64 {
        guard let until = rules.validity(key: key, value: value, at: now, lifetime: configuration.recordLifetime) else {
            throw Libp2pError(.malformed, "the record is not valid under its key")
        }
        return until
    }

    /// Tells the peers nearest to `key` that this node provides it.
    public mutating func provide(_ key: [UInt8], at now: Int64) -> LookupID { begin(.provide, key: key, at: now) }

    public mutating func getProviders(_ key: [UInt8], at now: Int64) -> LookupID {
        begin(.getProviders, key: key, providers: providers.peers(key, at: now), at: now)
    }

    /// Looks up the own neighbourhood, which fills the table.
    public mutating func bootstrap(at now: Int64) -> LookupID {
        lastRefresh = now
        return begin(.refresh, key: own.bytes, at: now)
    }

    /// Puts `value` now and again before others forget it, until `withdraw`.
    ///
    /// - Throws: `malformed` when our own rules refuse it, `limit` when too much is published already.
    public mutating func publish(_ key: [UInt8], _ value: [UInt8], at now: Int64) throws(Libp2pError) -> LookupID {
        let next = now + configuration.republishInterval
        // What ends before is put once; it takes nobody's place.
        if try validity(key, value, at: now) > next {
            try publications.add(key, .record(value), next: next)
        } else {
            publications.remove(key)
        }
        return begin(.putValue(value), key: key, at: now)
    }

    /// Announces `key` now and again, until `withdraw`.
    public mutating func announce(_ key: [UInt8], at now: Int64) throws(Libp2pError) -> LookupID {
        try publications.add(key, .provider, next: now + configuration.republishInterval)
        return provide(key, at: now)
    }

    public mutating func withdraw(_ key: [UInt8]) { publications.remove(key) }

    /// Ends a lookup without a result.
    public mutating func cancel(_ id: LookupID) {
        lookups[id] = nil
        lastDriven[id] = nil
        requests = requests.filter { $0.value.lookup != id }
    }

    // MARK: Time

    /// When `advance` has something to do; milliseconds.
    public var nextDeadline: Int64 {
        var next = nextMaintenance
        for request in requests.values {
            next = min(next, request.sentAt + configuration.requestTime)
            let stalls = request.sentAt + configuration.stallTime
            if request.isStore, let driven = lastDriven[request.lookup], stalls > driven { next = min(next, stalls) }
        }
        let stall = responseTime.stall(configuration)
        for (id, lookup) in lookups {
            next = min(next, lookup.startedAt + configuration.lookupTime)
            if lookup.patientUntil > lastDriven[id] ?? .max { next = min(next, lookup.patientUntil) }
            for stall in [stall, configuration.stallTime] {
                if let at = lookup.nextStall(after: lastDriven[id] ?? .min, stall: stall) { next = min(next, at) }
            }
        }
        return next
    }

    public mutating func advance(to now: Int64) {
        // In the order they were made, so that one seed gives one run.
        let late = requests.filter { $0.value.sentAt + configuration.requestTime <= now }.keys
        for id in late.sorted(by: { $0.number < $1.number }) { failed(id, at: now) }
        for (id, lookup) in lookups.sorted(by: { $0.key.number < $1.key.number }) {
            if lookup.startedAt + configuration.lookupTime <= now {
                finish(id, at: now, isTimedOut: true)
            } else {
                drive(id, at: now)
            }
        }
        guard nextMaintenance <= now else { return }
        nextMaintenance = now + 60_000
        records.expire(at: now)
        providers.expire(at: now)
        maintain(at: now)
    }

    private mutating func maintain(at now: Int64) {
        for (key, item) in publications.due(at: now, interval: configuration.republishInterval) {
            switch item {
            case .provider: _ = provide(key, at: now)
            case .record(let value):
                // One that has ended is not put again.
                if (try? put(key, value, at: now)) == nil { publications.remove(key) }
            }
        }
        guard let last = lastRefresh, last + configuration.refreshInterval <= now else { return }
        _ = bootstrap(at: now)
        for index in table.stale(before: now - configuration.refreshInterval).prefix(8) {
            table.refreshed(index, at: now)
            _ = begin(
                .refresh,
                key: RefreshKey.make(bucket: index, own: table.own, salt: UInt64(bitPattern: now)),
                at: now
            )
        }
    }

    // MARK: Driving lookups

    /// - Parameters:
    ///   - best: the record kept here.
    ///   - known: the providers known here.
    private mutating func begin(
        _ purpose: Lookup.Purpose,
        key: [UInt8],
        best: [UInt8]? = nil,
        providers known: [KademliaPeer] = [],
        at now: Int64
    ) -> LookupID {
        nextNumber += 1
        let id = LookupID(number: nextNumber)
        statistics.lookups += 1
        let seeds = table.closest(to: KademliaKey(hashing: key), count: configuration.k)
        var lookup = Lookup(
            purpose,
            key: key,
            seeds: seeds,
            own: own,
            configuration: configuration,
            patience: responseTime.patience,
            at: now
        )
        guard lookups.count < configuration.maximumLookups else {
            var result = KademliaResult()
            result.isTimedOut = true
            emit(.event(id, .finished(result)))
            return id
        }
        lookup.best = best
        lookup.providers = known
        lookups[id] = lookup
        if let best { emit(.event(id, .found(value: best, hops: 0))) }
        if !known.isEmpty { emit(.event(id, .providers(known))) }
        drive(id, at: now)
        return id
    }

    mutating func drive(_ id: LookupID, at now: Int64) {
        // Not the lookup itself, which changes below: it would be copied each time.
        guard let (purpose, key) = lookups[id].map({ ($0.purpose, $0.key) }) else { return }
        lastDriven[id] = now
        let stall = responseTime.stall(configuration)
        if let storing = lookups[id]?.storing {
            let waiting = requests.values.contains {
                $0.lookup == id && $0.isStore && storing.contains($0.peer.id)
                    && now - $0.sentAt < configuration.stallTime
            }
            if !waiting { finish(id, at: now) }
            return
        }
        repeat {
            while let peer = lookups[id]?.next(at: now, stall: stall) {
                if offences.isBanned(peer.id, at: now) {
                    lookups[id]?.failed(peer.id)
                    continue
                }
                let kind: KademliaMessage.Kind =
                    switch purpose {
                    case .findPeer, .refresh: .findNode
                    // A record's key is asked for as such: peers exist that answer FIND_NODE for peer ids only.
                    case .getValue, .putValue: .getValue
                    case .getProviders, .provide: .getProviders
                    }
                send(KademliaMessage(kind, key: key), to: peer, for: id, isStore: false, at: now)
            }
        } while readOn(id, at: now, stall: stall)
        // The search goes on beside a slow peer soon, and ends without it late: a peer that must be dialled first takes longer.
        if lookups[id]?.isExhausted(at: now, stall: configuration.stallTime) == true { searched(id, at: now) }
    }

    private mutating func readOn(_ id: LookupID, at now: Int64, stall: Int64) -> Bool {
        let offences = offences
        let readOn = lookups[id]?.readOn(at: now, stall: stall, limit: configuration.k) {
            offences.isBanned($0, at: now)
        }
        return readOn ?? false
    }

    /// The search is over; a put or provide goes on with its second phase.
    private mutating func searched(_ id: LookupID, at now: Int64) {
        guard var lookup = lookups[id] else { return }
        let nearest = lookup.closest(configuration.k)
        let message: KademliaMessage
        switch lookup.purpose {
        case .putValue(let value):
            if keep(lookup.key, value, at: now, nearest: nearest) { lookup.stored += 1 }
            message = KademliaMessage(.putValue, key: lookup.key, value: value)
        case .provide:
            let entry = KademliaPeer(id: own, addresses: ownAddresses)
            if isNear(lookup.target, nearest),
                providers.add(entry, to: lookup.key, until: now + configuration.providerLifetime, at: now)
            {
                lookup.stored += 1
            }
            message = KademliaMessage(.addProvider, key: lookup.key, providerPeers: [entry])
        case .findPeer, .getValue, .getProviders, .refresh:
            finish(id, at: now)
            return
        }
        lookup.storing = Set(nearest.map(\.id))
        lookups[id] = lookup
        for peer in nearest { send(message, to: peer, for: id, isStore: true, at: now) }
        drive(id, at: now)
    }

    mutating func finish(_ id: LookupID, at now: Int64, isTimedOut: Bool = false) {
        guard let lookup = lookups.removeValue(forKey: id) else { return }
        lastDriven[id] = nil
        // What is under way still tells who lives; it is let go only when there is much of it.
        if requests.count > KademliaEngine.maximumRequests {
            requests = requests.filter { $0.value.lookup != id || $0.value.isStore }
        }
        var result = KademliaResult()
        result.closest = lookup.closest(configuration.k)
        result.value = lookup.best
        result.providers = lookup.providers
        if case .findPeer(let peer) = lookup.purpose { result.peer = lookup.providers.first { $0.id == peer } }
        if case .findPeer = lookup.purpose { result.providers = [] }
        result.stored = lookup.stored
        result.requests = lookup.requests
        result.hops = lookup.hops
        result.duration = now - lookup.startedAt
        result.isTimedOut = isTimedOut
        emit(.event(id, .finished(result)))
        repair(lookup, result.closest, at: now)
    }

    /// Behind a get: the nearest peers that had no record, or an older one, are sent the best.
    private mutating func repair(_ lookup: Lookup, _ nearest: [KademliaPeer], at now: Int64) {
        guard case .getValue = lookup.purpose, let best = lookup.best else { return }
        let behind = nearest.filter { lookup.behind.contains($0.id) }.prefix(RepairBounds.peers)
        for peer in behind {
            send(
                KademliaMessage(.putValue, key: lookup.key, value: best),
                to: peer,
                for: LookupID(number: 0),
                isStore: true,
                at: now
            )
        }
    }

    mutating func send(
        _ message: KademliaMessage,
        to peer: KademliaPeer,
        for lookup: LookupID,
        isStore: Bool,
        at now: Int64
    ) {
        nextNumber += 1
        let id = RequestID(number: nextNumber)
        requests[id] = Request(lookup: lookup, peer: peer, sentAt: now, isStore: isStore)
        statistics.requestsSent += 1
        emit(.send(id, to: peer, message, expectsAnswer: message.kind != .addProvider))
    }

    mutating func emit(_ output: KademliaOutput) { outputs.append(output) }
}

private enum RepairBounds {
    static let peers = 4
}
