import Libp2p
import Support

/// How lookups go on a network a fifth of which is silent: records are put, then nodes die, then records are looked for.
public struct KademliaMeasurement: Sendable {
    public private(set) var attempts = 0
    public private(set) var found = 0
    /// Requests in a row to the first value, of each lookup that found one elsewhere.
    public private(set) var hops: [Int] = []
    /// Milliseconds to the first value, and to the end.
    public private(set) var latencies: [Int] = []
    public private(set) var durations: [Int] = []
    /// Time to the first value over hops times the mean round trip.
    public private(set) var ratios: [Double] = []
    public private(set) var requests: [Int] = []
    /// The fewest that took a record.
    public private(set) var fewestStored = Int.max
    /// Messages that joining took, by node.
    public private(set) var joinMessages = 0
    /// Nodes that went and came during the lookups.
    public private(set) var left = 0
    public private(set) var joined = 0
    /// Peers in a node's table, and records it keeps: the mean.
    public private(set) var tableSize = 0.0
    public private(set) var recordsKept = 0.0

    /// One-way latencies are spread over 10 to 50 ms.
    private static let meanRoundTrip = 60.0

    /// - Parameter stay: how long a node stays on average while lookups go on, in milliseconds; nil when all do.
    public init(
        nodes: Int,
        records: Int,
        lookups: Int,
        seed: UInt64,
        stay: Int64? = nil,
        encodes: Bool = true
    ) throws {
        var simulation = KademliaSimulation(seed: seed, nodes: nodes, encodes: encodes)
        simulation.joinAll()
        joinMessages = simulation.messages / nodes
        func key(_ number: Int) -> [UInt8] { Array("/t/\(number)".utf8) }
        for number in 0..<records {
            let value = SequenceValidator.value(key(number), sequence: 1)
            let result = try simulation.put(key(number), value, from: simulation.network.pick(0...nodes - 1)).result
            fewestStored = min(fewestStored, result?.stored ?? 0)
        }
        var dead = nodes / 5
        while dead > 0 {
            let node = simulation.network.pick(0...nodes - 1)
            guard simulation.behaviours[node] == .honest else { continue }
            simulation.behaviours[node] = .silent
            dead -= 1
        }
        tableSize = Double(simulation.engines.reduce(0) { $0 + $1.table.count }) / Double(nodes)
        recordsKept = Double(simulation.engines.reduce(0) { $0 + $1.recordCount }) / Double(nodes)
        if let stay { simulation.beginChurn(stay: stay) }
        for attempt in 0..<lookups {
            var node = 0
            repeat {
                node = simulation.network.pick(0...simulation.behaviours.count - 1)
            } while simulation.behaviours[node] != .honest || simulation.isBusy(node)
            let report = simulation.get(key(attempt % records), from: node)
            attempts += 1
            durations.append(Int(report.result?.duration ?? 0))
            requests.append(report.result?.requests ?? 0)
            guard let first = report.firstValue else { continue }
            found += 1
            guard first.hops > 0 else { continue }
            hops.append(first.hops)
            latencies.append(Int(first.after))
            ratios.append(Double(first.after) / (Double(first.hops) * KademliaMeasurement.meanRoundTrip))
        }
        (left, joined) = (simulation.left, simulation.joined)
    }

    public var medianRatio: Double { ratios.isEmpty ? 0 : ratios.sorted()[ratios.count / 2] }

    public var description: String {
        "found \(found) of \(attempts), hops p50 \(hops.percentile(0.5)) p99 \(hops.percentile(0.99)), "
            + "first value p50 \(latencies.percentile(0.5)) ms p99 \(latencies.percentile(0.99)) ms, "
            + "done p50 \(durations.percentile(0.5)) ms p99 \(durations.percentile(0.99)) ms, "
            + "requests p50 \(requests.percentile(0.5)), latency \(Int(medianRatio * 100)) % of hops x RTT, "
            + "a node: \(joinMessages) messages to join, \(Int(tableSize)) peers and \(Int(recordsKept)) records kept; "
            + "\(left) left and \(joined) came meanwhile"
    }
}

extension [Int] {
    /// The value below which `share` of all lie.
    public func percentile(_ share: Double) -> Int {
        isEmpty ? 0 : sorted()[Swift.min(count - 1, Int(Double(count) * share))]
    }
}
