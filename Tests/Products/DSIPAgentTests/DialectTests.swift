import DSIPAgent
import DSIPDialect03
import DSIPIdentity
import DSIPMedia
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import Synchronization
import Testing

@Suite(
    "Callers of the 0.3 dialect and people of the core, through a relay and an agent",
    .serialized,
    .timeLimit(.minutes(10))
)
struct DialectTests {
    private func scene() async throws -> (TestRelay, Person, ProposalPeer) {
        let relay = try await TestRelay()
        let bob = try await Person("Bob", at: relay, kind: .phone)
        let carol = try ProposalPeer(at: relay)
        try await carol.connect()
        _ = try await bob.agent.addContact(carol.did.string, name: "Carol")
        return (relay, bob, carol)
    }

    @Test("A 0.3 caller reaches a person: ring, answer, candidates, a new offer, and the end")
    func incoming() async throws {
        let (relay, bob, carol) = try await scene()
        let id = try await carol.invite(await bob.did)
        let session = try await bob.incoming(from: "Carol")
        let ringing = try await carol.next("dsip.update")
        #expect(ringing["changes"]?["status"] == "ringing")
        #expect(ringing["correlates"]?.string == id)
        #expect(try await bob.agent.open(session)["sdp"]?.string == SDP.offer)
        _ = try await bob.agent.answer(session, sdp: SDP.answer)
        let answer = try await carol.next("dsip.answer")
        #expect(answer["media"]?["sdp"]?.string == SDP.answer)
        #expect(answer["correlates"]?.string == id)
        let device = try #require(answer["from"]?.string.flatMap { DID($0) })

        // As §6.1 has them: with nothing but their session.
        try await carol.say("dsip.ice", ["correlates": .string(id), "candidate": .string(SDP.candidate)])
        try await carol.say("dsip.ice", ["correlates": .string(id), "candidate": ""])
        try await until("Bob has Carol’s candidates") { bob.now.candidates.contains { $0.end } }
        #expect(bob.now.candidates.first?.candidates[0]?["candidate"]?.string == SDP.candidate)
        try await bob.agent.addCandidates(session, [candidate(1), candidate(2)], end: true)
        #expect(try await carol.next("dsip.ice")["candidate"]?.string == candidate(1).candidate)
        #expect(try await carol.next("dsip.ice")["candidate"]?.string == candidate(2).candidate)
        #expect(try await carol.next("dsip.ice")["candidate"] == "")

        // Bob offers something else; Carol's answer names the session only.
        let reoffer = SDP.make(["audio", "video", "video"], setup: "actpass", ufrag: "bobb")
        let reanswer = SDP.make(["audio", "video", "video"], setup: "active", ufrag: "alce")
        let update = try await bob.agent.update(session, sdp: reoffer)
        let offered = try await carol.next("dsip.update") { $0["changes"]?["media"] != nil }
        #expect(offered["changes"]?["media"]?["sdp"]?.string == reoffer)
        try await carol.say(
            "dsip.answer",
            to: device,
            ["correlates": .string(id), "media": ["sdp": .string(reanswer)]]
        )
        try await until("Bob has the answer") { bob.now.descriptions.last?.update == update }

        try await carol.say("dsip.bye", ["correlates": .string(id), "reason": "hangup"])
        let ending = try await bob.ended(session)
        #expect(ending.reason == "user.hangup")
        carol.close()
        await bob.agent.stop()
        await relay.stop()
    }

    @Test(
        "A person reaches somebody of the dialect: the relay says that the core is not read there, and the invite goes again"
    )
    func outgoing() async throws {
        let (relay, bob, carol) = try await scene()
        for attempt in 0..<2 {
            let session = try await bob.agent.place(to: carol.did.string, sdp: SDP.offer).session
            let invite = try await carol.next("dsip.invite")
            let id = try #require(invite["id"])
            let device = try #require(invite["from"]?.string.flatMap { DID($0) })
            #expect(invite["media"]?["sdp"]?.string == SDP.offer)
            #expect(invite["net"]?["ice"]?["ufrag"] == "alce")
            #expect(invite["identity"]?["rcid"]?["displayName"] == "Bob")
            try await carol.say("dsip.update", to: device, ["correlates": id, "changes": ["status": "ringing"]])
            try await until("Bob sees it ring") { bob.call(session)?.state == .ringing }
            if attempt == 0 {
                try await carol.say("dsip.answer", ["correlates": id, "media": ["sdp": .string(SDP.answer)]])
                try await until("Bob is in the call") { bob.call(session)?.state == .active }
                #expect(bob.now.descriptions.last?.sdp == SDP.answer)
                _ = try await bob.agent.hangUp(session)
                #expect(try await carol.next("dsip.bye")["reason"] == "hangup")
            } else {
                try await carol.say(
                    "dsip.error",
                    ["correlates": id, "code": 603, "reason": "user:declined"]
                )
                #expect(try await bob.ended(session).reason == "user.declined")
            }
        }
        carol.close()
        await bob.agent.stop()
        await relay.stop()
    }

    @Test("Declined, withdrawn and unknown: each side hears it in its own words")
    func endings() async throws {
        let (relay, bob, carol) = try await scene()
        let declined = try await carol.invite(await bob.did)
        _ = try await bob.agent.decline(try await bob.incoming(from: "Carol"))
        let error = try await carol.next("dsip.error")
        #expect(error["code"] == 603 && error["reason"] == "declined")
        #expect(error["correlates"]?.string == declined)

        let withdrawn = try await carol.invite(await bob.did)
        let session = try await bob.incoming(from: "Carol")
        try await carol.say("dsip.bye", ["correlates": .string(withdrawn), "reason": "cancelled"])
        #expect(try await bob.ended(session).reason == "user.cancelled")
        #expect(try await bob.logged(session).outcome == .missed)

        let nobody = try await carol.invite(SigningKey().did)
        let unknown = try await carol.next("dsip.error") { $0["correlates"]?.string == nobody }
        #expect(unknown["code"] == 404 && unknown["reason"] == "transport:unknown-recipient")

        // A stranger is asked to introduce himself first.
        let dave = try ProposalPeer(at: relay)
        try await dave.connect()
        _ = try await dave.invite(await bob.did)
        #expect(try await dave.next("dsip.error")["reason"] == "policy:first-contact-required")
        for peer in [carol, dave] { peer.close() }
        await bob.agent.stop()
        await relay.stop()
    }
}
