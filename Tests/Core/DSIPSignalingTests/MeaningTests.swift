import DSIPIdentity
import DSIPSignaling
import Encoding
import Testing

@Suite("Versions and meaning")
struct MeaningTests {
    private func refusal(
        core: String = "1.0",
        min: String = "1.0",
        profiles: [String] = [],
        critical: [String] = [],
        policy: VerificationPolicy = VerificationPolicy(),
        sealed: Bool = false
    ) throws -> Reason? {
        guard case .object(var object) = Fixture.invite().json else { return nil }
        object["dsip"] = [
            "core": .string(core), "min_core": .string(min), "profiles": .array(profiles.map { .string($0) }),
            "extensions": [], "critical": .array(critical.map { .string($0) }),
        ]
        if sealed { object["sealed"] = ["alg": "hpke", "enc": "AAAA", "ct": "AAAA"] }
        do {
            _ = try PayloadRules.check(JSONDocument(scanning: JSONValue.object(object).utf8), policy: policy)
            return nil
        } catch let rejection as Rejection {
            #expect(rejection.code == .versionUnsupported)
            return rejection.reason
        }
    }

    @Test("minor versions are compatible, major ones are not, critical ones must be known")
    func versions() throws {
        #expect(try refusal(core: "1.7") == nil)
        #expect(try refusal(core: "2.0", min: "1.0") == .sessionUnsupportedCoreVersion)
        #expect(try refusal(core: "1.7", min: "1.1") == .sessionUnsupportedCoreVersion)
        #expect(try refusal(profiles: ["interactive-media/1.9"]) == nil)
        #expect(try refusal(profiles: ["interactive-media/2.0"]) == .sessionUnsupportedProfileVersion)
        #expect(try refusal(profiles: ["unknown/1.0", "interactive-media/1.0"]) == nil)
        #expect(try refusal(critical: ["quantum/1.0"]) == .sessionUnsupportedCriticalExtension)
        #expect(try refusal(critical: ["delivery-report/1.0"]) == nil)
        #expect(try refusal(critical: ["delivery-report/1.1"]) == .sessionUnsupportedCriticalExtension)
    }

    @Test("a sealed body is refused by an addressee that cannot open it and passed on by a router")
    func sealedBodies() throws {
        let router = VerificationPolicy(isRouter: true)
        #expect(try refusal(critical: ["sealed-body/1.0"], sealed: true) == .sessionUnsupportedCriticalExtension)
        #expect(try refusal(critical: ["sealed-body/1.0"], policy: router, sealed: true) == nil)
        #expect(
            try refusal(critical: ["sealed-body/1.0", "quantum/1.0"], policy: router, sealed: true)
                == .sessionUnsupportedCriticalExtension
        )
    }

    @Test("an answer selects from the offer, field by field")
    func selection() {
        let video = MediaDescriptor(
            .video,
            direction: .sendonly,
            codecs: [Codec("codec:video/h264")],
            purpose: "screen"
        )
        let offer = MediaOffer(media: [Fixture.audio, video], transports: [TransportDescriptor("transport:webrtc")])
        func holds(_ media: [MediaDescriptor], _ transport: String = "transport:webrtc") -> Bool {
            offer.contains(media: media, transports: [TransportDescriptor(transport)])
        }
        let opus = MediaDescriptor(.audio, direction: .recvonly, codecs: [Codec("codec:audio/opus")])
        #expect(holds([opus]))
        #expect(!holds([opus], "transport:rtp"))
        #expect(!holds([opus, opus]))
        #expect(!holds([MediaDescriptor(.audio, codecs: [Codec("codec:audio/g722")])]))
        #expect(!holds([MediaDescriptor(.video, direction: .recvonly, codecs: video.codecs)]))
        #expect(holds([MediaDescriptor(.video, direction: .recvonly, codecs: video.codecs, purpose: "screen")]))
        #expect(!holds([MediaDescriptor(.video, direction: .sendrecv, codecs: video.codecs, purpose: "screen")]))
        let directions: [MediaDescriptor.Direction] = [.sendrecv, .sendonly, .recvonly, .inactive]
        #expect(directions.map { offered in directions.filter { $0.answers(offered) }.count } == [4, 2, 2, 1])
    }

    @Test("a subscription within the tightest cap of its events")
    func subscriptions() {
        func code(_ events: [String], _ seconds: Int64) -> VerdictCode? {
            let message = Message(
                Fixture.stamp(Fixture.phone.did),
                to: Fixture.bobDID,
                Subscribe(target: "did:web:a", events: events, expiresIn: seconds)
            )
            return fault(message)?.code
        }
        #expect(code(["presence"], 3_600) == nil && code(["presence"], 3_601) == .subscriptionLifetimeExceeded)
        #expect(code(["publication"], 86_400) == nil)
        #expect(code(["publication", "presence"], 3_601) == .subscriptionLifetimeExceeded)
    }

    @Test("introductions are small and never both sealed and in clear; grants answer one that was made")
    func contact() {
        var introduction = Introduction(identity: IdentityInfo(), purpose: "hello")
        func message() -> Message { Message(Fixture.stamp(Fixture.phone.did), to: Fixture.bobDID, introduction) }
        #expect(fault(message(), MeaningContext(encodedSize: 4_096)) == nil)
        #expect(fault(message(), MeaningContext(encodedSize: 4_097))?.code == .introductionTooLarge)
        introduction.sealed = SealedBody(algorithm: "hpke", encapsulatedKey: "AA", ciphertext: "AA")
        #expect(fault(message())?.code == .introductionPurposeAndSealed)

        let grant = Message.inSession(
            Fixture.ulid(3),
            Fixture.stamp(Fixture.phone.did),
            to: Fixture.bobDID,
            Grant(validUntil: 1)
        )
        #expect(fault(grant, MeaningContext(knownIntroductions: [Fixture.ulid(3)])) == nil)
        #expect(fault(grant, MeaningContext(knownIntroductions: []))?.code == .grantUnknownIntroduction)
    }

    @Test("a relay's hello answers the hello that was sent, and a client's answers none")
    func splicing() throws {
        let receiver = Receiver()
        receiver.sentHello = Fixture.ulid(8)
        func hello(_ reply: ULID, salt: UInt64) throws -> [UInt8] {
            try Message.hello(Fixture.stamp(Fixture.phone.did, salt: salt), Hello(inReplyTo: reply))
                .signed(by: Fixture.phone).bytes
        }
        #expect(receiver.code(try hello(Fixture.ulid(8), salt: 1)) == nil)
        #expect(receiver.code(try hello(Fixture.ulid(9), salt: 2)) == .helloInReplyToMismatch)
        let client = try Message.hello(Fixture.stamp(Fixture.phone.did, salt: 3), Hello(onBehalfOf: nil))
            .signed(by: Fixture.phone).bytes
        #expect(receiver.code(client) == .helloInReplyToMismatch)
    }

    @Test("a rotation is the subject's own, to another key, signed by the old one or for recovery")
    func rotation() {
        let recovery = DIDURL(did: Fixture.bobDID, fragment: "recovery-1")
        var rotation = KeyRotationStatement(
            subject: Fixture.bobDID,
            previous: Fixture.bob.kid,
            next: DIDURL(did: Fixture.bobDID, fragment: "key-2"),
            nextPublicKey: "z6Mk",
            reason: "lost"
        )
        func code(_ signer: DIDURL, from: DID = Fixture.bobDID, designated: [DIDURL]? = nil) -> VerdictCode? {
            fault(
                Message(Fixture.stamp(from), rotation),
                MeaningContext(signer: signer, recovery: designated)
            )?.code
        }
        #expect(code(Fixture.bob.kid) == nil)
        #expect(code(recovery) == .rotationSignerNotPrevious)
        rotation.recovery = true
        #expect(code(recovery) == nil)
        #expect(code(recovery, designated: [recovery]) == nil)
        #expect(code(recovery, designated: []) == .rotationSignerNotPrevious)
        #expect(code(Fixture.phone.kid) == .rotationSignerNotPrevious)
        rotation.next = rotation.previous
        #expect(code(Fixture.bob.kid) == .rotationNextSameAsPrevious)
        #expect(code(Fixture.bob.kid, from: Fixture.alice.did) == .rotationSubjectMismatch)
    }

    @Test("a revocation is signed by its subject, never by a device")
    func revocation() {
        let statement = DelegationRevocationStatement(
            subject: Fixture.bobDID,
            device: Fixture.phone.did,
            revokedAt: 1,
            reason: "lost"
        )
        func code(_ signer: DIDURL, from: DID = Fixture.bobDID) -> VerdictCode? {
            fault(Message(Fixture.stamp(from), statement), MeaningContext(signer: signer))?.code
        }
        #expect(code(Fixture.bob.kid) == nil)
        #expect(code(Fixture.phone.kid) == .revocationSignerNotSubject)
        #expect(code(Fixture.bob.kid, from: Fixture.alice.did) == .revocationSubjectMismatch)
    }

    @Test("tokens fall back as the registries say")
    func registries() {
        func reading(_ token: String) -> (String, ReasonRegistry.Fallback) {
            let (reason, fallback) = ReasonRegistry.effective(Reason(token)!)
            return (reason.token, fallback)
        }
        #expect(reading("user.declined") == ("user.declined", .none))
        #expect(reading("mailbox.stale-epoch") == ("mailbox.stale-epoch", .none))
        #expect(reading("endpoint.on-fire") == ("endpoint.on-fire", .category))
        #expect(reading("x-shop.closed") == ("session.failed", .unknownCategory))
        #expect(AnsweredBy("butler")?.effective == .service && AnsweredBy("Butler") == nil)
        #expect(ProgressStatus("pondering")?.effective == .trying && ProgressStatus("queued")?.effective == .queued)
        let stamp = Fixture.stamp(Fixture.phone.did)
        let rejected = Message.inSession(Fixture.ulid(), stamp, to: Fixture.bobDID, Reject(.userHangup))
        #expect(rejected.interpretation.warnings == [.reasonNotValidOnType])
        let notify = Message(
            stamp,
            to: Fixture.bobDID,
            Notify(subscription: Fixture.ulid(), seq: 1, state: .terminated, reason: .userHangup, content: [:])
        )
        #expect(notify.interpretation.warnings.isEmpty && notify.interpretation.reason == .userHangup)
    }

    private func fault(_ message: Message, _ context: MeaningContext = MeaningContext()) -> Rejection? {
        do { try message.check(context) } catch { return error }
        return nil
    }
}
