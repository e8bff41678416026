import Crypto
import DSIPIdentity
import Encoding
import Libp2p
import Support
import Testing

@testable import DSIPDiscovery

@Suite("Presence") struct PresenceTests {
    private static let direct = try! Multiaddr("/ip4/203.0.113.12/tcp/4001")

    private func reach() -> PresenceReach {
        PresenceReach(
            relays: ["wss://relay.example/dsip"],
            direct: [PresenceTests.direct],
            geo: Geohash("dr5r").map { .init(geohash: $0, method: "gps", at: Cast.now) }
        )
    }

    private func publisher(_ visibility: PresencePublisher.Visibility) -> PresencePublisher {
        var publisher = PresencePublisher(subject: Cast.alice.did)
        publisher.visibility = visibility
        publisher.reach = reach()
        return publisher
    }

    @Test("keys are those of the proposal")
    func keys() throws {
        let did = try #require(DID("did:web:voice.example:users:alice"))
        let digest = "83485a997d005215096a9eafe92b280bfc23951edc5a7ddbaffefbacb0217b2b"
        #expect(DiscoveryKey.presence(did) == Array("/dsip/\(digest)".utf8))
        #expect(DiscoveryKey.home(did) != DiscoveryKey.presence(did))
        let hash = try #require(Geohash("dr5r"))
        #expect(hash.prefixes.map(\.text) == ["dr5r", "dr5", "dr", "d"])
        let region = "98465cd8a173c762e1aa4fa4386b2f731ffca9d3b8253777c3a58573162e89f1"
        #expect(DiscoveryKey.region(hash) == Array("/dsip/\(region)".utf8))
    }

    @Test("by default everybody sees the relays, and no address or place")
    func relayOnly() throws {
        var random = SeededRandom(seed: 1)
        var publisher = publisher(.relayOnly)
        let bytes = try publisher.sign(at: Cast.now, by: Cast.alice, using: &random)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(!text.contains("203.0.113.12") && !text.contains("dr5r") && publisher.regions.isEmpty)
        let record = try PresenceRecord(verifying: bytes, at: Cast.now)
        #expect(record.reach == PresenceReach(relays: ["wss://relay.example/dsip"]) && record.sealed == nil)
        #expect(record.expiresAt == Cast.now + 240 && record.seq == Cast.now)
    }

    @Test("in the open, everything is said, and regions are announced")
    func everybody() throws {
        var random = SeededRandom(seed: 1)
        var publisher = publisher(.everybody)
        let bytes = try publisher.sign(at: Cast.now, by: Cast.alice, using: &random)
        #expect(try PresenceRecord(verifying: bytes, at: Cast.now).reach == reach())
        #expect(publisher.regions.count == 4)
    }

    @Test("sealed, contacts can read it and nobody else; how many there are is hidden")
    func contacts() throws {
        var random = SeededRandom(seed: 1)
        let contacts = try [Cast.bob, Cast.phone, Cast.laptop].map {
            try #require(DIDKey.keyAgreement(of: $0.did)).publicKey
        }
        var publisher = publisher(.contacts(contacts))
        let bytes = try publisher.sign(at: Cast.now, by: Cast.alice, using: &random)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(!text.contains("relay.example") && !text.contains("203.0.113.12"))
        let record = try PresenceRecord(verifying: bytes, at: Cast.now)
        #expect(record.reach.isEmpty)
        for contact in [Cast.bob, Cast.phone, Cast.laptop] {
            #expect(record.reach(openedWith: try contact.keyAgreementKey()) == reach())
        }
        #expect(record.reach(openedWith: try Cast.mallory.keyAgreementKey()) == nil)
        let json = try JSONValue(parsing: bytes)
        #expect(json["sealed"]?["keys"]?.array?.count == 8)
        publisher.visibility = .contacts([])
        let lonely = try publisher.sign(at: Cast.now + 60, by: Cast.alice, using: &random)
        #expect(lonely.count == bytes.count, "none looks like three")
        publisher.visibility = .contacts([[UInt8]](repeating: contacts[0], count: 65))
        #expect(code { _ = try publisher.sign(at: Cast.now, by: Cast.alice, using: &random) } == .limit)
    }

    @Test("an identity that nobody should find publishes nothing")
    func nobody() throws {
        var random = SeededRandom(seed: 1)
        var publisher = publisher(.nobody)
        #expect(publisher.nextAt == nil && !publisher.isDue(at: .max))
        #expect(code { _ = try publisher.sign(at: Cast.now, by: Cast.alice, using: &random) } == .refused)
    }

    @Test("the rate is its own: renewed at half to three quarters of a life, changes not oftener than every 20 s")
    func rate() throws {
        var random = SeededRandom(seed: 7)
        var publisher = publisher(.relayOnly)
        var moments: Set<Int64> = []
        for round in 0..<20 {
            let now = Cast.now + Int64(round) * 1000
            _ = try publisher.sign(at: now, by: Cast.alice, using: &random)
            let next = try #require(publisher.nextAt)
            #expect((now + 120...now + 180).contains(next))
            moments.insert(next - now)
        }
        #expect(moments.count > 5, "moments of chance")
        let last = Cast.now + 19_000
        publisher.reach.relays = ["wss://other.example/dsip"]
        #expect(!publisher.isDue(at: last + 19) && publisher.isDue(at: last + 20))
        publisher.lifetime = 5
        #expect(publisher.lifetime == 60)
    }

    @Test("records that are changed, stale, posed or hold too long are refused")
    func refusing() throws {
        var random = SeededRandom(seed: 1)
        var publisher = publisher(.relayOnly)
        let bytes = try publisher.sign(at: Cast.now, by: Cast.alice, using: &random)
        func reason(_ bytes: [UInt8], at now: Int64 = Cast.now) -> DiscoveryError.Code? {
            code { _ = try PresenceRecord(verifying: bytes, at: now) }
        }
        #expect(reason(bytes) == nil)
        #expect(reason(bytes, at: Cast.now + 240) == .expired)
        #expect(reason(bytes, at: Cast.now - 121) == .future)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(reason(Array(text.replacing("relay.example", with: "mallory.example").utf8)) == .signature)
        #expect(reason(Array(text.replacing(Cast.alice.did.string, with: Cast.bob.did.string).utf8)) == .signature)
        #expect(reason(Array(text.replacing("\"exp\"", with: "\"exd\"").utf8)) == .signature)
        #expect(reason(Array("{}".utf8)) == .malformed)
        #expect(reason([UInt8](repeating: 0x20, count: 20_000)) == .malformed)
        #expect(code { _ = try publisher.sign(at: Cast.now, by: Cast.mallory, using: &random) } == .refused)
        // Another order of the members is the same record (RFC 8785).
        let members = try #require(try JSONValue(parsing: bytes).object).members
        #expect(reason(JSONValue.object(JSONObject(members: members.reversed())).utf8) == nil)
    }

    @Test("a device publishes under its delegation, until that ends or is taken back")
    func devices() throws {
        var random = SeededRandom(seed: 1)
        var publisher = publisher(.relayOnly)
        let delegation = try Cast.delegation(expiresAt: Cast.now + 100)
        let bytes = try publisher.sign(at: Cast.now, by: Cast.phone, delegation: delegation, using: &random)
        #expect(try PresenceRecord(verifying: bytes, at: Cast.now).subject == Cast.alice.did)
        #expect(code { _ = try PresenceRecord(verifying: bytes, at: Cast.now + 100) } == .signature)
        let other = try publisher.sign(at: Cast.now, by: Cast.laptop, delegation: delegation, using: &random)
        #expect(code { _ = try PresenceRecord(verifying: other, at: Cast.now) } == .signature)
    }

    @Test("an identity with a document needs it to be known")
    func documents() throws {
        var random = SeededRandom(seed: 1)
        let did = try #require(DID("did:web:example.com"))
        let key = SigningKey(kid: DIDURL(did: did, fragment: "key-1"), key: .init())
        var publisher = PresencePublisher(subject: did)
        publisher.reach.relays = ["wss://relay.example/dsip"]
        let bytes = try publisher.sign(at: Cast.now, by: key, using: &random)
        let document = DIDDocument(
            id: did,
            verificationMethods: [.init(id: key.kid, controller: did, publicKey: key.publicKey)]
        )
        #expect(try PresenceRecord(verifying: bytes, at: Cast.now, documents: { _ in .found(document) }).subject == did)
        #expect(
            code { _ = try PresenceRecord(verifying: bytes, at: Cast.now, documents: { _ in .unknown }) } == .unresolved
        )
        #expect(code { _ = try PresenceRecord(verifying: bytes, at: Cast.now) } == .signature)
    }

    @Test("what is older than what was seen is a replay")
    func replay() {
        var memory = SequenceMemory(capacity: 8)
        let accepted = [5, 5, 4, 6].map { memory.accept(Cast.alice.did, seq: $0, expiresAt: 10) }
        #expect(accepted == [true, true, false, true])
        for index in 0..<30 { _ = memory.accept(Cast.key("m\(index)").did, seq: 1, expiresAt: 100) }
        #expect(memory.count <= 8)
    }
}

@Suite("Home records") struct HomeTests {
    private let places = HomeRecord.Places(
        relays: ["wss://relay.example/dsip"],
        mailboxes: ["wss://box.example/m"],
        prekeys: ["https://box.example/prekeys"]
    )

    @Test("a home holds for 48 hours at most, for did:keys only")
    func signing() throws {
        let bytes = try HomeRecord.sign(places, of: Cast.alice.did, at: Cast.now, seq: 1, by: Cast.alice)
        let record = try HomeRecord(verifying: bytes, at: Cast.now + 172_799)
        #expect(record.places == places && record.seq == 1)
        #expect(code { _ = try HomeRecord(verifying: bytes, at: Cast.now + 172_800) } == .expired)
        #expect(code { _ = try HomeRecord(verifying: bytes, at: Cast.now - 61) } == .future)
        #expect(
            code {
                _ = try HomeRecord.sign(places, of: Cast.alice.did, at: 0, seq: 1, lifetime: 172_801, by: Cast.alice)
            } == .refused
        )
        let bad = HomeRecord.Places(relays: ["ws://plain.example"])
        #expect(
            code { _ = try HomeRecord.sign(bad, of: Cast.alice.did, at: 0, seq: 1, by: Cast.alice) } == .badEndpoint
        )
    }

    @Test("one record is never taken for the other")
    func types() throws {
        var random = SeededRandom(seed: 1)
        var publisher = PresencePublisher(subject: Cast.alice.did)
        publisher.reach.relays = ["wss://relay.example/dsip"]
        let presence = try publisher.sign(at: Cast.now, by: Cast.alice, using: &random)
        let home = try HomeRecord.sign(places, of: Cast.alice.did, at: Cast.now, seq: 1, lifetime: 60, by: Cast.alice)
        #expect(code { _ = try HomeRecord(verifying: presence, at: Cast.now) } == .malformed)
        #expect(code { _ = try PresenceRecord(verifying: home, at: Cast.now) } == .malformed)

        let validator = DirectoryValidator()
        let at = Cast.now * 1000
        let (alice, bob) = (Cast.alice.did, Cast.bob.did)
        #expect(try validator.validate(key: DiscoveryKey.home(alice), value: home, at: at) == at + 60_000)
        #expect(try validator.validate(key: DiscoveryKey.presence(alice), value: presence, at: at) == at + 240_000)
        #expect(code { _ = try validator.validate(key: DiscoveryKey.presence(alice), value: home, at: at) } == .subject)
        #expect(code { _ = try validator.validate(key: DiscoveryKey.home(alice), value: presence, at: at) } == .subject)
        #expect(code { _ = try validator.validate(key: DiscoveryKey.home(bob), value: home, at: at) } == .subject)
        let hint = try Cast.hint()
        #expect(try validator.validate(key: HintKey.path(of: alice), value: hint, at: at) == at + 3_600_000)
        let region = DiscoveryKey.region(try #require(Geohash("dr5r")))
        #expect(code { _ = try validator.validate(key: region, value: presence, at: at) } == .subject)
        #expect(
            code { _ = try validator.validate(key: DiscoveryKey.home(alice), value: Array("{".utf8), at: at) }
                == .malformed
        )
        let next = try publisher.sign(at: Cast.now + 30, by: Cast.alice, using: &random)
        #expect(validator.select(key: DiscoveryKey.presence(alice), values: [presence, next]) == 1)
        #expect(validator.select(key: DiscoveryKey.presence(alice), values: [next, presence]) == 0)
    }
}

@Suite("Geohashes") struct GeohashTests {
    @Test(
        "places fall into their regions",
        arguments: [
            (57.64911, 10.40744, "u4pru"), (40.7128, -74.0060, "dr5re"), (-25.382708, -49.265506, "6gkzw"),
            (0, 0, "s0000"), (90, 180, "zzzzz"), (-90, -180, "00000"),
        ] as [(Double, Double, String)]
    )
    func encoding(_ latitude: Double, _ longitude: Double, _ text: String) {
        #expect(Geohash(latitude: latitude, longitude: longitude, length: 5)?.text == text)
        #expect(Geohash(latitude: latitude, longitude: longitude, length: 99)?.text == text, "never finer")
    }

    @Test("what is no region is none")
    func refusing() {
        #expect(Geohash("") == nil && Geohash("dr5regw") == nil && Geohash("DR5R") == nil && Geohash("aaaa") == nil)
        #expect(Geohash(latitude: .nan, longitude: 0, length: 5) == nil)
        #expect(Geohash(latitude: 91, longitude: 0, length: 5) == nil)
    }
}
