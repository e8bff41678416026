#if FUZZING
import Foundation

/// The entry libFuzzer calls; `DSIP_FUZZ_ENTRY` chooses the decoder.
private let chosen: FuzzEntry = {
    let name = ProcessInfo.processInfo.environment["DSIP_FUZZ_ENTRY"] ?? "json"
    guard let entry = fuzzEntries.first(where: { $0.name == name }) else {
        fatalError("no entry \(name); there are \(fuzzEntries.map(\.name).joined(separator: ", "))")
    }
    return entry
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    chosen.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ one: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager renames an executable's `main` to this; libFuzzer's driver is called from here.
@_cdecl("dsip_fuzz_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var count = count
    var arguments = arguments
    return runDriver(&count, &arguments) { fuzzOneInput($0, $1) }
}
#else
import Foundation

/// `dsip-fuzz [--runs N] [--seconds S] [--seed N] [--list] [ENTRY …]`: mutates well-formed inputs and feeds them to each decoder. A trap ends
/// the program; the input that caused it is in the file it names.
@main
struct FuzzMain {
    static func main() throws {
        var runs = 3000
        var seconds: Double?
        var seed: UInt64 = 0x5eed_d51b
        var wanted: [String] = []
        var arguments = CommandLine.arguments.dropFirst()
        while let argument = arguments.popFirst() {
            switch argument {
            case "--runs": runs = arguments.popFirst().flatMap { Int($0) } ?? runs
            case "--seconds": seconds = arguments.popFirst().flatMap { Double($0) }
            case "--seed": seed = arguments.popFirst().flatMap { UInt64($0) } ?? seed
            case "--list":
                for entry in fuzzEntries { print(entry.name) }
                return
            default: wanted.append(argument)
            }
        }
        let crash = FileManager.default.temporaryDirectory.appending(
            path: "dsip-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
        )
        for entry in fuzzEntries where wanted.isEmpty || wanted.contains(entry.name) {
            var mutator = FuzzMutator(seed: seed)
            let clock = ContinuousClock()
            let start = clock.now
            var count = 0
            for input in entry.seeds { entry.run(input) }
            while seconds.map({ start.duration(to: clock.now) < .seconds($0) }) ?? (count < runs) {
                let input = mutator.mutate(entry.seeds)
                // Kept on disk in long runs only: a smoke run is repeated from its seed.
                if seconds != nil { try Data(input).write(to: crash) }
                entry.run(input)
                count += 1
            }
            print("fuzz \(entry.name): \(count) inputs, seed \(seed), no trap")
        }
        try? FileManager.default.removeItem(at: crash)
    }
}
#endif
