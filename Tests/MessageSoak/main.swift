import Foundation
import MessagingSimulation

// Runs of `Convergence`: RUNS (default 1) from SEED (default 1) on, for at most LIMIT seconds.
let environment = ProcessInfo.processInfo.environment
let runs = environment["DSIP_RUNS"].flatMap(Int.init) ?? 1
let first = environment["DSIP_SEED"].flatMap(UInt64.init) ?? 1
let limit = environment["DSIP_SECONDS"].flatMap(Double.init) ?? .infinity
let began = Date()
var (failed, done, said, crashes, events) = (0, 0, 0, 0, 0)
for seed in first..<(first + UInt64(runs)) {
    guard Date().timeIntervalSince(began) < limit else { break }
    var settings = Convergence.Settings()
    if let steps = environment["DSIP_STEPS"].flatMap(Int.init) { settings.steps = steps }
    if let loss = environment["DSIP_LOSS"].flatMap(Int.init) { settings.loss = loss }
    if let crashes = environment["DSIP_CRASHES"].flatMap(Int.init) { settings.crashes = crashes }
    settings.isVerbose = environment["DSIP_VERBOSE"] != nil
    var run: Convergence
    do {
        run = try Convergence(seed: seed, settings)
        try run.run()
    } catch {
        print("seed \(seed): \(error)")
        failed += 1
        continue
    }
    done += 1
    said += run.said
    crashes += run.crashes
    events += run.events
    guard !run.problems.isEmpty else { continue }
    failed += 1
    print("seed \(seed): \(run.problems.count) problems")
    for problem in run.problems.prefix(environment["DSIP_ALL"] == nil ? 6 : 1000) { print("   ", problem) }
}
print(
    "\(done) runs from seed \(first): \(failed) failed; \(said) messages, \(crashes) crashes, \(events) payloads, "
        + "\(Int(Date().timeIntervalSince(began))) s"
)
exit(failed == 0 ? 0 : 1)
