import KademliaSimulation
import Libp2p
import Support
import Testing

@Suite("Kademlia on a simulated network")
struct KademliaSimulationTests {
    private func key(_ number: Int) -> [UInt8] { Array("/t/\(number)".utf8) }

    @Test("Records are found with a fifth of the nodes silent, in few hops and without waiting for the dead")
    func silentNodes() throws {
        // Ten thousand are simulated by `make bench`.
        let measured = try KademliaMeasurement(nodes: 100, records: 20, lookups: 100, seed: 42, encodes: false)
        print("seed 42, 100 nodes, a fifth silent: \(measured.description)")
        #expect(measured.found == measured.attempts)
        #expect(measured.hops.percentile(0.5) <= 3 && measured.hops.percentile(0.99) <= 5)
        #expect(measured.medianRatio <= 1.2 && measured.fewestStored >= 15)
    }

    @Test(
        "The highest sequence wins, an old record is refused by those that hold a newer one, and repair follows a get"
    )
    func newestWins() throws {
        var simulation = KademliaSimulation(seed: 7, nodes: 40)
        simulation.joinAll()
        let (old, new) = (
            SequenceValidator.value(key(1), sequence: 1), SequenceValidator.value(key(1), sequence: 2)
        )
        _ = try simulation.put(key(1), new, from: 3)
        _ = try simulation.put(key(1), old, from: 4)
        for node in [0, 10, 39] { #expect(simulation.get(key(1), from: node).result?.value == new) }
    }

    @Test("Providers are found; a peer announces itself only")
    func providers() throws {
        var simulation = KademliaSimulation(seed: 8, nodes: 50)
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
        _ = engine.handle(
            KademliaMessage(.addProvider, key: [1], providerPeers: [entry]),
            from: liar,
            at: simulation.now
        )
        let known = engine.handle(KademliaMessage(.getProviders, key: [1]), from: liar, at: simulation.now)
        #expect(known?.providerPeers.isEmpty == true && engine.offences(of: liar) == 1)
    }

    @Test("A peer is found by its id alone")
    func findsPeers() {
        var simulation = KademliaSimulation(seed: 9, nodes: 80, encodes: false)
        simulation.joinAll()
        for (node, wanted) in [(0, 79), (50, 3), (77, 78)] {
            let report = simulation.run(
                node,
                simulation.engines[node].find(simulation.peers[wanted].id, at: simulation.now)
            )
            #expect(report.result?.peer == simulation.peers[wanted])
        }
    }

    @Test("Poisoned records are counted against who sent them and never told")
    func poison() throws {
        var simulation = KademliaSimulation(seed: 10, nodes: 60, encodes: false)
        simulation.joinAll()
        let value = SequenceValidator.value(key(1), sequence: 1)
        _ = try simulation.put(key(1), value, from: 0)
        for node in 0..<60 where node % 3 == 1 { simulation.behaviours[node] = .poisoner }
        var refused = 0
        for node in stride(from: 0, to: 60, by: 3) {
            let report = simulation.get(key(1), from: node)
            #expect(report.result?.value == value)
            #expect(report.firstValue?.value == value)
            refused += simulation.engines[node].statistics.recordsRefused
        }
        #expect(refused > 0)
    }

    @Test("With a third of all ids hostile, and naming hostile peers only, records are still found")
    func eclipse() throws {
        var simulation = KademliaSimulation(seed: 11, nodes: 90, encodes: false)
        simulation.joinAll()
        for number in 0..<10 {
            _ = try simulation.put(key(number), SequenceValidator.value(key(number), sequence: 1), from: number * 3)
        }
        for node in 0..<90 where node % 3 == 1 { simulation.behaviours[node] = .eclipser }
        var found = 0
        for attempt in 0..<50 {
            let node = simulation.network.pick(0...29) * 3
            if simulation.get(key(attempt % 10), from: node).result?.value != nil { found += 1 }
        }
        #expect(found >= 49)
    }

    @Test("What is published is put again, and ends when it is withdrawn")
    func republish() throws {
        var simulation = KademliaSimulation(seed: 12, nodes: 16, encodes: false) {
            $0.refreshInterval = 3_600_000
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
        #expect(simulation.get(key(1), from: 13).result?.value == value)
        simulation.engines[2].withdraw(key(1))
        pass(600_000)
        #expect(simulation.get(key(1), from: 13).result?.value == nil)
    }
}
