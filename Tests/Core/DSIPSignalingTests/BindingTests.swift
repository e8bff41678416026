import DSIPIdentity
import DSIPSignaling
import Encoding
import Testing

@Suite("Whom the signer speaks as, and acts for")
struct BindingTests {
    private func frame(from: DID, header delegations: [Envelope] = [], salt: UInt64 = 1) throws -> [UInt8] {
        try Fixture.invite(from: from, salt: salt).signed(by: Fixture.phone, delegations: delegations).bytes
    }

    @Test("a device speaks as its identity by a delegation in the header or in the store")
    func delegated() throws {
        let delegation = try Fixture.delegation()
        let receiver = Receiver()
        let verified = try #require(receiver.accepted(try frame(from: Fixture.alice.did, header: [delegation])))
        #expect(verified.identity == Fixture.alice.did && verified.principal == Fixture.alice.did)
        #expect(verified.delegation?.device == Fixture.phone.did)
        #expect(receiver.code(try frame(from: Fixture.alice.did, salt: 2)) == .signerMismatch)
        receiver.delegations.insert(delegation)
        #expect(receiver.accepted(try frame(from: Fixture.alice.did, salt: 2))?.principal == Fixture.alice.did)
    }

    @Test("a device that speaks as itself acts for whom it was delegated")
    func principal() throws {
        let receiver = Receiver()
        let verified = try #require(
            receiver.accepted(try frame(from: Fixture.phone.did, header: [try Fixture.delegation()]))
        )
        #expect(verified.identity == Fixture.phone.did)
        #expect(verified.principal == Fixture.alice.did)
        // One that does not hold binds nothing, and refuses nothing.
        let expired = try Fixture.delegation(expiresAt: Fixture.now)
        let alone = try #require(receiver.accepted(try frame(from: Fixture.phone.did, header: [expired], salt: 2)))
        #expect(alone.principal == Fixture.phone.did && alone.delegation == nil)
    }

    @Test("a delegation that does not hold says why")
    func faults() throws {
        let cases: [(Envelope, VerdictCode)] = [
            (try Fixture.delegation(by: Fixture.mallory), .delegationInvalid),
            (try Fixture.delegation(by: Fixture.phone), .delegationInvalid),
            (try Fixture.delegation(capabilities: ["dsip.messaging"]), .delegationCapability),
            (try Fixture.delegation(issuedAt: Fixture.now + 1), .delegationExpired),
            (try Fixture.delegation(expiresAt: Fixture.now), .delegationExpired),
            (try Fixture.delegation(capabilities: [], expiresAt: Fixture.now), .delegationCapability),
            (try Fixture.delegation(of: Fixture.mallory.did), .signerMismatch),
            (try Envelope(signing: Array("{\"type\":\"other\"}".utf8), by: Fixture.alice), .delegationInvalid),
        ]
        for (delegation, code) in cases {
            let receiver = Receiver()
            #expect(receiver.code(try frame(from: Fixture.alice.did, header: [delegation])) == code)
        }
    }

    @Test("of several delegations one that holds suffices; else the furthest fault is told")
    func several() throws {
        let bad = try Fixture.delegation(by: Fixture.mallory)
        let old = try Fixture.delegation(expiresAt: Fixture.now - 1)
        let receiver = Receiver()
        #expect(receiver.code(try frame(from: Fixture.alice.did, header: [bad, old])) == .delegationExpired)
        #expect(receiver.code(try frame(from: Fixture.alice.did, header: [bad, old, try Fixture.delegation()])) == nil)
    }

    @Test("a revocation, held or published, ends a delegation; a later delegation enrols the device again")
    func revoked() throws {
        let receiver = Receiver()
        let revocation = DelegationRevocation(
            id: Fixture.ulid(),
            subject: Fixture.alice.did,
            device: Fixture.phone.did,
            revokedAt: Fixture.now - 50,
            reason: "lost",
            issuedAt: Fixture.now - 50,
            expiresAt: Fixture.now + 50
        )
        receiver.revocations.insert(revocation)
        let old = try Fixture.delegation(issuedAt: Fixture.now - 50)
        #expect(receiver.code(try frame(from: Fixture.alice.did, header: [old])) == .delegationRevoked)
        let new = try Fixture.delegation(issuedAt: Fixture.now - 49)
        #expect(receiver.code(try frame(from: Fixture.alice.did, header: [new])) == nil)

        let published = try DelegationRevocation(
            id: Fixture.ulid(),
            subject: Fixture.bobDID,
            device: Fixture.phone.did,
            revokedAt: Fixture.now,
            reason: "lost",
            issuedAt: Fixture.now,
            expiresAt: Fixture.now + 50
        ).issue(by: Fixture.bob)
        let delegation = try Fixture.delegation(subject: Fixture.bobDID, by: Fixture.bob)
        let frame = try frame(from: Fixture.bobDID, header: [delegation], salt: 5)
        receiver.documents[Fixture.bobDID] = .found(Fixture.document(Fixture.bobDID, [Fixture.bob]))
        #expect(receiver.code(frame) == nil)
        // The signature is remembered by now; the revocation counts all the same.
        receiver.documents[Fixture.bobDID] = .found(
            Fixture.document(Fixture.bobDID, [Fixture.bob], revocations: [published])
        )
        #expect(receiver.code(frame) == .delegationRevoked)
    }

    @Test("a delegation under a key that the document no longer lists is invalid, though it was verified before")
    func retired() throws {
        let receiver = Receiver()
        let delegation = try Fixture.delegation(subject: Fixture.bobDID, by: Fixture.bob)
        receiver.documents[Fixture.bobDID] = .found(Fixture.document(Fixture.bobDID, [Fixture.bob]))
        #expect(receiver.code(try frame(from: Fixture.bobDID, header: [delegation])) == nil)
        let next = SigningKey(kid: Fixture.bob.kid, key: Fixture.key("bob-next"))
        receiver.documents[Fixture.bobDID] = .found(Fixture.document(Fixture.bobDID, [next]))
        #expect(receiver.code(try frame(from: Fixture.bobDID, header: [delegation], salt: 2)) == .delegationInvalid)
        receiver.documents[Fixture.bobDID] = .unknown
        guard
            case .needs(Fixture.bobDID) = receiver.verify(
                try frame(from: Fixture.bobDID, header: [delegation], salt: 3)
            )
        else {
            Issue.record("the subject's document must be asked for")
            return
        }
    }

    @Test("a hello speaks for the identity it names, and is refused with the transport's reason")
    func hello() throws {
        func hello(_ asked: DID, _ delegations: [Envelope], salt: UInt64 = 1) throws -> [UInt8] {
            try Message.hello(Fixture.stamp(Fixture.phone.did, salt: salt), Hello(onBehalfOf: asked))
                .signed(by: Fixture.phone, delegations: delegations).bytes
        }
        let receiver = Receiver()
        receiver.helloVerified = false
        let verified = try #require(receiver.accepted(try hello(Fixture.alice.did, [try Fixture.delegation()])))
        #expect(verified.identity == Fixture.alice.did && verified.principal == Fixture.alice.did)
        #expect(verified.device == Fixture.phone.did)
        #expect(
            receiver.rejection(try hello(Fixture.alice.did, []))
                == Rejection(.signerMismatch, reason: .transportHelloRejected, "")
        )
        #expect(
            receiver.rejection(try hello(Fixture.alice.did, [try Fixture.delegation(expiresAt: Fixture.now - 1)]))
                == Rejection(.delegationExpired, reason: .transportHelloRejected, "")
        )
        #expect(receiver.accepted(try hello(Fixture.phone.did, [], salt: 2))?.identity == Fixture.phone.did)
    }

    @Test("delegation chains bind nothing: a device cannot delegate a device")
    func chains() throws {
        let first = try Fixture.delegation()
        let second = try Fixture.delegation(of: Fixture.mallory.did, subject: Fixture.alice.did, by: Fixture.phone)
        let frame = try Fixture.invite(from: Fixture.alice.did)
            .signed(by: Fixture.mallory, delegations: [first, second]).bytes
        let receiver = Receiver()
        #expect(receiver.code(frame) == .delegationInvalid)
    }
}
