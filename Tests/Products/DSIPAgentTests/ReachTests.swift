import DSIPIdentity
import DSIPRelay
import DSIPSignaling
import Encoding
import FoundationEssentials
import NIOConcurrencyHelpers
import Testing

@testable import DSIPAgent

@Suite("Reaching people: several devices, first contact, absence, restarts", .serialized, .timeLimit(.minutes(10)))
struct ReachTests {
    /// Bob's second device, added by pairing.
    private func second(
        device of: Person,
        at relay: TestRelay,
        folder: TemporaryFolder = TemporaryFolder()
    ) async throws -> Person {
        let other = try await Person(of.name, at: relay, folder: folder, createsIdentity: false, kind: .phone)
        let code = try await other.agent.beginPairing().code
        let seen = try await of.agent.inspectPairing(code)
        #expect(seen["kind"]?.string == "phone")
        _ = try await of.agent.approvePairing(code, name: "Phone")
        try await until("the device is paired") { await !other.agent.ownIdentities().isEmpty }
        try await other.connected()
        return other
    }

    @Test("a second device rings too, and stops without a missed call when the first answers")
    func answeredElsewhere() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let phone = try await second(device: bob, at: relay)
        #expect(await phone.did == bob.did)
        #expect(try await phone.agent.contacts().map(\.name) == ["Alice"])
        let session = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer).session
        _ = try await bob.incoming(from: "Alice")
        _ = try await phone.incoming(from: "Alice")
        try await until("delivered to two devices") {
            alice.call(session)?.progress.contains { $0.kind == .delivered && $0.count == 2 } == true
        }
        _ = try await bob.agent.open(session)
        _ = try await bob.agent.answer(session, sdp: SDP.answer)
        let start = ContinuousClock.now
        let ending = try await phone.ended(session)
        // Under a second for a person; a machine that does much else at once is given more.
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(ending.reason == "session.answered-elsewhere" && !ending.missed)
        #expect(try await phone.logged(session).outcome == .elsewhere)
        #expect(phone.now.missed == 0)
        #expect(bob.call(session)?.state == .active)
        _ = try await bob.agent.hangUp(session)
        _ = try await alice.ended(session)
        await relay.stop()
    }

    @Test("a person’s devices keep one contact list, whichever changes it, and also when one was away meanwhile")
    func sharedContacts() async throws {
        let relay = try await TestRelay()
        let folder = TemporaryFolder()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        let carol = try await Person("Carol", at: relay)
        var phone = try await second(device: bob, at: relay, folder: folder)
        func names(_ person: Person) async -> [String] {
            ((try? await person.agent.contacts()) ?? []).map { $0.name + ($0.blocked ? " (blocked)" : "") }
        }
        let added = try await bob.agent.addContact(await alice.uri, name: "Alice")
        try await until("the phone knows Alice") { await names(phone) == ["Alice"] }
        #expect(try await phone.agent.contacts().first?.relay == added.relay)
        let there = try #require(try await phone.agent.contacts().first)
        _ = try await phone.agent.updateContact(there.id, name: "Alice Liddell")
        _ = try await phone.agent.updateContact(there.id, blocked: true)
        try await until("the computer has the new name") { await names(bob) == ["Alice Liddell (blocked)"] }
        #expect(try await bob.agent.contacts().first?.id == added.id)

        // Away, each changes something; together again, both have both.
        await phone.agent.stop()
        try await bob.agent.removeContact(added.id)
        _ = try await bob.agent.addContact(await carol.uri, name: "Carol")
        phone = try await Person("Bob", at: relay, folder: folder, createsIdentity: false, kind: .phone)
        try await until("the phone has heard") { await names(phone) == ["Carol"] }
        #expect(await names(bob) == ["Carol"])
        // Whom one device lets ring rings on both; removed and added again is there again.
        _ = try await phone.agent.addContact(await alice.uri, name: "Alice")
        try await until("the computer knows Alice again") { await names(bob) == ["Alice", "Carol"] }
        let session = try await alice.agent.place(to: await bob.uri, sdp: SDP.offer).session
        #expect(try await bob.incoming(from: "Alice") == session)
        #expect(try await phone.incoming(from: "Alice") == session)
        _ = try await alice.agent.cancel(session)
        _ = try await alice.ended(session)
        await relay.stop()
    }

    @Test("a stranger’s word about contacts counts for nothing")
    func foreignContacts() async throws {
        let relay = try await TestRelay()
        let (bob, mallory) = (try await Person("Bob", at: relay), try await Person("Mallory", at: relay))
        let device = try #require(try await bob.agent.devices().first { $0.isThis }).did
        try await mallory.agent.sendContacts([SharedContact(did: await mallory.did, at: 1, entry: nil)], to: device)
        _ = try await mallory.agent.sendRequest(to: await bob.uri, purpose: "after it")
        try await until("Bob has what was sent after it") { !bob.now.requests.isEmpty }
        #expect(try await bob.agent.store.sharedContacts(of: bob.did).isEmpty)
        await relay.stop()
    }

    @Test("a revoked device can no longer call")
    func revoked() async throws {
        let relay = try await TestRelay()
        let bob = try await Person("Bob", at: relay)
        let phone = try await second(device: bob, at: relay)
        let device = try #require(try await bob.agent.devices().first { !$0.isThis })
        let revoked = try await bob.agent.revokeDevice(device.did.string, reason: "lost")
        #expect(revoked.revokedAt != nil && revoked.revokedReason == "lost")
        try await until("the relay has ended its binding") { phone.now.relay.map { $0.state != .connected } ?? false }
        await relay.stop()
    }

    @Test("an unknown caller does not ring; a request granted lets them call")
    func firstContact() async throws {
        let relay = try await TestRelay()
        let (bob, carol) = (try await Person("Bob", at: relay), try await Person("Carol", at: relay))
        let refused = try await carol.agent.place(to: await bob.uri, sdp: SDP.offer).session
        #expect(try await carol.ended(refused).reason == "policy.first-contact-required")
        #expect(bob.now.calls.isEmpty)

        _ = try await carol.agent.sendRequest(to: await bob.uri, purpose: "We met at the meetup.")
        try await until("Bob has the request") { bob.now.requests.contains { $0.0.direction == .incoming } }
        let (request, peer) = try #require(bob.now.requests.first)
        #expect(request.purpose == "We met at the meetup." && request.state == .pending)
        #expect(peer.name == "Carol" && peer.namedBy == .them)
        #expect(bob.now.calls.isEmpty && bob.now.log.isEmpty)

        _ = try await bob.agent.acceptRequest(request.id)
        try await until("Carol’s request is granted") { carol.now.requests.first?.0.state == .granted }
        let session = try await carol.agent.place(to: await bob.uri, sdp: SDP.offer).session
        #expect(try await bob.incoming(from: "Carol") == session)
        _ = try await bob.agent.decline(session)
        _ = try await carol.ended(session)

        // Blocked, she is not told so, and it does not ring.
        let contact = try #require(try await bob.agent.contacts().first)
        _ = try await bob.agent.updateContact(contact.id, blocked: true)
        let blocked = try await carol.agent.place(to: await bob.uri, sdp: SDP.offer).session
        _ = try await carol.ended(blocked)
        #expect(bob.call(blocked) == nil)
        await relay.stop()
    }

    @Test("a declined request is told to the one who asked")
    func declinedRequest() async throws {
        let relay = try await TestRelay()
        let (bob, carol) = (try await Person("Bob", at: relay), try await Person("Carol", at: relay))
        _ = try await carol.agent.sendRequest(to: await bob.uri, purpose: "Hello")
        try await until("Bob has the request") { !bob.now.requests.isEmpty }
        _ = try await bob.agent.declineRequest(try #require(bob.now.requests.first).0.id)
        try await until("Carol knows") { carol.now.requests.first?.0.state == .declined }
        await relay.stop()
    }

    @Test("a call to someone offline is held, and is a missed call when they return, though the caller has left")
    func offline() async throws {
        let relay = try await TestRelay()
        let folder = TemporaryFolder()
        let alice = try await Person("Alice", at: relay)
        var bob: Person? = try await Person("Bob", at: relay, folder: folder)
        try await befriend(alice, bob!)
        let did = await bob!.did
        await bob!.agent.stop()
        bob = nil
        let session = try await alice.agent.place(to: did.string, sdp: SDP.offer).session
        try await until("the relay holds it") { alice.call(session)?.progress.contains { $0.kind == .held } == true }
        #expect(alice.call(session)?.state == .connecting)
        _ = try await alice.agent.cancel(session)
        _ = try await alice.ended(session)
        await alice.agent.stop()
        let back = try await Person("Bob", at: relay, folder: folder)
        let entry = try await back.logged(session)
        #expect(entry.outcome == .missed && entry.sentence == "Alice called while you were away.")
        let caller = await alice.did
        #expect(entry.video && entry.did == caller)
        #expect(back.now.missed == 1)
        #expect(back.ringing == nil)
        await back.agent.stop()
        await relay.stop()
    }

    @Test("a call that nobody took back is missed, too, once; a stranger’s is not, and another’s word for one neither")
    func missedEvidence() async throws {
        let relay = try await TestRelay()
        let folder = TemporaryFolder()
        let (alice, carol) = (try await Person("Alice", at: relay), try await Person("Carol", at: relay))
        let bob = try await Person("Bob", at: relay, folder: folder)
        try await befriend(alice, bob)
        _ = try await carol.agent.addContact(await bob.uri, name: "Bob")
        let did = await bob.did
        await bob.agent.stop()
        var sessions: [String] = []
        for caller in [carol, alice] {
            let session = try await caller.agent.place(to: did.string, sdp: SDP.offer).session
            try await until("the relay holds it") {
                caller.call(session)?.progress.contains { $0.kind == .held } == true
            }
            _ = try await caller.agent.cancel(session)
            _ = try await caller.ended(session)
            sessions.append(session)
        }
        var back = try await Person("Bob", at: relay, folder: folder)
        #expect(try await back.logged(sessions[1]).outcome == .missed)
        #expect(back.now.log.map(\.session) == [sessions[1]])

        // Alice’s own invite, but in a notice that is not the relay’s.
        let forged = try await alice.agent.enclosedInvite(to: did)
        try await carol.agent.sendMissed(forged, to: did)
        let late = try await alice.agent.place(to: did.string, sdp: SDP.offer).session
        #expect(try await back.incoming(from: "Alice") == late)
        _ = try await back.agent.decline(late)
        _ = try await back.logged(late)
        #expect(back.now.log.map(\.session).sorted() == [sessions[1], late].sorted())
        #expect(back.now.missed == 1)
        await back.agent.stop()
        back = try await Person("Bob", at: relay, folder: folder)
        #expect(try await back.agent.missed() == 1)
        await relay.stop()
    }

    @Test("a name claimed at a relay that goes by a hostname finds its owner, who can be called by it")
    func registeredName() async throws {
        let relay = try await TestRelay(isNamed: true)
        #expect(relay.running.url == "wss://localhost:\(relay.running.port)/dsip")
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        let result = try await bob.agent.perform("identity.register", ["name": "bob"])
        let alias = try #require(result["alias"]?.string)
        #expect(alias == "bob@localhost:\(relay.running.port)")
        let identity = try #require(await bob.agent.ownIdentities().first)
        #expect(identity.alias == alias)
        await #expect(throws: AgentError.self) { try await alice.agent.registerName("bob") }
        await #expect(throws: AgentError.self) { try await alice.agent.registerName("not a name") }
        #expect(try await alice.agent.registerName("alice").hasPrefix("alice@localhost"))

        let found = try await alice.agent.lookup(alias)
        #expect(found.peer.did == identity.did && found.peer.alias == alias && found.relay == relay.running.url)
        _ = try await bob.agent.addContact(await alice.uri, name: "Alice")
        let session = try await alice.agent.place(to: alias, sdp: SDP.offer).session
        #expect(try await bob.incoming(from: "Alice") == session)
        _ = try await bob.agent.decline(session)
        #expect(try await alice.ended(session).reason == "user.declined")
        await relay.stop()
    }

    @Test(
        "a clock that is ten minutes wrong is said, on the API and when calling; set right, it connects",
        arguments: [-600, 600]
    )
    func clockSkew(_ skew: Int64) async throws {
        let relay = try await TestRelay()
        let offset = NIOLockedValueBox<Int64>(0)
        let clock: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) + offset.withLockedValue { $0 } }
        let bob = try await Person("Bob", at: relay)
        let folder = TemporaryFolder()
        await (try await Person("Alice", at: relay, folder: folder, clock: clock)).agent.stop()
        offset.withLockedValue { $0 = skew }
        let alice = try await Person("Alice", at: relay, folder: folder, clock: clock, awaitsConnection: false)
        let sentence =
            "This device’s clock is 10 minutes \(skew > 0 ? "ahead of" : "behind") the relay’s, so nothing it signs is accepted. "
            + "Set the clock; it connects again by itself."
        try await until("it is said") { alice.now.relay?.sentence == sentence }
        #expect(try await alice.agent.state()["relay"]?["sentence"]?.string == sentence)
        #expect(alice.now.relay?.state == .waiting)
        let error = await #expect(throws: AgentError.self) {
            try await alice.agent.place(to: await bob.uri, sdp: SDP.offer)
        }
        #expect(error?.code == .unreachable && error?.message == sentence)
        #expect(alice.now.calls.isEmpty)
        offset.withLockedValue { $0 = 0 }
        try await until("it connects", within: .seconds(60)) { alice.now.relay?.state == .connected }
        await relay.stop()
    }

    @Test("a relay that restarts while it rings does not end the call attempt")
    func restartWhileRinging() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let session = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer).session
        _ = try await bob.incoming(from: "Alice")
        try await until("Alice sees it ring") { alice.call(session)?.state == .ringing }
        try await relay.restart()
        _ = try await bob.agent.open(session)
        _ = try await bob.agent.answer(session, sdp: SDP.answer)
        try await until("both are active") {
            alice.call(session)?.state == .active && bob.call(session)?.state == .active
        }
        await relay.stop()
    }

    @Test("a call survives a restart of the relay, and its end still arrives")
    func restartWhileTalking() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let session = try await connect(alice, bob)
        await relay.stop()
        try await until("Alice notices") { alice.now.relay?.state == .waiting }
        #expect(alice.call(session)?.state == .active && bob.call(session)?.state == .active)
        _ = try await alice.agent.hangUp(session)
        try await relay.startAgain()
        #expect(try await bob.ended(session).reason == "user.hangup")
        await relay.stop()
    }

    @Test("an agent that is started again ends the call it was in and says so in the log")
    func agentRestart() async throws {
        let relay = try await TestRelay()
        let folder = TemporaryFolder()
        let alice = try await Person("Alice", at: relay)
        var bob: Person? = try await Person("Bob", at: relay, folder: folder)
        try await befriend(alice, bob!)
        let session = try await connect(alice, bob!)
        await bob!.agent.vanish()
        bob = nil
        let back = try await Person("Bob", at: relay, folder: folder)
        #expect(try await alice.ended(session).reason == "media.failed")
        #expect(try await back.logged(session).sentence == "The call ended because this program was restarted.")
        await relay.stop()
    }
}

extension Agent {
    /// An invite of ours, signed and not sent.
    func enclosedInvite(to peer: DID) throws -> (id: ULID, envelope: Envelope) {
        let desk = try desk(for: peer)
        let stamp = Message.Stamp(id: makeID(), from: desk.key.did, issuedAt: now())
        let invite = Invite(
            media: [MediaDescriptor(.audio, codecs: [Codec("codec:audio/opus")])],
            transports: [TransportDescriptor(webRTC: SDP.offer)]
        )
        let message = Message.invite(stamp, to: peer, invite)
        return (message.id, try message.signed(by: desk.key, delegations: desk.delegations))
    }

    /// Says to a device what only a device of the same identity may say.
    func sendContacts(_ rows: [SharedContact], to device: DID) throws {
        let desk = try desk(for: device)
        let content: JSONValue = ["step": "rows", "rows": .array(rows.map(\.json)), "want": []]
        let sealed = try DeviceSeal.seal(
            content.utf8,
            to: device,
            purpose: "dsip own devices v1",
            context: Array("\(desk.key.did.string) \(device.string)".utf8)
        )
        let body: JSONObject = ["type": .string(Agent.ownDevices), "sealed": .string(Base64URL.encode(sealed))]
        let stamp = Message.Stamp(id: makeID(), from: desk.key.did, issuedAt: now())
        transmit(
            Message(stamp, to: device, Notify(subscription: makeID(), seq: 1, content: body)),
            desk,
            path: desk.relay
        )
    }

    /// Says what only a relay may say.
    func sendMissed(_ invite: (id: ULID, envelope: Envelope), to peer: DID) throws {
        let desk = try desk(for: peer)
        let stamp = Message.Stamp(id: makeID(), from: desk.key.did, issuedAt: now())
        let content: JSONObject = ["type": "missed", "invite": invite.envelope.json]
        transmit(
            Message(stamp, to: peer, Notify(subscription: invite.id, seq: 1, content: content)),
            desk,
            path: desk.relay
        )
    }
}
