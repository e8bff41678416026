import Support
import Testing

@testable import DoubleRatchet

@Suite("Sessions with a person's devices")
struct SessionTests {
    /// Two sides and one source of randomness.
    struct Two: ~Copyable {
        var a: Side
        var b: Side
        var random: SeededRandom

        init(_ profile: SessionProfile, seed: UInt64 = 1) {
            random = SeededRandom(seed: seed)
            a = Side(profile, using: &random)
            b = Side(profile, using: &random)
        }

        mutating func aBegins() throws {
            let bundle = b.preKeys.takeBundle()
            try a.begin(bundle, using: &random)
        }

        mutating func bBegins() throws {
            let bundle = a.preKeys.takeBundle()
            try b.begin(bundle, using: &random)
        }

        mutating func fromA(_ text: String) throws -> [UInt8] { try a.say(text, using: &random) }
        mutating func fromB(_ text: String) throws -> [UInt8] { try b.say(text, using: &random) }
    }

    @Test("A session begins with one message, and the handshake goes along until it is answered", arguments: profiles)
    func begin(_ profile: SessionProfile) throws {
        var two = Two(profile)
        try two.aBegins()
        let first = try two.fromA("one")
        let second = try two.fromA("two")
        #expect(try SessionMessage(first).handshake != nil && SessionMessage(second).handshake != nil)
        // The first is lost; the second begins the session as well.
        let received = try two.b.hear(second)
        #expect(received.beganSession && received.content == .message(Array("two".utf8)))
        #expect(received.identity == two.a.preKeys.identity.publicKey)
        #expect(try two.b.text(first) == "one")
        let answer = try two.fromB("three")
        #expect(try two.a.text(answer) == "three")
        #expect(try SessionMessage(two.fromA("four")).handshake == nil)
    }

    @Test("A one-time prekey serves one session, and only once its message authenticated", arguments: profiles)
    func oneTime(_ profile: SessionProfile) throws {
        var two = Two(profile)
        try two.aBegins()
        let message = try two.fromA("one")
        var broken = message
        broken[broken.count - 1] ^= 1
        let before = two.b.preKeys.save()
        #expect(refusal { _ = try two.b.hear(broken) } == .authenticationFailed)
        #expect(two.b.preKeys.save() == before && !two.b.other.hasSession(with: "device"))
        _ = try two.b.hear(message)
        #expect(two.b.preKeys.save() != before)
        // To a device that forgot the session, the same message is nothing it could answer.
        two.b.other.forget("device")
        #expect(refusal { _ = try two.b.hear(message) } == .unknownPreKey)
    }

    @Test("A state saved under another cipher or chain is refused by name, not taken and then unusable")
    func anotherProfile() throws {
        let profile = SessionProfile.standard("Test")
        var two = Two(profile)
        try two.aBegins()
        _ = try two.fromA("one")
        let saved = try two.a.other.save()
        let identity = two.a.preKeys.identity
        _ = try Correspondent(restoring: saved, identity: identity, profile: profile)
        var others = [profile, profile, profile]
        others[0].ratchet.cipher = .aes256GCM
        others[1].ratchet.chain = .hmac(message: 1, chain: 2)
        others[2].ratchet.root = .hkdf(.sha512, info: [])
        for other in others {
            var code: RatchetError.Code?
            do { _ = try Correspondent(restoring: saved, identity: identity, profile: other) } catch {
                code = error.code
            }
            #expect(code == .profileMismatch)
        }
    }

    @Test(
        "Without one-time prekeys sessions still begin, and a replayed initial message is refused",
        arguments: profiles
    )
    func lastResort(_ profile: SessionProfile) throws {
        var random = SeededRandom(seed: 3)
        var ring = PreKeyRing(profile, oneTime: 0, using: &random)
        let alice = PreKeyRing(profile, oneTime: 0, using: &random)
        var toBob = Correspondent(identity: alice.identity, profile: profile)
        let bundle = ring.takeBundle()
        #expect(bundle.oneTime == nil && bundle.kem?.isLastResort ?? true)
        try toBob.begin(
            with: "b",
            bundle.verified(as: ring.identity.publicKey, profile: profile.agreement),
            using: &random
        )
        let message = try toBob.encrypt([1], to: "b", using: &random)
        var toAlice = Correspondent(identity: ring.identity, profile: profile)
        _ = try toAlice.decrypt(message, from: "a", preKeys: &ring)
        toAlice.forget("a")
        #expect(refusal { _ = try toAlice.decrypt(message, from: "a", preKeys: &ring) } == .replayedInitialMessage)
        // Past its grace the signed prekey is gone, and so is what was remembered for it.
        ring.rotate(at: 10, using: &random)
        ring.expire(at: 10 + 15 * 86_400)
        #expect(refusal { _ = try toAlice.decrypt(message, from: "a", preKeys: &ring) } == .unknownPreKey)
    }

    @Test("Both begin at once: every message opens, and both end in one session", arguments: profiles)
    func simultaneous(_ profile: SessionProfile) throws {
        for seed in 1...6 as ClosedRange<UInt64> {
            var two = Two(profile, seed: seed)
            try two.aBegins()
            try two.bBegins()
            let fromA = try two.fromA("a")
            let fromB = try two.fromB("b")
            #expect(try two.b.text(fromA) == "a")
            #expect(try two.a.text(fromB) == "b")
            for turn in 0..<4 {
                let fromA = try two.fromA("a\(turn)")
                let fromB = try two.fromB("b\(turn)")
                #expect(try two.b.text(fromA) == "a\(turn)")
                #expect(try two.a.text(fromB) == "b\(turn)")
            }
            #expect(two.a.other.spokenIn("device") == two.b.other.spokenIn("device"), "seed \(seed)")
        }
    }

    @Test("A device that lost its state resets once in an hour, and the conversation goes on", arguments: profiles)
    func reset(_ profile: SessionProfile) throws {
        var two = Two(profile)
        try two.aBegins()
        let opening = try two.fromA("one")
        _ = try two.b.hear(opening)
        let answer = try two.fromB("two")
        _ = try two.a.hear(answer)
        let late = try two.fromA("late")
        // Bob's device loses its sessions.
        two.b.other.forget("device")
        let error = refusal { _ = try two.b.hear(late) }
        #expect(error == .noSession)
        let bundle = try two.a.preKeys.takeBundle().verified(as: nil, profile: profile.agreement)
        let message = try #require(try two.b.other.reset("device", bundle, at: 0, using: &two.random))
        #expect(try two.b.other.reset("device", bundle, at: 3599, using: &two.random) == nil)
        let received = try two.a.hear(message)
        #expect(received.content == .reset && received.beganSession)
        let again = try two.fromA("again")
        #expect(try two.b.text(again) == "again")
        let fine = try two.fromB("fine")
        #expect(try two.a.text(fine) == "fine")
        #expect(two.a.other.spokenIn("device") == two.b.other.spokenIn("device"))
    }

    @Test("A duplicate of any age is known as one and asks for no reset", arguments: profiles)
    func duplicates(_ profile: SessionProfile) throws {
        var two = Two(profile)
        try two.aBegins()
        var sent: [[UInt8]] = []
        for turn in 0..<6 {
            let message = try two.fromA("\(turn)")
            sent.append(message)
            _ = try two.b.hear(message)
            let answer = try two.fromB("ok")
            _ = try two.a.hear(answer)
        }
        for message in sent { #expect(refusal { _ = try two.b.hear(message) } == .duplicate) }
        #expect(!RatchetError(.duplicate, "").callsForReset)
    }

    @Test("A device is held to the identity it is known by", arguments: profiles)
    func identity(_ profile: SessionProfile) throws {
        var two = Two(profile)
        try two.aBegins()
        let message = try two.fromA("one")
        var random = SeededRandom(seed: 77)
        let stranger = IdentityKeyPair(using: &random).publicKey
        #expect(
            refusal { _ = try two.b.other.decrypt(message, from: "device", known: stranger, preKeys: &two.b.preKeys) }
                == .identityChanged
        )
        _ = try two.b.hear(message)
        var mallory = Two(profile, seed: 9)
        let bundle = two.b.preKeys.takeBundle()
        try mallory.a.begin(bundle, using: &mallory.random)
        let forged = try mallory.fromA("it is me")
        #expect(refusal { _ = try two.b.hear(forged) } == .identityChanged)
        #expect(refusal { try two.b.begin(mallory.a.preKeys.takeBundle(), using: &two.random) } == .identityChanged)
    }

    @Test("A bundle with another identity, a false signature, or without its KEM key is refused")
    func bundles() throws {
        var random = SeededRandom(seed: 5)
        let profile = SessionProfile.standard("test")
        var ring = PreKeyRing(profile, using: &random)
        let bundle = ring.takeBundle()
        #expect(try PreKeyBundle(bundle.bytes) == bundle)
        let other = IdentityKeyPair(using: &random).publicKey
        #expect(refusal { _ = try bundle.verified(as: other, profile: profile.agreement) } == .identityChanged)
        var changed = bundle
        changed.signed.key[3] ^= 1
        #expect(refusal { _ = try changed.verified(as: nil, profile: profile.agreement) } == .invalidSignature)
        changed = bundle
        changed.kem?.key[3] ^= 1
        #expect(refusal { _ = try changed.verified(as: nil, profile: profile.agreement) } == .invalidSignature)
        changed.kem = nil
        #expect(refusal { _ = try changed.verified(as: nil, profile: profile.agreement) } == .profileMismatch)
        // A signature for one kind of prekey is none for another.
        changed = bundle
        changed.signed.signature = bundle.kem?.signature ?? []
        #expect(refusal { _ = try changed.verified(as: nil, profile: profile.agreement) } == .invalidSignature)
        for length in 0..<bundle.bytes.count {
            #expect(refusal { _ = try PreKeyBundle(Array(bundle.bytes.prefix(length))) } == .malformed)
        }
    }

    @Test("Identities of all three kinds agree with one another")
    func identities() throws {
        var random = SeededRandom(seed: 6)
        let profile = SessionProfile.standard("test")
        func bytes() -> [UInt8] { Secret(using: &random).bytes }
        let pairs = [
            try IdentityKeyPair(ed25519Seed: bytes()), try IdentityKeyPair(x25519: bytes()),
            try IdentityKeyPair(ed25519Seed: bytes(), x25519: bytes()),
        ]
        for initiator in pairs {
            for responder in pairs {
                var ring = PreKeyRing(identity: responder, profile: profile.agreement, at: 0, using: &random)
                let bundle = try ring.takeBundle().verified(as: responder.publicKey, profile: profile.agreement)
                var to = Correspondent(identity: initiator, profile: profile)
                try to.begin(with: "x", bundle, using: &random)
                let message = try to.encrypt([7], to: "x", using: &random)
                var back = Correspondent(identity: responder, profile: profile)
                let received = try back.decrypt(message, from: "y", known: initiator.publicKey, preKeys: &ring)
                #expect(received.content == .message([7]))
            }
        }
    }

    @Test("A message to a person is one for each device, and each opens only its own")
    func devices() throws {
        var random = SeededRandom(seed: 8)
        let profile = SessionProfile.standard("test")
        let alice = IdentityKeyPair(using: &random)
        var bob = Correspondent(identity: alice, profile: profile)
        var phone = PreKeyRing(profile, using: &random)
        var desk = PreKeyRing(profile, using: &random)
        let bundles = ["phone": phone.takeBundle(), "desk": desk.takeBundle()]
        for (name, bundle) in bundles {
            try bob.begin(with: name, bundle.verified(as: nil, profile: profile.agreement), using: &random)
        }
        let messages = try bob.encryptToAll("hi".utf8, using: &random)
        #expect(messages.map(\.device) == ["desk", "phone"])
        var onDesk = Correspondent(identity: desk.identity, profile: profile)
        let received = try onDesk.decrypt(messages[0].message, from: "alice", preKeys: &desk)
        #expect(received.content == .message(Array("hi".utf8)))
        var onPhone = Correspondent(identity: phone.identity, profile: profile)
        #expect(refusal { _ = try onPhone.decrypt(messages[0].message, from: "alice", preKeys: &phone) } != nil)
        _ = try onPhone.decrypt(messages[1].message, from: "alice", preKeys: &phone)
    }

    @Test("Cut short anywhere, neither a message nor a saved state is read, and nothing traps")
    func truncated() throws {
        var two = Two(.standard("test", kem: nil))
        try two.aBegins()
        let message = try two.fromA("one")
        for length in 0..<message.count {
            #expect(refusal { _ = try two.b.hear(Array(message.prefix(length))) } != nil)
        }
        let saved = two.a.other.save()
        let identity = two.a.preKeys.identity
        for length in 0..<saved.count {
            #expect(
                refusal {
                    _ = try Correspondent(
                        restoring: Array(saved.prefix(length)),
                        identity: identity,
                        profile: .standard("test", kem: nil)
                    )
                } != nil
            )
        }
        #expect(
            refusal {
                _ = try Correspondent(restoring: saved, identity: identity, profile: .standard("other", kem: nil))
            }
                == .profileMismatch
        )
    }
}

extension Correspondent {
    /// The session messages to the device go through.
    func spokenIn(_ device: String) -> [UInt8]? { records[device]?.sessions.first?.id }
}
