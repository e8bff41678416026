import Crypto
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import MLS
import Testing

@Suite("A mailbox service among others", .serialized) struct HostServiceTests {
    private typealias Pair = HostConversationTests.Pair

    @Test("M§14.2: who was added while its mailbox was away for hours is welcomed all the same")
    func lateWelcome() throws {
        let pair = try Pair(services: 2)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        world.cut = [alice.node.service.did]
        let group = try pair.converse()
        try alice.say("while you were out", in: group)
        world.pass(3 * 3600)
        world.cut = []
        world.pass(1300)
        try bob.sync()
        try bob.process()
        world.pass(1300)
        try bob.sync()
        try bob.process()
        #expect(bob.texts == ["while you were out"])
    }

    @Test("M§6.7, M§12.3: a member adds its own new device, which hears of it by a welcome")
    func ownDevice() throws {
        let pair = try Pair(services: 2)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        try bob.sync()
        try bob.process()
        let tablet = try world.device(of: bob.identity, at: bob.node)
        try tablet.upload(1)
        let packages = try #require(bob.packages(of: bob.identity.did, at: bob.node)?.packages)
        let added = try bob.adds(packages).filter { proposal in
            guard case .add(let package) = proposal else { return false }
            return try package.verified(at: UInt64(world.now), by: DeviceCredentials()).leafNode.credential
                == .basic(identity: Array(tablet.did.string.utf8))
        }
        #expect(added.count == 1)
        #expect(try bob.commit(added, in: group)?.accepted?.seq == 2)
        try alice.sync()
        try alice.process()
        try alice.say("both of you", in: group)
        for device in [bob, tablet] {
            try device.sync()
            try device.process()
            #expect(device.texts == ["both of you"])
        }
    }

    @Test("M§4.2: documents say where mailboxes are; what is not known yet is looked up, and nothing is lost meanwhile")
    func documents() throws {
        let world = HostWorld()
        let (first, second) = (try world.node("one"), try world.node("two"))
        func person(_ name: String, at node: HostWorld.Node) throws -> SigningKey {
            let did = DID("did:web:\(name).example")!
            let seed = world.key().rawRepresentation
            let key = SigningKey(
                kid: DIDURL(did: did, fragment: "key-1"),
                key: try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
            )
            let entry = MailboxService(uri: node.service.uri, mailbox: node.service.did)
            var parameters = try #require(entry.json.object)
            parameters["uri"] = nil
            parameters["bindings"] = nil
            let document = DIDDocument(
                id: did,
                verificationMethods: [.init(id: key.kid, controller: did, publicKey: key.publicKey)],
                services: [
                    .init(
                        id: "\(did)#mailbox",
                        type: MailboxService.serviceType,
                        uri: node.service.uri,
                        bindings: ["ws/1.0"],
                        parameters: parameters
                    )
                ]
            )
            // As it is read from where it is published.
            world.documents.put(try DIDDocument(parsing: document.json.utf8, expecting: did))
            return key
        }
        let alice = try world.device(of: person("alice", at: first), at: first)
        let bob = try world.device(of: person("bob", at: second), at: second)
        try bob.upload(2)
        try world.send(.mailboxConfig(MailboxConfig(subject: bob.identity.did, admit: .open)), from: bob)
        let packages = try #require(alice.packages(of: bob.identity.did, at: second)?.packages)
        let group = try alice.create(.direct)
        try #require(alice.publishInfo(of: group)?.accepted != nil)
        try #require(alice.commit(try alice.adds(packages), in: group)?.accepted != nil)
        try alice.say("by document", in: group)
        try bob.sync()
        try bob.process()
        try bob.sync()
        try bob.process()
        #expect(bob.texts == ["by document"])
    }

    @Test("M§8.4: what a message names is fetched once, and items point to the copy; it counts to the quota")
    func blobs() throws {
        let pair = try Pair(services: 2)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        let name = String(repeating: "ab", count: 32)
        let blob = BlobReference(uri: "https://one.example/blobs/\(name)", sha256: name, size: 1000)
        let mls = try alice.encrypt("a picture", in: group)
        try alice.deposit(Deposit(group: group, .application(mls: mls, blobs: [blob])))
        #expect(bob.node.fetches == [blob])
        bob.node.host.fetched(blob, BlobResponse(status: 404), at: world.now)
        world.settle(bob.node)
        world.restart(bob.node)
        world.pass(5)
        #expect(bob.node.fetches.count == 2)
        bob.node.host.fetched(blob, BlobResponse(status: 200, sha256: name, size: 1000), at: world.now)
        world.settle(bob.node)
        #expect(try bob.node.host.isBlobStored(name))
        let used = try bob.node.host.blobService(for: bob.identity.did).used
        #expect(used > 1000)
        try bob.sync()
        let item = try #require(bob.items.first { !$0.blobs.isEmpty })
        #expect(item.blobs.first?.uri == "https://two.example/blobs/\(name)")
    }

    @Test("M§7.5: members of a dead group are welcomed to its successor without a grant")
    func successor() throws {
        let world = HostWorld()
        let (first, second) = (try world.node("one"), try world.node("two"))
        let alice = try world.device(of: world.key(), at: first)
        let bob = try world.device(of: world.key(), at: second)
        try alice.upload(3)
        try bob.upload(3)
        try world.send(.mailboxConfig(MailboxConfig(subject: bob.identity.did, admit: .open)), from: bob)
        let dead = try alice.create(.direct)
        try alice.publishInfo(of: dead)
        let packages = try #require(alice.packages(of: bob.identity.did, at: second)?.packages)
        try alice.commit(try alice.adds(packages), in: dead)
        try bob.sync()
        try bob.process()
        // Bob makes the successor; Alice has given him no grant.
        #expect(try bob.packages(of: alice.identity.did, at: first)?.reason == .policyFirstContactRequired)
        let hers = try #require(bob.packages(of: alice.identity.did, at: first, successorOf: dead)?.packages)
        let group = try bob.create(.direct, successorOf: dead)
        try bob.publishInfo(of: group)
        try #require(bob.commit(try bob.adds(hers), in: group)?.accepted != nil)
        try bob.say("still here", in: group)
        try alice.sync()
        try alice.process()
        try alice.sync()
        try alice.process()
        #expect(alice.texts == ["still here"])
    }
}
