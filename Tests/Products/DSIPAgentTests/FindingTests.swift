import Crypto
import DSIPAgent
import DSIPDiscovery
import DSIPIdentity
import DSIPRelay
import DSIPTransport
import Encoding
import Foundation
import Libp2p
import Testing

/// Calls and messages to an address that names no relay: the DHT knows where its owner lives.
@Suite("Finding people by their address alone", .serialized, .timeLimit(.minutes(10)))
struct FindingTests {
    /// Two relays and a host beside them, which know each other by the DHT alone.
    private func world() async throws -> (alice: Person, bob: Person, here: TestRelay, there: TestRelay, host: Overlay)
    {
        let host = Overlay(.init(listen: [try Multiaddr("/ip4/127.0.0.1/tcp/0")]))
        try await host.start()
        let known = await host.addresses.map(\.description)
        let here = try await TestRelay(knowing: known)
        let there = try await TestRelay(knowing: known)
        let alice = try await Person("Alice", at: here, trusting: [there])
        let bob = try await Person("Bob", at: there, trusting: [here])
        return (alice, bob, here, there, host)
    }

    private func found(_ did: DID, by person: Person) async throws -> Found {
        try await until("the relay of \(did) is found", within: .seconds(60)) {
            (try? await person.agent.lookup(did.string))?.relay != nil
        }
        return try await person.agent.lookup(did.string)
    }

    @Test("a bare did:key at another relay is found through the DHT, and rings")
    func bareKey() async throws {
        let (alice, bob, here, there, host) = try await world()
        _ = try await bob.agent.addContact(await alice.did.string, name: "Alice")
        let route = try await found(await bob.did, by: alice)
        #expect(route.relay == there.running.url)
        #expect(route.steps.last?.hasPrefix("Its relay was found by a ") == true)
        let call = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer)
        try await until("Bob’s phone rings") { bob.now.calls[call.session]?.state == .incoming }
        try await alice.agent.cancel(call.session)
        for person in [alice, bob] { await person.agent.stop() }
        await here.stop()
        await there.stop()
        await host.stop()
    }

    @Test("whoever does not want to be found is not, and a host of the DHT keeps no record of theirs")
    func notFindable() async throws {
        let (alice, bob, here, there, host) = try await world()
        _ = try await found(await bob.did, by: alice)
        _ = try await bob.agent.update(findable: false)
        let key = DiscoveryKey.home(await bob.did)
        let now = Int64(Date().timeIntervalSince1970)
        try await until("the home record names no relay any more", within: .seconds(60)) {
            let record = (try? await host.values(key))?.first.flatMap { try? HomeRecord(verifying: $0, at: now) }
            return record?.places.relays.isEmpty == true
        }
        for person in [alice, bob] { await person.agent.stop() }
        await here.stop()
        await there.stop()
        await host.stop()
    }

    @Test("a relay keeps no record under another’s key, none that is older, and none that nobody signed")
    func records() async throws {
        let relay = try await TestRelay()
        let fetcher = HTTPDocumentFetcher(
            policy: AddressPolicy(allowing: [AddressRange("127.0.0.1/32")!]),
            roots: TrustRoots(additionalFiles: [relay.running.rootPath!])
        )
        let base = "https://127.0.0.1:\(relay.running.port)/dsip/v1/records/"
        func post(_ key: [UInt8], _ value: [UInt8]) async throws -> Int {
            try await fetcher.post(url: base + String(decoding: key.suffix(64), as: UTF8.self), value).status
        }
        let now = Int64(Date().timeIntervalSince1970)
        let (key, other) = (SigningKey(selfIssued: .init()), SigningKey(selfIssued: .init()))
        func home(_ seq: Int64) throws -> [UInt8] {
            try HomeRecord.sign(.init(relays: ["wss://relay.example/dsip"]), of: key.did, at: now, seq: seq, by: key)
        }
        let own = DiscoveryKey.home(key.did)
        #expect(try await post(own, home(7)) == 202)
        #expect(try await post(own, home(6)) == 409)
        #expect(try await post(own, home(7)) == 202)
        #expect(try await post(DiscoveryKey.home(other.did), home(8)) == 400)
        #expect(try await post(own, Array("{}".utf8)) == 400)
        var forged = try home(9)
        forged[forged.count - 4] ^= 1
        #expect(try await post(own, forged) == 400)
        #expect(try await fetcher.fetch(url: base + "zz", limit: 1024).status == 400)
        let kept = try await fetcher.fetch(url: base + String(decoding: own.suffix(64), as: UTF8.self), limit: 4096)
        #expect(try kept.body == home(7))
        await relay.stop()
    }
}
