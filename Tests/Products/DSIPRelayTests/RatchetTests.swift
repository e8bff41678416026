import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Testing

@testable import DSIPRelay

extension TestDevice {
    /// Leaves bundles, each of which is its number.
    func leave(
        _ numbers: ClosedRange<UInt8>,
        lastResort: UInt8? = nil,
        isFresh: Bool = false,
        at relay: DID,
        _ now: Int64
    ) async throws {
        func bundle(_ number: UInt8) -> PreKeys.Bundle {
            PreKeys.Bundle(device: did, bytes: [number], delegation: delegation?.compact)
        }
        let upload = PreKeys(
            id: ulid(now),
            from: did,
            to: relay,
            issuedAt: now,
            subject: identity,
            bundles: numbers.map(bundle),
            lastResort: lastResort.map(bundle),
            isFresh: isFresh
        )
        try await post(upload.json)
        _ = try await answer(to: upload.head.id).get()
    }

    /// The numbers of the bundles that the relay hands out.
    func fetch(_ target: DID, device: DID? = nil, at relay: DID, _ now: Int64) async throws -> [UInt8] {
        let id = try await ask(target, device: device, at: relay, now)
        return try await preKeys(answering: id).bundles.flatMap(\.bytes)
    }

    func ask(_ target: DID, device: DID? = nil, at relay: DID, _ now: Int64) async throws -> ULID {
        let fetch = PreKeyFetch(id: ulid(now), from: did, to: relay, issuedAt: now, target: target, device: device)
        try await post(fetch.json)
        return fetch.head.id
    }

    /// - Returns: the envelope's id.
    @discardableResult
    func seal(_ text: String, to device: DID, _ now: Int64, lifetime: Int64 = 30 * 86_400) async throws -> ULID {
        let message = try RatchetMessage(
            sealing: Array(text.utf8),
            reference: ulid(now),
            id: ulid(now),
            from: did,
            to: device,
            issuedAt: now,
            lifetime: lifetime
        )
        try await post(message.json)
        return message.head.id
    }

    /// What the sealed messages that came say.
    var opened: [String] {
        sealed.compactMap { try? $0.body.opened(by: key).message }.map { String(decoding: $0, as: UTF8.self) }
    }

    func acknowledge(_ id: ULID, to relay: DID) async throws {
        try await post(mailboxMessage(.accepted(Accepted(inReplyTo: id)), to: relay))
    }
}

@Suite("Prekeys and sealed messages at a relay", .serialized, .timeLimit(.minutes(5)))
struct RatchetTests {
    @Test("a bundle is handed out once, then the last resort, and a restart gives none a second time")
    func onceEach() async throws {
        let harness = try await RelayHarness { $0.messaging.enabled = false }
        var relay = harness.running.did
        let bob = try await harness.connected("bob-phone", of: key("bob"))
        try await bob.leave(1...3, lastResort: 99, at: relay, harness.clock.now)
        var alice = try await harness.connected("alice-phone", of: key("alice"))
        #expect(try await alice.fetch(bob.identity, at: relay, harness.clock.now) == [1])
        #expect(try await alice.fetch(bob.identity, device: bob.did, at: relay, harness.clock.now) == [2])
        // The identity's own devices need none of the one that asks.
        #expect(try await bob.fetch(bob.identity, at: relay, harness.clock.now).isEmpty)
        try await harness.restart()
        relay = harness.running.did
        alice = try await harness.connected("alice-phone", of: key("alice"))
        for expected: UInt8 in [3, 99, 99] {
            #expect(try await alice.fetch(bob.identity, at: relay, harness.clock.now) == [expected])
        }
        #expect(try await alice.fetch(key("nobody").did, at: relay, harness.clock.now).isEmpty)
        // Replaced: what is left of the earlier ones is gone.
        let again = try await harness.connected("bob-phone", of: key("bob"))
        try await again.leave(4...5, at: relay, harness.clock.now)
        try await again.leave(7...7, isFresh: true, at: relay, harness.clock.now)
        #expect(try await alice.fetch(bob.identity, at: relay, harness.clock.now) == [7])
        await harness.relay.stop()
    }

    @Test("who asks too often is told when to come again; others are not kept waiting")
    func limits() async throws {
        let harness = try await RelayHarness { $0.messaging.enabled = false }
        let relay = harness.running.did
        let bob = try await harness.connected("bob-phone", of: key("bob"))
        try await bob.leave(1...12, lastResort: 99, at: relay, harness.clock.now)
        let alice = try await harness.connected("alice-phone", of: key("alice"))
        for _ in 0..<20 { _ = try await alice.fetch(bob.identity, at: relay, harness.clock.now) }
        let id = try await alice.ask(bob.identity, at: relay, harness.clock.now)
        let report = try await alice.error(.policyRateLimited, about: id)
        #expect(report.retryAfter ?? 0 > 0)
        let carol = try await harness.connected("carol-phone", of: key("carol"))
        #expect(try await carol.fetch(bob.identity, at: relay, harness.clock.now) == [99])
        await harness.relay.stop()
    }

    @Test("a device leaves bundles of its own alone, and only a device that has left some is written to")
    func whose() async throws {
        let harness = try await RelayHarness { $0.messaging.enabled = false }
        let (relay, now) = (harness.running.did, harness.clock.now)
        let alice = try await harness.connected("alice-phone", of: key("alice"))
        let bob = try await harness.connected("bob-phone", of: key("bob"))
        let upload = PreKeys(
            id: ulid(now),
            from: alice.did,
            to: relay,
            issuedAt: now,
            subject: bob.identity,
            bundles: [PreKeys.Bundle(device: alice.did, bytes: [1])]
        )
        try await alice.post(upload.json)
        _ = try await alice.error(.policyBlocked, about: upload.head.id)
        let id = try await alice.seal("too early", to: bob.did, now)
        _ = try await alice.error(.transportUnknownRecipient, about: id)
        await harness.relay.stop()
    }

    @Test(
        "sealed messages wait for their device, days and restarts long, and come until it has acknowledged them, in order"
    )
    func kept() async throws {
        let harness = try await RelayHarness { $0.messaging.enabled = false }
        var relay = harness.running.did
        var bob = try await harness.connected("bob-phone", of: key("bob"))
        try await bob.leave(1...1, at: relay, harness.clock.now)
        bob.hangUp()
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 0 }
        let alice = try await harness.connected("alice-phone", of: key("alice"))
        let texts = (0..<40).map { "m\($0)" }
        for text in texts {
            let id = try await alice.seal(text, to: bob.did, harness.clock.now)
            _ = try await alice.answer(to: id).get()
        }
        alice.hangUp()
        try await harness.restart()
        relay = harness.running.did
        // Her delegation and the window for new messages are over; what she said was in order when she said it.
        harness.clock.advance(by: 10 * 86_400)
        func back() async throws -> TestDevice { try await harness.connected("bob-phone", of: key("bob")) }
        bob = try await back()
        // Bob's delegation of then is over as well: his device is served under the one that it leaves bundles with.
        try await bob.leave(2...2, at: relay, harness.clock.now)
        bob.hangUp()
        bob = try await back()
        try await harness.until("the first of them") { bob.opened.count >= 16 }
        #expect(Array(bob.opened.prefix(16)) == Array(texts.prefix(16)))
        for message in bob.sealed.prefix(5) { try await bob.acknowledge(message.body.head.id, to: relay) }
        try await harness.until("the next of them") { bob.opened.count >= 21 }
        bob.hangUp()
        bob = try await back()
        var done = 0
        while done < 35 {
            try await harness.until("more of them") { bob.opened.count > done }
            try await bob.acknowledge(bob.sealed[done].body.head.id, to: relay)
            done += 1
        }
        #expect(bob.opened == Array(texts.dropFirst(5)))
        bob.hangUp()
        // Nothing is left: what comes next is new.
        bob = try await back()
        let late = try await harness.connected("alice-phone", of: key("alice"))
        _ = try await late.answer(to: try await late.seal("new", to: bob.did, harness.clock.now)).get()
        try await harness.until("the new one") { !bob.opened.isEmpty }
        #expect(bob.opened == ["new"])
        await harness.relay.stop()
    }

    @Test("what is said now or never reaches who is there, and is kept for nobody")
    func passing() async throws {
        let harness = try await RelayHarness()
        let relay = harness.running.did
        var bob = try await harness.connected("bob-phone", of: key("bob"))
        try await bob.leave(1...1, at: relay, harness.clock.now)
        let alice = try await harness.connected("alice-phone", of: key("alice"))
        try await alice.seal("typing", to: bob.did, harness.clock.now, lifetime: 30)
        try await harness.until("typing") { bob.opened == ["typing"] }
        bob.hangUp()
        try await harness.until("bob to be gone") { harness.metric("dsip_relay_bound_devices") == 1 }
        try await alice.seal("typing", to: bob.did, harness.clock.now, lifetime: 30)
        _ = try await alice.answer(to: try await alice.seal("kept", to: bob.did, harness.clock.now)).get()
        bob = try await harness.connected("bob-phone", of: key("bob"))
        try await harness.until("what is kept") { !bob.opened.isEmpty }
        #expect(bob.opened == ["kept"])
        await harness.relay.stop()
    }

    @Test(
        "a relay says that it hands out prekeys, in its hello and in the documents it hosts, unless it is told not to"
    )
    func offered() async throws {
        for isOn in [true, false] {
            let harness = try await RelayHarness { $0.ratchet.enabled = isOn }
            let device = try harness.device("alice-phone", of: key("alice"))
            let capabilities = try await device.connect().capabilities
            #expect(PreKeyService.isOffered(capabilities.other[PreKeyService.member]) == isOn)
            await harness.relay.stop()
            let authority = try #require(Authority("relay.example.com"))
            let services = authority.services(of: authority.did, offering: harness.configuration.offered)
            #expect(services.contains { $0.type == PreKeyService.serviceType } == isOn)
        }
    }
}
