/// One iterative search towards a key: who has been heard of, asked, and answered.
///
/// Several paths start from different neighbours and never ask the same peer: what a peer names belongs to the path that asked it, so
/// a liar bends its own path only. A request that takes longer than usual no longer holds a place; the search goes on beside it.
struct Lookup: Sendable {
    enum Purpose: Sendable {
        case findPeer(PeerID)
        case getValue
        case putValue([UInt8])
        case getProviders
        case provide
        /// Fills the table.
        case refresh
    }

    private enum State: Sendable {
        case waiting
        case asked(at: Int64)
        case answered
        case failed
    }

    private struct Candidate: Sendable {
        let peer: KademliaPeer
        let distance: KademliaKey.Distance
        /// Requests in a row that led to it, itself included.
        let hops: Int
        var state: State = .waiting
    }

    /// Candidates kept on one path; nearer ones push out farther ones.
    private static let maximumCandidates = 256

    let purpose: Purpose
    let key: [UInt8]
    let target: KademliaKey
    let startedAt: Int64
    /// Until then no more are asked than have to agree; milliseconds.
    let patientUntil: Int64
    private let own: PeerID
    private let quorum: Int
    private let width: Int
    private let concurrency: Int
    /// By distance.
    private var paths: [[Candidate]]
    private var pathOf: [PeerID: Int] = [:]
    /// Peers named beside a record, and the answer that named them.
    private var postponed: [(peers: PeerList, path: Int, hops: Int)] = []
    /// How far from the key those are who may have the record, by the word of those who have it.
    private var radius: KademliaKey.Distance?
    private(set) var requests = 0
    /// The longest chain of requests that was answered.
    private(set) var hops = 0

    // What was found.
    var best: [UInt8]?
    var agreeing: Set<PeerID> = []
    /// Who answered with another value than the best, or with none.
    var behind: Set<PeerID> = []
    var providers: [KademliaPeer] = []
    /// The second phase: whom a record or provider entry is sent to, and who took it.
    var storing: Set<PeerID>?
    var stored = 0

    init(
        _ purpose: Purpose,
        key: [UInt8],
        seeds: [RoutingTable.Entry],
        own: PeerID,
        configuration: KademliaConfiguration,
        patience: Int64,
        at now: Int64
    ) {
        self.purpose = purpose
        self.key = key
        self.target = KademliaKey(hashing: key)
        self.startedAt = now
        self.own = own
        self.quorum = configuration.quorum
        if case .getValue = purpose { self.patientUntil = now + patience } else { self.patientUntil = now }
        let count = max(1, min(configuration.disjointPaths, seeds.count))
        self.width = count == 1 ? configuration.k : (configuration.k + count - 1) / count + 3
        self.concurrency = max(1, (configuration.alpha + count - 1) / count)
        self.paths = Array(repeating: [], count: count)
        for (index, seed) in seeds.enumerated() { insert(seed.peer, seed.key, path: index % count, hops: 1) }
    }

    // MARK: Progress

    /// The next peer to ask, or nil when as many are under way as may be, or nothing is left.
    mutating func next(at now: Int64, stall: Int64) -> KademliaPeer? {
        // Once there is a record, no more are asked than have yet to agree on it.
        if !agreeing.isEmpty || now < patientUntil, agreeing.count + underWay(at: now, stall: stall) >= quorum {
            return nil
        }
        if !agreeing.isEmpty {
            // Who is to agree on a record may be any of the nearest: those known from before need not be dialled.
            if let (path, index) = nearest(knownWithin: radius) { return ask(path, index, at: now) }
            // Nobody farther has it: whom its holders name is read first.
            if !postponed.isEmpty { return nil }
            if let radius, let (path, index) = nearest(within: radius) { return ask(path, index, at: now) }
        }
        for path in paths.indices {
            var considered = 0
            var underWay = 0
            var nearest: Int?
            for index in paths[path].indices {
                switch paths[path][index].state {
                case .failed: continue
                case .answered: considered += 1
                case .asked(let at):
                    if now - at < stall {
                        considered += 1
                        underWay += 1
                    }
                case .waiting:
                    if nearest == nil, considered < width { nearest = index }
                    considered += 1
                }
            }
            guard let nearest, underWay < concurrency else { continue }
            return ask(path, nearest, at: now)
        }
        return nil
    }

    private mutating func ask(_ path: Int, _ index: Int, at now: Int64) -> KademliaPeer {
        paths[path][index].state = .asked(at: now)
        requests += 1
        return paths[path][index].peer
    }

    /// The nearest that was not asked and is among those to be asked, of our own neighbours alone.
    private func nearest(knownWithin radius: KademliaKey.Distance?) -> (path: Int, index: Int)? {
        nearest { candidate in candidate.hops == 1 && (radius.map { candidate.distance <= $0 } ?? true) }
    }

    /// The same, of all that are so near.
    private func nearest(within radius: KademliaKey.Distance) -> (path: Int, index: Int)? {
        nearest { $0.distance <= radius }
    }

    private func nearest(where isWanted: (Candidate) -> Bool) -> (path: Int, index: Int)? {
        var nearest: (path: Int, index: Int)?
        for path in paths.indices {
            var considered = 0
            for (index, candidate) in paths[path].enumerated() where considered < width {
                if case .failed = candidate.state { continue }
                considered += 1
                guard case .waiting = candidate.state, isWanted(candidate) else { continue }
                let best = nearest.map { paths[$0.path][$0.index].distance }
                if best.map({ candidate.distance < $0 }) ?? true { nearest = (path, index) }
                break
            }
        }
        return nearest
    }

    private func underWay(at now: Int64, stall: Int64) -> Int {
        paths.reduce(0) { sum, path in
            sum + path.count { if case .asked(let at) = $0.state { now - at < stall } else { false } }
        }
    }

    /// Whether on every path the nearest known peers have all answered, or there is nobody left to wait for.
    func isExhausted(at now: Int64, stall: Int64) -> Bool {
        paths.allSatisfy { path in
            var considered = 0
            for candidate in path {
                if considered == width { return true }
                switch candidate.state {
                case .failed: continue
                case .answered: considered += 1
                case .waiting: return false
                case .asked(let at): if now - at < stall { return false }
                }
            }
            return true
        }
    }

    /// When a request under way, the earliest that was not by `now`, begins to count as stalled.
    func nextStall(after now: Int64, stall: Int64) -> Int64? {
        var earliest: Int64?
        for path in paths {
            for case .asked(let at) in path.lazy.map(\.state) where at + stall > now {
                earliest = min(earliest ?? .max, at + stall)
            }
        }
        return earliest
    }

    /// - Returns: the hops of the chain that led to the peer, or nil when it was not asked.
    mutating func answered(_ peer: PeerID, naming peers: [KademliaPeer], limit: Int) -> Int? {
        guard let path = pathOf[peer], let index = paths[path].firstIndex(where: { $0.peer.id == peer }),
            case .asked = paths[path][index].state
        else { return nil }
        paths[path][index].state = .answered
        let depth = paths[path][index].hops
        hops = max(hops, depth)
        for named in peers.prefix(limit) where pathOf[named.id] == nil {
            insert(named, KademliaKey(named.id), path: path, hops: depth + 1)
        }
        return depth
    }

    /// Keeps whom a peer named that has answered, for when they are needed.
    mutating func postpone(_ peers: PeerList, of peer: PeerID) {
        guard let path = pathOf[peer], let answered = paths[path].first(where: { $0.peer.id == peer }) else { return }
        postponed.append((peers, path, answered.hops))
        // A holder names the nearest it knows, the farthest of them last: beyond, few have the record.
        guard let last = peers.last, case let distance = KademliaKey(last.id).distance(to: target) else { return }
        if radius.map({ distance < $0 }) ?? true { radius = distance }
    }

    /// Reads on where those known are too few to agree on a record.
    ///
    /// - Returns: whether there may be more to ask.
    mutating func readOn(at now: Int64, stall: Int64, limit: Int, isBanned: (PeerID) -> Bool) -> Bool {
        guard !postponed.isEmpty, agreeing.count + underWay(at: now, stall: stall) < quorum else { return false }
        let (peers, path, hops) = postponed.removeFirst()
        for named in peers.peers.prefix(limit) where pathOf[named.id] == nil && !isBanned(named.id) {
            insert(named, KademliaKey(named.id), path: path, hops: hops + 1)
        }
        return true
    }

    mutating func failed(_ peer: PeerID) {
        guard let path = pathOf[peer], let index = paths[path].firstIndex(where: { $0.peer.id == peer }) else { return }
        paths[path][index].state = .failed
    }

    /// Those who answered, nearest first.
    func closest(_ count: Int) -> [KademliaPeer] {
        var found: [Candidate] = []
        for path in paths {
            found += path.lazy.filter { if case .answered = $0.state { true } else { false } }.prefix(count)
        }
        return found.sorted { $0.distance < $1.distance }.prefix(count).map(\.peer)
    }

    private mutating func insert(_ peer: KademliaPeer, _ key: KademliaKey, path: Int, hops: Int) {
        guard peer.id != own, pathOf[peer.id] == nil else { return }
        let distance = key.distance(to: target)
        var low = 0
        var high = paths[path].count
        while low < high {
            let middle = (low + high) / 2
            if paths[path][middle].distance < distance { low = middle + 1 } else { high = middle }
        }
        guard low < Lookup.maximumCandidates else { return }
        paths[path].insert(Candidate(peer: peer, distance: distance, hops: hops), at: low)
        pathOf[peer.id] = path
        if paths[path].count > Lookup.maximumCandidates, let last = paths[path].popLast() { pathOf[last.peer.id] = nil }
    }
}
