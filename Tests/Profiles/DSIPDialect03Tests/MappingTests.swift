import DSIPIdentity
import DSIPMedia
import DSIPSignaling
import Encoding
import Testing

@testable import DSIPDialect03

@Suite("The core's messages in the dialect and back")
struct MappingTests {
    static let id = ProposalID.read("0192c2b0-0000-7000-8000-000000000001")!
    static let session = ProposalID.read(Scene.session)!

    static var bodies: [any MessageBody] {
        get throws {
            let offer = try Scene.media("actpass", on: .offer)
            let answer = try Scene.media("active", on: .answer)
            return [
                Invite(
                    media: offer.media,
                    transports: offer.transports,
                    identity: IdentityInfo(
                        displayName: "Alice",
                        claims: [["type": "reachability", "relay": "wss://r"]]
                    ),
                    grant: id,
                    policy: ["recording": "declined"]
                ),
                Progress(.ringing, ringTimeout: 45), Progress(.queued, queueTimeout: 90),
                Answer(by: .screening, media: answer.media, transport: answer.transports[0], inReplyTo: id),
                Reject(.endpointBusy, detail: "later", retryAfter: 30, inReplyTo: id),
                Cancel(.userCancelled), Bye(.mediaFailed, detail: "no path"),
                Update(media: offer.media, transports: offer.transports, answeredBy: .user),
                Info(
                    WebRTCCandidates([.init("candidate:1 1 udp 1 192.0.2.7 5 typ host", sdpMid: "0", sdpMLineIndex: 0)])
                ),
                Info(WebRTCCandidates([], endOfCandidates: true)), Info(DTMFDigits("12#")!),
                ErrorReport(.sessionUnknownSession, inReplyTo: id),
                Introduction(identity: IdentityInfo(displayName: "Alice"), purpose: "hello"),
                Grant(scope: [Grant.inviteScope], validUntil: Scene.now + 900),
                Hello(onBehalfOf: Scene.alice.did), Hello(inReplyTo: id),
            ]
        }
    }

    @Test("Nothing is lost on the way there and back", arguments: [ProposalCodec.json, .cbor])
    func roundTrip(_ codec: ProposalCodec) throws {
        for body in try Self.bodies {
            var type = Swift.type(of: body).type
            var message = Message(
                Message.Stamp(id: Self.id, from: Scene.alice.did, issuedAt: Scene.now, version: .interactive),
                to: type.isAddressed ? Scene.bobDID : nil,
                session: [.invite, .introduction, .hello].contains(type) ? nil : Self.session,
                body
            )
            if type == .hello { message.version = .core }
            let envelope = try codec.sign(message, by: Scene.alice, delegations: [])
            var reader = Reader()
            var back = try reader.accept(envelope).body
            // The dialect has one word for ending a session, and one for declining and for failing: the session knows which is meant.
            if type == .cancel || type == .reject {
                type = type == .cancel ? .bye : .error
                #expect(back.type == type)
                #expect(back.reason == message.reason)
                continue
            }
            if case .error(var report) = back.body {
                report.inReplyTo = Self.id
                back.body = .error(report)
            }
            #expect(back == message, "\(type)")
        }
    }

    @Test("An invite is written with the proposal's members")
    func members() throws {
        let message = Message(
            Message.Stamp(id: Self.session, from: Scene.alice.did, issuedAt: Scene.now),
            to: Scene.bobDID,
            try Self.bodies[0] as! Invite
        )
        let written = try JSONValue(
            parsing: ProposalCodec.json.sign(message, by: Scene.alice, delegations: []).bytes
        )
        for name in ["type", "id", "ts", "from", "to", "cap", "media", "net", "identity", "economics", "sig"] {
            #expect(written[name] != nil, "\(name)")
        }
        #expect(written["id"]?.string == Scene.session)
        #expect(written["cap"]?["ver"] == "1.0")
        #expect(written["media"]?["codecs"] == ["opus/48000/2"])
        #expect(written["net"]?["ice"]?["ufrag"] == "alce")
        #expect(written["identity"]?["rcid"]?["displayName"] == "Alice")
        #expect(written["sig"]?["alg"] == "Ed25519")
        #expect(written["sig"]?["jws"]?.string?.contains("..") == true)
    }

    @Test("Several candidates in one message are not the proposal's")
    func severalCandidates() throws {
        let candidate = WebRTCCandidates.Candidate("candidate:1 1 udp 1 192.0.2.7 5 typ host", sdpMid: "0")
        let info = Info(WebRTCCandidates([candidate], endOfCandidates: true))
        let stamp = Message.Stamp(id: Self.id, from: Scene.alice.did, issuedAt: Scene.now)
        #expect(throws: IdentityError(.unsupported, "")) {
            try ProposalCodec.json.sign(
                .inSession(Self.session, stamp, to: Scene.bobDID, info),
                by: Scene.alice,
                delegations: []
            )
        }
    }

    @Test("Every registered reason has a number of the proposal's three classes, and a text that leads back to it")
    func reasons() {
        for entry in ReasonRegistry.entries {
            #expect((400..<700).contains(ReasonCode.code(for: entry.reason)))
            #expect(ReasonCode.reason(ReasonCode.text(entry.reason)) == entry.reason)
        }
        for row in ReasonCode.table {
            #expect(ReasonCode.reason(for: row.code).map(ReasonCode.code(for:)) == row.code)
            #expect(Reason(row.token).map(ReasonCode.code(for:)) == row.code)
        }
        #expect((400..<700).allSatisfy { ReasonCode.reason(for: $0) != nil })
        #expect(ReasonCode.reason(for: 200) == nil && ReasonCode.reason(for: -1) == nil)
    }

    @Test("Every 128 bits are a UUID and come back; what is none is refused")
    func identifiers() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let id = ULID(milliseconds: .random(in: 0..<1 << 48, using: &generator), using: &generator)
            #expect(ProposalID.read(ProposalID.text(id)) == id)
            #expect(ProposalID.read(ProposalID.text(id).uppercased()) == id)
        }
        for text in ["", "uuid", "7f1c9a523b6e4d0f9a770c2f5d1e8b40", "7f1c9a52-3b6e-4d0f-9a77-0c2f5d1e8b4g"] {
            #expect(ProposalID.read(text) == nil)
        }
    }
}
