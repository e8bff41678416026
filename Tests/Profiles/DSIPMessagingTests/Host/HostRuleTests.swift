import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import MLS
import Testing

@Suite("What a mailbox service lets in", .serialized) struct HostRuleTests {
    private typealias Pair = HostConversationTests.Pair

    @Test("M§14.2: a stranger's welcome needs a grant, which the adder carries and the origin proves")
    func grants() throws {
        let world = HostWorld()
        let (first, second) = (try world.node("one"), try world.node("two"))
        let alice = try world.device(of: world.key(), at: first)
        let bob = try world.device(of: world.key(), at: second)
        try bob.upload(4)
        #expect(
            try alice.packages(of: bob.identity.did, at: second)
                == .refused(.policyFirstContactRequired, retryAfter: nil)
        )
        let grant = try self.grant(from: bob, to: alice, world)
        guard case .packages(let packages)? = try alice.packages(of: bob.identity.did, at: second, grant: grant) else {
            Issue.record("no packages")
            return
        }
        #expect(packages.count == 1)
        // Without the grant the welcome is refused, and not sent again.
        let first1 = try alice.create(.direct)
        try alice.publishInfo(of: first1)
        try alice.commit(try alice.adds(packages), in: first1)
        world.pass(300)
        let none = try bob.sync()
        #expect(none == 0)
        // With it Bob is in.
        guard case .packages(let more)? = try alice.packages(of: bob.identity.did, at: second, grant: grant) else {
            return
        }
        let group = try alice.create(.direct)
        try alice.publishInfo(of: group)
        try alice.commit(try alice.adds(more), in: group, grants: [grant])
        try alice.say("granted", in: group)
        try bob.sync()
        try bob.process()
        try bob.sync()
        try bob.process()
        #expect(bob.texts == ["granted"])
        // A grant taken back is worth nothing.
        let id = try #require(JSONValue(parsing: grant.decodedPayload())["id"]?.string.flatMap { ULID($0) })
        let config = MailboxConfig(subject: bob.identity.did, revokedGrants: [id])
        try world.send(.mailboxConfig(config), from: bob)
        #expect(
            try alice.packages(of: bob.identity.did, at: second, grant: grant)
                == .refused(.policyFirstContactRequired, retryAfter: nil)
        )
    }

    private func grant(from grantor: HostWorld.Device, to grantee: HostWorld.Device, _ world: HostWorld) throws
        -> Envelope
    {
        let stamp = Message.Stamp(
            id: ULID(milliseconds: UInt64(world.now) * 1000, using: &world.random),
            from: grantor.identity.did,
            issuedAt: world.now
        )
        let introduction = ULID(milliseconds: UInt64(world.now) * 1000, using: &world.random)
        let body = Grant(scope: [Grant.messageScope], validUntil: world.now + 86_400)
        let message = Message.inSession(introduction, stamp, to: grantee.identity.did, body)
        return try Envelope(signing: message.json.utf8, by: grantor.identity)
    }

    @Test("M§5.5: KeyPackages are the device's own, are used once, and run out to the last resort")
    func packages() throws {
        let pair = try Pair()
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        for _ in 0..<3 { #expect(try alice.packages(of: bob.identity.did, at: bob.node)?.count == 1) }
        #expect(try alice.packages(of: bob.identity.did, at: bob.node)?.reason == .mailboxNoKeyPackages)
        try bob.upload(0, lastResort: true)
        let (one, two) = (
            try alice.packages(of: bob.identity.did, at: bob.node),
            try alice.packages(of: bob.identity.did, at: bob.node)
        )
        #expect(one == two && one?.count == 1)
        // One that outlives the delegation is refused; one that has ended is served to nobody.
        #expect(try bob.upload(1, lifetime: 100 * 86_400)?.reason == .policyBlocked)
        let mallory = try world.device(of: world.key(), at: alice.node)
        let theirs = KeyPackages(subject: mallory.identity.did, packages: one?.packages ?? [])
        #expect(try world.send(.keyPackages(theirs), from: mallory)?.reason == .policyBlocked)
        // Whoever drains is stopped.
        var last: HostWorld.Answer?
        for _ in 0..<30 { last = try alice.packages(of: bob.identity.did, at: bob.node) }
        #expect(last?.reason == .policyRateLimited)
    }

    @Test("M§5.7, M§12.4: a revoked device is shut out at once, and any member may remove it")
    func revocation() throws {
        let pair = try Pair()
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let tablet = try world.device(of: bob.identity, at: bob.node)
        try tablet.upload(2)
        let group = try pair.converse()
        for device in [bob, tablet] {
            try device.sync()
            try device.process()
        }
        #expect(tablet.groups[group] != nil)
        let leaf = try #require(tablet.groups[group]?.ownLeaf)
        // A living device is its identity's own affair. M§7.3
        #expect(try alice.commit([.remove(leaf)], in: group)?.reason == .policyBlocked)
        let revocation = try DelegationRevocation(
            id: ULID(milliseconds: UInt64(world.now) * 1000, using: &world.random),
            subject: bob.identity.did,
            device: tablet.did,
            revokedAt: world.now,
            reason: DelegationRevocation.Reason.lost,
            issuedAt: world.now,
            expiresAt: world.now + 86_400
        ).issue(by: bob.identity)
        let config = MailboxConfig(subject: bob.identity.did, revokedDelegations: [revocation.compact])
        #expect(try world.send(.mailboxConfig(config), from: bob)?.accepted != nil)
        #expect(bob.node.revoked == [tablet.did])
        #expect(try alice.commit([.remove(leaf)], in: group)?.accepted != nil)
        world.unbind(tablet)
        world.restart(bob.node)
        world.bind(tablet)
        #expect(bob.node.closed == [tablet.connection])
        #expect(try world.send(.sync(SyncRequest(since: nil)), from: tablet)?.reason == .policyBlocked)
    }

    @Test("M§6.5: who is no member orders nothing, and a hub takes only its own group's bytes")
    func strangers() throws {
        let pair = try Pair()
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        let mallory = try world.device(of: world.key(), at: alice.node)
        let mls = try alice.encrypt("x", in: group)
        #expect(
            try mallory.deposit(Deposit(group: group, .application(mls: mls, blobs: [])))?.reason == .policyBlocked
        )
        let other = try alice.create(.group)
        try alice.publishInfo(of: other)
        #expect(
            try alice.deposit(Deposit(group: other, .application(mls: mls, blobs: [])))?.reason == .policyBlocked
        )
        let unknown = GroupID(ULID(milliseconds: 1, using: &world.random))
        #expect(
            try bob.deposit(Deposit(group: unknown, .application(mls: mls, blobs: [])))?.reason == .mailboxUnknownGroup
        )
        let stale = try alice.publishInfo(of: group)
        #expect(stale?.accepted != nil)
    }

    @Test("M§4.4: past its quota a mailbox takes nothing new, and gives room when things end")
    func quota() throws {
        var limits = MailboxHost.Limits()
        limits.quota = 20_000
        let pair = try Pair(limits: limits)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        for _ in 0..<40 { try alice.say(String(repeating: "x", count: 500), in: group) }
        try bob.sync()
        let held = bob.items.count
        #expect(held < 40)
        try bob.process()
        // After the retention what it held has ended, and what the hub still owed comes.
        world.now += 31 * 86_400
        world.pass(600)
        try alice.say("room again", in: group)
        world.pass(60)
        try bob.sync()
        #expect(bob.items.count > held)
        #expect(bob.items.last?.seq == 42)
    }

    @Test("M§11.2: activity reaches who is there now, and is kept for nobody")
    func activity() throws {
        let pair = try Pair(services: 2)
        let group = try pair.converse()
        try pair.bob.sync(live: true)
        let sealed = try #require(EncodedBytes("AAAA"))
        let deposit = Deposit(group: group, .ephemeral(sealed: sealed))
        #expect(try pair.alice.deposit(deposit, lifetime: 10) == nil)
        #expect(pair.bob.activity.map(\.sealed) == [sealed])
        #expect(pair.bob.activity.first?.expiresAt == pair.world.now + 10)
        pair.world.unbind(pair.bob)
        try pair.alice.deposit(deposit, lifetime: 10)
        pair.world.bind(pair.bob)
        try pair.bob.sync()
        #expect(pair.bob.activity.count == 1)
    }

    @Test(
        "M§7.4: a group moves to another hub, which goes on counting, and the one it left has nothing to do",
        arguments: [false, true]
    )
    func handover(isCut: Bool) throws {
        let pair = try Pair(services: 2)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        try bob.sync()
        try bob.process()
        // What the hub did not get through to him before is for the next one to say.
        if isCut { world.cut = [alice.node.service.did] }
        try alice.publishInfo(of: group)
        let seq = try move(group, to: bob)
        #expect(try alice.say("too late", in: group)?.reason == .mailboxUnknownGroup)
        for device in [alice, bob] { try hear(of: group, movedTo: bob, after: seq, device, in: world) }
        world.cut = []
        #expect(try bob.publishInfo(of: group, handoverSeq: seq)?.accepted != nil)
        #expect(try alice.say("on the new hub", in: group)?.accepted?.seq == seq + 1)
        world.pass(600)
        for device in [alice, bob] { #expect(device.node.host.undelivered == []) }
        try bob.sync()
        try bob.process()
        #expect(bob.texts == ["on the new hub"])
    }

    @Test("M§7.4: who is removed where the group moved to is told, though their mailbox hears of the move later")
    func removedUnheard() throws {
        let pair = try Pair(services: 2)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse(.group)
        try bob.sync()
        try bob.process()
        let seq = try move(group, to: bob)
        try hear(of: group, movedTo: bob, after: seq, bob, in: world)
        try #require(bob.publishInfo(of: group, handoverSeq: seq)?.accepted != nil)
        let leaf = try #require(alice.groups[group]?.ownLeaf)
        try #require(bob.commit([.remove(leaf)], in: group)?.accepted?.seq == seq + 1)
        world.pass(600)
        world.restart(bob.node)
        world.pass(600)
        #expect(bob.node.host.undelivered != [])
        try hear(of: group, movedTo: bob, after: seq, alice, in: world)
        world.pass(3600)
        #expect(bob.node.host.undelivered == [])
        try alice.sync()
        #expect(alice.items.compactMap(\.seq).max() == seq + 1)
    }

    /// The group is to be ordered by the service of `device`.
    ///
    /// - Returns: the `seq` of the commit that says so.
    private func move(_ group: GroupID, to device: HostWorld.Device) throws -> Int64 {
        var moved = try #require(device.groups[group].flatMap { ConversationExtension(of: $0.extensions) })
        moved.hub = HubReference(did: device.node.service.did, uri: device.node.service.uri)
        var extensions = try #require(device.groups[group]?.extensions)
        extensions[ExtensionType(rawValue: ConversationExtension.extensionType)] = moved.json.utf8
        return try #require(device.commit([.groupContextExtensions(extensions)], in: group)?.accepted?.seq)
    }

    /// A device reads that the group has moved to the service of `host`, and tells its own.
    private func hear(
        of group: GroupID,
        movedTo host: HostWorld.Device,
        after seq: Int64,
        _ device: HostWorld.Device,
        in world: HostWorld
    ) throws {
        try device.sync()
        try device.process()
        let service = host.node.service
        let entry = MailboxConfig.Group(group, .joined, hub: service.did, hubURI: service.uri, handoverSeq: seq)
        try world.send(.mailboxConfig(MailboxConfig(subject: device.identity.did, groups: [entry])), from: device)
    }

    @Test("M§6.8: a device that lost its state comes back by itself; a stranger does not")
    func externalJoin() throws {
        let pair = try Pair(services: 2)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        try bob.sync()
        try bob.process()
        let item = try #require(bob.items.last { $0.itemClass == .groupInfo })
        #expect(try bob.join(outside: item, in: group)?.accepted?.seq == 2)
        try alice.sync()
        try alice.process()
        try alice.say("again", in: group)
        try bob.sync()
        try bob.process()
        #expect(bob.texts == ["again"])
        let mallory = try world.device(of: world.key(), at: alice.node)
        try alice.publishInfo(of: group)
        try alice.sync()
        let latest = try #require(alice.items.last { $0.itemClass == .groupInfo })
        #expect(try mallory.join(outside: latest, in: group)?.reason == .policyBlocked)
    }

    @Test("M§14.1: an introduction is a request that is held for a while; nobody learns who is not here")
    func introductions() throws {
        let world = HostWorld()
        let node = try world.node("one")
        let (bob, carol) = (try world.device(of: world.key(), at: node), try world.device(of: world.key(), at: node))
        let nobody = world.key().did
        for recipient in [bob.identity.did, nobody] {
            for number in 1...9 {
                let stamp = Message.Stamp(
                    id: ULID(milliseconds: UInt64(world.now) * 1000, using: &world.random),
                    from: carol.identity.did,
                    issuedAt: world.now,
                    lifetime: 86_400
                )
                let body = Introduction(identity: IdentityInfo(), purpose: "hello")
                let envelope = try Envelope(
                    signing: Message(stamp, to: recipient, body).json.utf8,
                    by: carol.identity
                )
                let deposit = Deposit(recipient: recipient, .introduction(envelope: envelope.compact))
                let answer = try carol.deposit(deposit)
                #expect((answer?.accepted != nil) == (number < 9), "\(number)")
                #expect(answer?.accepted?.cursor == nil)
            }
        }
        try bob.sync()
        #expect(bob.items.count == 8 && bob.items.allSatisfy { $0.itemClass == .introduction })
    }
}

extension HostWorld.Answer {
    var packages: [EncodedBytes]? { if case .packages(let packages) = self { packages } else { nil } }
    var count: Int? { packages?.count }
}
