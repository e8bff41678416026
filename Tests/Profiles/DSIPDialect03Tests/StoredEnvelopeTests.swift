import DSIPIdentity
import DSIPSignaling
import Encoding
import Testing

@testable import DSIPDialect03

@Suite("dsip.envelope.v1, proposal §21.B")
struct StoredEnvelopeTests {
    private let recipient = SigningKey(selfIssued: Scene.secret(3))

    private func sealed(_ name: String = "x") throws -> (StoredEnvelope, Envelope) {
        let message = try ProposalCodec.json.sign(
            Scene.invite().with("to", .string(recipient.did.string)).with("padding", .string(name)),
            by: Scene.alice
        )
        var random = SystemRandomNumberGenerator()
        let envelope = try StoredEnvelope.sealing(
            message,
            for: recipient.did,
            key: try #require(DIDKey.keyAgreement(of: recipient.did)).publicKey,
            until: Scene.now + 3600,
            using: &random
        )
        return (envelope, message)
    }

    @Test("What was sealed comes out as it was signed, and for its recipient alone")
    func roundTrip() throws {
        let (envelope, message) = try sealed()
        let received = try #require(try StoredEnvelope(envelope.bytes, at: Scene.now))
        #expect(received == envelope)
        #expect(try received.opened(by: recipient) == message.bytes)
        #expect(throws: Rejection(.sealedOpenFailed, "")) { try received.opened(by: Scene.alice) }
    }

    @Test("A relay reads recipient, expiry and size; not the sender, not what is said")
    func whatARelayReads() throws {
        let (envelope, _) = try sealed()
        let object = try #require(JSONValue(parsing: envelope.bytes).object)
        #expect(Set(object.members.map(\.name)) == ["type", "to", "from", "nonce", "exp", "payload_enc", "sig"])
        #expect(object["from"]?.string != Scene.alice.did.string)
        let text = String(decoding: envelope.bytes, as: UTF8.self)
        #expect(!text.contains(Scene.alice.did.string))
        #expect(!text.contains("invite"))
        // Another envelope of the same sender has another outside.
        #expect(try sealed().0.from != envelope.from)
    }

    @Test("A codec reads of an envelope where it goes; that of its recipient reads the message inside")
    func throughTheCodec() throws {
        let (envelope, _) = try sealed()
        let outside = try #require(try ProposalCodec.json.open(envelope.bytes, at: Scene.now))
        let seen = try JSONValue(parsing: outside.payload())
        let names: Set = ["dsip", "type", "id", "from", "to", "issued_at", "expires_at"]
        #expect(Set(seen.object?.members.map(\.name) ?? []) == names)
        #expect(seen["id"]?.string == ProposalCodec.json.name(of: envelope.bytes)?.description)
        var theirs = Reader(opening: recipient)
        guard case .accepted(let message) = theirs.read(envelope.bytes) else {
            Issue.record("not opened")
            return
        }
        #expect(message.body.type == .invite && message.body.from == Scene.alice.did)
        // Come again, it is what came before.
        #expect(theirs.code(envelope.bytes) == .duplicateID)
    }

    @Test("What is changed, sealed anew or spliced is refused, each with its token")
    func attacks() throws {
        let (envelope, message) = try sealed()
        let object = try #require(JSONValue(parsing: envelope.bytes).object)
        var theirs = Reader(opening: recipient)
        #expect(theirs.code(JSONValue.object(object.with("nonce", "other")).utf8) == .signatureInvalid)
        #expect(theirs.code(envelope.bytes, at: Scene.now + 3600) == .expired)

        // Another outside around the same ciphertext, signed by whoever did it.
        let thief = SigningKey()
        var stolen = object.with("from", .string(thief.did.string)).with("sig", nil)
        stolen["sig"] = .string(Base64URL.encode(try thief.sign(JSONValue.object(stolen).canonical)))
        #expect(theirs.code(JSONValue.object(stolen).utf8) == .sealedOpenFailed)

        // What was said to one, sealed to another by whom it was said to.
        var random = SystemRandomNumberGenerator()
        let other = SigningKey(selfIssued: Scene.secret(4))
        let passedOn = try StoredEnvelope.sealing(
            message,
            for: other.did,
            key: try #require(DIDKey.keyAgreement(of: other.did)).publicKey,
            until: Scene.now + 3600,
            using: &random
        )
        var others = Reader(opening: other)
        #expect(others.code(passedOn.bytes) == .sealedPlaintextInvalid)

        // An envelope in an envelope.
        let nested = try StoredEnvelope.sealing(
            Envelope(envelope.bytes, form: .proposal),
            for: recipient.did,
            key: try #require(DIDKey.keyAgreement(of: recipient.did)).publicKey,
            until: Scene.now + 3600,
            using: &random
        )
        #expect(theirs.code(nested.bytes) == .sealedPlaintextInvalid)
    }

    @Test("Sizes tell no more than steps of 256 bytes")
    func padding() throws {
        let sizes = try Set((0..<40).map { try sealed(String(repeating: "x", count: $0)).0.bytes.count })
        #expect(sizes.count <= 2)
    }

    @Test("A changed outside is refused, and so is an envelope that has run out")
    func tampering() throws {
        let (envelope, _) = try sealed()
        let object = try #require(JSONValue(parsing: envelope.bytes).object)
        for (name, value): (String, JSONValue) in [
            ("to", .string(Scene.alice.did.string)), ("exp", .int(Scene.now + 3601)), ("nonce", "other"),
            ("payload_enc", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ] {
            #expect(throws: Rejection(.signatureInvalid, "")) {
                try StoredEnvelope(JSONValue.object(object.with(name, value)).utf8, at: Scene.now)
            }
        }
        #expect(throws: Rejection(.expired, "")) { try StoredEnvelope(envelope.bytes, at: Scene.now + 3600) }
        #expect(throws: Rejection(.schemaInvalid, "")) {
            try StoredEnvelope(Array(#"{"type":"dsip.envelope.v1"}"#.utf8), at: Scene.now)
        }
        #expect(try StoredEnvelope(Array(#"{"type":"dsip.invite"}"#.utf8), at: Scene.now) == nil)
    }
}
