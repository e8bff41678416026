import Crypto
import DSIPAgent
import DSIPDiscovery
import DSIPIdentity
import DSIPRelay
import DSIPTransport
import Encoding
import Foundation
import Testing

/// Zones of keys at Pkarr relays, over sockets: a relay of ours is one (hints profile §10).
@Suite("Zones at a Pkarr relay", .serialized, .timeLimit(.minutes(10)))
struct ZoneTests {
    /// A Pkarr relay, and who reads and writes there by HTTPS alone.
    private struct Carrier {
        let relay: TestRelay
        let fetcher: HTTPDocumentFetcher

        var url: String { "https://127.0.0.1:\(relay.running.port)" }

        init() async throws {
            relay = try await TestRelay()
            fetcher = HTTPDocumentFetcher(
                policy: AddressPolicy(allowing: [AddressRange("127.0.0.1/32")!]),
                roots: TrustRoots(additionalFiles: [try #require(relay.running.rootPath)])
            )
        }

        func packet(_ zone: PkarrKey) async -> [UInt8]? {
            (try? await PkarrRelays([url], fetcher: fetcher).packets(zone.zone))?.first
        }

        func put(_ packet: PkarrPacket, _ zone: PkarrKey) async throws -> Int {
            try await fetcher.put(url: "\(url)/\(zone)", packet.payload, type: "application/octet-stream").status
        }
    }

    /// A DNS message with TXT records, as any other publisher writes one.
    private func message(_ records: [(name: [String], text: String)]) -> [UInt8] {
        var bytes: [UInt8] = [0, 0, 0x84, 0, 0, 0, 0, UInt8(records.count), 0, 0, 0, 0]
        for (name, text) in records {
            bytes += name.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0, 0, 16, 0, 1, 0, 0, 0x0e, 0x10]
            bytes += [0, UInt8(text.utf8.count + 1), UInt8(text.utf8.count)] + Array(text.utf8)
        }
        return bytes
    }

    private var microseconds: UInt64 { UInt64(Date().timeIntervalSince1970) * 1_000_000 }

    @Test("a did:dht is published at a Pkarr relay and resolved by an agent that asks there, which takes back nothing")
    func document() async throws {
        let carrier = try await Carrier()
        let key = SigningKey(selfIssued: .init())
        let zone = try PkarrKey(key.did)
        let did = try #require(DID("did:dht:\(zone)"))
        guard case .ed25519(let raw) = key.publicKey else { throw IdentityError(.unsupported, "another key") }
        func packet(_ relay: String, at time: UInt64) throws -> PkarrPacket {
            let records = [
                (["_did", zone.zone], "v=0;vm=k0;auth=k0;asm=k0;svc=s0"),
                (["_k0", "_did"], "id=0;t=0;k=\(Base64URL.encode(Array(raw.rawRepresentation)))"),
                (["_s0", "_did"], "id=dsip;t=DSIPSignaling;se=\(relay);b=ws/1.0"),
            ]
            return try PkarrPacket(signing: message(records), at: time, by: key)
        }
        let now = microseconds
        #expect(try await carrier.put(packet("wss://old.example/dsip", at: now - 2_000_000), zone) == 204)
        let alice = try await Person("Alice", at: carrier.relay, adjusting: { $0.pkarr = [carrier.url] })
        #expect(try await alice.agent.lookup(did.string).relay == "wss://old.example/dsip")
        // Somebody newer is there; the older one is not taken any more, by the relay nor by who has seen the newer.
        #expect(try await carrier.put(packet("wss://new.example/dsip", at: now), zone) == 204)
        #expect(try await carrier.put(packet("wss://old.example/dsip", at: now - 1_000_000), zone) == 409)
        let bob = try await Person("Bob", at: carrier.relay, adjusting: { $0.pkarr = [carrier.url] })
        #expect(try await bob.agent.lookup(did.string).relay == "wss://new.example/dsip")
        let carol = try await Person("Carol", at: carrier.relay)
        await #expect(throws: AgentError(.unresolvable, "")) { try await carol.agent.lookup(did.string) }
        for person in [alice, bob, carol] { await person.agent.stop() }
        await carrier.relay.stop()
    }

    @Test("an agent says in its own zone where it is, and is called by its key alone")
    func hint() async throws {
        let carrier = try await Carrier()
        let (here, there) = (try await TestRelay(), try await TestRelay())
        let places = [carrier.relay, here, there]
        let bob = try await Person("Bob", at: there, trusting: places, adjusting: { $0.pkarr = [carrier.url] })
        let zone = try PkarrKey(await bob.did)
        try await until("Bob's zone is there", within: .seconds(120)) { await carrier.packet(zone) != nil }
        let payload = try #require(await carrier.packet(zone))
        let read = try PkarrHint(payload, of: await bob.did, at: Int64(Date().timeIntervalSince1970))
        #expect(read.endpoints.map(\.uri) == [there.running.url])
        // Alice's own relay is in no DHT and knows nothing of Bob.
        let alice = try await Person("Alice", at: here, trusting: places, adjusting: { $0.pkarr = [carrier.url] })
        _ = try await bob.agent.addContact(await alice.did.string, name: "Alice")
        let found = try await alice.agent.lookup(await bob.did.string)
        #expect(found.relay == there.running.url)
        #expect(found.steps.last?.contains("by a hint") == true)
        let call = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer)
        try await until("Bob’s phone rings") { bob.now.calls[call.session]?.state == .incoming }
        try await alice.agent.cancel(call.session)
        for person in [alice, bob] { await person.agent.stop() }
        for relay in places { await relay.stop() }
    }
}
