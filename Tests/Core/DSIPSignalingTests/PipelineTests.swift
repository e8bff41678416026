import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding
import Testing

@Suite("The pipeline, one stage after another")
struct PipelineTests {
    @Test("a well-formed invite is accepted, and its bytes are kept")
    func accepted() throws {
        let frame = try Fixture.invite().signed(by: Fixture.phone).bytes
        let receiver = Receiver()
        let verified = try #require(receiver.accepted(frame))
        #expect(verified.body == Fixture.invite())
        #expect(verified.envelope.bytes == frame)
        #expect(verified.signer == Fixture.phone.kid)
        #expect(verified.identity == Fixture.phone.did && verified.principal == Fixture.phone.did)
        #expect(verified.delegation == nil)
        #expect(verified.narrowed(to: Invite.self)?.body == Fixture.offer)
        #expect(verified.narrowed(to: Bye.self) == nil)
    }

    @Test("a frame of one byte more than 65,536 is refused before it is read; one of exactly that many is read")
    func frameSize() throws {
        let receiver = Receiver()
        let frame = try Fixture.invite().signed(by: Fixture.phone).bytes
        let padded = frame + Array(repeating: UInt8(ascii: " "), count: 65_536 - frame.count)
        #expect(receiver.code(padded) == nil)
        #expect(
            receiver.rejection(padded + [0x20])
                == Rejection(.frameTooLarge, reason: .transportEnvelopeTooLarge, "")
        )
        #expect(receiver.code(Array(repeating: 0xff, count: 65_537)) == .frameTooLarge)
    }

    @Test(
        "anything but three base64url strings is no envelope",
        arguments: [
            "", "{}", "[]", "null", "\"x\"", "{\"protected\":\"e30\",\"payload\":\"e30\"}",
            "{\"protected\":\"e30\",\"payload\":\"e30\",\"signature\":\"e30\",\"x\":\"e30\"}",
            "{\"protected\":\"e30\",\"payload\":\"e3+\",\"signature\":\"e30\"}",
            "{\"protected\":\"e30=\",\"payload\":\"e30\",\"signature\":\"e30\"}",
            "{\"protected\":\"\",\"payload\":\"e30\",\"signature\":\"e30\"}",
            "{\"protected\":{},\"payload\":\"e30\",\"signature\":\"e30\"}",
            "{\"protected\":\"e30\",\"protected\":\"e30\",\"payload\":\"e30\",\"signature\":\"e30\"}",
            "{\"protected\":\"e30\",\"payload\":\"e30\",\"signature\":\"e30\"}x",
        ]
    )
    func envelopeShape(_ text: String) {
        let receiver = Receiver()
        #expect(receiver.code(Array(text.utf8)) == .envelopeShape)
    }

    @Test("members of the envelope may stand in any order, with spaces")
    func envelopeOrder() throws {
        let envelope = try Fixture.invite().signed(by: Fixture.phone)
        let text = """
            { "signature" : "\(envelope.signatureText)", "payload":"\(envelope.payloadText)",
              "protected": "\(envelope.protectedText)" }
            """
        let receiver = Receiver()
        #expect(receiver.code(Array(text.utf8)) == nil)
    }

    @Test("the header decides in its order: object, alg and kid, algorithm, kid")
    func header() throws {
        let payload = Fixture.invite().payload()
        let receiver = Receiver()
        func code(_ header: JSONValue) throws -> VerdictCode? {
            receiver.code(try Fixture.frame(header: header, payload: payload))
        }
        #expect(try code([]) == .headerInvalid)
        #expect(try code(["alg": "EdDSA"]) == .headerInvalid)
        #expect(try code(["alg": 1, "kid": .string(Fixture.phone.kid.description)]) == .headerInvalid)
        #expect(try code(["alg": "none", "kid": "nonsense"]) == .algUnsupported)
        #expect(try code(["alg": "EdDSA", "kid": "nonsense"]) == .kidInvalid)
        #expect(try code(["alg": "EdDSA", "kid": .string(Fixture.phone.did.string)]) == .kidInvalid)
        var crit = Fixture.header()
        crit["crit"] = ["b64"]
        #expect(try code(.object(crit)) == .headerInvalid)
        #expect(receiver.code(try Fixture.frame(header: Array("{".utf8), payload: payload)) == .headerInvalid)
    }

    @Test("a did:key is named by its own fragment; other keys come from the document")
    func kid() throws {
        let receiver = Receiver()
        let invite = Fixture.invite(from: Fixture.bobDID).payload()
        var header = Fixture.header()
        header["kid"] = .string("\(Fixture.phone.did)#other")
        #expect(receiver.code(try Fixture.frame(header: .object(header), payload: invite)) == .kidUnresolvable)

        let frame = try Fixture.frame(header: .object(Fixture.header(Fixture.bob)), payload: invite, key: Fixture.bob)
        #expect(receiver.code(frame) == .kidUnresolvable)
        receiver.documents[Fixture.bobDID] = .unknown
        guard case .needs(Fixture.bobDID) = receiver.verify(frame) else {
            Issue.record("an unknown document must be asked for")
            return
        }
        receiver.documents[Fixture.bobDID] = .found(Fixture.document(Fixture.bobDID, [Fixture.bob]))
        #expect(receiver.accepted(frame)?.identity == Fixture.bobDID)
        // The key was rotated away: the document is asked each time.
        receiver.documents[Fixture.bobDID] = .found(Fixture.document(Fixture.bobDID, []))
        #expect(receiver.code(frame) == .kidUnresolvable)
    }

    @Test("ES256 is refused by default and verified where policy allows it")
    func es256() throws {
        let key = P256.Signing.PrivateKey()
        let did = DIDKey.did(of: .p256(key.publicKey))
        let header: JSONValue = ["alg": "ES256", "kid": .string(DIDKey.kid(of: .p256(key.publicKey)).description)]
        let input = Base64URL.encode(header.utf8) + "." + Base64URL.encode(Fixture.invite(from: did).payload())
        let signature = try key.signature(for: Array(input.utf8)).rawRepresentation
        let parts = input.split(separator: ".")
        let envelope = try #require(
            Envelope(
                protected: String(parts[0]),
                payload: String(parts[1]),
                signature: Base64URL.encode(Array(signature))
            )
        )
        #expect(Receiver().code(envelope.bytes) == .algUnsupported)
        let receiver = Receiver(policy: VerificationPolicy(allowES256: true))
        #expect(receiver.accepted(envelope.bytes)?.identity == did)
        // The algorithm is the key's, not the header's.
        let confused = try Fixture.frame(
            header: .object(Fixture.header(alg: "ES256")),
            payload: Fixture.invite().payload()
        )
        #expect(receiver.code(confused) == .kidUnresolvable)
    }

    @Test("a signature by another key, or over other bytes, does not verify")
    func signature() throws {
        let receiver = Receiver()
        let payload = Fixture.invite().payload()
        #expect(
            receiver.code(try Fixture.frame(header: .object(Fixture.header()), payload: payload, key: Fixture.mallory))
                == .signatureInvalid
        )
        let envelope = try Fixture.invite().signed(by: Fixture.phone)
        let other = try #require(
            Envelope(
                protected: envelope.protectedText,
                payload: Base64URL.encode(Fixture.invite(salt: 2).payload()),
                signature: envelope.signatureText
            )
        )
        #expect(receiver.code(other.bytes) == .signatureInvalid)
    }

    @Test("the payload decides in its order: UTF-8, JSON object, integers, core members")
    func payload() throws {
        let receiver = Receiver()
        func code(_ payload: [UInt8]) throws -> VerdictCode? {
            receiver.code(try Fixture.frame(header: .object(Fixture.header()), payload: payload))
        }
        #expect(try code(Array("{\"a\":1.5,".utf8) + [0xff]) == .payloadNotUTF8)
        #expect(try code(Array("[1.5]".utf8)) == .payloadNotJSON)
        #expect(try code(Array("{\"a\":1,\"a\":2}".utf8)) == .payloadNotJSON)
        #expect(try code(Array("{\"a\":1}x".utf8)) == .payloadNotJSON)
        #expect(try code(Array("{\"a\":1.5}".utf8)) == .payloadFloat)
        #expect(try code(Array("{\"a\":1e3}".utf8)) == .payloadFloat)
        #expect(try code(Array("{\"a\":9223372036854775808}".utf8)) == .payloadFloat)
        #expect(try code(Array("{}".utf8)) == .payloadShape)
        for name in ["dsip", "type", "id", "from", "issued_at", "expires_at"] {
            #expect(receiver.code(try Fixture.altered(Fixture.invite(), [(name, nil)])) == .payloadShape)
            #expect(receiver.code(try Fixture.altered(Fixture.invite(), [(name, .bool(true))])) == .payloadShape)
        }
        #expect(receiver.code(try Fixture.altered(Fixture.invite(), [("id", "01HZINVITEABC")])) == .payloadShape)
        #expect(receiver.code(try Fixture.altered(Fixture.invite(), [("from", "nobody")])) == .signerMismatch)
    }

    @Test("time: order of expiry, window of 300 s both ways, expiry with the reason of invites")
    func times() throws {
        let now = Fixture.now
        func frame(_ issued: Int64, _ expires: Int64, type: JSONValue = "invite") throws -> [UInt8] {
            try Fixture.altered(
                Fixture.invite(salt: UInt64(bitPattern: issued &+ expires)),
                [("issued_at", .int(issued)), ("expires_at", .int(expires)), ("type", type)]
            )
        }
        let receiver = Receiver()
        #expect(receiver.code(try frame(now, now)) == .expiryOrder)
        #expect(receiver.code(try frame(now, now - 1)) == .expiryOrder)
        #expect(receiver.code(try frame(now - 301, now + 10)) == .replayWindow)
        #expect(receiver.code(try frame(now + 301, now + 400)) == .replayWindow)
        #expect(receiver.code(try frame(now - 300, now + 10)) == nil)
        #expect(receiver.code(try frame(now + 300, now + 400)) == nil)
        #expect(receiver.rejection(try frame(now - 20, now - 1)) == Rejection(.expired, reason: .sessionExpired, ""))
        #expect(receiver.code(try frame(now - 20, now)) == nil)
        #expect(receiver.rejection(try frame(now - 20, now - 1, type: "progress")) == Rejection(.expired, ""))
        // Numbers at the ends of their range are numbers like others.
        #expect(receiver.code(try frame(.min, .max)) == .replayWindow)
        #expect(receiver.code(try frame(.max - 1, .max)) == .replayWindow)
        #expect(receiver.code(try frame(.max, .min)) == .expiryOrder)
    }

    @Test("an introduction may be old but not longer-lived than seven days; a hint not than an hour")
    func heldRecords() throws {
        let now = Fixture.now
        func introduction(_ issued: Int64, _ lifetime: Int64, salt: UInt64) throws -> [UInt8] {
            try Message(
                Fixture.stamp(Fixture.phone.did, salt: salt, at: issued, lifetime: lifetime),
                to: Fixture.bobDID,
                Introduction(identity: IdentityInfo(displayName: "Carol"))
            ).signed(by: Fixture.phone).bytes
        }
        let receiver = Receiver()
        #expect(receiver.code(try introduction(now - 500_000, 604_800, salt: 1)) == nil)
        #expect(receiver.code(try introduction(now - 500_000, 604_801, salt: 2)) == .introductionValidity)
        #expect(receiver.code(try introduction(now + 301, 60, salt: 3)) == .replayWindow)
        #expect(receiver.code(try introduction(now - 604_800, 604_800, salt: 4)) == .expired)
        // Remembered for as long as it could be sent again.
        #expect(receiver.code(try introduction(now - 500_000, 604_800, salt: 1), at: now + 100_000) == .duplicateID)

        func hint(_ issued: Int64, _ lifetime: Int64) throws -> [UInt8] {
            try Message(
                Fixture.stamp(Fixture.phone.did, at: issued, lifetime: lifetime),
                ReachabilityHint(
                    subject: Fixture.phone.did,
                    endpoints: [ReachabilityHint.Endpoint(uri: "wss://relay.example/dsip")],
                    seq: 1
                )
            ).signed(by: Fixture.phone).bytes
        }
        #expect(receiver.code(try hint(now - 3_000, 3_600)) == nil)
        #expect(receiver.code(try hint(now - 3_000, 3_600)) == nil)
        #expect(receiver.code(try hint(now, 3_601)) == .hintValidity)
    }

    @Test("an id is accepted once; a refused message does not use up its id")
    func duplicates() throws {
        let receiver = Receiver()
        let frame = try Fixture.invite().signed(by: Fixture.phone).bytes
        receiver.helloVerified = false
        #expect(receiver.rejection(frame) == Rejection(.helloRequired, reason: .transportHelloRequired, ""))
        receiver.helloVerified = true
        #expect(receiver.code(frame) == nil)
        #expect(receiver.code(frame) == .duplicateID)
    }

    @Test("the time in the id lies within 300 s of issued_at")
    func identifierTime() throws {
        let receiver = Receiver()
        for (seconds, code) in [
            (300, nil), (-300, nil), (301, VerdictCode.ulidIssuedAtMismatch), (-301, .ulidIssuedAtMismatch),
        ] {
            let id = Fixture.ulid(9, at: Fixture.now + Int64(seconds))
            #expect(receiver.code(try Fixture.altered(Fixture.invite(), [("id", .string(id.description))])) == code)
        }
    }

    @Test("an unknown type, then a shape that is not its schema's")
    func shape() throws {
        let receiver = Receiver()
        let unknown = try #require(receiver.rejection(try Fixture.altered(Fixture.invite(), [("type", "deposit")])))
        #expect(unknown.code == .unknownType)
        let wrong = try #require(receiver.rejection(try Fixture.altered(Fixture.invite(), [("media", [])])))
        #expect(wrong.code == .schemaInvalid)
        #expect(wrong.type == .invite && wrong.id == Fixture.invite().id && wrong.from == Fixture.phone.did)
    }

    @Test("of two faults the earlier stage decides")
    func stageOrder() throws {
        // Each step breaks one more, earlier rule; the verdict follows.
        var changes: [(String, JSONValue?)] = []
        let receiver = Receiver()
        receiver.helloVerified = false
        _ = receiver.replay.remember(Fixture.invite().id, until: Fixture.now + 600, at: Fixture.now)
        let steps: [(String, JSONValue?, VerdictCode)] = [
            ("media", [], .schemaInvalid),
            ("type", "deposit", .unknownType),
            (
                "dsip", ["core": "2.0", "min_core": "2.0", "profiles": [], "extensions": [], "critical": []],
                .versionUnsupported
            ),
            ("id", .string(Fixture.ulid(3, at: Fixture.now - 1000).description), .ulidIssuedAtMismatch),
            ("expires_at", .int(Fixture.now - 1), .expired),
            ("issued_at", .int(Fixture.now - 1000), .replayWindow),
            ("expires_at", .int(Fixture.now - 2000), .expiryOrder),
            ("from", .string(Fixture.alice.did.string), .signerMismatch),
            ("issued_at", "soon", .payloadShape),
        ]
        for (name, value, code) in steps {
            changes.removeAll { $0.0 == name }
            changes.append((name, value))
            if code == .expired { changes.append(("issued_at", .int(Fixture.now - 100))) }
            let fresh = Receiver()
            #expect(fresh.code(try Fixture.altered(Fixture.invite(), changes)) == code, "\(name)")
        }
        // Repetition comes after time and before the hello; the hello before versions.
        let frame = try Fixture.invite().signed(by: Fixture.phone).bytes
        #expect(receiver.code(frame) == .duplicateID)
        #expect(receiver.code(frame, at: Fixture.now + 31) == .expired)
        let newer = try Fixture.altered(
            Fixture.invite(salt: 77),
            [("dsip", ["core": "2.0", "min_core": "2.0", "profiles": [], "extensions": [], "critical": []])]
        )
        #expect(receiver.code(newer) == .helloRequired)
    }
}
