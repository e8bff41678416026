import DSIPDialect03
import DSIPIdentity
import DSIPSignaling
import DSIPTransport
import Encoding
import Testing

@testable import DSIPRelay

@Suite("Forms beside DSIP-JOSE over one relay", .serialized, .timeLimit(.minutes(5)))
struct WireFormTests {
    private func connected(
        _ name: String,
        _ harness: RelayHarness,
        _ subprotocol: Subprotocol?
    ) async throws -> TestDevice {
        let device = try TestDevice(name, at: harness.running, clock: harness.clock, speaking: subprotocol)
        try await device.connect()
        return device
    }

    @Test("two devices talk in CBOR: hello, invite, progress and bye, all in binary frames as they were signed")
    func coreCBOR() async throws {
        let harness = try await RelayHarness()
        let alice = try await connected("alice", harness, .coreCBOR)
        let bob = try await connected("bob", harness, .coreCBOR)
        let session = try await alice.invite(bob.did, reports: true)
        let invite = try await bob.next(.invite)
        #expect(invite.body.id == session)
        #expect(invite.envelope.form == .cose)
        #expect(try await alice.next(.notify).envelope.form == .cose)
        try await bob.say(Progress(.ringing), to: alice.did, session: session)
        #expect(try await alice.next(.progress).envelope.form == .cose)
        try await alice.say(Bye(.userHangup), to: bob.did, session: session)
        #expect(try await bob.next(.bye).envelope.form == .cose)
        // Whoever reads CBOR reads JSON.
        let carol = try await connected("carol", harness, nil)
        let second = try await carol.invite(alice.did)
        #expect(try await alice.next(.invite) { $0.id == second }.envelope.form == .jose)
        await harness.relay.stop()
    }

    @Test("who does not read the form is not sent it: the sender is told, and may say it again in another")
    func unread() async throws {
        let harness = try await RelayHarness()
        let alice = try await connected("alice", harness, .coreCBOR)
        let bob = try await connected("bob", harness, nil)
        let session = try await alice.invite(bob.did)
        _ = try await alice.error(.sessionUnsupportedWireFormat, about: session)
        // The same invite, id and all, in the form that everybody reads.
        let again = Message.invite(
            Message.Stamp(id: session, from: alice.did, issuedAt: harness.clock.now),
            to: bob.did,
            Invite(
                media: [MediaDescriptor(.audio, codecs: [Codec("codec:audio/opus")])],
                transports: [TransportDescriptor(webRTC: "v=0")]
            )
        )
        try await alice.post(again.signed(by: alice.key))
        #expect(try await bob.next(.invite).body.id == session)
        // Once heard, it counts once in all forms.
        try await alice.post(COSECodec().sign(again, by: alice.key, delegations: []))
        try await alice.say(Bye(.userHangup), to: alice.did, session: session)
        _ = try await alice.next(.bye)
        #expect(bob.types() == [])
        await harness.relay.stop()
    }

    @Test("what is held waits for a connection that reads it, over a restart of the relay, too")
    func held() async throws {
        let harness = try await RelayHarness()
        let bob = try await connected("bob", harness, .coreCBOR)
        bob.hangUp()
        try await harness.until("bob is gone") { harness.metric("dsip_relay_bound_devices") == 0 }
        let alice = try await connected("alice", harness, .coreCBOR)
        let id = try await alice.say(Bye(.userHangup), to: bob.did, session: ulid(harness.clock.now))
        try await harness.until("it is held") { harness.metric("dsip_relay_held_envelopes") == 1 }
        alice.hangUp()
        try await harness.restart()
        let plain = try await connected("bob", harness, nil)
        #expect(harness.metric("dsip_relay_held_envelopes") == 1)
        plain.hangUp()
        let back = try await connected("bob", harness, .coreCBOR)
        #expect(try await back.next(.bye).body.id == id)
        await harness.relay.stop()
    }

    @Test("a relay without such a subprotocol upgrades nobody who insists on it")
    func unknownSubprotocol() async throws {
        #expect(Subprotocol.allCases.map(\.rawValue) == ["dsip.v1.0+cbor", "dsip.v0.3+json", "dsip.v0.3+cbor"])
        for subprotocol in Subprotocol.allCases {
            #expect(subprotocol.reads.contains(subprotocol.form))
        }
    }
}
