import Foundation
import Support
import Testing

@Suite("Calls over a simulated network")
struct CallSimulationTests {
    /// The first seed; `DSIP_SEED` runs others.
    static let firstSeed = ProcessInfo.processInfo.environment["DSIP_SEED"].flatMap { UInt64($0) } ?? 1

    @Test("A thousand calls without faults keep every invariant")
    func withoutFaults() {
        for seed in Self.firstSeed..<Self.firstSeed + 1000 { check(seed, hasFaults: false) }
    }

    @Test("Two thousand calls with cuts, duplicates and relay restarts keep every invariant")
    func withFaults() {
        for seed in Self.firstSeed..<Self.firstSeed + 2000 { check(seed, hasFaults: true) }
    }

    private func check(_ seed: UInt64, hasFaults: Bool) {
        var simulation = CallSimulation(seed: seed, hasFaults: hasFaults)
        simulation.finish()
        let violations = simulation.violations
        #expect(violations.isEmpty, "seed \(seed), faults \(hasFaults): \(violations)")
    }

    @Test("The stories differ: some calls are answered, some missed, some carried over a restart")
    func variety() {
        var answered = 0
        var missed = 0
        var lost = 0
        for seed in Self.firstSeed..<Self.firstSeed + 200 {
            var simulation = CallSimulation(seed: seed, hasFaults: true)
            simulation.finish()
            answered += simulation.devices.values.contains { !$0.answered.isEmpty } ? 1 : 0
            missed += simulation.devices.values.contains { !$0.missed.isEmpty } ? 1 : 0
            lost += simulation.network.lost > 0 ? 1 : 0
        }
        #expect(answered > 60, "\(answered) answered")
        #expect(missed > 2, "\(missed) missed")
        #expect(lost > 5, "\(lost) with messages lost")
    }
}
