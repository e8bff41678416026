import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Foundation
import Testing

@testable import DSIPRelay

/// How many deposits a second of a relay's processor time carries. A figure, not a rule: run by DSIP_RELAY_THROUGHPUT=<messages>.
@Suite("Throughput of mailboxes", .serialized)
struct MailboxThroughputTests {
    private static let count = ProcessInfo.processInfo.environment["DSIP_RELAY_THROUGHPUT"].flatMap { Int($0) }

    @Test("text deposits through one relay: ordered, kept for both people, pushed to one", .enabled(if: count != nil))
    func deposits() async throws {
        let count = try #require(Self.count)
        let folder = try TemporaryFolder()
        let relay = try RelayProcess(
            state: folder.path + "/state",
            ["--limits-envelopes-per-minute", "0", "--messaging-messages-per-minute", "0"]
        )
        defer { relay.kill() }
        let people = try await Correspondents(at: relay.running, and: relay.running)
        let (alice, bob) = (people.alice, people.bob)
        try await bob.sync()
        let group = try await people.converse()
        var envelopes: [(id: ULID, envelope: Envelope)] = []
        for n in 0..<count {
            let body = alice.deposit(try alice.encrypt("message number \(n)", in: group), in: group)
            let message = alice.device.mailboxMessage(body, to: relay.running.did, lifetime: 60)
            envelopes.append(
                (message.id, try message.signed(by: alice.device.key, delegations: [alice.device.delegation!]))
            )
        }
        let before = try cpuSeconds(of: relay)
        let start = ContinuousClock.now
        for (_, envelope) in envelopes { try await alice.device.post(envelope) }
        try await bob.read(count, seconds: 300)
        for (id, _) in envelopes.suffix(1) { _ = try await alice.device.answer(to: id).get() }
        let (wall, cpu) = (ContinuousClock.now - start, try cpuSeconds(of: relay) - before)
        #expect(bob.texts.count == count)
        print("\(count) deposits in \(wall), \(Int(Double(count) / cpu)) for each second of the relay's processor time")
        people.hangUp()
    }

    private static let soaked = ProcessInfo.processInfo.environment["DSIP_RELAY_SOAK"].flatMap { Int($0) }

    @Test(
        "a long run of messages: memory at each tenth, delivery at the 99th percentile",
        .enabled(if: soaked != nil)
    )
    func soak() async throws {
        let count = try #require(Self.soaked)
        let folder = try TemporaryFolder()
        let relay = try RelayProcess(
            state: folder.path + "/state",
            ["--limits-envelopes-per-minute", "0", "--messaging-messages-per-minute", "0"]
        )
        defer { relay.kill() }
        let people = try await Correspondents(at: relay.running, and: relay.running)
        let (alice, bob) = (people.alice, people.bob)
        try await bob.sync()
        let group = try await people.converse()
        // Eight at a time; each counts as delivered when all eight are read.
        let batch = 8
        var times: [Duration] = []
        var memory: [Int] = []
        for first in stride(from: 0, to: count, by: batch) {
            let last = min(first + batch, count)
            let start = ContinuousClock.now
            var ids: [ULID] = []
            for n in first..<last {
                let body = alice.deposit(try alice.encrypt("message number \(n)", in: group), in: group)
                let message = alice.device.mailboxMessage(body, to: relay.running.did, lifetime: 60)
                ids.append(message.id)
                try await alice.device.post(message)
            }
            try await bob.read(last, seconds: 300)
            times.append(ContinuousClock.now - start)
            for id in ids {
                alice.ownSeq(try await alice.device.answer(to: id, seconds: 300).get().seq ?? 0, in: group)
            }
            // Both have what they have, so that the mailbox need not keep it.
            if (first / batch).isMultiple(of: 32) {
                try await bob.sync()
                try await alice.sync(live: false)
            }
            if last * 10 / count > memory.count {
                memory.append(try residentKilobytes(of: relay))
                print("\(last) messages, \(memory.last ?? 0) KiB resident")
            }
        }
        #expect(bob.texts.count == count)
        times.sort()
        print(
            "delivered: median \(times[times.count / 2]), p99 \(times[times.count * 99 / 100]) for \(batch) at a time"
        )
        let (early, end) = (memory[min(1, memory.count - 1)], memory[memory.count - 1])
        #expect(end <= early * 5 / 4 + 16_384, "\(early) KiB after two tenths, \(end) KiB at the end")
        people.hangUp()
    }

    private func residentKilobytes(of relay: RelayProcess) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(relay.process.processIdentifier)/status", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line?.split { !$0.isNumber }.first.flatMap { Int($0) } ?? 0
    }

    private func cpuSeconds(of relay: RelayProcess) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(relay.process.processIdentifier)/stat", encoding: .utf8)
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        // utime and stime, in hundredths of a second.
        return (Double(fields[11]) ?? 0) / 100 + (Double(fields[12]) ?? 0) / 100
    }
}
