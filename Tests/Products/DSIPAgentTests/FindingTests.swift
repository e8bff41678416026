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

    @Test("two agents on one network find each other, though their relays are in no DHT and nobody names a host")
    func ownNetwork() async throws {
        let (here, there) = (try await TestRelay(), try await TestRelay())
        let local = Overlay.LocalNetwork.loopback(port: Int.random(in: 20_000...50_000))
        let alice = try await Person("Alice", at: here, trusting: [there], dht: .own(.init(local: local)))
        let bob = try await Person("Bob", at: there, trusting: [here], dht: .own(.init(local: local)))
        try await until("they have met", within: .seconds(60)) {
            await alice.agent.network()["hosts"]?.int == 1
        }
        #expect(await alice.agent.network()["local"]?.bool == true)
        let route = try await found(await bob.did, by: alice)
        #expect(route.relay == there.running.url)
        for person in [alice, bob] { await person.agent.stop() }
        await here.stop()
        await there.stop()
    }

    @Test(
        "an agent whose relay is in no DHT asks the DHT itself, says itself where it is, and begins with whom it knew"
    )
    func client() async throws {
        let host = Overlay(.init(listen: [try Multiaddr("/ip4/127.0.0.1/tcp/0")]))
        try await host.start()
        let hosts = await host.addresses
        let (here, there) = (try await TestRelay(), try await TestRelay())
        let alice = try await Person("Alice", at: here, trusting: [there], dht: .own(.init(bootstrap: hosts)))
        let bob = try await Person("Bob", at: there, trusting: [here], dht: .own(.init(bootstrap: hosts)))
        #expect(try await found(await bob.did, by: alice).relay == there.running.url)
        #expect(await alice.agent.network()["dht"]?.string == "client")
        await alice.agent.stop()
        let again = try await Person("Alice", at: here, folder: alice.folder, dht: .own(.init()))
        try await until("she knows the host", within: .seconds(60)) { await again.agent.network()["hosts"]?.int == 1 }
        for person in [again, bob] { await person.agent.stop() }
        await here.stop()
        await there.stop()
        await host.stop()
    }

    @Test("an agent learns of the host that its relay is")
    func relayNamesItself() async throws {
        let relay = try await TestRelay(knowing: [])
        let alice = try await Person("Alice", at: relay, dht: .own(.init()))
        try await until("the relay is known", within: .seconds(60)) {
            await alice.agent.network()["hosts"]?.int == 1
        }
        await alice.agent.stop()
        await relay.stop()
    }

    @Test("whoever does not want to be found is not, and a host of the DHT keeps no record of theirs")
    func notFindable() async throws {
        let (alice, bob, here, there, host) = try await world()
        _ = try await found(await bob.did, by: alice)
        _ = try await bob.agent.update(visibility: .nobody)
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

    @Test(
        "whom somebody lets see them does: strangers learn the relay, contacts the device, everybody what is open, nobody a throw-away"
    )
    func presence() async throws {
        let host = Overlay(.init(listen: [try Multiaddr("/ip4/127.0.0.1/tcp/0")]))
        try await host.start()
        var dht = Overlay.Configuration(
            listen: [try Multiaddr("/ip4/127.0.0.1/tcp/0")],
            bootstrap: await host.addresses
        )
        dht.witnesses = 1
        let relay = try await TestRelay(knowing: await host.addresses.map(\.description))
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay, dht: .own(dht)))
        let carol = try await Person("Carol", at: relay)
        _ = try await bob.agent.addContact(await alice.uri, name: "Alice")
        let contact = try await bob.agent.addContact(await carol.uri, name: "Carol")
        let throwaway = try await bob.agent.perform(
            "identity.create",
            ["name": "Nobody", "throwaway_for": .string(contact.id)]
        )["did"]?.string.flatMap { DID($0) }
        try await until("Bob can be dialled", within: .seconds(90)) {
            await bob.agent.network(examining: true)["reach"]?.string == "direct"
        }
        // By default whoever has the address learns the relay, and that somebody is there.
        let did = await bob.did
        try await until("he is there", within: .seconds(60)) { (try? await carol.agent.presence(of: did)) != nil }
        let open = try #require(try await carol.agent.presence(of: did))
        #expect(open.relays == [relay.running.url] && open.direct.isEmpty && open.region == nil && !open.isSealed)
        // For contacts: sealed to them, and nothing beside it.
        _ = try await bob.agent.update(visibility: .contacts, region: "u33d")
        let key = DiscoveryKey.presence(did)
        func record() async -> PresenceRecord? {
            let now = Int64(Date().timeIntervalSince1970)
            return await host.held(key).flatMap { try? PresenceRecord(verifying: $0, at: now) }
        }
        try await until("it is sealed", within: .seconds(90)) { await record()?.sealed != nil }
        #expect(await record()?.reach.isEmpty == true)
        try await until("Alice learns it", within: .seconds(300)) {
            (try? await alice.agent.presence(of: did))?.isSealed == true
        }
        let sealed = try #require(try await alice.agent.presence(of: did))
        #expect(sealed.region == "u33d" && sealed.direct.count == 1)
        // Everybody.
        _ = try await bob.agent.update(visibility: .everybody)
        try await until("it is open", within: .seconds(90)) { await record()?.reach.direct.count == 1 }
        #expect(await record()?.reach.geo?.geohash.text == "u33d")
        try await until("he is found in his region", within: .seconds(60)) {
            await host.nearest(Geohash("u33e")!).first?.did == did
        }
        for key in [DiscoveryKey.presence(try #require(throwaway)), DiscoveryKey.home(try #require(throwaway))] {
            #expect(try await host.values(key).isEmpty)
        }
        await #expect(throws: AgentError.self) { try await bob.agent.update(region: "nowhere") }
        for person in [alice, bob, carol] { await person.agent.stop() }
        await relay.stop()
        await host.stop()
    }

    @Test("a client finds the relays near to it, and what they say they are")
    func regions() async throws {
        let host = Overlay(.init(listen: [try Multiaddr("/ip4/127.0.0.1/tcp/0")]))
        try await host.start()
        let hosts = await host.addresses
        let relays = [
            try await TestRelay(knowing: hosts.map(\.description), in: "u33d"),
            try await TestRelay(knowing: hosts.map(\.description), in: "u281"),
        ]
        let alice = try await Person("Alice", at: relays[0], dht: .own(.init(bootstrap: hosts)))
        try await until("the near one is found", within: .seconds(60)) {
            (try? await alice.agent.relays(near: "u33"))?.first?.relays == [relays[0].running.url]
        }
        try await until("both are in the region around", within: .seconds(60)) {
            (try? await alice.agent.relays(near: "u"))?.count == 2
        }
        await alice.agent.stop()
        for relay in relays { await relay.stop() }
        await host.stop()
    }

    @Test("a relay that was started again still knows where those are who sleep")
    func relayRestart() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        let did = await bob.did
        _ = try await found(did, by: alice)
        await bob.agent.stop()
        try await relay.restart()
        let asking = TestDirectory(relay)
        let now = Int64(Date().timeIntervalSince1970)
        let home = try #require(try await asking.values(DiscoveryKey.home(did)).first)
        #expect(try HomeRecord(verifying: home, at: now).places.relays == [relay.running.url])
        // Presence is of the moment, and is not.
        #expect(try await asking.values(DiscoveryKey.presence(did)).isEmpty)
        await alice.agent.stop()
        await relay.stop()
    }

    @Test("what was taken back cannot be brought again, though the agent was started anew")
    func rollback() async throws {
        let host = Overlay(.init(listen: [try Multiaddr("/ip4/127.0.0.1/tcp/0")]))
        try await host.start()
        let hosts = await host.addresses
        let relay = try await TestRelay()
        let key = SigningKey(selfIssued: .init())
        let now = Int64(Date().timeIntervalSince1970)
        func put(_ seq: Int64, _ place: String, on host: Overlay) async throws {
            let record = try HomeRecord.sign(
                .init(relays: ["wss://\(place).example/dsip"]),
                of: key.did,
                at: now,
                seq: seq,
                by: key
            )
            await host.put(DiscoveryKey.home(key.did), record)
        }
        try await put(2, "new", on: host)
        let alice = try await Person("Alice", at: relay, dht: .own(.init(bootstrap: hosts)))
        #expect(try await found(key.did, by: alice).relay == "wss://new.example/dsip")
        await alice.agent.stop()
        await host.stop()
        // Hosts that know the older record only.
        let liar = Overlay(.init(listen: [try Multiaddr("/ip4/127.0.0.1/tcp/0")]))
        try await liar.start()
        try await put(1, "old", on: liar)
        let liars = await liar.addresses
        let again = try await Person("Alice", at: relay, folder: alice.folder, dht: .own(.init(bootstrap: liars)))
        try await until("the host is known", within: .seconds(60)) { await again.agent.network()["hosts"]?.int == 1 }
        #expect(try await again.agent.lookup(key.did.string).relay == nil)
        let stranger = try await Person("Carol", at: relay, dht: .own(.init(bootstrap: liars)))
        #expect(try await found(key.did, by: stranger).relay == "wss://old.example/dsip")
        for person in [again, stranger] { await person.agent.stop() }
        await liar.stop()
        await relay.stop()
    }

    @Test("a relay keeps no record under another’s key, none that is older, and none that nobody signed")
    func records() async throws {
        let relay = try await TestRelay()
        let directory = TestDirectory(relay)
        func post(_ key: [UInt8], _ value: [UInt8]) async throws -> Int { try await directory.post(key, value) }
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
        #expect(try await directory.fetcher.fetch(url: directory.base + "zz", limit: 1024).status == 400)
        #expect(try await directory.values(own) == [home(7)])
        await relay.stop()
    }
}

/// A relay's directory over HTTPS.
private struct TestDirectory {
    let fetcher: HTTPDocumentFetcher
    let base: String

    init(_ relay: TestRelay) {
        fetcher = HTTPDocumentFetcher(
            policy: AddressPolicy(allowing: [AddressRange("127.0.0.1/32")!]),
            roots: TrustRoots(additionalFiles: [relay.running.rootPath!])
        )
        base = "https://127.0.0.1:\(relay.running.port)/dsip/v1/records/"
    }

    private func url(_ key: [UInt8]) -> String { base + String(decoding: key.suffix(64), as: UTF8.self) }

    func post(_ key: [UInt8], _ value: [UInt8]) async throws -> Int {
        try await fetcher.post(url: url(key), value).status
    }

    func values(_ key: [UInt8]) async throws -> [[UInt8]] {
        let answer = try await fetcher.fetch(url: url(key), limit: 4096)
        return answer.status == 200 ? [answer.body] : []
    }
}
