import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import NIOHTTP1
import Testing

@testable import DSIPRelay

@Suite("Crashes and full disks", .serialized)
struct CrashTests {
    @Test(
        "what the relay has said it holds survives kill -9",
        .enabled(if: RelayProcess.binary != nil)
    )
    func killed() async throws {
        let folder = try TemporaryFolder()
        let bob = key("bob")
        var relay = try RelayProcess(state: folder.path + "/state")
        defer { relay.kill() }
        let phone = try TestDevice("bob-phone", of: bob, at: relay.running)
        try await phone.connect()
        phone.hangUp()
        let alice = try TestDevice("alice", at: relay.running)
        try await alice.connect()
        // Bob's connection may be seen to end a moment later; a delivered report says so.
        var held: [ULID] = []
        for _ in 0..<50 where held.count < 5 {
            let session = try await alice.invite(bob.did, reports: true)
            let report = try await alice.next(.notify) { message in
                if case .notify(let notify) = message.body { notify.subscription == session } else { false }
            }
            if case .notify(let notify) = report.body.body, notify.content["state"] == "held" { held.append(session) }
        }
        #expect(held.count == 5)
        relay.kill()
        alice.hangUp()
        relay = try RelayProcess(state: folder.path + "/state")
        let back = try TestDevice("bob-phone", of: bob, at: relay.running)
        try await back.connect()
        var arrived: [ULID] = []
        for _ in 0..<5 { arrived.append(try await back.next(.invite).body.id) }
        #expect(arrived == held)
        back.hangUp()
    }

    @Test(
        "a call that rings survives kill -9: a device that comes late gets it",
        .enabled(if: RelayProcess.binary != nil)
    )
    func killedWhileRinging() async throws {
        let folder = try TemporaryFolder()
        let bob = key("bob")
        var relay = try RelayProcess(state: folder.path + "/state")
        defer { relay.kill() }
        let alice = try TestDevice("alice", at: relay.running)
        try await alice.connect()
        let phone = try TestDevice("bob-phone", of: bob, at: relay.running)
        try await phone.connect()
        let session = try await alice.invite(bob.did)
        _ = try await phone.next(.invite)
        try await relay.wait(for: "dsip_relay_attempts_written_total 1")
        relay.kill()
        for device in [alice, phone] { device.hangUp() }
        relay = try RelayProcess(state: folder.path + "/state")
        let laptop = try TestDevice("bob-laptop", of: bob, at: relay.running)
        try await laptop.connect()
        #expect(try await laptop.next(.invite).body.id == session)
        laptop.hangUp()
    }

    @Test("SIGTERM drains and ends with status 0, and the identity stays", .enabled(if: RelayProcess.binary != nil))
    func terminated() async throws {
        let folder = try TemporaryFolder()
        let relay = try RelayProcess(state: folder.path + "/state", ["--drain-seconds", "2"])
        let alice = try TestDevice("alice", at: relay.running)
        try await alice.connect()
        #expect(relay.terminate() == 0)
        try await alice.waitForState { if case .waiting = $0 { true } else { false } }
        alice.hangUp()
        let again = try RelayProcess(state: folder.path + "/state")
        #expect(again.running.did == relay.running.did)
        again.kill()
    }

    @Test("a full disk: what does not fit is refused, what was accepted arrives, and room lets it go on")
    func full() async throws {
        let harness = try await RelayHarness { $0.holding.maximumBytes = 64 * 4096 }
        let bob = key("bob")
        try await harness.connected("bob-phone", of: bob).hangUp()
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 0 }
        let alice = try await harness.connected("alice")
        var sent: [ULID] = []
        for _ in 0..<40 {
            sent.append(
                try await alice.say(
                    Info(about: "test:padding", data: ["text": .string(String(repeating: "x", count: 8000))]),
                    to: bob.did,
                    session: ulid()
                )
            )
        }
        try await harness.until("an answer to each") {
            harness.metric("dsip_relay_held_total") + alice.received.count == sent.count
        }
        let refused = Set(
            alice.received.compactMap { message -> ULID? in
                guard case .error(let report) = message.body.body, report.reason == .transportRoutingRefused else {
                    return nil
                }
                return report.inReplyTo
            }
        )
        #expect(!refused.isEmpty && refused.count < sent.count)
        #expect(harness.metric("dsip_relay_held_envelopes") == sent.count - refused.count)
        let health = try await harness.request(.GET, "/healthz")
        #expect(health.status == 503)

        alice.hangUp()
        try await harness.restart()
        let phone = try await harness.connected("bob-phone", of: bob)
        let accepted = sent.filter { !refused.contains($0) }
        try await harness.until("all that was accepted") { phone.received.count >= accepted.count }
        #expect(phone.received.map(\.body.id) == accepted)
        // Delivered means room.
        try await harness.until("room") { harness.metric("dsip_relay_held_bytes") == 0 }
        phone.hangUp()
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 0 }
        let again = try await harness.connected("alice")
        try await again.say(Bye(.userHangup), to: bob.did, session: ulid())
        try await harness.until("it to be held") { harness.metric("dsip_relay_held_total") == 1 }
        #expect(again.received.isEmpty)
        await harness.relay.stop()
    }

    @Test(
        "kill -9 of both relays: what a hub has accepted reaches the other's mailbox, once and in order",
        .enabled(if: RelayProcess.binary != nil)
    )
    func killedHub() async throws {
        let folder = try TemporaryFolder()
        let roots = try TemporaryRoots()
        func start(_ name: String, port: Int = 0) throws -> RelayProcess {
            try RelayProcess(
                state: "\(folder.path)/\(name)",
                ["--resolver-roots", roots.path, "--messaging-messages-per-minute", "0"]
                    + ["--limits-envelopes-per-minute", "0"],
                port: port
            )
        }
        // Started once for their certificates.
        var (hub, other) = (try start("hub"), try start("other"))
        defer {
            hub.kill()
            other.kill()
        }
        let ports = (hub.running.port, other.running.port)
        for relay in [hub, other] {
            try roots.add(relay.running.rootPath)
            relay.kill()
        }
        (hub, other) = (try start("hub", port: ports.0), try start("other", port: ports.1))
        let people = try await Correspondents(at: hub.running, and: other.running)
        try await people.bob.sync()
        let group = try await people.converse()
        try await people.alice.say("first", in: group)
        try await people.bob.read(1)
        people.hangUp()

        // Bob's relay dies; what Alice says is accepted and cannot be delivered. In the middle of the next, the hub dies as well.
        other.kill()
        var alice = try people.alice.moved(
            to: try await Correspondents.phone("alice", at: hub.running),
            at: hub.running
        )
        for n in 0..<10 { try await alice.say("accepted \(n)", in: group) }
        var sent: [(id: ULID, mls: EncodedBytes)] = []
        for n in 0..<60 {
            let mls = try alice.encrypt("burst \(n)", in: group)
            let message = alice.device.mailboxMessage(alice.deposit(mls, in: group), to: hub.running.did)
            try await alice.device.post(message)
            sent.append((message.id, mls))
        }
        _ = try await alice.device.answer(to: sent[20].id).get()
        hub.kill()
        alice.device.hangUp()
        (hub, other) = (try start("hub", port: ports.0), try start("other", port: ports.1))
        alice = try alice.moved(to: try await Correspondents.phone("alice", at: hub.running), at: hub.running)
        // Whatever was not acknowledged is deposited again, the same bytes: what was ordered is told so. M§9.3
        var seqs: [Int64] = []
        for (_, mls) in sent {
            let accepted = try await alice.device.ask(alice.deposit(mls, in: group), of: hub.running.did)
            seqs.append(try #require(accepted.seq))
        }
        #expect(seqs == seqs.sorted() && Set(seqs).count == seqs.count)
        let bob = try people.bob.moved(to: try await Correspondents.phone("bob", at: other.running), at: other.running)
        try await bob.sync()
        try await bob.read(71, seconds: 90)
        #expect(bob.texts == ["first"] + (0..<10).map { "accepted \($0)" } + (0..<60).map { "burst \($0)" })
        for device in [alice.device, bob.device] { device.hangUp() }
    }
}
