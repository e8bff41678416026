import Foundation
import Libp2p
import Support
import Testing

@Suite("Kademlia on a simulated network")
struct KademliaSimulationTests {
    private func key(_ number: Int) -> [UInt8] { Array("/t/\(number)".utf8) }

    @Test("Records put anywhere are found anywhere with a fifth of the nodes silent, in few hops and without waiting for the dead")
    func silentNodes() throws {
        // A larger network is simulated in release: LIBP2P_NODES=10000.
        let nodes = ProcessInfo.processInfo.environment["LIBP2P_NODES"].flatMap { Int($0) } ?? 200
        let seed: UInt64 = 42
        var simulation = KademliaSimulation(seed: seed, nodes: nodes)
        simulation.joinAll()
        let records = min(nodes, 1000) / 4
        for number in 0..<records {
            let value = SequenceValidator.value(key(number), sequence: 1)
            let stored = try simulation.put(key(number), value, from: simulation.network.pick(0...nodes - 1)).result?.stored
            #expect(stored ?? 0 >= 15)
        }
        for _ in 0..<nodes / 5 { simulation.behaviours[simulation.network.pick(0...nodes - 1)] = .silent }
        let alive = simulation.behaviours.indices.filter { simulation.behaviours[$0] == .honest }
        var hops: [Int] = []
        var latencies: [Int] = []
        var ratios: [Double] = []
        var done: [Int] = []
        var requests: [Int] = []
        var found = 0
        let attempts = records * 4
        for attempt in 0..<attempts {
            let node = alive[simulation.network.pick(0...alive.count - 1)]
            let report = simulation.get(key(attempt % records), from: node)
            done.append(Int(report.result?.duration ?? 0))
            requests.append(report.result?.requests ?? 0)
            guard let first = report.firstValue else { continue }
            found += 1
            hops.append(first.hops)
            latencies.append(Int(first.after))
            if first.hops > 0 { ratios.append(Double(first.after) / Double(first.hops * 60)) }
        }
        print(
            "NOTE seed \(seed), \(nodes) nodes, 20 % silent: found \(found)/\(attempts), hops p50 \(hops.percentile(0.5)) "
                + "p99 \(hops.percentile(0.99)), first value p50 \(latencies.percentile(0.5)) ms p99 "
                + "\(latencies.percentile(0.99)) ms, latency / (hops x RTT) median \(ratios.sorted()[ratios.count / 2]), "
                + "done p50 \(done.percentile(0.5)) ms, requests p50 \(requests.percentile(0.5))"
        )
        #expect(Double(found) >= 0.999 * Double(attempts))
        #expect(hops.percentile(0.5) <= 3 && hops.percentile(0.99) <= 5)
        #expect(ratios.sorted()[ratios.count / 2] <= 1.2)
    }

    @Test("The highest sequence wins, an old record is refused by those that hold a newer one, and repair follows a get")
    func newestWins() throws {
        var simulation = KademliaSimulation(seed: 7, nodes: 60)
        simulation.joinAll()
        let (old, new) = (
            SequenceValidator.value(key(1), sequence: 1), SequenceValidator.value(key(1), sequence: 2)
        )
        _ = try simulation.put(key(1), new, from: 3)
        _ = try simulation.put(key(1), old, from: 4)
        for node in [0, 10, 59] { #expect(simulation.get(key(1), from: node).result?.value == new) }
    }

    @Test("Providers are found; a peer announces itself only")
    func providers() throws {
        var simulation = KademliaSimulation(seed: 8, nodes: 60)
        simulation.joinAll()
        let region = Array("region".utf8)
        let announced = simulation.run(5, simulation.engines[5].provide(region, at: simulation.now))
        #expect(announced.result?.stored ?? 0 >= 15)
        _ = simulation.run(6, simulation.engines[6].provide(region, at: simulation.now))
        let report = simulation.run(40, simulation.engines[40].getProviders(region, at: simulation.now))
        #expect(Set(report.result?.providers.map(\.id) ?? []) == [simulation.peers[5].id, simulation.peers[6].id])
        let liar = simulation.peers[9].id
        var engine = simulation.engines[0]
        let entry = KademliaPeer(id: simulation.peers[1].id, addresses: [])
        _ = engine.handle(KademliaMessage(.addProvider, key: [1], providerPeers: [entry]), from: liar, at: simulation.now)
        let known = engine.handle(KademliaMessage(.getProviders, key: [1]), from: liar, at: simulation.now)
        #expect(known?.providerPeers.isEmpty == true && engine.offences(of: liar) == 1)
    }

    @Test("A peer is found by its id alone")
    func findsPeers() {
        var simulation = KademliaSimulation(seed: 9, nodes: 120)
        simulation.joinAll()
        for (node, wanted) in [(0, 119), (50, 3), (77, 78)] {
            let report = simulation.run(
                node,
                simulation.engines[node].find(simulation.peers[wanted].id, at: simulation.now)
            )
            #expect(report.result?.peer == simulation.peers[wanted])
        }
    }

    @Test("Poisoned records are counted against who sent them and never told")
    func poison() throws {
        var simulation = KademliaSimulation(seed: 10, nodes: 100)
        simulation.joinAll()
        let value = SequenceValidator.value(key(1), sequence: 1)
        _ = try simulation.put(key(1), value, from: 0)
        for node in 0..<100 where node % 3 == 1 { simulation.behaviours[node] = .poisoner }
        var refused = 0
        for node in stride(from: 0, to: 99, by: 3) {
            let report = simulation.get(key(1), from: node)
            #expect(report.result?.value == value)
            #expect(report.firstValue?.value == value)
            refused += simulation.engines[node].statistics.recordsRefused
        }
        #expect(refused > 0)
    }

    @Test("With a third of all ids hostile, and naming hostile peers only, records are still found")
    func eclipse() throws {
        var simulation = KademliaSimulation(seed: 11, nodes: 150)
        simulation.joinAll()
        for number in 0..<10 {
            _ = try simulation.put(key(number), SequenceValidator.value(key(number), sequence: 1), from: number * 3)
        }
        for node in 0..<150 where node % 3 == 1 { simulation.behaviours[node] = .eclipser }
        var found = 0
        for attempt in 0..<50 {
            let node = simulation.network.pick(0...49) * 3
            if simulation.get(key(attempt % 10), from: node).result?.value != nil { found += 1 }
        }
        #expect(found >= 49)
    }

    @Test("What is published is put again, and ends when it is withdrawn")
    func republish() throws {
        var simulation = KademliaSimulation(seed: 12, nodes: 40) {
            $0.recordLifetime = 300_000
            $0.republishInterval = 120_000
        }
        simulation.joinAll()
        let value = SequenceValidator.value(key(1), sequence: 1)
        _ = simulation.run(2, try simulation.engines[2].publish(key(1), value, at: simulation.now))
        func pass(_ milliseconds: Int64) {
            let end = simulation.now + milliseconds
            while simulation.now < end {
                simulation.settle(10_000)
                for node in simulation.engines.indices {
                    simulation.engines[node].advance(to: simulation.now)
                    simulation.drain(node)
                }
            }
            simulation.settle(1000)
        }
        pass(600_000)
        #expect(simulation.get(key(1), from: 30).result?.value == value)
        simulation.engines[2].withdraw(key(1))
        pass(600_000)
        #expect(simulation.get(key(1), from: 30).result?.value == nil)
    }
}
