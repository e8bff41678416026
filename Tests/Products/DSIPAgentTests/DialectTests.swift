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

/// Somebody who speaks the proposal and nothing else: JSON as it writes it, over `dsip.v0.3+json`.
private final class ProposalPeer: Sendable {
    let key = SigningKey()
    private let client: SignalingClient
    private let received = Mutex<[JSONValue]>([])
    private let isConnected = Mutex(false)

    init(at relay: TestRelay, speaking subprotocol: Subprotocol = .proposalJSON) throws {
        var configuration = SignalingClient.Configuration(
            try RelayAddress(relay.url),
            key: key,
            clock: { Int64(Date().timeIntervalSince1970) }
        )
        configuration.roots = TrustRoots(additionalFiles: relay.rootPath.map { [$0] } ?? [])
        configuration.codecs = [ProposalCodec.json, ProposalCodec.cbor]
        configuration.subprotocol = subprotocol
        client = SignalingClient(configuration, source: SelfCertifyingSource())
    }

    var did: DID { key.did }

    func connect() async throws {
        Task { await self.client.run() }
        Task {
            for await event in self.client.events {
                switch event {
                case .state(.connected): self.isConnected.withLock { $0 = true }
                case .message(let message):
                    #expect(message.envelope.form == .proposal)
                    guard let said = ProposalCodec.message(in: message.envelope) else { continue }
                    self.received.withLock { $0.append(said) }
                case .rejected(let rejection): Issue.record("rejected: \(rejection)")
                case .state, .profile, .networkChanged: break
                }
            }
        }
        try await until("the 0.3 peer is connected") { self.isConnected.withLock { $0 } }
    }

    func close() { client.close() }

    /// Adds id, time and parties to what is said.
    func say(_ type: String, to recipient: DID? = nil, _ members: JSONObject) async throws {
        var message: JSONObject = ["type": .string(type)]
        if let recipient {
            message["id"] = members["id"] ?? .string(UUID().uuidString.lowercased())
            message["ts"] = .int(Int64(Date().timeIntervalSince1970))
            message["from"] = .string(did.string)
            message["to"] = .string(recipient.string)
        }
        for member in members.members { message[member.name] = member.value }
        try await client.send(ProposalCodec.json.sign(message, by: key))
    }

    func next(_ type: String, where holds: (JSONValue) -> Bool = { _ in true }) async throws -> JSONValue {
        var found: JSONValue?
        try await until("\(type) at the 0.3 peer’s") {
            found = self.received.withLock { list in
                guard let index = list.firstIndex(where: { $0["type"]?.string == type && holds($0) }) else {
                    return nil
                }
                return list.remove(at: index)
            }
            return found != nil
        }
        return try #require(found)
    }

    func invite(_ recipient: DID) async throws -> String {
        let id = UUID().uuidString.lowercased()
        try await say(
            "dsip.invite",
            to: recipient,
            [
                "id": .string(id), "cap": ["ver": "1.0", "features": ["webrtc", "e2ee"]],
                "media": ["sdp": .string(SDP.offer), "codecs": ["opus/48000/2"]],
                "net": ["ice": ["ufrag": "alce", "pwd": "0123456789012345678901"], "candidates": []],
                "identity": [
                    "proof": "DIDAuth-JWS", "credentials": [], "rcid": ["type": "rcid.v1", "displayName": "Carol"],
                ],
                "economics": ["rate_msat_per_sec": 0, "dest": nil],
            ]
        )
        return id
    }
}

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
