import KademliaSimulation

/// Lookups in simulated DHTs of growing size, on virtual time, with a fifth of the nodes silent.
enum KademliaBenchmark {
    static func run() throws {
        for nodes in [100, 1_000, 10_000] {
            let start = ContinuousClock.now
            let measured = try KademliaMeasurement(
                nodes: nodes,
                records: 100,
                lookups: 1_000,
                seed: 1,
                encodes: false
            )
            let seconds = start.duration(to: .now) / .seconds(1)
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
        }
    }
}
