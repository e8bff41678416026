import DSIPAgent
import DSIPIdentity
import DSIPMedia
import Encoding
import Testing

@Suite("Calls between two agents through a relay", .serialized, .timeLimit(.minutes(10)))
struct CallTests {
    @Test("Alice calls Bob: ring, open, answer, candidates, update, hang up; both logs agree")
    func wholeCall() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay, kind: .phone))
        try await befriend(alice, bob)

        let placed = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer)
        let session = placed.session
        try await alice.agent.addCandidates(session, [candidate(1)], end: false)
        #expect(try await bob.incoming(from: "Alice") == session)
        let ring = try #require(bob.ringing)
        #expect(ring.peer.name == "Alice")
        #expect(ring.peer.namedBy == .you)
        #expect(ring.peer.basis == ["Self-issued identity"])
        #expect(ring.media == Call.Media(audio: true, video: true))
        try await until("Alice sees it ring") { alice.call(session)?.state == .ringing }
        let hops = try #require(alice.call(session)).progress
        #expect(hops.map(\.kind) == [.resolved, .relay, .delivered, .ringing])
        #expect(hops.last?.device == "phone")
        #expect(hops.last?.sentence == "Ringing on Bob’s phone.")
        // Each but the first, which is the agent’s own doing, names the signed message behind it.
        #expect(hops.dropFirst().allSatisfy { $0.signer != nil && $0.message.flatMap { ULID($0) } != nil })
        #expect(hops.first { $0.kind == .delivered }?.count == 1)

        // Nothing of the caller's media before Bob chose to answer.
        await #expect(throws: AgentError.self) { try await bob.agent.answer(session, sdp: SDP.answer) }
        #expect(bob.now.descriptions.isEmpty)
        let opened = try await bob.agent.open(session)
        #expect(opened["sdp"]?.string == SDP.offer)
        try await bob.agent.addCandidates(session, [candidate(2)], end: true)
        _ = try await bob.agent.answer(session, sdp: SDP.answer)
        try await until("both are active") {
            alice.call(session)?.state == .active && bob.call(session)?.state == .active
        }
        #expect(alice.now.descriptions.map(\.sdp) == [SDP.answer])
        try await alice.agent.addCandidates(session, [], end: true)
        try await until("Bob has Alice’s candidates") { bob.now.candidates.contains { $0.end } }
        try await until("Alice has Bob’s candidates") { alice.now.candidates.contains { $0.end } }
        #expect(bob.now.candidates.first?.candidates[0]?["candidate"]?.string == candidate(1).candidate)
        #expect(alice.now.candidates.first?.candidates[0]?["candidate"]?.string == candidate(2).candidate)

        // Bob shares his screen.
        let reoffer = SDP.make(["audio", "video", "video"], setup: "actpass", ufrag: "bobb")
        let reanswer = SDP.make(["audio", "video", "video"], setup: "active", ufrag: "alce")
        let update = try await bob.agent.update(session, sdp: reoffer, screen: "2")
        try await until("Alice is offered the update") {
            alice.call(session)?.update?.id == update && alice.now.descriptions.last?.update == update
        }
        #expect(alice.now.descriptions.last?.sdp == reoffer)
        try await alice.agent.answerUpdate(session, update: update, sdp: reanswer)
        try await until("Bob has the answer") { bob.now.descriptions.last?.update == update }
        #expect(bob.now.descriptions.last?.sdp == reanswer)

        // Alice holds, and takes it back.
        let held = SDP.make(
            ["audio", "video", "video"],
            setup: "actpass",
            ufrag: "alce",
            directions: ["sendonly", "inactive", "inactive"]
        )
        let holding = try await alice.agent.update(session, sdp: held)
        try await until("Bob is offered the hold") { bob.call(session)?.update?.id == holding }
        try await bob.agent.answerUpdate(
            session,
            update: holding,
            sdp: SDP.make(
                ["audio", "video", "video"],
                setup: "active",
                ufrag: "bobb",
                directions: ["recvonly", "inactive", "inactive"]
            )
        )
        try await until("both know of the hold") {
            alice.call(session)?.held == true && bob.call(session)?.remoteHeld == true
        }

        _ = try await alice.agent.hangUp(session)
        let (hers, his) = (try await alice.ended(session), try await bob.ended(session))
        #expect(hers.sentence == "You hung up.")
        #expect(his.sentence == "Alice hung up.")
        #expect(hers.reason == his.reason && hers.reason == "user.hangup")
        let (a, b) = (try await alice.logged(session), try await bob.logged(session))
        #expect(a.outcome == .answered && b.outcome == .answered)
        #expect(a.direction == .outgoing && b.direction == .incoming)
        #expect(alice.now.missed == 0 && bob.now.missed == 0)
        await relay.stop()
    }

    @Test("a declined call is declined on both sides and missed on none")
    func declined() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let session = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer).session
        _ = try await bob.incoming(from: "Alice")
        _ = try await bob.agent.decline(session)
        #expect(try await alice.ended(session).sentence == "Bob declined the call.")
        #expect(try await alice.logged(session).outcome == .declined)
        #expect(try await bob.logged(session).outcome == .declined)
        #expect(bob.now.missed == 0)
        #expect(alice.call(session)?.progress.last?.kind == .failed)
        #expect(alice.call(session)?.progress.last?.message != nil)
        await relay.stop()
    }

    @Test("a call given up is a missed call of the other")
    func cancelled() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let session = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer).session
        _ = try await bob.incoming(from: "Alice")
        _ = try await alice.agent.cancel(session)
        #expect(
            try await bob.ended(session)
                == .init(
                    reason: "user.cancelled",
                    sentence: "Alice called and gave up before you answered.",
                    missed: true
                )
        )
        #expect(try await bob.logged(session).outcome == .missed)
        try await until("one missed call") { bob.now.missed == 1 }
        #expect(try await alice.logged(session).outcome == .cancelled)
        try await bob.agent.markLogSeen()
        try await until("seen") { bob.now.missed == 0 }
        await relay.stop()
    }

    @Test("who is in a call is busy for a third")
    func busy() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        let carol = try await Person("Carol", at: relay)
        try await befriend(alice, bob)
        try await befriend(carol, bob)
        let first = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer).session
        _ = try await bob.incoming(from: "Alice")
        _ = try await bob.agent.open(first)
        _ = try await bob.agent.answer(first, sdp: SDP.answer)
        let second = try await carol.agent.place(to: await bob.did.string, sdp: SDP.offer).session
        #expect(try await carol.ended(second).sentence == "Bob is in another call.")
        #expect(try await bob.logged(second).outcome == .missed)
        #expect(bob.call(first)?.state == .active)
        await relay.stop()
    }

    @Test("an offer that breaks the binding does not leave the agent, one that arrives does not ring")
    func badMedia() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let passive = SDP.make(["audio"], setup: "active", ufrag: "alce")
        await #expect(throws: AgentError(.media, "")) {
            try await alice.agent.place(to: await bob.did.string, sdp: passive)
        }
        await #expect(throws: AgentError(.media, "")) {
            try await alice.agent.place(to: await bob.did.string, sdp: "v=0\r\nm=application 9 x y\r\n")
        }
        #expect(alice.now.calls.isEmpty)
        await relay.stop()
    }

    @Test("a call whose media fail ends with media.failed on both sides")
    func mediaFailed() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let session = try await connect(alice, bob)
        try await alice.agent.reportMedia(session, state: "failed")
        #expect(try await alice.ended(session).reason == "media.failed")
        #expect(try await bob.ended(session).reason == "media.failed")
        await relay.stop()
    }
}

func candidate(_ number: Int) -> SignaledCandidate {
    SignaledCandidate(
        candidate: "candidate:\(number) 1 udp 2130706431 192.0.2.\(number) 50000 typ host",
        sdpMid: "0",
        sdpMLineIndex: 0
    )
}

/// Brings a call up.
func connect(_ caller: Person, _ callee: Person) async throws -> String {
    let session = try await caller.agent.place(to: await callee.did.string, sdp: SDP.offer).session
    _ = try await callee.incoming(from: caller.name)
    _ = try await callee.agent.open(session)
    _ = try await callee.agent.answer(session, sdp: SDP.answer)
    try await until("both are active") {
        caller.call(session)?.state == .active && callee.call(session)?.state == .active
    }
    return session
}
