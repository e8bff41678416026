/// Runs the benchmarks named on the command line, or all of them.
@main
enum Main {
    static let benchmarks: [(name: String, run: @Sendable () throws -> Void)] = [
        ("verify", VerifyBenchmark.run),
        ("scan", ScanBenchmark.run),
    ]

    static func main() throws {
        let names = CommandLine.arguments.dropFirst()
        for name in names where !benchmarks.contains(where: { $0.name == name }) {
            print("There is no benchmark called \(name); there are: \(benchmarks.map(\.name).joined(separator: ", "))")
        }
        for benchmark in benchmarks where names.isEmpty || names.contains(benchmark.name) { try benchmark.run() }
    }
}
