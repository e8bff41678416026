/// What the command line asks for.
///
/// ```
/// dsip-bench [--dsip PATH] [--connections N] [--rounds N] [--messages N]
///     [verify] [forms] [scan] [mls] [ratchet] [dht] [relay] [memory] [ringing] [start] [quic] [soak]
/// ```
struct Options: Sendable {
    /// The program whose relay is measured.
    var dsip = ".build-bench/release/dsip"
    /// Idle connections of `memory`.
    var connections = 5_000
    /// Interleaved rounds of the benchmarks that start processes; the median counts.
    var rounds = 5
    /// Messages of `soak`.
    var messages = 100_000
    /// Empty for all but `soak`.
    var names: [String] = []

    init(_ arguments: [String], benchmarks: [String]) throws {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--dsip": dsip = try Options.value(argument, &rest)
            case "--connections": connections = try Options.number(argument, &rest)
            case "--rounds": rounds = try Options.number(argument, &rest)
            case "--messages": messages = try Options.number(argument, &rest)
            case let name where benchmarks.contains(name): names.append(name)
            default:
                throw BenchmarkError(
                    "\(argument) is not known. Benchmarks: \(benchmarks.joined(separator: ", ")). "
                        + "Options: --dsip PATH, --connections N, --rounds N, --messages N"
                )
            }
        }
    }

    private static func value(_ name: String, _ rest: inout ArraySlice<String>) throws -> String {
        guard let value = rest.popFirst() else { throw BenchmarkError("\(name) needs a value") }
        return value
    }

    private static func number(_ name: String, _ rest: inout ArraySlice<String>) throws -> Int {
        guard let number = Int(try value(name, &rest)), number > 0 else {
            throw BenchmarkError("\(name) needs a number above 0")
        }
        return number
    }
}

/// Why a benchmark could not be carried out.
struct BenchmarkError: Error {
    var sentence: String

    init(_ sentence: String) { self.sentence = sentence }
}
