import KademliaSimulation
import Support
import Testing

@testable import Libp2p

@Suite("Kademlia")
struct KademliaTests {
    private var configuration: KademliaConfiguration { KademliaConfiguration(protocolID: "/test/kad/1.0.0") }

    private func peer(_ number: UInt64, _ address: String? = nil) -> KademliaPeer {
        var random = SeededRandom(seed: number)
        let digest = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
        let addresses = address.flatMap { try? Multiaddr($0) }.map { [$0] } ?? []
        return KademliaPeer(id: PeerID(bytes: [0x12, 0x20] + digest)!, addresses: addresses)
    }

    @Test("Distance is a metric: zero to itself, symmetric, and the triangle holds", arguments: [1, 2, 3] as [UInt64])
    func metric(_ seed: UInt64) {
        let (a, b, c) = (KademliaKey(peer(seed).id), KademliaKey(peer(seed + 10).id), KademliaKey(peer(seed + 20).id))
        #expect(a.distance(to: a).commonPrefix == 256)
        #expect(a.distance(to: b) == b.distance(to: a))
        // XOR: the distance from a to c is the XOR of the other two.
        let (ab, bc, ac) = (a.distance(to: b), b.distance(to: c), a.distance(to: c))
        #expect(ab.words.0 ^ bc.words.0 == ac.words.0 && ab.words.3 ^ bc.words.3 == ac.words.3)
    }

    @Test("The nearest of a table are the nearest of all it holds", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func closest(_ seed: UInt64) {
        var table = RoutingTable(own: KademliaKey(peer(seed * 1000).id), configuration: configuration)
        for number in 1...400 { _ = table.insert(peer(seed * 1000 + UInt64(number)), at: 0) }
        for probe in 0..<40 {
            let target = probe == 0 ? table.own : KademliaKey(peer(seed * 77_000 + UInt64(probe)).id)
            let expected = table.entries.sorted { $0.key.distance(to: target) < $1.key.distance(to: target) }.prefix(20)
            #expect(table.closest(to: target, count: 20).map(\.peer.id) == expected.map(\.peer.id))
        }
    }

    @Test("Buckets hold k, keep who answers, and give a failed peer's place to who waits")
    func buckets() {
        var configuration = configuration
        configuration.k = 4
        var table = RoutingTable(own: KademliaKey(peer(1).id), configuration: configuration)
        var insertions: [RoutingTable.Insertion: Int] = [:]
        for number in 2...200 { insertions[table.insert(peer(UInt64(number)), at: Int64(number)), default: 0] += 1 }
        #expect(table.buckets.allSatisfy { $0.entries.count <= 4 && $0.waiting.count <= 8 })
        #expect(insertions[.added] == table.count && insertions[.waiting] ?? 0 > 100)
        let first = table.buckets[0].entries[0].peer.id
        let newest = table.buckets[0].waiting.last?.peer.id
        table.failed(first)
        #expect(!table.contains(first))
        #expect(newest.map { table.contains($0) } == true)
        #expect(table.buckets[0].entries.count == 4)
    }

    @Test("One address range fills neither a bucket nor the table")
    func diversity() {
        var table = RoutingTable(own: KademliaKey(peer(1).id), configuration: configuration)
        for number in 2...2000 {
            _ = table.insert(peer(UInt64(number), "/ip4/203.0.113.\(number % 256)/tcp/\(number)"), at: 0)
        }
        #expect(table.count == 8)
        #expect(table.buckets.allSatisfy { $0.entries.count <= 2 })
        // Private addresses are neighbours, not one operator.
        for number in 3000...3100 { _ = table.insert(peer(UInt64(number), "/ip4/127.0.0.1/tcp/\(number)"), at: 0) }
        #expect(table.count > 30)
        // Who moves into a full range loses the place.
        for entry in table.entries where entry.peer.addresses.first?.ipAddress?.isLoopback == true {
            let moved = KademliaPeer(id: entry.peer.id, addresses: [try! Multiaddr("/ip4/203.0.113.9/tcp/1")])
            #expect(table.insert(moved, at: 1) == .refused)
        }
        #expect(table.count == 8)
    }

    @Test("Messages survive the wire; over-long and contradicting ones are refused")
    func messages() throws {
        let message = KademliaMessage(
            .getValue,
            key: Array("/t/1".utf8),
            value: [1, 2, 3],
            closerPeers: [peer(1, "/ip4/192.0.2.1/tcp/1"), peer(2)],
            providerPeers: [peer(3, "/ip6/2001:db8::1/tcp/2")]
        )
        #expect(try KademliaMessage(bytes: message.bytes) == message)
        var other = ProtobufWriter()
        other.varint(1, 0)
        other.bytes(2, [1])
        var record = ProtobufWriter()
        record.bytes(1, [2])
        record.bytes(2, [3])
        other.bytes(3, record.bytes)
        #expect(throws: Libp2pError(.malformed, "")) { try KademliaMessage(bytes: other.bytes) }
        let long = KademliaMessage(.putValue, key: [1], value: [UInt8](repeating: 0, count: (64 << 10) + 1))
        #expect(throws: Libp2pError(.limit, "")) { try KademliaMessage(bytes: long.bytes) }
        let many = KademliaMessage(.findNode, key: [1], closerPeers: (0..<500).map { peer(UInt64($0)) })
        #expect(try KademliaMessage(bytes: many.bytes).closerPeers.count == 64)
    }

    @Test("A wrong record is not stored and costs its sender the ear after three")
    func refusesWrongRecords() {
        var engine = KademliaEngine(own: peer(1).id, configuration: configuration, rules: KademliaSimulation.rules)
        let sender = peer(2)
        engine.identified(sender, servesDHT: true, at: 0)
        let key = Array("/t/1".utf8)
        for attempt in 1...3 {
            let wrong = KademliaMessage(.putValue, key: key, value: SequenceValidator.value([9], sequence: 1))
            #expect(engine.handle(wrong, from: sender.id, at: 10) == nil)
            #expect(engine.offences(of: sender.id) == attempt)
        }
        #expect(engine.recordCount == 0 && !engine.table.contains(sender.id))
        let good = KademliaMessage(.putValue, key: key, value: SequenceValidator.value(key, sequence: 1))
        #expect(engine.handle(good, from: sender.id, at: 20) == nil)
        #expect(engine.handle(good, from: peer(3).id, at: 20) == good)
        #expect(engine.handle(good, from: sender.id, at: 20 + configuration.banTime) == good)
        // A key of no namespace is nobody's to judge.
        for foreign in ["raw", "/t", "/other/1"] {
            let message = KademliaMessage(.putValue, key: Array(foreign.utf8), value: [1])
            #expect(engine.handle(message, from: peer(4).id, at: 20) == nil)
        }
    }

    @Test("A rollback is refused and the newer record kept")
    func rollback() {
        var engine = KademliaEngine(own: peer(1).id, configuration: configuration, rules: KademliaSimulation.rules)
        let key = Array("/t/1".utf8)
        let (old, new) = (SequenceValidator.value(key, sequence: 1), SequenceValidator.value(key, sequence: 2))
        _ = engine.handle(KademliaMessage(.putValue, key: key, value: new), from: peer(2).id, at: 0)
        #expect(engine.handle(KademliaMessage(.putValue, key: key, value: old), from: peer(2).id, at: 1) == nil)
        #expect(engine.handle(KademliaMessage(.getValue, key: key), from: peer(3).id, at: 2)?.value == new)
        #expect(engine.offences(of: peer(2).id) == 0)
    }

    @Test("A client answers nothing")
    func client() {
        var configuration = configuration
        configuration.mode = .client
        var engine = KademliaEngine(own: peer(1).id, configuration: configuration, rules: KademliaSimulation.rules)
        #expect(engine.handle(KademliaMessage(.findNode, key: [1]), from: peer(2).id, at: 0) == nil)
        engine.setMode(.server)
        #expect(engine.handle(KademliaMessage(.findNode, key: [1]), from: peer(2).id, at: 0) != nil)
    }

    @Test("The record store stays within its bounds and keeps what is nearest")
    func storeBounds() {
        var configuration = configuration
        configuration.maximumRecords = 50
        configuration.maximumRecordBytes = 1000
        var engine = KademliaEngine(own: peer(1).id, configuration: configuration, rules: KademliaSimulation.rules)
        for number in 0..<500 {
            let key = Array("/t/\(number)".utf8)
            let put = KademliaMessage(.putValue, key: key, value: SequenceValidator.value(key, sequence: 1))
            _ = engine.handle(put, from: peer(2).id, at: 0)
        }
        #expect(engine.recordCount == 25)
        #expect(engine.records.bytes == 1000)
        let kept = (0..<500).map { Array("/t/\($0)".utf8) }.filter { engine.records.record($0, at: 1) != nil }
        let nearest = (0..<500).map { Array("/t/\($0)".utf8) }
            .sorted {
                KademliaKey(hashing: $0).distance(to: engine.table.own)
                    < KademliaKey(hashing: $1).distance(to: engine.table.own)
            }.prefix(25)
        #expect(Set(kept) == Set(nearest))
    }

    @Test("A node alone keeps what it puts and announces, and finds it again")
    func alone() throws {
        var engine = KademliaEngine(own: peer(1).id, configuration: configuration, rules: KademliaSimulation.rules)
        let key = Array("/t/1".utf8)
        let value = SequenceValidator.value(key, sequence: 1)
        _ = try engine.put(key, value, at: 0)
        _ = engine.provide([1], at: 0)
        while engine.pollOutput() != nil {}
        let lookup = engine.get(key, at: 1)
        guard case .event(lookup, .found(value, 0))? = engine.pollOutput(),
            case .event(lookup, .finished(let result))? = engine.pollOutput()
        else {
            Issue.record("not found at once")
            return
        }
        #expect(result.value == value)
        _ = engine.getProviders([1], at: 1)
        guard case .event(_, .providers(let providers))? = engine.pollOutput() else {
            Issue.record("no providers")
            return
        }
        #expect(providers.map(\.id) == [peer(1).id])
    }

    @Test("A lookup with nobody to ask ends at once; too many lookups are refused")
    func lonely() {
        var engine = KademliaEngine(own: peer(1).id, configuration: configuration, rules: KademliaSimulation.rules)
        let lookup = engine.get(Array("/t/1".utf8), at: 0)
        guard case .event(lookup, .finished(let result))? = engine.pollOutput() else {
            Issue.record("it did not end")
            return
        }
        #expect(result.value == nil && result.requests == 0)
        engine.identified(peer(2), servesDHT: true, at: 0)
        for number in 0..<200 { _ = engine.get(Array("/t/\(number)".utf8), at: 0) }
        var sent = 0
        while let output = engine.pollOutput() { if case .send = output { sent += 1 } }
        #expect(sent == 64)
        engine.advance(to: 31_000)
        #expect(engine.lookups.isEmpty && engine.requests.isEmpty)
    }
}
