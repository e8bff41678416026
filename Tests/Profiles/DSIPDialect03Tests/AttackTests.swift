import DSIPIdentity
import DSIPSignaling
import Encoding
import Testing

@testable import DSIPDialect03

@Suite("What is not what was signed is refused, each with its own verdict")
struct AttackTests {
    private func signed(_ message: JSONObject = Scene.invite()) throws -> JSONObject {
        try #require(
            try JSONValue(parsing: ProposalCodec.json.sign(message, by: Scene.alice).bytes).object
        )
    }

    private func code(_ object: JSONObject) -> VerdictCode? {
        var reader = Reader()
        return reader.code(JSONValue.object(object).utf8)
    }

    @Test("Members in another order and with other spaces are the same message")
    func spelling() throws {
        let message = try signed()
        let reversed = JSONObject(members: message.members.reversed())
        var reader = Reader()
        _ = try reader.accept(Envelope(Array(JSONValue.object(reversed).pretty.utf8), form: .proposal))
    }

    @Test(
        "Any changed, added or removed member breaks the signature",
        arguments: ["to", "media", "net", "ts", "economics"]
    )
    func tampering(_ name: String) throws {
        let message = try signed()
        let removed = message.with(name, nil)
        let verdict = code(removed)
        // Without it, the message may be malformed before its signature is looked at.
        #expect(verdict == .signatureInvalid || verdict == .schemaInvalid)
        #expect(code(message.with("priority", "emergency")) == .signatureInvalid)
        #expect(code(message.with("ts", .int(Scene.now + 1))) == .signatureInvalid)
    }

    @Test("The same message twice, in JSON and in CBOR, is one")
    func bothForms() throws {
        for pair in [[ProposalCodec.json, .cbor], [.cbor, .json]] {
            var reader = Reader()
            _ = try reader.accept(pair[0].sign(Scene.invite(), by: Scene.alice))
            #expect(reader.code(try pair[1].sign(Scene.invite(), by: Scene.alice).bytes) == .duplicateID)
        }
    }

    @Test("So is an answer that has no id")
    func bothFormsWithoutID() throws {
        let bye: JSONObject = ["type": "dsip.bye", "correlates": .string(Scene.session), "reason": "hangup"]
        var reader = Reader()
        _ = try reader.accept(ProposalCodec.json.sign(bye, by: Scene.alice))
        #expect(reader.code(try ProposalCodec.cbor.sign(bye, by: Scene.alice).bytes) == .duplicateID)
        #expect(reader.code(try ProposalCodec.json.sign(bye, by: Scene.alice).bytes, at: Scene.now + 9) == .duplicateID)
    }

    @Test("A message of the core and the same one in the dialect are one: no form can be played into another")
    func acrossDialects() throws {
        var generator = SystemRandomNumberGenerator()
        let id = ULID(milliseconds: UInt64(Scene.now) * 1000, using: &generator)
        let message = Message(
            Message.Stamp(id: id, from: Scene.alice.did, issuedAt: Scene.now),
            to: Scene.bobDID,
            session: id,
            Bye(.userHangup)
        )
        let forms: [Envelope] = [
            try message.signed(by: Scene.alice), try COSECodec().sign(message, by: Scene.alice, delegations: []),
            try ProposalCodec.json.sign(message, by: Scene.alice, delegations: []),
            try ProposalCodec.cbor.sign(message, by: Scene.alice, delegations: []),
        ]
        for first in forms {
            var reader = Reader()
            #expect(try reader.accept(first).body == message)
            for other in forms { #expect(reader.code(other.bytes) == .duplicateID) }
        }
    }

    @Test("A signature of one form under the frame of another is none")
    func splicing() throws {
        let core = try Message(
            Message.Stamp(
                id: ProposalID.read(Scene.session)!,
                from: Scene.alice.did,
                issuedAt: Scene.now
            ),
            to: Scene.bobDID,
            session: ProposalID.read(Scene.session)!,
            Bye(.userHangup)
        ).signed(by: Scene.alice)
        let message = try signed()
        // The core's header and signature as a detached JWS.
        let spliced = message.with(
            "sig",
            [
                "alg": "Ed25519", "kid": .string(Scene.alice.kid.description),
                "jws": .string("\(core.protectedText)..\(core.signatureText)"),
            ]
        )
        #expect(code(spliced) == .headerInvalid)
        // The signature of another message of the same signer.
        let other = try signed(Scene.invite().with("to", .string(Scene.alice.did.string)))
        #expect(code(message.with("sig", other["sig"])) == .signatureInvalid)
    }

    @Test("A weaker algorithm, another critical header, an encoded payload and a foreign kid are refused by name")
    func downgrade() throws {
        let message = Scene.invite()
        func frame(_ protected: JSONObject, alg: String = "Ed25519", kid: String? = nil) throws -> JSONObject {
            let jws = try JWS(
                signing: JSONValue.object(message).canonical,
                header: JOSEHeader(protected: protected)
            ) { try Scene.alice.sign($0) }
            return message.with(
                "sig",
                [
                    "alg": .string(alg), "kid": .string(kid ?? Scene.alice.kid.description),
                    "jws": .string(try jws.compact(detached: true)),
                ]
            )
        }
        let kid = JSONValue.string(Scene.alice.kid.description)
        #expect(code(try frame(["alg": "EdDSA", "b64": false, "crit": ["b64"], "kid": kid])) == nil)
        #expect(code(try frame(["alg": "Ed25519", "b64": false, "crit": ["b64"], "kid": kid])) == nil)
        #expect(code(try frame(["alg": "none", "b64": false, "crit": ["b64"], "kid": kid])) == .algUnsupported)
        #expect(code(try frame(["alg": "HS256", "b64": false, "crit": ["b64"], "kid": kid])) == .algUnsupported)
        #expect(code(try frame(["alg": "EdDSA", "kid": kid])) == .headerInvalid)
        #expect(
            code(try frame(["alg": "EdDSA", "b64": false, "crit": ["b64", "x"], "x": 1, "kid": kid])) == .headerInvalid
        )
        #expect(
            code(
                try frame(
                    ["alg": "EdDSA", "b64": false, "crit": ["b64"], "kid": kid],
                    kid: Scene.bob.kid.description
                )
            ) == .kidInvalid
        )
    }

    @Test("Nobody speaks for another")
    func impersonation() throws {
        let frame = try ProposalCodec.json.sign(
            Scene.invite().with("from", .string(Scene.bobDID.string)),
            by: Scene.alice
        )
        var reader = Reader()
        #expect(reader.code(frame.bytes) == .signerMismatch)
    }

    @Test("Old, future and expired messages are refused")
    func time() throws {
        let frame = try ProposalCodec.json.sign(Scene.invite(), by: Scene.alice).bytes
        var reader = Reader()
        #expect(reader.code(frame, at: Scene.now + 61) == .expired)
        #expect(reader.code(frame, at: Scene.now + 301) == .replayWindow)
        #expect(reader.code(frame, at: Scene.now - 301) == .replayWindow)
    }

    @Test(
        "net that contradicts the SDP, or would break out of its line, is refused; ICE of net alone is put into the SDP"
    )
    func splicedNet() throws {
        func invite(_ net: JSONValue, ice: Bool = true) throws -> Verdict {
            var reader = Reader()
            let media: JSONValue = ["sdp": .string(Scene.sdp("actpass", ice: ice))]
            let message = Scene.invite().with("media", media).with("net", net)
            return reader.read(try ProposalCodec.json.sign(message, by: Scene.alice).bytes)
        }
        func isRefused(_ verdict: Verdict) -> Bool {
            if case .rejected(let rejection) = verdict { return rejection.code == .schemaInvalid }
            return false
        }
        let pwd: JSONValue = "0123456789012345678901"
        #expect(isRefused(try invite(["ice": ["ufrag": "evil", "pwd": pwd]])))
        #expect(isRefused(try invite(["ice": ["ufrag": "a\r\na=x", "pwd": pwd]], ice: false)))
        #expect(isRefused(try invite(["candidates": ["candidate:1\r\nm=audio"]])))
        guard
            case .accepted(let message) = try invite(
                [
                    "ice": ["ufrag": "alce", "pwd": pwd],
                    "candidates": ["candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host"],
                ],
                ice: false
            ),
            case .invite(let invite) = message.body.body
        else {
            Issue.record("not accepted")
            return
        }
        let sdp = try #require(invite.transports[0].sdp)
        #expect(sdp.contains("a=ice-ufrag:alce\r\n"))
        #expect(sdp.hasSuffix("a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host\r\n"))
    }
}
