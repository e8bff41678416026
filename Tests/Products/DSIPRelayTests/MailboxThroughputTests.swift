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

    private func cpuSeconds(of relay: RelayProcess) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(relay.process.processIdentifier)/stat", encoding: .utf8)
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        // utime and stime, in hundredths of a second.
        return (Double(fields[11]) ?? 0) / 100 + (Double(fields[12]) ?? 0) / 100
    }
}
