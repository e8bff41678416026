import Foundation

/// Runs the benchmarks named on the command line, or all of them.
@main
enum Main {
    static let benchmarks: [(name: String, run: @Sendable (Options) async throws -> Void)] = everywhere + withQUIC

    private static let everywhere: [(name: String, run: @Sendable (Options) async throws -> Void)] = [
        ("verify", { _ in try VerifyBenchmark.run() }), ("forms", { _ in try FormsBenchmark.run() }),
        ("scan", { _ in try ScanBenchmark.run() }),
        ("dht", { _ in try KademliaBenchmark.run() }),
        ("ratchet", { _ in try RatchetBenchmark.run() }),
        ("mls", { _ in try MLSBenchmark.run() }),
        ("relay", RelayBenchmark.run),
        ("memory", MemoryBenchmark.run),
        ("ringing", RingingBenchmark.run),
        ("start", StartBenchmark.run),
    ]
    #if QUIC
    private static let withQUIC: [(name: String, run: @Sendable (Options) async throws -> Void)] = [
        ("quic", QUICBenchmark.run)
    ]
    #else
    private static let withQUIC: [(name: String, run: @Sendable (Options) async throws -> Void)] = []
    #endif
    /// Only when named.
    static let long: [(name: String, run: @Sendable (Options) async throws -> Void)] = [("soak", SoakBenchmark.run)]

    static func main() async throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        // Peers are this program again, in a process of their own so that theirs are counted apart.
        switch arguments.first {
        case EchoPeer.name: return try await EchoPeer.run(Array(arguments.dropFirst()))
        case ListenPeer.name: return try await ListenPeer.run(Array(arguments.dropFirst()))
        default: break
        }
        do {
            let options = try Options(arguments, benchmarks: (benchmarks + long).map(\.name))
            for benchmark in options.names.isEmpty ? benchmarks : benchmarks + long
            where options.names.isEmpty || options.names.contains(benchmark.name) {
                try await benchmark.run(options)
            }
        } catch let error as BenchmarkError {
            print("dsip-bench: \(error.sentence)")
            exit(1)
        }
    }
}
