import Foundation
import MLS
import Support
import Testing

/// A group of up to 50 on a network that loses, repeats and reorders: every member ends in the same epoch with the same exporter, or
/// joins anew; and a removed member that kept all it had learns nothing after its removal.
///
/// Two short runs, unless `DSIP_RUNS` asks for more and longer ones from the seed `DSIP_SEED` on, for at most `DSIP_SECONDS`:
/// `make soak`.
@Suite("Groups over a simulated network")
struct SimulationTests {
    private static func number(_ name: String) -> Int? { ProcessInfo.processInfo.environment[name].flatMap { Int($0) } }
    static let firstSeed = UInt64(number("DSIP_SEED") ?? 1)
    static let isSoak = number("DSIP_RUNS") != nil
    static let runs = number("DSIP_RUNS") ?? 2
    /// None begins after them.
    static let limit = number("DSIP_SECONDS").map { Duration.seconds($0) }

    private static func shape(_ seed: UInt64) -> GroupSimulation.Shape {
        var random = SeededRandom(seed: seed)
        var shape = GroupSimulation.Shape()
        shape.suite = seed % 4 == 3 ? .x25519ChaCha20 : .x25519AES128
        shape.encryptsHandshakes = seed % 2 == 0
        shape.loss = Int.random(in: 0...120, using: &random)
        // One of sixteen is large: a commit's cost is the members'.
        let isLarge = seed % 16 == 5
        shape.maximumMembers = isLarge ? 50 : Int.random(in: 3...16, using: &random)
        shape.founders = isLarge ? 44 : Int.random(in: 2...min(6, shape.maximumMembers), using: &random)
        shape.steps = Int.random(in: 40...120, using: &random)
        if !isSoak {
            // Without optimisation a commit among many takes seconds.
            shape.maximumMembers = min(shape.maximumMembers, 6)
            shape.founders = min(shape.founders, 4)
            shape.steps = min(shape.steps, 60)
        }
        return shape
    }

    @Test("every member ends in one epoch with one exporter, and a removed one learns nothing")
    func lossy() throws {
        var total = GroupSimulation.Counts()
        var epochs: UInt64 = 0
        var (runs, violated) = (0, 0)
        let clock = ContinuousClock()
        let start = clock.now
        func report() {
            print("\(runs) runs from seed \(Self.firstSeed), \(epochs) epochs, \(violated) violations: \(total)")
            fflush(nil)
        }
        for seed in Self.firstSeed..<Self.firstSeed + UInt64(Self.runs) {
            if let limit = Self.limit, clock.now - start >= limit { break }
            var simulation = try GroupSimulation(seed: seed, shape: Self.shape(seed))
            simulation.run()
            let violations = simulation.violations
            #expect(violations.isEmpty, "seed \(seed): \(violations.prefix(3))")
            total += simulation.counts
            epochs += simulation.service.epoch
            runs += 1
            violated += violations.count
            if runs % 25 == 0 { report() }
        }
        report()
        // Something happened.
        #expect(total.heard > 0 && total.trials > 0 && total.joined > 0 && total.duplicates > 0)
    }
}
