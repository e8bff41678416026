import Crypto
import Libp2p
import Support

/// Records of the tests: eight bytes of sequence, then a check that binds it to its key. The highest sequence is the one.
struct SequenceValidator: RecordValidator {
    struct Invalid: Error {}

    static func value(_ key: [UInt8], sequence: UInt64) -> [UInt8] {
        let number = (0..<8).map { UInt8(truncatingIfNeeded: sequence >> (56 - 8 * UInt64($0))) }
        return number + Array(SHA256.hash(data: key + number))
    }

    func validate(key: [UInt8], value: [UInt8], at now: Int64) throws -> Int64? {
        guard value.count == 40 else { throw Invalid() }
        let sequence = value.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard SequenceValidator.value(key, sequence: sequence) == value else { throw Invalid() }
        return nil
    }

    func select(key: [UInt8], values: [[UInt8]]) -> Int {
        values.indices.max { values[$0].lexicographicallyPrecedes(values[$1]) } ?? 0
    }
}

/// Many engines on one simulated network and one virtual clock.
struct KademliaSimulation {
    enum Behaviour { case honest, silent, poisoner, eclipser }

    enum Payload: Sendable {
        case request(KademliaEngine.RequestID, [UInt8])
        case response(KademliaEngine.RequestID, [UInt8]?)
    }

    /// What a lookup told: the first value and when, and its end.
    struct Report {
        var firstValue: (value: [UInt8], hops: Int, after: Int64)?
        var providers: [KademliaPeer] = []
        var result: KademliaResult?
        let startedAt: Int64
    }

    static let rules: RecordRules = {
        var rules = RecordRules()
        rules.register("t", SequenceValidator())
        return rules
    }()

    var network: SimulatedNetwork<Int, Payload>
    var engines: [KademliaEngine] = []
    var peers: [KademliaPeer] = []
    var behaviours: [Behaviour] = []
    private var index: [PeerID: Int] = [:]
    private var active: Set<Int> = []
    private var reports: [Int: [KademliaEngine.LookupID: Report]] = [:]
    private(set) var messages = 0

    init(
        seed: UInt64,
        nodes: Int,
        latency: ClosedRange<Int64> = 10...50,
        configure: (inout KademliaConfiguration) -> Void = { _ in }
    ) {
        network = SimulatedNetwork(seed: seed, link: .init(latency: latency, isOrdered: false))
        var configuration = KademliaConfiguration(protocolID: "/test/kad/1.0.0")
        configure(&configuration)
        for node in 0..<nodes {
            // SHA-256 stands for a key: the simulation needs ids, not signatures.
            let digest = Array(SHA256.hash(data: withUnsafeBytes(of: (seed, node)) { Array($0) }))
            let id = PeerID(bytes: [0x12, 0x20] + digest)!
            let address = try! Multiaddr("/ip4/\(20 + node >> 16 & 63).\(node >> 8 & 255).\(node & 255).1/tcp/4001")
            index[id] = node
            peers.append(KademliaPeer(id: id, addresses: [address]))
            engines.append(KademliaEngine(own: id, configuration: configuration, rules: KademliaSimulation.rules))
            engines[node].ownAddresses = [address]
            behaviours.append(.honest)
        }
    }

    var now: Int64 { network.clock.milliseconds }

    /// Every node learns of a few earlier ones and looks itself up.
    mutating func joinAll() {
        for node in engines.indices.dropFirst() {
            for _ in 0..<3 {
                let other = network.pick(0...node - 1)
                engines[node].identified(peers[other], servesDHT: true, at: now)
                engines[other].identified(peers[node], servesDHT: true, at: now)
            }
            let lookup = engines[node].bootstrap(at: now)
            _ = run(node, lookup)
        }
    }

    /// Runs until the lookup ends.
    mutating func run(_ node: Int, _ lookup: KademliaEngine.LookupID) -> Report {
        reports[node, default: [:]][lookup] = Report(startedAt: now)
        active.insert(node)
        drain(node)
        while reports[node]?[lookup]?.result == nil { step() }
        let report = reports[node]?.removeValue(forKey: lookup)
        active.remove(node)
        return report!
    }

    /// Lets what goes on behind finish.
    mutating func settle(_ milliseconds: Int64) {
        let end = now + milliseconds
        while let at = network.nextArrival, at <= end { step() }
        while network.next(before: end) != nil {}
    }

    mutating func get(_ key: [UInt8], from node: Int) -> Report {
        run(node, engines[node].get(key, at: now))
    }

    mutating func put(_ key: [UInt8], _ value: [UInt8], from node: Int) throws -> Report {
        run(node, try engines[node].put(key, value, at: now))
    }

    private mutating func step() {
        let timer = active.map { ($0, engines[$0].nextDeadline) }.min { $0.1 < $1.1 }
        let deadline = timer?.1 ?? now + 1000
        if let arrival = network.next(before: max(deadline, now)) {
            deliver(arrival.payload, from: arrival.from, to: arrival.to)
        } else if let (node, _) = timer {
            engines[node].advance(to: now)
            drain(node)
        }
    }

    private mutating func deliver(_ payload: Payload, from: Int, to: Int) {
        messages += 1
        switch payload {
        case .request(let id, let bytes):
            guard behaviours[to] != .silent, let request = try? KademliaMessage(bytes: bytes) else { return }
            var answer = engines[to].handle(request, from: peers[from].id, at: now)
            // Who asks is a server of this network too, as identify tells.
            engines[to].identified(peers[from], servesDHT: engines[from].mode == .server, at: now)
            corrupt(&answer, by: to, key: request.key)
            network.send(.response(id, answer?.bytes), from: to, to: from)
        case .response(let id, let bytes):
            let message = bytes.flatMap { try? KademliaMessage(bytes: $0) }
            engines[to].answered(id, message, at: now)
            drain(to)
        }
    }

    private mutating func corrupt(_ answer: inout KademliaMessage?, by node: Int, key: [UInt8]) {
        switch behaviours[node] {
        case .honest, .silent: break
        case .poisoner:
            guard answer?.kind == .getValue else { return }
            answer?.value = SequenceValidator.value([1], sequence: .max)
        case .eclipser:
            guard answer?.kind == .getValue || answer?.kind == .findNode else { return }
            answer?.value = nil
            let hostile = behaviours.indices.filter { behaviours[$0] == .eclipser }
            let target = KademliaKey(hashing: key)
            answer?.closerPeers = hostile.map { peers[$0] }
                .sorted { KademliaKey($0.id).distance(to: target) < KademliaKey($1.id).distance(to: target) }
                .prefix(20).map { $0 }
        }
    }

    mutating func drain(_ node: Int) {
        while let output = engines[node].pollOutput() {
            switch output {
            case .send(let id, let peer, let message, let expectsAnswer):
                guard let to = index[peer.id] else { continue }
                network.send(.request(id, message.bytes), from: node, to: to)
                _ = expectsAnswer
            case .event(let lookup, let event):
                guard var report = reports[node]?[lookup] else { continue }
                switch event {
                case .found(let value, let hops):
                    if report.firstValue == nil { report.firstValue = (value, hops, now - report.startedAt) }
                case .providers(let peers): report.providers += peers
                case .finished(let result): report.result = result
                }
                reports[node]?[lookup] = report
            }
        }
    }
}

extension [Int] {
    /// The value below which `share` of all lie.
    func percentile(_ share: Double) -> Int {
        isEmpty ? 0 : sorted()[Swift.min(count - 1, Int(Double(count) * share))]
    }
}
