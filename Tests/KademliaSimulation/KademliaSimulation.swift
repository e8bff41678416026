import Crypto
import Libp2p
import Support

/// Many engines on one simulated network and one virtual clock.
public struct KademliaSimulation {
    public enum Behaviour { case honest, silent, poisoner, eclipser }

    public enum Payload: Sendable {
        case request(KademliaEngine.RequestID, KademliaMessage)
        case response(KademliaEngine.RequestID, KademliaMessage?)
    }

    /// What a lookup told: the first value and when, and its end.
    public struct Report {
        public var firstValue: (value: [UInt8], hops: Int, after: Int64)?
        public var providers: [KademliaPeer] = []
        public var result: KademliaResult?
        let startedAt: Int64
    }

    public static let rules: RecordRules = {
        var rules = RecordRules()
        rules.register("t", SequenceValidator())
        return rules
    }()

    public var network: SimulatedNetwork<Int, Payload>
    public var engines: [KademliaEngine] = []
    public var peers: [KademliaPeer] = []
    public var behaviours: [Behaviour] = []
    private var index: [PeerID: Int] = [:]
    private var active: Set<Int> = []
    private var reports: [Int: [KademliaEngine.LookupID: Report]] = [:]
    public private(set) var messages = 0
    /// Whether messages pass through their wire form.
    private let encodes: Bool
    private let seed: UInt64
    private let configuration: KademliaConfiguration
    /// The node whose lookup somebody waits for.
    private var measured: Int?
    private var churn: (interval: Int64, next: Int64)?
    /// Nodes that left without a word, and nodes that came instead.
    public private(set) var left = 0
    public private(set) var joined = 0

    public init(
        seed: UInt64,
        nodes: Int,
        latency: ClosedRange<Int64> = 10...50,
        encodes: Bool = true,
        configure: (inout KademliaConfiguration) -> Void = { _ in }
    ) {
        self.encodes = encodes
        self.seed = seed
        network = SimulatedNetwork(seed: seed, link: .init(latency: latency, isOrdered: false))
        var configuration = KademliaConfiguration(protocolID: "/test/kad/1.0.0")
        configure(&configuration)
        self.configuration = configuration
        for _ in 0..<nodes { _ = add() }
    }

    /// A node that knows nobody.
    private mutating func add() -> Int {
        let node = engines.count
        // SHA-256 stands for a key: the simulation needs ids, not signatures.
        let digest = Array(SHA256.hash(data: withUnsafeBytes(of: (seed, node)) { Array($0) }))
        let id = PeerID(bytes: [0x12, 0x20] + digest)!
        let address = try! Multiaddr("/ip4/\(20 + node >> 16 & 63).\(node >> 8 & 255).\(node & 255).1/tcp/4001")
        index[id] = node
        peers.append(KademliaPeer(id: id, addresses: [address]))
        engines.append(KademliaEngine(own: id, configuration: configuration, rules: KademliaSimulation.rules))
        engines[node].ownAddresses = [address]
        behaviours.append(.honest)
        return node
    }

    /// Whether a node is still joining.
    public func isBusy(_ node: Int) -> Bool { active.contains(node) }

    public var now: Int64 { network.clock.milliseconds }

    /// Every node learns of a few earlier ones and looks itself up.
    public mutating func joinAll() {
        for node in engines.indices.dropFirst() { _ = run(node, join(node, among: 0...node - 1)) }
    }

    private mutating func join(_ node: Int, among others: ClosedRange<Int>) -> KademliaEngine.LookupID {
        for _ in 0..<3 {
            let other = network.pick(others)
            guard behaviours[other] != .silent else { continue }
            engines[node].identified(peers[other], servesDHT: true, at: now)
            engines[other].identified(peers[node], servesDHT: true, at: now)
        }
        return engines[node].bootstrap(at: now)
    }

    /// From now on nodes leave and others come, one each, so often that an honest node stays for `stay` milliseconds on average.
    public mutating func beginChurn(stay: Int64) {
        let alive = behaviours.count { $0 == .honest }
        let interval = max(1, stay / Int64(max(1, alive)))
        churn = (interval, now + interval)
    }

    /// One goes, without a word and never to come back; one comes, under a new id, and joins while everything goes on.
    private mutating func change() {
        if let interval = churn?.interval { churn = (interval, now + interval) }
        let leaver = network.pick(0...behaviours.count - 1)
        // A node whose lookup is being measured stays to its end.
        if behaviours[leaver] == .honest, !active.contains(leaver) {
            behaviours[leaver] = .silent
            left += 1
        }
        let node = add()
        let lookup = join(node, among: 0...node - 1)
        reports[node] = [lookup: Report(startedAt: now)]
        active.insert(node)
        drain(node)
        joined += 1
    }

    /// A lookup that nobody waits for ends by itself.
    private mutating func forgetIfDone(_ node: Int) {
        guard node != measured, reports[node]?.values.allSatisfy({ $0.result != nil }) == true else { return }
        reports[node] = nil
        active.remove(node)
    }

    /// Runs until the lookup ends.
    public mutating func run(_ node: Int, _ lookup: KademliaEngine.LookupID) -> Report {
        reports[node, default: [:]][lookup] = Report(startedAt: now)
        active.insert(node)
        measured = node
        drain(node)
        while reports[node]?[lookup]?.result == nil { step() }
        let report = reports[node]?.removeValue(forKey: lookup)
        active.remove(node)
        measured = nil
        return report!
    }

    /// Lets what goes on behind finish.
    public mutating func settle(_ milliseconds: Int64) {
        let end = now + milliseconds
        while let at = network.nextArrival, at <= end { step() }
        while network.next(before: end) != nil {}
    }

    public mutating func get(_ key: [UInt8], from node: Int) -> Report {
        run(node, engines[node].get(key, at: now))
    }

    public mutating func put(_ key: [UInt8], _ value: [UInt8], from node: Int) throws -> Report {
        run(node, try engines[node].put(key, value, at: now))
    }

    private mutating func step() {
        let timer = active.map { ($0, engines[$0].nextDeadline) }.min { $0.1 < $1.1 }
        let deadline = max(now, timer?.1 ?? now + 1000)
        if let arrival = network.next(before: min(deadline, churn?.next ?? .max)) {
            deliver(arrival.payload, from: arrival.from, to: arrival.to)
        } else if let churn, churn.next <= now {
            change()
        } else if let (node, _) = timer {
            engines[node].advance(to: now)
            drain(node)
            forgetIfDone(node)
        }
    }

    private mutating func deliver(_ payload: Payload, from: Int, to: Int) {
        messages += 1
        switch payload {
        case .request(let id, let request):
            guard behaviours[to] != .silent, let request = pass(request) else { return }
            var answer = engines[to].handle(request, from: peers[from].id, at: now)
            // Who asks is a server of this network too, as identify tells.
            engines[to].identified(peers[from], servesDHT: engines[from].mode == .server, at: now)
            corrupt(&answer, by: to, key: request.key)
            network.send(.response(id, answer), from: to, to: from)
        case .response(let id, let message):
            guard behaviours[to] != .silent else { return }
            engines[to].answered(id, message.flatMap(pass), at: now)
            drain(to)
            forgetIfDone(to)
        }
    }

    private func pass(_ message: KademliaMessage) -> KademliaMessage? {
        encodes ? try? KademliaMessage(bytes: message.bytes) : message
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

    public mutating func drain(_ node: Int) {
        while let output = engines[node].pollOutput() {
            switch output {
            case .send(let id, let peer, let message, _):
                guard let to = index[peer.id] else { continue }
                network.send(.request(id, message), from: node, to: to)
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
