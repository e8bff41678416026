import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import NIOHTTP1
import Testing

@testable import DSIPRelay

/// Two people, each with a phone, at one relay or at two, over TLS.
struct Correspondents {
    let alice: TestMember
    let bob: TestMember
    let visitor: TestDevice

    init(_ first: RelayHarness, _ second: RelayHarness) async throws {
        try await self.init(at: first.running, and: second.running)
    }

    init(at first: Relay.Running, and second: Relay.Running) async throws {
        alice = try TestMember(try await Correspondents.phone("alice", at: first), at: first)
        bob = try TestMember(try await Correspondents.phone("bob", at: second), at: second)
        visitor = first == second ? alice.device : try await Correspondents.phone("alice", at: second)
        try await alice.settle()
        try await bob.settle()
    }

    /// Somebody's phone, connected.
    static func phone(_ name: String, at relay: Relay.Running) async throws -> TestDevice {
        let device = try TestDevice(name + "-phone", of: key(name), at: relay)
        try await device.connect()
        return device
    }

    func converse() async throws -> GroupID {
        try await alice.converse(with: bob.device.identity, at: bob.relay.did, through: visitor)
    }

    func hangUp() { for device in [alice.device, bob.device, visitor] { device.hangUp() } }
}

/// Relays on loopback that trust each other's development certificates.
func relayPair() async throws -> (RelayHarness, RelayHarness) {
    let roots = try TemporaryRoots()
    let first = try await RelayHarness { $0.resolver.additionalRoots = roots.path }
    try roots.add(first.running.rootPath)
    let second = try await RelayHarness { $0.resolver.additionalRoots = roots.path }
    try roots.add(second.running.rootPath)
    try await first.restart()
    return (first, second)
}

/// A PEM file that grows with the relays that are to be trusted.
final class TemporaryRoots {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "dsip-roots-\(UUID().uuidString.prefix(8)).pem"
        try Data().write(to: URL(filePath: path))
    }

    func add(_ root: String?) throws {
        guard let root else { return }
        let old = try Data(contentsOf: URL(filePath: path))
        try (old + Data(contentsOf: URL(filePath: root))).write(to: URL(filePath: path))
    }
}

@Suite("Mailboxes of a relay", .serialized)
struct MessagingTests {
    @Test("two people at one relay talk; who is there hears it at once, who was away hears it when back")
    func one() async throws {
        let harness = try await RelayHarness()
        let people = try await Correspondents(harness, harness)
        let (alice, bob) = (people.alice, people.bob)
        try await bob.sync()
        let group = try await people.converse()
        #expect(try await alice.say("hello", in: group) == 2)
        try await bob.read(1)
        #expect(bob.texts == ["hello"])
        bob.device.hangUp()
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 1 }
        for n in 0..<10 { try await alice.say("later \(n)", in: group) }
        let back = try bob.moved(to: try await harness.connected("bob-phone", of: key("bob")), at: harness.running)
        try await back.sync()
        #expect(back.texts == ["hello"] + (0..<10).map { "later \($0)" })
        try await back.say("all read", in: group)
        try await alice.sync()
        #expect(alice.texts == ["all read"])
        back.device.hangUp()
        people.hangUp()
        await harness.relay.stop()
    }

    @Test("a direct conversation through two relays, both ways, and over a restart of each")
    func two() async throws {
        let (first, second) = try await relayPair()
        let people = try await Correspondents(first, second)
        let (alice, bob) = (people.alice, people.bob)
        try await bob.sync()
        try await alice.sync()
        let group = try await people.converse()
        try await alice.say("hello", in: group)
        try await bob.read(1)
        // Bob's deposit goes to the hub by way of his own relay. M§5.2
        try await bob.say("hi", in: group, hub: first.running.did)
        try await alice.read(1)
        #expect(alice.texts == ["hi"] && bob.texts == ["hello"])

        people.hangUp()
        first.configuration.port = first.running.port
        second.configuration.port = second.running.port
        await second.relay.stop()
        let away = try alice.moved(
            to: try await first.connected("alice-phone", of: key("alice")),
            at: first.running
        )
        // Bob's relay is down: the hub has it, and brings it when that is back.
        try await away.say("while you were down", in: group)
        try await first.restart()
        try await second.restart()
        let back = try bob.moved(to: try await second.connected("bob-phone", of: key("bob")), at: second.running)
        try await back.sync()
        try await back.read(2, seconds: 40)
        #expect(back.texts == ["hello", "while you were down"])
        for device in [away.device, back.device] { device.hangUp() }
        for harness in [first, second] { await harness.relay.stop() }
    }

    @Test("a group moves to another relay while its own lives, and back: everybody follows, and nothing is lost")
    func moved() async throws {
        let (first, second) = try await relayPair()
        let people = try await Correspondents(first, second)
        let (alice, bob) = (people.alice, people.bob)
        try await bob.sync()
        try await alice.sync()
        let group = try await people.converse()
        try await alice.say("before", in: group)
        try await bob.read(1)
        let away = try await bob.move(group, from: first.running.did)
        // Alice has not heard of it yet: the old hub takes nothing more.
        let early = try alice.encrypt("too late", in: group)
        await #expect(throws: TestDevice.Refused(reason: .mailboxUnknownGroup)) {
            try await alice.device.ask(alice.deposit(early, in: group), of: first.running.did)
        }
        try await alice.readOn { $0.hub(of: group)?.did == second.running.did }
        try await alice.follow(group, through: away)
        #expect(try await alice.say("at yours", in: group, hub: second.running.did) == away + 1)
        try await bob.read(2)
        #expect(try await bob.say("welcome", in: group) == away + 2)
        try await alice.read(1)
        // And back, where it goes on counting.
        let back = try await alice.move(group, from: second.running.did)
        #expect(back == away + 3)
        try await bob.readOn { $0.hub(of: group)?.did == first.running.did }
        try await bob.follow(group, through: back)
        #expect(try await alice.say("at mine", in: group) == back + 1)
        #expect(try await bob.say("thanks", in: group, hub: first.running.did) == back + 2)
        try await bob.read(3, seconds: 40)
        try await alice.read(2, seconds: 40)
        #expect(bob.texts == ["before", "at yours", "at mine"] && alice.texts == ["welcome", "thanks"])
        people.hangUp()
        for harness in [first, second] { await harness.relay.stop() }
    }

    @Test("the hello says what mailboxes there are; with messaging off it says nothing, and deposits are unknown")
    func capability() async throws {
        let on = try await RelayHarness { $0.messaging.quotaBytes = 12345 }
        let relay = try await on.device("a").connect()
        let capability = try #require(MailboxCapability(relay.capabilities))
        #expect(capability.blobEndpoint == "https://127.0.0.1:\(on.running.port)/blobs")
        #expect(capability.quota == 12345 && capability.hub && capability.modes == ["sync", "queue"])
        await on.relay.stop()
        let off = try await RelayHarness { $0.messaging.enabled = false }
        let device = try off.device("a", of: key("alice"))
        #expect(MailboxCapability(try await device.connect().capabilities) == nil)
        let message = device.mailboxMessage(.sync(SyncRequest(since: nil)), to: off.running.did)
        try await device.post(message)
        _ = try await device.answer(to: message.id).mapError { $0 }
        #expect(try await off.request(.GET, "/blobs/" + String(repeating: "a", count: 64)).status == 404)
        device.hangUp()
        await off.relay.stop()
    }

    @Test("a device whose delegation does not say dsip.messaging has no mailbox; another's word is refused")
    func gating() async throws {
        let harness = try await RelayHarness()
        let alice = try await harness.connected("alice-phone", of: key("alice"))
        let mallory = try await harness.connected("mallory", of: key("mallory"))
        // Signed by Alice's phone, brought by Mallory.
        let stolen = alice.mailboxMessage(.sync(SyncRequest(since: nil)), to: harness.running.did)
        try await mallory.post(stolen.signed(by: alice.key, delegations: [alice.delegation!]))
        try await harness.until("a refusal") {
            harness.relay.metrics?.contains("dsip_relay_refused_total{reason=\"policy.blocked\"} 1") ?? false
        }
        #expect(mallory.mail.isEmpty)
        for device in [alice, mallory] { device.hangUp() }
        await harness.relay.stop()
    }

    @Test("a device that does not read loses its connection, not its messages")
    func slow() async throws {
        let harness = try await RelayHarness()
        let people = try await Correspondents(harness, harness)
        let (alice, bob) = (people.alice, people.bob)
        try await bob.sync()
        let group = try await people.converse()
        try await alice.say("hello", in: group)
        try await bob.read(1)
        bob.device.hangUp()
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 1 }

        // Bob's phone as it is when its program stands still: connected, live, and reading nothing.
        let still = try harness.device("bob-phone", of: key("bob"))
        let running = Task { await still.client.run() }
        try await harness.until("bob to be back") { harness.metric("dsip_relay_bound_devices") == 2 }
        let request = SyncRequest(since: bob.cursor, ackThrough: nil, live: true)
        try await Task.sleep(for: .milliseconds(300))
        try await still.post(still.mailboxMessage(.sync(request), to: harness.running.did))
        let text = String(repeating: "x", count: 23_000)
        var said = 0
        while harness.metric("dsip_relay_bound_devices") == 2, said < 1500 {
            try await alice.say("\(said) \(text)", in: group)
            said += 1
        }
        #expect(said < 1500)
        for _ in 0..<5 {
            try await alice.say("\(said) \(text)", in: group)
            said += 1
        }
        still.client.close()
        running.cancel()
        let back = try bob.moved(to: try await harness.connected("bob-phone", of: key("bob")), at: harness.running)
        try await back.sync()
        #expect(back.texts.count == said + 1)
        #expect(back.texts.dropFirst().map { Int($0.prefix { $0 != " " }) } == Array(0..<said))
        back.device.hangUp()
        people.hangUp()
        await harness.relay.stop()
    }

    @Test("a device that is away is woken, also after a restart; a target that is gone is forgotten for good")
    func woken() async throws {
        let roots = try TemporaryRoots()
        let harness = try await RelayHarness { $0.resolver.additionalRoots = roots.path }
        try roots.add(harness.running.rootPath)
        let people = try await Correspondents(harness, harness)
        let group = try await people.converse()
        let bob = people.bob.device
        // Nothing is there to be posted to: as a push service answers for a subscription that ended.
        let target = PushTarget.unifiedPush(endpoint: "https://127.0.0.1:\(harness.running.port)/gone", nil)
        let config = PushConfig(
            id: ulid(),
            from: bob.did,
            to: harness.running.did,
            issuedAt: unixNow(),
            expiresAt: unixNow() + 30,
            targets: [target]
        )
        try await bob.post(Envelope(signing: config.json.utf8, by: bob.key, delegations: [bob.delegation!]))
        _ = try await bob.answer(to: config.head.id).get()
        try await people.alice.say("not yet", in: group)
        people.hangUp()
        harness.configuration.port = harness.running.port
        try await harness.restart()
        func wakes(_ outcome: String) -> Int {
            harness.metric("dsip_relay_push_wakes_total{outcome=\"\(outcome)\"}")
        }
        let alice = try people.alice.moved(
            to: try await harness.connected("alice-phone", of: key("alice")),
            at: harness.running
        )
        #expect(wakes("gone") == 0)
        try await alice.say("wake up", in: group)
        try await harness.until("a wake") { wakes("gone") == 1 }
        alice.device.hangUp()
        try await harness.restart()
        let again = try alice.moved(
            to: try await harness.connected("alice-phone", of: key("alice")),
            at: harness.running
        )
        try await again.say("nobody to wake", in: group)
        try await Task.sleep(for: .milliseconds(300))
        #expect(wakes("gone") == 0)
        again.device.hangUp()
        await harness.relay.stop()
    }

    @Test("messages beyond what a device may send are refused with the time to wait, and nothing else of it is")
    func limited() async throws {
        let harness = try await RelayHarness { $0.messaging.messagesPerMinute = 3 }
        let alice = try await harness.connected("alice-phone", of: key("alice"))
        for n in 0..<5 {
            let message = alice.mailboxMessage(
                .mailboxConfig(MailboxConfig(subject: alice.identity, admit: .open)),
                to: harness.running.did
            )
            try await alice.post(message)
            switch try await alice.answer(to: message.id) {
            case .success: #expect(n < 3)
            case .failure(let refused):
                #expect(n >= 3 && refused.reason == .policyRateLimited && (refused.retryAfter ?? 0) > 0)
            }
        }
        #expect(alice.states.count < 4)
        alice.hangUp()
        await harness.relay.stop()
    }
}
