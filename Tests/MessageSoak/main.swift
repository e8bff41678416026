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
    if environment["DSIP_CALM"] != nil { settings = .calm(steps: settings.steps) }
    // Only these faults, of crash, cut, store, document, blob, skew, link, device-link.
    if let only = environment["DSIP_ONLY"] {
        settings = .only(only.split(separator: ",").map(String.init), steps: settings.steps)
    }
    // Of a hundred, for each step: a conversation moves to another hub.
    settings.moves = environment["DSIP_MOVES"].flatMap(Int.init) ?? settings.moves
    settings.explains = environment["DSIP_ALL"] != nil
    settings.isVerbose = environment["DSIP_VERBOSE"] != nil
    var run = try Convergence(seed: seed, settings)
    var fault: (any Error)?
    do { try run.run() } catch { fault = error }
    done += 1
    said += run.said
    crashes += run.crashes
    events += run.events
    guard fault != nil || !run.problems.isEmpty else { continue }
    failed += 1
    print("seed \(seed): \(fault.map { "\($0), " } ?? "")\(run.problems.count) problems; the last that happened:")
    for line in run.trace(environment["DSIP_ALL"] == nil ? 12 : 1000) { print("    ", line) }
    for problem in run.problems.prefix(environment["DSIP_ALL"] == nil ? 6 : 1000) { print("  ", problem) }
    fflush(nil)
}
print(
    "\(done) runs from seed \(first): \(failed) failed; \(said) messages, \(crashes) crashes and failed stores, "
        + "\(events) payloads, \(Int(Date().timeIntervalSince(began))) s"
)
exit(failed == 0 ? 0 : 1)
