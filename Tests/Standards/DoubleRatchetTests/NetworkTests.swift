import Support
import Testing

@testable import DoubleRatchet

@Suite("A conversation over a network that loses, doubles and reorders")
struct NetworkTests {
    @Test(
        "In every seeded run what arrives opens once, restarts and lost states included, and at the end both sides talk"
    )
    func runs() throws {
        for seed in 1...32 as ClosedRange<UInt64> { try run(seed) }
    }

    private func run(_ seed: UInt64) throws {
        let profile = profiles[Int(seed) % profiles.count]
        var random = SeededRandom(seed: seed)
        var a = Side(profile, using: &random)
        var b = Side(profile, using: &random)
        var network = SimulatedNetwork<Int, [UInt8]>(
            seed: seed,
            link: .init(latency: 5...400, loss: 150, duplication: 100, isOrdered: false)
        )
        let bundleOfB = b.preKeys.takeBundle()
        try a.begin(bundleOfB, using: &random)
        // Half of the time both begin at once.
        if seed % 2 == 0 { try b.begin(a.preKeys.takeBundle(), using: &random) }
        var heard: Set<String> = []
        var now: Int64 = 0

        func receive(_ side: inout Side, _ message: [UInt8], _ other: inout Side, _ to: Int) throws -> [UInt8]? {
            do {
                if let text = try side.text(message) {
                    #expect(heard.insert(text).inserted, "\(text) twice, seed \(seed)")
                }
                return nil
            } catch let error as RatchetError {
                guard error.callsForReset else { return nil }
                let bundle = try other.preKeys.takeBundle().verified(as: nil, profile: profile.agreement)
                return try side.other.reset("device", bundle, at: now, using: &random)
            }
        }

        for round in 0..<40 {
            now += 600
            if a.other.hasSession(with: "device") {
                network.send(try a.say("a\(round)", using: &random), from: 0, to: 1)
            }
            if b.other.hasSession(with: "device"), Bool.random(using: &random) {
                network.send(try b.say("b\(round)", using: &random), from: 1, to: 0)
            }
            // In some runs one side loses its sessions; in all of them they restart now and then.
            if seed % 3 == 0, round == 15 { b.other.forget("device") }
            if round % 7 == 3 {
                try a.restart()
                try b.restart()
            }
            let deadline = network.clock.milliseconds + 150
            while let arrival = network.next(before: deadline) {
                let reply =
                    arrival.to == 1
                    ? try receive(&b, arrival.payload, &a, 1) : try receive(&a, arrival.payload, &b, 0)
                if let reply { network.send(reply, from: arrival.to, to: arrival.from) }
            }
        }
        #expect(heard.count > 20, "seed \(seed)")
        // The network is whole again: after a few exchanges everything opens, in one session.
        while let arrival = network.next(before: .max) {
            now += 3600
            let reply =
                arrival.to == 1 ? try receive(&b, arrival.payload, &a, 1) : try receive(&a, arrival.payload, &b, 0)
            if let reply { network.send(reply, from: arrival.to, to: arrival.from) }
        }
        for round in 0..<6 {
            now += 3600
            for (sender, receiver) in [(0, 1), (1, 0)] {
                let message =
                    sender == 0
                    ? try a.say("end a\(round)", using: &random) : try b.say("end b\(round)", using: &random)
                let reply = receiver == 1 ? try receive(&b, message, &a, 1) : try receive(&a, message, &b, 0)
                if let reply { _ = receiver == 1 ? try a.hear(reply) : try b.hear(reply) }
            }
        }
        #expect(heard.contains("end a5") && heard.contains("end b5"), "seed \(seed)")
        #expect(a.other.spokenIn("device") == b.other.spokenIn("device"), "seed \(seed)")
    }
}
