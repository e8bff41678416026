import DSIPIdentity
import DSIPSignaling
import Encoding
import Support
import Testing

@testable import DSIPDiscovery

@Suite("Pkarr packets") struct PkarrPacketTests {
    @Test("the test vectors of BEP 44 verify, with salt and without")
    func bep44() throws {
        // BEP 44, test vectors 1 and 2.
        let bytes = Hex.decode("77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")
        let key = try #require(bytes.flatMap { PublicKey(ed25519: $0) })
        let plain = try #require(
            Hex.decode(
                "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"
            )
        )
        let salted = try #require(
            Hex.decode(
                "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"
            )
        )
        let hello = Array("Hello World!".utf8)
        #expect(BEP44.isValid(plain, sequence: 1, value: hello, under: key))
        #expect(!BEP44.isValid(plain, sequence: 2, value: hello, under: key))
        #expect(!BEP44.isValid(salted, sequence: 1, value: hello, under: key))
        #expect(BEP44.isValid(salted, sequence: 1, value: hello, salt: Array("foobar".utf8), under: key))
    }

    @Test("z-base-32 of a key has one spelling")
    func zBase32() throws {
        let key = [UInt8](0..<32)
        let text = ZBase32.encode(key)
        #expect(text.utf8.count == 52)
        #expect(try ZBase32.key(text) == key)
        // Four unused bits: the last character of any key is one of two.
        let other = text.dropLast() + "b"
        #expect(code { _ = try ZBase32.key(other) } == .nonCanonical)
        #expect(code { _ = try ZBase32.key(text.uppercased()) } == .malformed)
        #expect(code { _ = try ZBase32.key(text.dropLast()) } == .malformed)
        // The published example of did:dht, vector 1.
        let identity = try #require(Base64URL.decode("YCcHYL2sYNPDlKaALcEmll2HHyT968M4UWbr-9CFGWE"))
        #expect(ZBase32.encode(identity) == "cyuoqaf7itop8ohww4yn5ojg13qaq83r9zihgqntc5i9zwrfdfoo")
    }

    @Test("a published hint is read back, with all its endpoints and its shortest life")
    func roundTrip() throws {
        var zone = PkarrZone(try PkarrKey(Cast.alice.did))
        try zone.add(Cast.relay, ttl: 1800)
        try zone.add(
            .init(
                uri: "wss://box.example/m",
                bindings: ["ws/1.0", "quic/1.0"],
                parameters: ["service": "DSIPMailbox"]
            ),
            ttl: 600
        )
        let packet = try PkarrPacket(signing: zone.message(), at: UInt64(Cast.now) * 1_000_000 + 5, by: Cast.alice)
        let hint = try PkarrHint(packet.payload, of: Cast.alice.did, at: Cast.now + 10)
        #expect(hint.seq == UInt64(Cast.now) * 1_000_000 + 5 && hint.issuedAt == Cast.now)
        #expect(hint.expiresAt == Cast.now + 600)
        #expect(hint.endpoints.map(\.uri) == ["wss://relay.example/dsip", "wss://box.example/m"])
        #expect(hint.endpoints[1].bindings == ["ws/1.0", "quic/1.0"])
        #expect(hint.endpoints[1].parameters["service"] == "DSIPMailbox")
        // The zone's name is written once.
        let name = Array(zone.key.zone.utf8)
        #expect(packet.payload.ranges(of: name).count == 1)
    }

    @Test("each fault has its reason, and the first decides")
    func faults() throws {
        let good = try Cast.packet()
        let alice = Cast.alice.did
        func reason(_ payload: [UInt8], _ did: DID = alice, at now: Int64 = Cast.now) -> DiscoveryError.Code? {
            code { _ = try PkarrHint(payload, of: did, at: now) }
        }
        #expect(reason(good) == nil)
        let web = try #require(DID("did:web:example.com"))
        #expect(reason([], web) == .notDIDKey)
        #expect(reason([UInt8](good.prefix(71))) == .malformed)
        #expect(reason(good, Cast.bob.did) == .signature)
        #expect(reason(good, at: Cast.now - 300) == nil)
        #expect(reason(good, at: Cast.now - 301) == .future)
        #expect(reason(good, at: Cast.now + 1799) == nil)
        #expect(reason(good, at: Cast.now + 1800) == .expired)
        for index in good.indices {
            var bad = good
            bad[index] ^= 1
            #expect(reason(bad) == .signature)
        }
        func signed(_ message: [UInt8], at microseconds: UInt64 = UInt64(Cast.now) * 1_000_000) throws -> [UInt8] {
            try PkarrPacket(signing: message, at: microseconds, by: Cast.alice).payload
        }
        #expect(reason(try signed([0, 0, 0])) == .malformed)
        #expect(reason(try signed([UInt8](repeating: 0, count: 12))) == .noEndpoints)
        #expect(code { _ = try signed([], at: 1 << 53) } == .exhausted)
    }

    /// A message with one TXT record under `labels`, its data as given.
    private func message(_ labels: [String], ttl: UInt32 = 60, recordClass: UInt8 = 1, _ data: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        for label in labels {
            bytes.append(UInt8(label.utf8.count))
            bytes += Array(label.utf8)
        }
        bytes += [0, 0, 16, 0, recordClass, 0, 0, UInt8(ttl >> 8), UInt8(ttl & 255), 0, UInt8(data.count)]
        return bytes + data
    }

    private func strings(_ texts: String...) -> [UInt8] {
        texts.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
    }

    @Test("records are held to the profile, and others are passed over")
    func records() throws {
        let zone = try PkarrKey(Cast.alice.did).zone
        func reason(_ message: [UInt8]) throws -> DiscoveryError.Code? {
            let packet = try PkarrPacket(signing: message, at: UInt64(Cast.now) * 1_000_000, by: Cast.alice)
            return code { _ = try PkarrHint(packet.payload, of: Cast.alice.did, at: Cast.now) }
        }
        let good = strings("uri=wss://a.example", "b=ws/1.0")
        #expect(try reason(message(["_dsip", zone], good)) == nil)
        #expect(try reason(message(["_DSIP", zone.uppercased()], good)) == nil)
        #expect(try reason(message(["_dsip", zone], good + strings("x=1"))) == nil)
        #expect(try reason(message(["_dsip.\(zone)"], good)) == .noEndpoints, "one label with a point in it")
        #expect(try reason(message(["_dsip"], good)) == .noEndpoints)
        #expect(try reason(message(["_dsip", zone, "x"], good)) == .noEndpoints)
        #expect(try reason(message(["_dsip", zone], recordClass: 3, good)) == .noEndpoints)
        #expect(try reason(message(["_dsip", zone], ttl: 3601, good)) == .ttlTooLong)
        #expect(try reason(message(["_dsip", zone], ttl: 3601, strings("uri=wss://a.example"))) == .badEndpoint)
        #expect(try reason(message(["_dsip", zone], strings("uri=https://a.example", "b=ws/1.0"))) == .badEndpoint)
        #expect(try reason(message(["_dsip", zone], good + strings("uri=wss://b.example"))) == .badEndpoint)
        #expect(try reason(message(["_dsip", zone], good + strings("word"))) == .badEndpoint)
        #expect(try reason(message(["_dsip", zone], good + [0])) == .badEndpoint, "an empty string is no key=value")
        #expect(try reason(message(["_dsip", zone], good + [9, 1])) == .malformed)
        #expect(try reason(message(["_dsip", zone], good) + [0]) == .malformed)
    }

    @Test("names point backwards only, so that reading ends")
    func pointers() throws {
        let head: [UInt8] = [0, 0, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        // To itself, forward, and to a stretch that leads back here.
        for name in [[0xc0, 12], [0xc0, 14], [1, 0x61, 0xc0, 12]] as [[UInt8]] {
            #expect(code { _ = try DNSMessage(head + name + [0, 16, 0, 1]) } == .malformed)
        }
        #expect(code { _ = try DNSMessage(head + [1, 0x61, 0, 0, 16, 0, 1]) } == nil)
        #expect(code { _ = try DNSMessage(head + [0x40, 0x61, 0, 0, 16, 0, 1]) } == .malformed)
    }

    @Test("a held packet gives way to a higher timestamp only, whatever its bytes")
    func choosing() throws {
        let held = try Cast.packet()
        func choose(_ payload: [UInt8], at now: Int64 = Cast.now) throws -> HintPrecedence {
            try PkarrHint.choose(payload, over: held, of: Cast.alice.did, at: now)
        }
        #expect(try choose(held) == HintPrecedence(of: 1, over: 1, isSameContent: true))
        #expect(try choose(try Cast.packet(at: Cast.now + 1)).conflict == .newerSeq)
        #expect(try choose(try Cast.packet(at: Cast.now - 1)).conflict == .olderSeq)
        let other = try choose(try Cast.packet(uri: "wss://zzz.example/dsip"))
        #expect(other.conflict == .sameSeqLive && !other.replaces)
        let late = try choose(try Cast.packet(at: Cast.now - 1, ttl: 3600), at: Cast.now + 1800)
        #expect(late.replaces && late.conflict == .none, "what has expired is absent")
        #expect(code { _ = try choose([1, 2, 3]) } == .malformed)
    }
}

@Suite("Pkarr zones") struct PkarrZoneTests {
    @Test("what others keep in the zone is carried over, names inside expanded")
    func carrying() throws {
        let zone = try PkarrKey(Cast.alice.did).zone
        // An A record beside the zone, an MX inside it with a compressed exchange, an old hint.
        var bytes: [UInt8] = [0, 0, 0x84, 0, 0, 0, 0, 3, 0, 0, 0, 0]
        let owner = bytes.count
        bytes += [52] + Array(zone.utf8) + [0] + [0, 15, 0, 1, 0, 0, 1, 44, 0, 9, 0, 10, 4] + Array("mail".utf8)
        bytes += [0xc0, UInt8(owner)]
        bytes += [5] + Array("_dsip".utf8) + [0xc0, UInt8(owner)] + [0, 16, 0, 1, 0, 0, 0, 60, 0, 2, 1, 0x61]
        bytes += [1, 0x41, 0] + [0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]
        let kept = try PkarrZone.carried(from: DNSMessage(bytes), zone: zone)
        #expect(kept.map(\.type) == [15, 1])
        #expect(kept[0].data == [0, 10, 4] + Array("mail".utf8) + [52] + Array(zone.utf8) + [0])
        #expect(kept[1].name.wire == [1, 0x41, 0] && kept[1].data == [192, 0, 2, 1])

        var next = PkarrZone(try PkarrKey(Cast.alice.did))
        try next.carry(DNSMessage(bytes))
        try next.add(Cast.relay, ttl: 300)
        let message = try DNSMessage(try next.message())
        #expect(try PkarrZone.carried(from: message, zone: zone) == kept)
        #expect(message.answers.count == 3)

        // The name in the data leads out of them.
        var bad = bytes
        bad[owner + 54 + 9] = 8
        #expect(code { _ = try PkarrZone.carried(from: DNSMessage(bad), zone: zone) } == .malformed)
    }

    @Test("a hint is renewed in place: others' records stay, the timestamp rises though the clock went back")
    func renewing() throws {
        let clock = UInt64(Cast.now) * 1_000_000
        var bytes: [UInt8] = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        bytes += [1, 0x61, 0] + [0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]
        let others = try PkarrPacket(signing: bytes, at: clock, by: Cast.alice).payload
        let first = try PkarrPacket.hint([Cast.relay], replacing: others, clock: clock + 7, by: Cast.alice)
        #expect(first.timestamp == clock + 7)
        let second = try PkarrPacket.hint(
            [Cast.relay],
            replacing: first.payload,
            clock: clock - 9_000_000_000,
            by: Cast.alice
        )
        #expect(second.timestamp == clock + 8)
        let message = try second.open(under: try PkarrKey(Cast.alice.did), at: Cast.now)
        #expect(message.answers.map(\.type) == [16, 1])
        #expect(try PkarrHint(second.payload, of: Cast.alice.did, at: Cast.now).endpoints == [Cast.relay])
        let strangers = try Cast.packet(Cast.bob, at: Cast.now + 900)
        let fresh = try PkarrPacket.hint([Cast.relay], replacing: strangers, clock: clock, by: Cast.alice)
        #expect(fresh.timestamp == clock)
        #expect(code { _ = try PkarrPacket.hint([], replacing: nil, clock: clock, by: Cast.alice) } == .noEndpoints)
    }

    @Test("a message over 996 bytes is not signed")
    func bound() throws {
        var zone = PkarrZone(try PkarrKey(Cast.alice.did))
        for index in 0..<40 { try zone.add(.init(uri: "wss://relay-\(index).example/dsip"), ttl: 60) }
        #expect(code { _ = try zone.message() } == .limit)
        #expect(code { try zone.add(.init(uri: "ws://plain.example"), ttl: 60) } == .badEndpoint)
        #expect(code { try zone.add(Cast.relay, ttl: 3601) } == .ttlTooLong)
    }

    @Test("timestamps rise, and follow the clock otherwise")
    func timestamps() throws {
        #expect(try PkarrZone.nextTimestamp(clock: 10, previous: nil) == 10)
        #expect(try PkarrZone.nextTimestamp(clock: 10, previous: 3) == 10)
        #expect(try PkarrZone.nextTimestamp(clock: 10, previous: 10) == 11)
        #expect(try PkarrZone.nextTimestamp(clock: 10, previous: 99) == 100)
        #expect(code { _ = try PkarrZone.nextTimestamp(clock: 10, previous: (1 << 53) - 1) } == .exhausted)
        #expect(code { _ = try PkarrZone.nextTimestamp(clock: 10, previous: .max) } == .exhausted)
    }
}

@Suite("Devices of an offline identity") struct PkarrDeviceTests {
    private func pointer(_ devices: [DID], ttl: UInt32 = 86_400) throws -> [UInt8] {
        var zone = PkarrZone(try PkarrKey(Cast.alice.did))
        for device in devices { try zone.add(device: device, ttl: ttl) }
        return try PkarrPacket(signing: zone.message(), at: UInt64(Cast.now) * 1_000_000, by: Cast.alice).payload
    }

    @Test("the pointer lists devices in order, each once, for seven days at most")
    func pointers() throws {
        let (phone, laptop) = (Cast.phone.did, Cast.laptop.did)
        let read = try PkarrPointer(try pointer([phone, laptop, phone]), of: Cast.alice.did, at: Cast.now)
        #expect(read.devices == [phone, laptop] && read.expiresAt == Cast.now + 86_400)
        #expect(code { _ = try PkarrPointer(try Cast.packet(), of: Cast.alice.did, at: Cast.now) } == .noDevices)
        let old = try pointer([phone])
        #expect(code { _ = try PkarrPointer(old, of: Cast.alice.did, at: Cast.now + 86_400) } == .expired)
        #expect(code { _ = try pointer([phone], ttl: 604_801) } == .ttlTooLong)
    }

    @Test("a device counts only with a live delegation of its own, and only as long")
    func delegations() throws {
        let document = try #require(DIDKey.document(of: Cast.alice.did))
        func read(
            _ payload: [UInt8]?,
            revocations: Revocations = Revocations()
        ) -> Result<PkarrDeviceHint, PkarrDeviceHint.Fault> {
            do throws(PkarrDeviceHint.Fault) {
                return .success(
                    try PkarrDeviceHint(
                        payload,
                        of: Cast.phone.did,
                        for: document,
                        at: Cast.now,
                        revocations: revocations
                    )
                )
            } catch {
                return .failure(error)
            }
        }
        func token(_ payload: [UInt8]?, revocations: Revocations = Revocations()) -> String? {
            if case .failure(let fault) = read(payload, revocations: revocations) { fault.token } else { nil }
        }
        func packet(_ delegation: Envelope?) throws -> [UInt8] { try Cast.packet(Cast.phone, delegation: delegation) }

        let good = try packet(try Cast.delegation())
        #expect(try read(good).get().expiresAt == Cast.now + 1800)
        #expect(try read(packet(try Cast.delegation(expiresAt: Cast.now + 5))).get().expiresAt == Cast.now + 5)
        #expect(token(nil) == "unavailable")
        #expect(token([1]) == "malformed")
        #expect(try token(packet(nil)) == "delegation-missing")
        #expect(try token(packet(try Cast.delegation(to: Cast.laptop))) == "delegation-invalid")
        #expect(try token(packet(try Cast.delegation(expiresAt: Cast.now - 5))) == "delegation-expired")
        #expect(
            try token(packet(try Cast.delegation(capabilities: ["dsip.media.interactive"]))) == "delegation-capability"
        )
        var revocations = Revocations()
        revocations.insert(
            DelegationRevocation(
                id: Cast.id(Cast.now),
                subject: Cast.alice.did,
                device: Cast.phone.did,
                revokedAt: Cast.now,
                reason: DelegationRevocation.Reason.lost,
                issuedAt: Cast.now,
                expiresAt: Cast.now + 60
            )
        )
        #expect(token(good, revocations: revocations) == "delegation-revoked")
    }
}

@Suite("A shelf of packets") struct PkarrShelfTests {
    @Test("a node keeps every application's packets by timestamp, and nothing unsigned")
    func offering() throws {
        var shelf = PkarrShelf()
        let zone = try PkarrKey(Cast.alice.did).zone
        let packet = try Cast.packet()
        func offer(_ payload: [UInt8], _ zone: String = zone, at now: Int64 = Cast.now) -> PkarrShelf.Outcome {
            shelf.offer(payload, zone: zone, at: now)
        }
        func isFresh(at now: Int64) -> Bool? { shelf.packet(zone, at: now)?.isFresh }
        #expect(offer(packet, zone.uppercased()) == .rejected(.badKey))
        let other = try PkarrKey(Cast.bob.did).zone
        #expect(offer(packet, other) == .rejected(.signature))
        #expect(offer(packet, at: Cast.now - 400) == .rejected(.future))
        #expect(shelf.count == 0)
        #expect(offer(packet) == .stored)
        #expect(offer(packet) == .kept(.same))
        #expect(offer(try Cast.packet(at: Cast.now - 1)) == .kept(.older))
        #expect(offer(try Cast.packet(uri: "wss://b.example")) == .kept(.conflict))
        #expect(isFresh(at: Cast.now + 1799) == true)
        #expect(isFresh(at: Cast.now + 1800) == false)
    }

    @Test("a full shelf lets go of what nobody asked for")
    func bound() throws {
        var shelf = PkarrShelf(capacity: 8)
        let keys = (0..<20).map { Cast.key("shelf-\($0)") }
        let first = try PkarrKey(keys[0].did).zone
        for key in keys {
            _ = shelf.offer(try Cast.packet(key), zone: try PkarrKey(key.did).zone, at: Cast.now)
            _ = shelf.packet(first, at: Cast.now)
            #expect(shelf.count <= 8)
        }
        let kept = shelf.packet(first, at: Cast.now)
        #expect(kept != nil)
    }
}
