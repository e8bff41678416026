import DSIPIdentity
import DSIPSignaling
import Encoding
import Testing

@Suite("Sealed bodies, DSIP §10.4")
struct SealedBodyTests {
    static let now: Int64 = 1_760_000_000
    let alice = SigningKey()
    let bob = SigningKey()
    let session = ULID("01KEFYQQ0R0000000000000000")!

    private func message(_ body: some MessageBody) -> Message {
        var generator = SystemRandomNumberGenerator()
        let id = ULID(milliseconds: UInt64(Self.now) * 1000, using: &generator)
        let stamp = Message.Stamp(id: id, from: alice.did, issuedAt: Self.now)
        return body.body.isInvite
            ? .invite(stamp, to: bob.did, Invite(body.body)!) : .inSession(session, stamp, to: bob.did, body)
    }

    private func sealed(_ message: Message) throws -> Message {
        try message.sealed(to: try #require(DIDKey.keyAgreement(of: bob.did)).publicKey)
    }

    private func verify(_ payload: JSONValue, opener: SealOpener?, isRouter: Bool = false) throws -> Verdict {
        var policy = VerificationPolicy(isRouter: isRouter)
        if opener != nil { policy.supported.extensions.append(.sealedBody) }
        var verifier = EnvelopeVerifier(policy: policy, opener: opener)
        var replay = ReplayWindow()
        let envelope = try Envelope(signing: payload.utf8, by: alice)
        return verifier.verify(envelope.bytes, at: Self.now, replay: &replay, documents: { _ in .unresolvable })
    }

    private func code(_ payload: JSONValue) throws -> VerdictCode? {
        guard case .rejected(let rejection) = try verify(payload, opener: SealOpener([bob])) else { return nil }
        return rejection.code
    }

    private var bodies: [any MessageBody] {
        let media = [MediaDescriptor(.audio, codecs: [Codec("codec:audio/opus")])]
        let transport = TransportDescriptor(webRTC: "v=0 secret")
        return [
            Invite(
                media: media,
                transports: [transport],
                identity: IdentityInfo(displayName: "Alice Secret"),
                policy: ["recording": "declined"]
            ),
            Answer(by: .user, media: media, transport: transport),
            Update(media: media, transports: [transport]),
            Info(WebRTCCandidates([.init("candidate:1 1 udp 1 192.0.2.99 5 typ host", sdpMid: "0")])),
            Info(DTMFDigits("4711")!), Reject(.userDeclined, detail: "secret"), Bye(.userHangup, detail: "secret"),
        ]
    }

    @Test("What is sealed comes out as it went in, at its addressee alone")
    func roundTrip() throws {
        for body in bodies {
            let message = message(body)
            let sealed = try sealed(message)
            #expect(sealed.isSealed)
            guard case .accepted(let opened) = try verify(sealed.json, opener: SealOpener([bob])) else {
                Issue.record("not opened: \(message.type)")
                continue
            }
            #expect(opened.body.body == message.body)
            guard case .rejected(let rejection) = try verify(sealed.json, opener: SealOpener([alice])) else {
                Issue.record("opened by another")
                continue
            }
            #expect(rejection.code == .sealedOpenFailed)
            guard case .rejected(let plain) = try verify(sealed.json, opener: nil) else {
                Issue.record("accepted unopened")
                continue
            }
            #expect(plain.reason == .sessionUnsupportedCriticalExtension)
        }
    }

    @Test("A relay verifies it, and reads who, what kind and when; no SDP, address, name, digit or word")
    func whatARelayReads() throws {
        let routing: Set = [
            "dsip", "type", "id", "from", "to", "session", "issued_at", "expires_at", "reason", "sealed",
        ]
        for body in bodies {
            let sealed = try sealed(message(body))
            guard case .accepted = try verify(sealed.json, opener: nil, isRouter: true) else {
                Issue.record("a relay refuses it")
                continue
            }
            let members = try #require(sealed.json.object).members
            #expect(Set(members.map(\.name)).isSubset(of: routing), "\(members.map(\.name))")
            let text = sealed.json.text
            for word in ["secret", "Secret", "192.0.2", "4711", "opus", "candidate", "declined"] {
                #expect(!text.replacing("user.declined", with: "").contains(word), "\(word) in \(sealed.type)")
            }
        }
    }

    @Test("Sizes tell no more than steps of 256 bytes")
    func padding() throws {
        let lengths = try Set(
            (0..<200).map { count in
                try #require(
                    sealed(message(Bye(.userHangup, detail: .text(String(repeating: "x", count: count))))).json[
                        "sealed"
                    ]?[
                        "ct"
                    ]?.string
                ).utf8.count
            }
        )
        #expect(lengths.count == 1)
    }

    @Test("What is moved, doubled, forbidden, weak or unannounced is refused by its own name")
    func refusals() throws {
        let sealed = try #require(try sealed(message(Bye(.userHangup, detail: "secret"))).json.object)
        func with(_ name: String, _ value: JSONValue?) -> JSONValue {
            var object = sealed
            object[name] = value
            return .object(object)
        }
        #expect(try code(.object(sealed)) == nil)
        #expect(try code(with("id", "01KEFYQQ0R0000000000000001")) == .ulidIssuedAtMismatch)
        let other = try #require(try self.sealed(message(Bye(.userHangup, detail: "other"))).json["sealed"])
        #expect(try code(with("sealed", other)) == .sealedOpenFailed)
        #expect(try code(with("detail", "in clear, too")) == .sealedFieldDuplicate)
        var block = try #require(sealed["dsip"]?.object)
        block["critical"] = []
        #expect(try code(with("dsip", .object(block))) == .sealedNotCritical)
        var weak = try #require(sealed["sealed"]?.object)
        weak["alg"] = "none"
        #expect(try code(with("sealed", .object(weak))) == .sealedAlgUnsupported)
    }
}

extension Message.Body {
    fileprivate var isInvite: Bool { if case .invite = self { true } else { false } }
}
