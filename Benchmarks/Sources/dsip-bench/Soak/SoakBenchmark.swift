import Foundation

/// A long conversation through one relay process: every message written, ordered, kept for both people, pushed, decrypted, and taken out
/// when both have it. Its memory must stay flat.
///
/// A closed loop of so many messages under way, as fast as they arrive. Both devices verify all they are sent.
enum SoakBenchmark {
    /// Under way at once.
    private static let window = 64
    /// Messages after which both say what is safe on their disks.
    private static let acknowledged = 256
    /// Seconds without a message after which the run has failed.
    private static let patience = 60

    static func run(_ options: Options) async throws {
        let count = options.messages
        try await withTemporaryFolder { folder in
            let relay = try RelayProcess(options.dsip, folder: folder)
            defer { relay.end() }
            let (port, root) = (relay.port, relay.certificates + "/ca.pem")
            let (alice, bob) = (
                try SoakDevice(atPort: port, trusting: root), try SoakDevice(atPort: port, trusting: root)
            )
            try await alice.connect()
            try await bob.connect()
            try await alice.open(to: bob)
            let watch = Task { try await bob.end(afterSilenceOf: patience) }
            defer { watch.cancel() }
            try await converse(count, from: alice, to: bob, relay.child)
            await alice.close()
            await bob.close()
        }
    }

    private static func converse(
        _ count: Int,
        from alice: SoakDevice,
        to bob: SoakDevice,
        _ relay: Child
    ) async throws {
        let clock = ContinuousClock()
        let (start, processor) = (clock.now, try relay.processorSeconds())
        var memory = [try relay.residentBytes()]
        var written: [ContinuousClock.Instant] = []
        var delays: [Double] = []
        func write() async throws {
            written.append(clock.now)
            try await alice.say("message number \(written.count - 1)")
        }
        for _ in 0..<min(window, count) { try await write() }
        for try await text in bob.texts {
            guard text == "message number \(delays.count)" else {
                throw BenchmarkError("message \(delays.count) was expected, “\(text)” came")
            }
            delays.append((clock.now - written[delays.count]) / .seconds(1))
            if written.count < count { try await write() }
            if delays.count.isMultiple(of: acknowledged) {
                try await alice.acknowledge()
                try await bob.acknowledge()
            }
            if delays.count * 10 / count >= memory.count {
                memory.append(try relay.residentBytes())
                print("soak: \(delays.count) messages, \(Report.mebibytes(memory[memory.count - 1])) resident")
                fflush(nil)
            }
            if delays.count == count { break }
        }
        let seconds = (clock.now - start) / .seconds(1)
        let processorSeconds = try relay.processorSeconds() - processor
        print(
            "soak: \(count) messages in \(Int(seconds)) s, \(Int(Double(count) / seconds)) a second; "
                + "\(Report.microseconds(processorSeconds / Double(count) * 1e9)) of the relay's processor time each; "
                + "delivered within \(Report.milliseconds(delays.median)) at the median and "
                + "\(Report.milliseconds(delays.quantile(0.99))) at the 99th percentile, \(window) under way"
        )
        let (half, end) = (memory[memory.count / 2], memory[memory.count - 1])
        Report.line(
            "soak",
            "resident \(Report.mebibytes(memory[0])) at the start, \(Report.mebibytes(half)) at half, "
                + "\(Report.mebibytes(end)) at the end",
            ratio: end / half,
            atMost: 1.05
        )
        Report.line("soak", "100,000 messages in at most 300 s", ratio: Double(count) / seconds, atLeast: 100_000 / 300)
    }
}
