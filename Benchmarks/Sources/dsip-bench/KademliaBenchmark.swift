import KademliaSimulation

/// Lookups in simulated DHTs of growing size, on virtual time, with a fifth of the nodes silent from the start and others leaving and
/// joining while lookups go on.
enum KademliaBenchmark {
    /// How long a node stays on average, in milliseconds.
    private static let stay: Int64 = 1_800_000

    static func run() throws {
        var joinMessages = 0.0
        for nodes in [100, 1_000, 10_000] {
            let start = ContinuousClock.now
            let measured = try KademliaMeasurement(
                nodes: nodes,
                records: 100,
                lookups: 1_000,
                seed: 1,
                stay: stay,
                encodes: false
            )
            let seconds = start.duration(to: .now) / .seconds(1)
            if nodes == 100 { joinMessages = Double(measured.joinMessages) }
            print("dht \(nodes) nodes: \(measured.description); simulated in \(Report.two(seconds)) s")
            Report.line(
                "dht \(nodes) nodes, found",
                "\(measured.found) of \(measured.attempts)",
                ratio: Double(measured.found) / Double(measured.attempts),
                atLeast: 0.999
            )
            Report.line(
                "dht \(nodes) nodes, first value",
                "\(measured.latencies.percentile(0.5)) ms at \(measured.hops.percentile(0.5)) hops, p99 "
                    + "\(measured.hops.percentile(0.99)) hops",
                ratio: measured.medianRatio,
                atMost: 1.2
            )
            Report.line(
                "dht \(nodes) nodes, hops at the 99th percentile",
                "p50 \(measured.hops.percentile(0.5)), of 3; p99 of 5",
                ratio: max(
                    Double(measured.hops.percentile(0.5)) / 3,
                    Double(measured.hops.percentile(0.99)) / 5
                ),
                atMost: 1
            )
            // Cost grows with the logarithm of the number of nodes: from 100 to 10,000 it may double.
            Report.line(
                "dht \(nodes) nodes, cost of joining",
                "\(measured.joinMessages) messages, \(Int(measured.tableSize)) peers kept",
                ratio: Double(measured.joinMessages) / max(1, joinMessages),
                atMost: 2.5
            )
        }
    }
}
