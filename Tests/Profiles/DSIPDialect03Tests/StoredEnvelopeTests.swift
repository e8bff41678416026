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
