import DSIPIdentity
import Encoding
import Testing

@testable import DSIPRelay

@Suite("Names")
struct NameTests {
    private let now: Int64 = 1_760_000_000
    private let authority = Authority("relay.example.com")!

    private func registry(_ store: any RelayStore = MemoryStore()) -> NameRegistry {
        NameRegistry(authority: authority, store: store, configuration: .init())
    }

    private func request(
        _ name: String,
        _ signer: SigningKey,
        action: NameRequest.Action = .claim,
        hosted: Bool = false,
        nextKey: PublicKey? = nil,
        revocations: [Envelope]? = nil,
        host: String = "relay.example.com",
        at time: Int64? = nil
    ) throws -> Envelope {
        let time = time ?? now
        return try NameRequest(
            id: ulid(time),
            from: signer.did,
            host: host,
            name: name,
            action: action,
            hosted: hosted,
            nextKey: nextKey,
            revocations: revocations,
            issuedAt: time,
            expiresAt: time + 60
        ).signed(by: signer)
    }

    private func apply(_ registry: NameRegistry, _ envelope: Envelope, _ signer: SigningKey) throws
        -> NameRegistry.Outcome
    {
        try registry.apply(envelope, document: DIDKey.document(of: DIDKey.did(of: signer.publicKey))!, at: now)
    }

    @Test("the first to ask has the name; only the same key changes it or gives it up")
    func firstComeFirstServed() throws {
        let registry = registry()
        let (alice, mallory) = (key("alice"), key("mallory"))
        let outcome = try apply(registry, request("alice", alice), alice)
        #expect(outcome.created && outcome.record?.did == alice.did)
        #expect(throws: RelayError(.taken, "")) { try apply(registry, request("alice", mallory), mallory) }
        #expect(throws: RelayError(.taken, "")) {
            try apply(registry, request("alice", mallory, action: .release), mallory)
        }
        #expect(try apply(registry, request("alice", alice), alice).created == false)
        #expect(try apply(registry, request("alice", alice, action: .release), alice).record == nil)
        #expect(try apply(registry, request("alice", mallory), mallory).created)
        #expect(throws: RelayError(.notFound, "")) {
            try apply(registry, request("bob", alice, action: .release), alice)
        }
    }

    @Test("a request counts once, at one relay, for a short time, signed by whom it is from")
    func requests() throws {
        let registry = registry()
        let (alice, mallory) = (key("alice"), key("mallory"))
        let envelope = try request("alice", alice)
        _ = try apply(registry, envelope, alice)
        #expect(throws: RelayError(.refused, "")) { try apply(registry, envelope, alice) }
        #expect(throws: RelayError(.refused, "")) {
            try apply(registry, request("al", alice, host: "other.example"), alice)
        }
        #expect(throws: RelayError(.refused, "")) { try apply(registry, request("al", alice, at: now - 400), alice) }
        #expect(throws: RelayError(.refused, "")) { try apply(registry, request("al", alice, at: now + 400), alice) }
        // Signed by another than it is from.
        let forged = try NameRequest(
            id: ulid(now),
            from: alice.did,
            host: "relay.example.com",
            name: "al",
            issuedAt: now,
            expiresAt: now + 60
        )
        let signed = try Envelope(signing: forged.json.utf8, by: mallory)
        #expect(throws: RelayError(.refused, "")) { try apply(registry, signed, mallory) }
        #expect(throws: RelayError(.refused, "")) { try apply(registry, signed, alice) }
        let nonsense = try Envelope(signing: Array("{}".utf8), by: alice)
        #expect(throws: RelayError(.malformed, "")) { try apply(registry, nonsense, alice) }
    }

    @Test(
        "names that could mislead are refused",
        arguments: [
            "a", "Alice", "al ice", "-alice", "alice-", "al..ice", "al.-ice", "admin", "post.master", "älice", "аlice",
            String(repeating: "a", count: 33), "..", "support", "al/ice", "al@ice", "",
        ]
    )
    func rules(_ name: String) {
        #expect(NameRules.fault(name, reserved: []) != nil)
    }

    @Test("ordinary names pass, reserved ones do not", arguments: ["alice", "a.b-c_d", "bob42", "x1"])
    func goodNames(_ name: String) {
        #expect(NameRules.fault(name, reserved: []) == nil)
        #expect(NameRules.fault(name, reserved: [name]) != nil)
    }

    @Test("one key holds no more names than it may")
    func quota() throws {
        let registry = registry()
        let alice = key("alice")
        for name in ["one", "two", "three"] { _ = try apply(registry, request(name, alice), alice) }
        #expect(throws: RelayError(.refused, "")) { try apply(registry, request("four", alice), alice) }
        _ = try apply(registry, request("one", alice, action: .release), alice)
        _ = try apply(registry, request("four", alice), alice)
    }

    @Test("a hosted document carries the owner's key, the key agreement key and the relay, and can be read back")
    func hosted() throws {
        let registry = registry()
        let alice = key("alice")
        let record = try #require(try apply(registry, request("alice", alice, hosted: true), alice).record)
        #expect(record.did.string == "did:web:relay.example.com:users:alice")
        let document = try DIDDocument(parsing: #require(record.document), expecting: record.did)
        #expect(document.verificationMethods.map(\.publicKey) == [alice.publicKey])
        #expect(document.keyAgreement.map(\.publicKey) == [DIDKey.keyAgreement(of: alice.did)?.publicKey])
        #expect(document.signalingEndpoint == "wss://relay.example.com/dsip")
        #expect(document.alsoKnownAs.contains(alice.did.string))
    }

    @Test("a hosted key rotates: the old kid names nothing afterwards, and the old key owns nothing")
    func rotation() throws {
        let registry = registry()
        let (old, new) = (key("alice"), key("alice-2"))
        _ = try apply(registry, request("alice", old, hosted: true), old)
        let rotated = try #require(
            try apply(registry, request("alice", old, hosted: true, nextKey: new.publicKey), old).record
        )
        let document = try DIDDocument(parsing: #require(rotated.document), expecting: rotated.did)
        #expect(document.verificationMethods.map(\.publicKey) == [new.publicKey])
        #expect(document.verificationMethod(DIDURL(did: rotated.did, fragment: old.publicKey.multibase)) == nil)
        #expect(throws: RelayError(.taken, "")) { try apply(registry, request("alice", old, hosted: true), old) }
        _ = try apply(registry, request("alice", new, hosted: true), new)
    }

    @Test(
        "a rotation is published with the record by the old key and with delegations by the new one, and with no others"
    )
    func publishedRotation() throws {
        let registry = registry()
        let (old, new, device) = (key("alice"), key("alice-2"), key("phone"))
        let did = authority.did(of: "alice")!
        func own(_ name: String) -> SigningKey {
            SigningKey(kid: DIDURL(did: did, fragment: key(name).publicKey.multibase), key: privateKey(name))
        }
        func record(by signer: SigningKey) throws -> Envelope {
            let rotation = KeyRotation(
                id: ulid(now),
                subject: did,
                previous: own("alice").kid,
                next: own("alice-2").kid,
                nextPublicKey: new.publicKey,
                reason: "scheduled",
                issuedAt: now,
                expiresAt: now + 86_400
            )
            return try Envelope(signing: rotation.json.utf8, by: signer)
        }
        func delegation(by signer: SigningKey) throws -> Envelope {
            try Delegation(subject: did, device: device.did, issuedAt: now, expiresAt: now + 1000).issue(by: signer)
        }
        func request(_ delegation: Envelope, _ record: Envelope?, signer: SigningKey = old) throws -> Envelope {
            try NameRequest(
                id: ulid(now),
                from: signer.did,
                host: "relay.example.com",
                name: "alice",
                hosted: true,
                nextKey: signer.did == old.did ? new.publicKey : nil,
                delegations: [delegation],
                rotation: record,
                issuedAt: now,
                expiresAt: now + 60
            ).signed(by: signer)
        }
        _ = try apply(registry, self.request("alice", old, hosted: true), old)
        for bad in [
            try request(delegation(by: own("alice")), record(by: own("alice"))),
            try request(delegation(by: own("alice-2")), record(by: own("alice-2"))),
            try request(delegation(by: own("alice-2")), record(by: device)),
            try request(record(by: own("alice")), record(by: own("alice"))),
        ] {
            #expect(throws: RelayError(.refused, "")) { try apply(registry, bad, old) }
        }
        let good = try request(delegation(by: own("alice-2")), record(by: own("alice")))
        let rotated = try #require(try apply(registry, good, old).record)
        let document = try DIDDocument(parsing: #require(rotated.document), expecting: did)
        #expect(document.delegations.count == 1 && document.keyRotations.count == 1)
        // What the device signed under the old key stands by the document.
        #expect(throws: Never.self) {
            try Delegation.verify(
                delegation(by: own("alice")),
                device: device.did,
                subject: did,
                at: now,
                document: document
            )
        }
        // Kept while the key is; gone with it.
        let kept = try #require(try apply(registry, self.request("alice", new, hosted: true), new).record)
        #expect(try DIDDocument(parsing: #require(kept.document), expecting: did).delegations.count == 1)
        let third = key("alice-3").publicKey
        let bare = try #require(
            try apply(registry, self.request("alice", new, hosted: true, nextKey: third), new).record
        )
        let last = try DIDDocument(parsing: #require(bare.document), expecting: did)
        #expect(last.delegations.isEmpty && last.keyRotations.count == 1)
    }

    @Test("revocations of a hosted identity are published when its key signed them, and only then")
    func revocations() throws {
        let registry = registry()
        let (alice, mallory) = (key("alice"), key("mallory"))
        let did = authority.did(of: "alice")!
        let own = SigningKey(kid: DIDURL(did: did, fragment: alice.publicKey.multibase), key: privateKey("alice"))
        func revocation(_ signer: SigningKey) throws -> Envelope {
            let record = DelegationRevocation(
                id: ulid(now),
                subject: did,
                device: key("phone").did,
                revokedAt: now,
                reason: "lost",
                issuedAt: now,
                expiresAt: now + 300
            )
            return try Envelope(signing: record.json.utf8, by: signer)
        }
        let good = try revocation(own)
        let record = try #require(
            try apply(registry, request("alice", alice, hosted: true, revocations: [good]), alice).record
        )
        let document = try DIDDocument(parsing: #require(record.document), expecting: did)
        #expect(document.delegationRevocations.count == 1)
        #expect(throws: RelayError(.refused, "")) {
            try apply(registry, request("alice", alice, hosted: true, revocations: [revocation(mallory)]), alice)
        }
        // Saying nothing of revocations keeps them.
        let kept = try #require(try apply(registry, request("alice", alice, hosted: true), alice).record)
        #expect(try DIDDocument(parsing: #require(kept.document), expecting: did).delegationRevocations.count == 1)
    }
}
