import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding
import Foundation
import Testing

@testable import DSIPRelay

@Suite("Presence: the relay tells whom a person names whether they are here (DSIP §9.3)", .timeLimit(.minutes(5)))
struct RelayPresenceTests {
    private func allow(
        _ people: [DID],
        _ device: TestDevice,
        at harness: RelayHarness,
        audience: PresenceConfig.Audience? = nil
    ) async throws -> ULID {
        let salt = [UInt8](repeating: 9, count: PresenceConfig.saltSize)
        let list = ListedAudience(salt: salt, of: people)
        let config = PresenceConfig(
            id: ulid(),
            from: device.did,
            to: harness.running.did,
            issuedAt: harness.clock.now,
            expiresAt: harness.clock.now + 30,
            audience: audience ?? .listed(salt: list.salt, tags: list.tags)
        )
        try await device.post(config.json)
        return config.head.id
    }

    private func subscribe(_ device: TestDevice, to person: DID, at relay: DID, for seconds: Int64 = 600) async throws
        -> ULID
    {
        let subscribe = Subscribe(target: person.string, events: [Subscribe.presence], expiresIn: seconds)
        return try await device.say(subscribe, to: relay)
    }

    /// The `seq`th word about a subscription.
    private func notice(_ device: TestDevice, of subscription: ULID, seq: Int64) async throws -> Notify {
        let message = try await device.next(.notify) { message in
            guard case .notify(let notify) = message.body else { return false }
            return notify.subscription == subscription && notify.seq == seq
        }
        guard case .notify(let notify) = message.body.body else { throw TestDevice.Failure.ended }
        return notify
    }

    private func isDeclined(_ device: TestDevice, _ subscription: ULID) async throws -> Bool {
        let answer = try await device.next(.reject) { $0.session == subscription }
        guard case .reject(let reject) = answer.body.body else { return false }
        return reject.reason == .policyBlocked
    }

    @Test("a contact hears of coming and going, of all devices; a moment away is not told; a stranger hears nothing")
    func following() async throws {
        let harness = try await RelayHarness()
        let (relay, bobs) = (harness.running.did, key("bob"))
        let alice = try await harness.connected("alice-phone", of: key("alice"))
        let mallory = try await harness.connected("mallory")
        var phone = try await harness.connected("bob-phone", of: bobs)
        let early = try await subscribe(alice, to: bobs.did, at: relay)
        #expect(try await isDeclined(alice, early))
        _ = try await allow([key("alice").did], phone, at: harness)
        // One's own word is behind by one answer.
        let own = try await subscribe(phone, to: bobs.did, at: relay)
        #expect(try await isDeclined(phone, own))
        let subscription = try await subscribe(alice, to: bobs.did, at: relay)
        let first = try await notice(alice, of: subscription, seq: 1)
        #expect(first.content["type"]?.string == "presence" && first.content["state"]?.string == "available")
        let strange = try await subscribe(mallory, to: bobs.did, at: relay)
        #expect(try await isDeclined(mallory, strange))
        // Back within the grace: nobody was told anything.
        phone.hangUp()
        harness.clock.advance(by: 5)
        phone = try await harness.connected("bob-phone", of: bobs)
        let laptop = try await harness.connected("bob-laptop", of: bobs)
        harness.clock.advance(by: 30)
        phone.hangUp()
        harness.clock.advance(by: 30)
        try await Task.sleep(for: .milliseconds(1_500))
        laptop.hangUp()
        try await harness.until("the last is gone") { harness.metric("dsip_relay_bound_devices") == 2 }
        harness.clock.advance(by: 30)
        #expect(try await notice(alice, of: subscription, seq: 2).content["state"]?.string == "offline")
        phone = try await harness.connected("bob-phone", of: bobs)
        #expect(try await notice(alice, of: subscription, seq: 3).content["state"]?.string == "available")
        // Taken from the list.
        _ = try await allow([], phone, at: harness)
        let last = try await notice(alice, of: subscription, seq: 4)
        #expect(last.state == .terminated && last.reason == .policyTerminated)
        let again = try await subscribe(alice, to: bobs.did, at: relay)
        #expect(try await isDeclined(alice, again))
        await harness.relay.stop()
    }

    @Test("everyone and nobody; for another’s identity, from another connection, or with streams beside it: declined")
    func audiences() async throws {
        let harness = try await RelayHarness()
        let relay = harness.running.did
        let (bob, mallory) = (try await harness.connected("bob"), try await harness.connected("mallory"))
        _ = try await allow([], bob, at: harness, audience: .everyone)
        let own = try await subscribe(bob, to: bob.identity, at: relay)
        _ = try await notice(bob, of: own, seq: 1)
        let subscription = try await subscribe(mallory, to: bob.identity, at: relay)
        #expect(try await notice(mallory, of: subscription, seq: 1).content["state"]?.string == "available")
        let mixed = try await mallory.say(
            Subscribe(target: bob.identity.string, events: ["presence", "publication"], expiresIn: 600),
            to: relay
        )
        #expect(try await isDeclined(mallory, mixed))
        let long = try await subscribe(mallory, to: bob.identity, at: relay, for: 3_601)
        _ = try await mallory.error(.policySubscriptionLifetime, about: long)
        // Bob's word, handed in by somebody else.
        let config = PresenceConfig(
            id: ulid(),
            from: bob.did,
            to: relay,
            issuedAt: unixNow(),
            expiresAt: unixNow() + 30,
            audience: .nobody
        )
        try await mallory.post(Envelope(signing: config.json.utf8, by: bob.key, delegations: []))
        _ = try await allow([], bob, at: harness, audience: .nobody)
        #expect(try await notice(mallory, of: subscription, seq: 2).reason == .policyTerminated)
        await harness.relay.stop()
    }
}
