extension KademliaEngine {
    /// The peer answered a request; nil when it took what expects no answer.
    public mutating func answered(_ id: RequestID, _ message: KademliaMessage?, at now: Int64) {
        guard let request = requests.removeValue(forKey: id) else { return }
        responseTime.add(now - request.sentAt)
        // It speaks our protocol, so it is a server.
        if table.contains(request.peer.id) {
            table.succeeded(request.peer.id, at: now)
        } else if !offences.isBanned(request.peer.id, at: now) {
            _ = table.insert(request.peer, at: now)
        }
        guard lookups[request.lookup] != nil else { return }
        if request.isStore {
            lookups[request.lookup]?.stored += 1
            lookups[request.lookup]?.storing?.remove(request.peer.id)
        } else if let message {
            read(message, from: request.peer.id, for: request.lookup, at: now)
        } else {
            lookups[request.lookup]?.failed(request.peer.id)
        }
        drive(request.lookup, at: now)
    }

    /// The peer did not answer, reset the stream, or could not be reached.
    public mutating func failed(_ id: RequestID, at now: Int64) {
        guard let request = requests.removeValue(forKey: id) else { return }
        statistics.requestsFailed += 1
        table.failed(request.peer.id)
        if request.isStore {
            lookups[request.lookup]?.storing?.remove(request.peer.id)
        } else {
            lookups[request.lookup]?.failed(request.peer.id)
        }
        drive(request.lookup, at: now)
    }

    private mutating func read(_ message: KademliaMessage, from peer: PeerID, for id: LookupID, at now: Int64) {
        guard let (purpose, key, best) = lookups[id].map({ ($0.purpose, $0.key, $0.best) }) else { return }
        // What is byte for byte the best record has been verified.
        if let value = message.value, message.key != key || value != best && !isValid(key, value, at: now) {
            offended(peer, at: now)
            // Who sends a wrong record names no peers either.
            _ = lookups[id]?.answered(peer, naming: [], limit: 0)
            return
        }
        // Whom it names that had the record itself is of use only when more have to agree on it than are known.
        let isPostponed = if case .getValue = purpose { message.value != nil } else { false }
        let named = isPostponed ? [] : message.closerPeers.filter { !offences.isBanned($0.id, at: now) }
        guard let hops = lookups[id]?.answered(peer, naming: named, limit: configuration.k) else { return }
        if isPostponed { lookups[id]?.postpone(message.closer, of: peer) }
        switch purpose {
        case .findPeer(let wanted):
            guard let found = named.first(where: { $0.id == wanted && !$0.addresses.isEmpty }) else { return }
            lookups[id]?.providers = [found]
            finish(id, at: now)
        case .getValue: heard(message.value, from: peer, hops: hops, for: id, at: now)
        case .getProviders:
            let known = Set((lookups[id]?.providers ?? []).map(\.id))
            var seen = known
            let new = message.providerPeers.filter { !offences.isBanned($0.id, at: now) && seen.insert($0.id).inserted }
            let room = max(0, configuration.maximumProvidersPerKey - known.count)
            guard !new.isEmpty, room > 0 else { return }
            lookups[id]?.providers += new.prefix(room)
            emit(.event(id, .providers(Array(new.prefix(room)))))
        case .putValue, .provide, .refresh: break
        }
    }

    private mutating func heard(_ value: [UInt8]?, from peer: PeerID, hops: Int, for id: LookupID, at now: Int64) {
        guard var lookup = lookups.removeValue(forKey: id) else { return }
        if let value {
            if let best = lookup.best, !rules.prefers(value, over: best, key: lookup.key) {
                if value == best { lookup.agreeing.insert(peer) } else { lookup.behind.insert(peer) }
            } else {
                lookup.behind.formUnion(lookup.agreeing)
                lookup.agreeing = [peer]
                lookup.best = value
                emit(.event(id, .found(value: value, hops: hops)))
            }
        } else {
            lookup.behind.insert(peer)
        }
        let isOver = lookup.agreeing.count >= configuration.quorum
        lookups[id] = lookup
        if isOver { finish(id, at: now) }
    }

    func isValid(_ key: [UInt8], _ value: [UInt8], at now: Int64) -> Bool {
        rules.validity(key: key, value: value, at: now, lifetime: configuration.recordLifetime) != nil
    }

    mutating func offended(_ peer: PeerID, at now: Int64) {
        statistics.recordsRefused += 1
        if offences.add(peer, at: now) { table.remove(peer) }
    }

    /// Whether this node is as near to a key as those that were found.
    func isNear(_ target: KademliaKey, _ nearest: [KademliaPeer]) -> Bool {
        guard mode != .client else { return false }
        guard nearest.count >= configuration.k, let last = nearest.last else { return true }
        return table.own.distance(to: target) < KademliaKey(last.id).distance(to: target)
    }

    /// Stores an own record here too when this node is one of the nearest.
    mutating func keep(_ key: [UInt8], _ value: [UInt8], at now: Int64, nearest: [KademliaPeer]) -> Bool {
        guard isNear(KademliaKey(hashing: key), nearest) else { return false }
        return store(key, value, at: now) == true
    }

    /// Verifies and stores.
    ///
    /// - Returns: false when a better one is here or there is no room, nil when the record is not valid.
    mutating func store(_ key: [UInt8], _ value: [UInt8], at now: Int64) -> Bool? {
        guard let until = rules.validity(key: key, value: value, at: now, lifetime: configuration.recordLifetime) else {
            return nil
        }
        if let old = records.record(key, at: now), old.value != value, !rules.prefers(value, over: old.value, key: key)
        {
            return false
        }
        return records.put(key, .init(value: value, expiresAt: until), at: now)
    }
}
