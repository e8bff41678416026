import DSIPIdentity
import DSIPSignaling
import DSIPTransport
import Encoding
import Testing

@testable import DSIPRelay

@Suite("Relay routing over TLS on loopback", .serialized)
struct RoutingTests {
    @Test("the relay identifies itself and says what it offers")
    func hello() async throws {
        let harness = try await RelayHarness()
        let relay = try await harness.device("alice").connect()
        #expect(relay.identity == harness.running.did)
        #expect(relay.capabilities.storeAndForward == true)
        #expect(relay.capabilities.offlineRetention == 86_400)
        #expect(relay.capabilities.other["stun"] == ["stun:127.0.0.1:\(try #require(harness.running.stunPort))"])
        await harness.relay.stop()
    }

    @Test("an invite rings two devices; the first answer comes back and only the other leg is cancelled")
    func fork() async throws {
        let harness = try await RelayHarness()
        let bob = key("bob")
        let alice = try await harness.connected("alice-phone", of: key("alice"))
        let phone = try await harness.connected("bob-phone", of: bob)
        let laptop = try await harness.connected("bob-laptop", of: bob)
        let session = try await alice.invite(bob.did, reports: true)
        #expect(try await phone.next(.invite).body.id == session)
        #expect(try await laptop.next(.invite).body.id == session)
        let report = try await alice.next(.notify)
        #expect(report.identity == harness.running.did)
        guard case .notify(let notify) = report.body.body else { return }
        #expect(notify.subscription == session && notify.seq == 1)
        #expect(notify.content == ["type": "delivery", "state": "delivered", "devices": 2])

        try await phone.say(Progress(.ringing, ringTimeout: 60), to: alice.did, session: session)
        #expect(try await alice.next(.progress).body.from == phone.did)
        try await laptop.say(answer, to: alice.did, session: session)
        #expect(try await alice.next(.answer).body.from == laptop.did)
        try await alice.say(Cancel(.sessionAnsweredElsewhere), to: bob.did, session: session)
        #expect(try await phone.next(.cancel).body.session == session)
        // Post-answer traffic goes by `to`.
        try await alice.say(Bye(.userHangup), to: laptop.did, session: session)
        _ = try await laptop.next(.bye)
        #expect(!laptop.types().contains(.cancel))
        #expect(!phone.types().contains(.bye))
        await harness.relay.stop()
    }

    @Test("the most informative reject is the outcome, once all legs have spoken")
    func rejects() async throws {
        let harness = try await RelayHarness()
        let bob = key("bob")
        let alice = try await harness.connected("alice")
        let phone = try await harness.connected("bob-phone", of: bob)
        let laptop = try await harness.connected("bob-laptop", of: bob)
        let session = try await alice.invite(bob.did)
        _ = try await phone.next(.invite)
        _ = try await laptop.next(.invite)
        try await phone.say(Reject(.userDeclined), to: alice.did, session: session)
        try await harness.until("the first reject") {
            harness.metric("dsip_relay_received_total{type=\"reject\"}") == 1
        }
        try await laptop.say(Reject(.endpointBusy), to: alice.did, session: session)
        let outcome = try await alice.next(.reject)
        guard case .reject(let reject) = outcome.body.body else { return }
        #expect(reject.reason == .userDeclined && outcome.body.from == phone.did)
        await harness.relay.stop()
    }

    @Test("a device that binds while it rings becomes a leg")
    func lateLeg() async throws {
        let harness = try await RelayHarness()
        let bob = key("bob")
        let alice = try await harness.connected("alice")
        let phone = try await harness.connected("bob-phone", of: bob)
        let session = try await alice.invite(bob.did)
        _ = try await phone.next(.invite)
        let laptop = try await harness.connected("bob-laptop", of: bob)
        #expect(try await laptop.next(.invite).body.id == session)
        await harness.relay.stop()
    }

    @Test("a call that rings outlives a restart: a late device rings, and the best reject is told when all have spoken")
    func restartWhileRinging() async throws {
        let harness = try await RelayHarness()
        let bob = key("bob")
        var alice = try await harness.connected("alice")
        var phone = try await harness.connected("bob-phone", of: bob)
        let session = try await alice.invite(bob.did)
        _ = try await phone.next(.invite)
        try await phone.say(Progress(.ringing), to: alice.did, session: session)
        _ = try await alice.next(.progress)
        alice.hangUp()
        phone.hangUp()
        try await harness.restart()
        alice = try await harness.connected("alice")
        let laptop = try await harness.connected("bob-laptop", of: bob)
        #expect(try await laptop.next(.invite).body.id == session)
        // The phone has it already.
        phone = try await harness.connected("bob-phone", of: bob)
        try await phone.say(Reject(.userDeclined), to: alice.did, session: session)
        try await harness.until("the first reject") {
            harness.metric("dsip_relay_received_total{type=\"reject\"}") == 1
        }
        // Not told yet: only the next message shows that.
        try await laptop.say(Progress(.ringing), to: alice.did, session: session)
        _ = try await alice.next(.progress)
        #expect(!alice.types().contains(.reject))
        try await laptop.say(Reject(.endpointBusy), to: alice.did, session: session)
        let outcome = try await alice.next(.reject)
        guard case .reject(let reject) = outcome.body.body else { return }
        #expect(reject.reason == .userDeclined && outcome.body.from == phone.did)
        #expect(phone.received.isEmpty)
        // It is over: whoever comes now does not ring.
        for device in [alice, laptop, phone] { device.hangUp() }
        try await harness.restart()
        let tablet = try await harness.connected("bob-tablet", of: bob)
        let carol = try await harness.connected("carol")
        let next = try await carol.invite(bob.did)
        #expect(try await tablet.next(.invite).body.id == next)
        #expect(tablet.received.isEmpty)
        await harness.relay.stop()
    }

    @Test("a device that lost its connection while it rang hears of the cancel when it is back")
    func cancelWhileAway() async throws {
        let harness = try await RelayHarness()
        let bob = key("bob")
        let alice = try await harness.connected("alice")
        let phone = try await harness.connected("bob-phone", of: bob)
        let laptop = try await harness.connected("bob-laptop", of: bob)
        let session = try await alice.invite(bob.did)
        _ = try await phone.next(.invite)
        _ = try await laptop.next(.invite)
        for device in [phone, laptop] { device.hangUp() }
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 1 }
        let cancel = try await alice.say(Cancel(.userCancelled), to: bob.did, session: session)
        try await harness.until("it to be held for both") { harness.metric("dsip_relay_held_total") == 2 }
        for name in ["bob-phone", "bob-laptop"] {
            let back = try await harness.connected(name, of: bob)
            #expect(try await back.next(.cancel).body.id == cancel)
            #expect(back.received.isEmpty)
        }
        try await harness.until("the store to be empty") { harness.metric("dsip_relay_held_bytes") == 0 }
        await harness.relay.stop()
    }

    @Test("unknown recipients are refused with a signed error")
    func unknownRecipient() async throws {
        let harness = try await RelayHarness()
        let alice = try await harness.connected("alice")
        let id = try await alice.invite(key("nobody").did)
        _ = try await alice.error(.transportUnknownRecipient, about: id)
        await harness.relay.stop()
    }

    @Test("an unreachable person's envelopes wait over a restart and arrive in order, before what is sent live")
    func holding() async throws {
        let harness = try await RelayHarness()
        let bob = key("bob")
        try await harness.connected("bob-phone", of: bob).hangUp()
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 0 }
        var alice = try await harness.connected("alice")
        var sent: [ULID] = []
        for _ in 0..<30 { sent.append(try await alice.say(Bye(.userHangup), to: bob.did, session: ulid())) }
        try await harness.until("the store") { harness.metric("dsip_relay_held_total") == 30 }
        alice.hangUp()
        try await harness.restart()
        #expect(harness.metric("dsip_relay_held_envelopes") == 30)
        alice = try await harness.connected("alice")
        let phone = try harness.device("bob-phone", of: bob)
        async let connecting = phone.connect()
        for _ in 0..<30 { sent.append(try await alice.say(Bye(.userHangup), to: bob.did, session: ulid())) }
        _ = try await connecting
        try await harness.until("all envelopes") { phone.received.count == 60 }
        #expect(phone.received.map(\.body.id) == sent)
        try await harness.until("the store to be empty") { harness.metric("dsip_relay_held_bytes") == 0 }
        try await harness.restart()
        #expect(harness.metric("dsip_relay_held_envelopes") == 0)
        await harness.relay.stop()
    }

    @Test("what waited arrives whole and in order, also when it is more than may be outstanding on a connection")
    func largeBacklog() async throws {
        let harness = try await RelayHarness {
            $0.limits.envelopesPerMinute = 0
            $0.holding.perRecipient = 200
        }
        let bob = key("bob")
        try await harness.connected("bob-phone", of: bob).hangUp()
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 0 }
        let alice = try await harness.connected("alice")
        let text = JSONValue.string(String(repeating: "x", count: 30_000))
        var sent: [ULID] = []
        for number in 1...120 {
            let padding = Info(about: "test:padding", data: ["text": text])
            sent.append(try await alice.say(padding, to: bob.did, session: ulid()))
            // The way in has its own limit.
            try await harness.until("the store") { harness.metric("dsip_relay_held_total") >= number - 8 }
        }
        try await harness.until("the store") { harness.metric("dsip_relay_held_total") == sent.count }
        let phone = try await harness.connected("bob-phone", of: bob)
        try await harness.until("all of it") { phone.received.count == sent.count }
        #expect(phone.received.map(\.body.id) == sent)
        try await harness.until("the store to be empty") { harness.metric("dsip_relay_held_bytes") == 0 }
        await harness.relay.stop()
    }

    @Test("a call nobody was there for is told of as missed, with the caller's own invite as evidence")
    func missed() async throws {
        let harness = try await RelayHarness()
        let bob = key("bob")
        try await harness.connected("bob-phone", of: bob).hangUp()
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 0 }
        let alice = try await harness.connected("alice", of: key("alice-identity"))
        let session = try await alice.invite(bob.did, reports: true)
        let report = try await alice.next(.notify)
        guard case .notify(let notify) = report.body.body else { return }
        #expect(notify.content == ["type": "delivery", "state": "held", "devices": 0])
        try await alice.say(Cancel(.userCancelled), to: bob.did, session: session)
        try await harness.until("the cancel") { harness.metric("dsip_relay_received_total{type=\"cancel\"}") == 1 }
        alice.hangUp()
        try await harness.restart()
        let phone = try await harness.connected("bob-phone", of: bob)
        let told = try await phone.next(.notify)
        guard case .notify(let missed) = told.body.body else { return }
        #expect(told.identity == harness.running.did && missed.subscription == session)
        #expect(missed.content["type"] == "missed")
        let evidence = try #require(
            missed.content["invite"].flatMap { Envelope(try! JSONDocument(scanning: $0.utf8).root) }
        )
        let document = try JSONDocument(scanning: evidence.decodedPayload())
        #expect(document.root["id"]?.string == session.description)
        #expect(!phone.types().contains(.invite))
        await harness.relay.stop()
    }

    @Test("introductions to the absent, the ignoring and the inexistent look the same, also when limited")
    func introductions() async throws {
        let harness = try await RelayHarness { $0.limits.introductionsPerDay = 3 }
        let bob = key("bob")
        let carol = try await harness.connected("carol")
        try await harness.connected("bob-phone", of: bob).hangUp()
        let ignoring = try await harness.connected("dave")
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 2 }
        for recipient in [bob.did, ignoring.did, key("nobody").did] { try await carol.introduce(to: recipient) }
        _ = try await ignoring.next(.introduction)
        try await harness.until("the store") { harness.metric("dsip_relay_held_total") == 2 }
        let more = try await carol.introduce(to: key("nobody").did)
        let refusal = try await carol.error(.policyRateLimited, about: more)
        #expect((refusal.retryAfter ?? 0) > 0)
        #expect(carol.received.isEmpty)
        let again = try await harness.connected("bob-phone", of: bob)
        #expect(try await again.next(.introduction).body.from == carol.did)
        await harness.relay.stop()
    }

    @Test("invites beyond the rate are refused with the time to wait")
    func rateLimit() async throws {
        let harness = try await RelayHarness {
            $0.limits.invitesPerMinute = 2
            $0.limits.envelopesPerMinute = 5
        }
        let alice = try await harness.connected("alice")
        let bob = try await harness.connected("bob")
        for _ in 0..<2 {
            try await alice.invite(bob.did)
            _ = try await bob.next(.invite)
        }
        let id = try await alice.invite(bob.did)
        let refusal = try await alice.error(.transportRateLimited, about: id)
        #expect((refusal.retryAfter ?? 0) > 0)
        for _ in 0..<3 { try await alice.say(Bye(.userHangup), to: bob.did, session: ulid()) }
        _ = try await alice.error(.transportRateLimited)
        #expect(harness.metric("dsip_relay_limited_total{limit=\"envelopes\"}") >= 1)
        await harness.relay.stop()
    }

    @Test("a private relay carries only what its own send or are sent")
    func privateScope() async throws {
        let bob = key("bob")
        let harness = try await RelayHarness { $0.scope = .private([bob.did]) }
        let phone = try await harness.connected("bob-phone", of: bob)
        let stranger = try await harness.connected("stranger")
        let other = try await harness.connected("other")
        try await stranger.invite(bob.did)
        _ = try await phone.next(.invite)
        let id = try await stranger.invite(other.did)
        _ = try await stranger.error(.transportRoutingRefused, about: id)
        try await phone.invite(other.did)
        _ = try await other.next(.invite)
        await harness.relay.stop()
    }

    @Test("a closed relay refuses the hello of others")
    func closedScope() async throws {
        let bob = key("bob")
        let harness = try await RelayHarness { $0.scope = .closed([bob.did]) }
        let phone = try await harness.connected("bob-phone", of: bob)
        let stranger = try harness.device("stranger")
        _ = try? await stranger.connect()
        try await harness.until("the refusal") {
            harness.metric("dsip_relay_refused_total{reason=\"transport.hello-rejected\"}") >= 1
        }
        try await stranger.waitForState { if case .waiting = $0 { true } else { false } }
        stranger.hangUp()
        #expect(harness.metric("dsip_relay_bound_devices") == 1)
        phone.hangUp()
        await harness.relay.stop()
    }

    @Test("revoking a bound device ends its binding at once, and its next hello is refused, also after a restart")
    func revocation() async throws {
        let harness = try await RelayHarness()
        let bob = key("bob")
        let lost = try await harness.connected("bob-phone", of: bob)
        let laptop = try await harness.connected("bob-laptop", of: bob)
        let record = DelegationRevocation(
            id: ulid(),
            subject: bob.did,
            device: lost.did,
            revokedAt: unixNow(),
            reason: "lost",
            issuedAt: unixNow(),
            expiresAt: unixNow() + 300
        )
        try await laptop.client.send(record.issue(by: bob))
        try await lost.waitForState { if case .waiting = $0 { true } else { false } }
        let alice = try await harness.connected("alice")
        try await alice.invite(bob.did)
        _ = try await laptop.next(.invite)
        #expect(!lost.types().contains(.invite))
        lost.hangUp()
        for _ in 0..<2 {
            let again = try harness.device("bob-phone", of: bob)
            await #expect(throws: TestDevice.Failure.self) {
                try await again.connect()
            }
            again.hangUp()
            try await harness.restart()
        }
        await harness.relay.stop()
    }

    @Test("subscriptions are rejected alike, whether the target is here or not")
    func subscriptions() async throws {
        let harness = try await RelayHarness()
        let bob = try await harness.connected("bob")
        let alice = try await harness.connected("alice")
        for target in [bob.did, key("nobody").did] {
            let id = try await alice.say(
                Subscribe(target: target.string, events: [Subscribe.presence], expiresIn: 600),
                to: harness.running.did
            )
            let answer = try await alice.next(.reject) { $0.session == id }
            guard case .reject(let reject) = answer.body.body else { return }
            #expect(reject.reason == .policyBlocked)
        }
        await harness.relay.stop()
    }

    @Test("a device that connects again takes the place of its old connection")
    func replacement() async throws {
        let harness = try await RelayHarness()
        let first = try await harness.connected("bob")
        let second = try await harness.connected("bob")
        try await first.waitForState { if case .waiting = $0 { true } else { false } }
        first.hangUp()
        let alice = try await harness.connected("alice")
        try await harness.until("one line") { harness.metric("dsip_relay_bound_devices") == 2 }
        try await alice.invite(second.did)
        _ = try await second.next(.invite)
        await harness.relay.stop()
    }

    private var answer: Answer {
        Answer(
            by: .user,
            media: [MediaDescriptor(.audio, codecs: [Codec("codec:audio/opus")])],
            transport: TransportDescriptor(webRTC: "v=0")
        )
    }
}
