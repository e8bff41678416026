import DSIPIdentity
import DSIPSignaling
import Encoding
import Testing

@testable import DSIPDialect03

@Suite("Every example of the proposal, completed with real keys")
struct ExampleTests {
    @Test("§6.1 dsip.invite: its fields arrive as the core's", arguments: [ProposalCodec.json, .cbor])
    func invite(_ codec: ProposalCodec) throws {
        var reader = Reader()
        let envelope = try codec.sign(Scene.invite(), by: Scene.alice)
        let message = try reader.accept(envelope)
        #expect(message.envelope.bytes == envelope.bytes)
        #expect(message.envelope.form == codec.form)
        #expect(message.identity == Scene.alice.did)
        #expect(message.body.to == Scene.bobDID)
        #expect(message.body.version == .interactive)
        #expect(message.body.issuedAt == Scene.now)
        #expect(ProposalID.text(message.body.id) == Scene.session)
        guard case .invite(let invite) = message.body.body else {
            Issue.record("no invite")
            return
        }
        #expect(invite.media.map(\.kind) == [.audio])
        #expect(invite.media[0].codecs.map(\.id) == ["codec:audio/opus"])
        #expect(invite.transports[0].sdp == Scene.sdp("actpass"))
        #expect(invite.transports[0].parameters["hints"] == ["sfu": ["wss://sfu.voice.example"]])
        #expect(ProposalCodec.message(in: message.envelope)?["economics"] == Scene.invite()["economics"])
    }

    @Test("§6.1 dsip.invite as it stands there has a placeholder for its SDP, and is refused for that")
    func placeholder() throws {
        var reader = Reader()
        let message = Scene.invite().with("media", ["sdp": "v=0...", "codecs": ["opus/48000/2"]])
        #expect(reader.code(try ProposalCodec.json.sign(message, by: Scene.alice).bytes) == .schemaInvalid)
    }

    @Test("§6.1 dsip.answer without id, time and parties: its session has them")
    func answer() throws {
        var reader = Reader()
        let message = try reader.accept(
            ProposalCodec.json.sign(
                [
                    "type": "dsip.answer", "correlates": .string(Scene.session),
                    "media": ["sdp": .string(Scene.sdp("active", ufrag: "bobb"))],
                    "net": ["ice": ["ufrag": "bobb", "pwd": "0123456789012345678901"], "candidates": []],
                ],
                by: Scene.bob
            )
        )
        #expect(message.identity == Scene.bobDID)
        #expect(message.body.to == nil)
        #expect(message.body.session.map(ProposalID.text) == Scene.session)
        guard case .answer(let answer) = message.body.body else {
            Issue.record("no answer")
            return
        }
        #expect(answer.answeredBy == .user)
        #expect(answer.transports[0].sdp == Scene.sdp("active", ufrag: "bobb"))
    }

    @Test("§6.1 dsip.ice, one candidate; an empty one is the last")
    func candidates() throws {
        var reader = Reader()
        func ice(_ text: String) -> JSONObject {
            ["type": "dsip.ice", "correlates": .string(Scene.session), "candidate": .string(text)]
        }
        let text = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host"
        let first = try reader.accept(ProposalCodec.json.sign(ice(text), by: Scene.alice))
        let last = try reader.accept(ProposalCodec.json.sign(ice(""), by: Scene.alice))
        guard case .info(let one) = first.body.body, case .info(let end) = last.body.body else {
            Issue.record("no info")
            return
        }
        #expect(WebRTCCandidates(one) == WebRTCCandidates([.init(text, sdpMid: "0")]))
        #expect(WebRTCCandidates(end) == WebRTCCandidates([], endOfCandidates: true))
    }

    @Test("§6.1 dsip.update with a new offer; one without an id and a time could be played again, and is refused")
    func update() throws {
        var reader = Reader()
        let bare: JSONObject = [
            "type": "dsip.update", "correlates": .string(Scene.session),
            "changes": ["media": ["sdp": .string(Scene.sdp("actpass"))]],
        ]
        #expect(reader.code(try ProposalCodec.json.sign(bare, by: Scene.alice).bytes) == .schemaInvalid)
        let whole = bare.with("id", "7f1c9a52-3b6e-4d0f-9a77-0c2f5d1e8b41").with("ts", .int(Scene.now))
        let message = try reader.accept(ProposalCodec.json.sign(whole, by: Scene.alice))
        guard case .update(let update) = message.body.body else {
            Issue.record("no update")
            return
        }
        #expect(update.media.map(\.kind) == [.audio])
    }

    @Test("§6.1 dsip.bye for hanging up")
    func bye() throws {
        var reader = Reader()
        let message = try reader.accept(
            ProposalCodec.json.sign(
                ["type": "dsip.bye", "correlates": .string(Scene.session), "reason": "hangup"],
                by: Scene.alice
            )
        )
        guard case .bye(let bye) = message.body.body else {
            Issue.record("no bye")
            return
        }
        #expect(bye.reason == .userHangup)
    }

    @Test("§6.2 rcid.v1 inside identity: a name and credentials, both claims")
    func callerID() throws {
        var reader = Reader()
        let credential: JSONValue = [
            "type": ["VerifiableCredential", "DisplayNameCredential"], "issuer": "did:web:voice.net",
            "credentialSubject": ["id": .string(Scene.alice.did.string), "displayName": "James Ferris"],
            "proof": ["type": "Ed25519Signature2020", "jws": "…"],
        ]
        let card: JSONValue = [
            "type": "rcid.v1", "displayName": "James Ferris", "avatar": "ipfs://bafy.../avatar.png",
            "credentials": [credential],
        ]
        for identity: JSONValue in [card, ["proof": "DIDAuth-JWS", "credentials": [], "rcid": card]] {
            let message = Scene.invite().with("identity", identity)
                .with("id", .string(identity["rcid"] == nil ? Scene.session : "7f1c9a52-3b6e-4d0f-9a77-0c2f5d1e8b42"))
            guard
                case .invite(let invite) = try reader.accept(ProposalCodec.json.sign(message, by: Scene.alice)).body
                    .body
            else {
                Issue.record("no invite")
                return
            }
            #expect(invite.identity?.displayName == "James Ferris")
            #expect(invite.identity?.claims == [credential.object!])
        }
    }

    @Test("§21.A dsip.error: number and reason; where the reason cannot be read, the number decides")
    func error() throws {
        var reader = Reader()
        func reason(_ members: JSONObject) throws -> Reason? {
            var object: JSONObject = ["type": "dsip.error", "correlates": .string(Scene.session)]
            for member in members.members { object[member.name] = member.value }
            return try reader.accept(ProposalCodec.json.sign(object, by: Scene.bob)).body.reason
        }
        #expect(
            try reason(["code": 403, "reason": "policy:reputation-too-low"])?.token == "policy.reputation-too-low"
        )
        #expect(try reason(["code": 486]) == .sessionFailed)
        #expect(try reason(["code": 603]) == .userDeclined)
        #expect(try reason(["code": 608, "reason": "Nicht jetzt!"]) == .policyBlocked)
    }

    @Test("§8 dsip.msg: a ratchet message for one device, and its aad is held against it")
    func message() throws {
        let codec = ProposalCodec.json
        let id = "b9f80c1d-0000-4000-8000-000000000001"
        let aad = ProposalWriting.aad([
            ProposalID.read(id)!.description, Scene.alice.did.string, Scene.bobDID.string,
        ])
        func frame(_ aad: String) throws -> [UInt8] {
            try codec.sign(
                [
                    "type": "dsip.msg", "id": .string(id), "ts": .int(Scene.now),
                    "from": .string(Scene.alice.did.string), "to": [.string(Scene.bobDID.string)],
                    "content": ["enc": "v1", "ciphertext": "AAEC", "aad": .string(aad)],
                ],
                by: Scene.alice
            ).bytes
        }
        let statement = try #require(try codec.open(frame(aad), at: Scene.now))
        let payload = try JSONValue(parsing: statement.payload())
        #expect(payload["type"] == "dsip.msg")
        #expect(payload["to"]?.string == Scene.bobDID.string)
        #expect(payload["content"] == ["enc": "ratchet/1", "ciphertext": "AAEC"])
        #expect(throws: Rejection(.schemaInvalid, "")) { try codec.open(frame("AAAA"), at: Scene.now)?.payload() }
    }

    @Test(
        "§8 dsip.receipt, dsip.typing, dsip.msgUpdate keep their members",
        arguments: [
            ["type": "dsip.receipt", "for": "b9f80c1d", "kind": "read", "ts": 1_733_871_600, "from": "KID"],
            ["type": "dsip.typing", "thread": "th-123", "state": "on", "ts": 1_733_871_601],
            [
                "type": "dsip.msgUpdate", "id": "b9f80c1d-0000-4000-8000-000000000002", "ts": 1_733_871_542,
                "for": "b9f80c1d", "patch": ["text": "better"],
            ],
        ] as [JSONValue]
    )
    func statements(_ example: JSONValue) throws {
        var object = example.object!
        if object["from"] != nil { object["from"] = .string(Scene.bob.kid.description) }
        let envelope = try ProposalCodec.json.sign(object, by: Scene.bob)
        let payload = try JSONValue(
            parsing: try #require(try ProposalCodec.json.open(envelope.bytes, at: Scene.now)).payload()
        )
        for member in object.members where !["from", "id"].contains(member.name) {
            #expect(payload[member.name] == member.value)
        }
        #expect(payload["from"]?.string == Scene.bobDID.string)
    }
}
