import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import MLS
import Testing

@Suite("What a hub does not take, and how much", .serialized) struct HostBoundTests {
    private typealias Pair = HostConversationTests.Pair

    @Test("M§6.4: handshakes are public, what is said is private, and neither passes for the other")
    func wireForms() throws {
        let pair = try Pair()
        let (world, alice) = (pair.world, pair.alice)
        let group = try pair.converse()
        let said = try alice.encrypt("hello", in: group)
        #expect(try alice.deposit(Deposit(group: group, .handshake(.init(mls: said))))?.reason == .policyBlocked)
        var secretive = try #require(alice.groups[group])
        secretive.configuration.encryptsHandshakes = true
        let hidden = try secretive.commit(CommitOptions(), at: UInt64(world.now), using: &world.random)
        let mls = EncodedBytes(hidden.commit.encoded)
        #expect(try alice.deposit(Deposit(group: group, .handshake(.init(mls: mls))))?.reason == .policyBlocked)
        let open = try alice.makeCommit([], in: group) { $0.forcesPath = true }
        alice.groups[group]?.clearPendingCommit()
        let exposed = Deposit(group: group, .application(mls: EncodedBytes(open.commit.encoded), blobs: []))
        #expect(try alice.deposit(exposed)?.reason == .policyBlocked)
        // None of it took a number.
        #expect(try alice.deposit(Deposit(group: group, .application(mls: said, blobs: [])))?.accepted?.seq == 2)
    }

    @Test("M§7.3: a hub may cap the leaves of a group, and refuses what goes beyond")
    func leaves() throws {
        var limits = MailboxHost.Limits()
        limits.leaves = 2
        let pair = try Pair(limits: limits)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        try bob.sync()
        try bob.process()
        let tablet = try world.device(of: alice.identity, at: alice.node)
        try tablet.upload(1)
        let packages = try #require(alice.packages(of: alice.identity.did, at: alice.node)?.packages)
        let mine = try alice.adds(packages).filter { proposal in
            guard case .add(let package) = proposal else { return false }
            return try package.verified(at: UInt64(world.now), by: DeviceCredentials()).leafNode.credential
                == .basic(identity: Array(tablet.did.string.utf8))
        }
        #expect(try alice.commit(mine, in: group)?.reason == .policyBlocked)
        #expect(try alice.say("we two", in: group)?.accepted != nil)
    }

    @Test("M§14.3: a member's deposits are limited, with the time to wait, and another's are not for that")
    func deposits() throws {
        var limits = MailboxHost.Limits()
        limits.depositBurst = 20
        limits.depositsPerSecond = 1
        let pair = try Pair(limits: limits)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        try bob.sync()
        try bob.process()
        var wait: Int64?
        for number in 0..<30 where wait == nil {
            if case .refused(.policyRateLimited, let after)? = try alice.say("\(number)", in: group) { wait = after }
        }
        #expect(wait == 1)
        #expect(try bob.say("I may", in: group)?.accepted != nil)
        world.now += wait ?? 0
        #expect(try alice.say("again", in: group)?.accepted != nil)
    }

    @Test("M§4.3: a delegation that does not say dsip.messaging, or has ended, opens no mailbox and orders nothing")
    func delegations() throws {
        let pair = try Pair()
        let (world, bob) = (pair.world, pair.bob)
        let group = try pair.converse()
        try bob.sync()
        try bob.process()
        let mls = try bob.encrypt("x", in: group)
        let good = bob.delegation
        bob.delegation = try Delegation(
            subject: bob.identity.did,
            device: bob.did,
            capabilities: [Delegation.Capability.signaling],
            issuedAt: world.now - 60,
            expiresAt: world.now + 86_400
        ).issue(by: bob.identity)
        let deposit = Deposit(group: group, .application(mls: mls, blobs: []))
        #expect(try bob.deposit(deposit)?.reason == .policyBlocked)
        #expect(try world.send(.sync(SyncRequest(since: nil)), from: bob)?.reason == .policyBlocked)
        #expect(try bob.upload(1)?.reason == .policyBlocked)
        bob.delegation = good
        #expect(try bob.deposit(deposit)?.accepted != nil)
    }

    @Test("M§7.4: a group may come back to the hub it left, which goes on counting and brings what it still owed")
    func comesBack() throws {
        let pair = try Pair(services: 2)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        try bob.sync()
        try bob.process()
        func move(_ mover: HostWorld.Device, _ other: HostWorld.Device) throws -> Int64 {
            let to = mover.node.service
            var extensions = try #require(mover.groups[group]?.extensions)
            var conversation = try #require(ConversationExtension(of: extensions))
            conversation.hub = HubReference(did: to.did, uri: to.uri)
            extensions[ExtensionType(rawValue: ConversationExtension.extensionType)] = conversation.json.utf8
            let answer = try mover.commit([.groupContextExtensions(extensions)], in: group)
            let seq = try #require(answer?.accepted?.seq)
            for device in [mover, other] {
                try device.sync()
                try device.process()
                let entry = MailboxConfig.Group(group, .joined, hub: to.did, hubURI: to.uri, handoverSeq: seq)
                let config = MailboxConfig(subject: device.identity.did, groups: [entry])
                try #require(world.send(.mailboxConfig(config), from: device)?.accepted != nil)
            }
            try #require(mover.publishInfo(of: group, handoverSeq: seq)?.accepted != nil)
            return seq
        }
        let away = try move(bob, alice)
        #expect(try alice.say("there", in: group)?.accepted?.seq == away + 1)
        let back = try move(alice, bob)
        #expect(back == away + 2)
        #expect(try alice.say("and back", in: group)?.accepted?.seq == back + 1)
        world.restart(alice.node)
        #expect(try bob.say("here again", in: group)?.accepted?.seq == back + 2)
        world.pass(120)
        for device in [alice, bob] {
            try device.sync()
            try device.process()
        }
        #expect(bob.texts == ["there", "and back"] && alice.texts == ["here again"])
    }

    @Test("M§7.4: a hub that a group comes back to owes what it had not brought, and nothing that the other ordered")
    func owed() throws {
        let (alice, bob) = (DID("did:web:alice.example")!, DID("did:web:bob.example")!)
        let roster = Roster([alice: [DID("did:web:a1.example")!], bob: [DID("did:web:b1.example")!]])
        let group = GroupID(ULID("01J5Y0QBD8EF9GH0JK1MN2PQ3R")!)
        var hub = Hub(group: group, kind: .direct, epoch: 3, roster: roster, handoverSeq: 20)
        hub.returned(
            owing: [
                alice: MemberQueue(stretches: [.init(first: 11)]), bob: MemberQueue(stretches: [.init(first: 9)]),
            ],
            through: 10
        )
        #expect(hub.queues[alice]?.seqs(before: 23) == [21, 22])
        #expect(hub.queues[bob]?.seqs(before: 23) == [9, 10, 21, 22])
    }

    @Test("M§5.5, M§4.3: a device uploads for its own identity alone")
    func uploads() throws {
        let pair = try Pair()
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let packages = try #require(bob.packages(of: bob.identity.did, at: bob.node)?.packages)
        let stolen = KeyPackages(subject: bob.identity.did, packages: packages)
        #expect(try world.send(.keyPackages(stolen), from: alice)?.reason == .policyBlocked)
        let config = MailboxConfig(subject: bob.identity.did, admit: .open)
        #expect(try world.send(.mailboxConfig(config), from: alice)?.reason == .policyBlocked)
    }

    @Test(
        "M§16: every reason of the category is known, is said of errors, and falls back to its category when it is not"
    )
    func reasons() throws {
        let known: [Reason] = [
            .mailboxCommitConflict, .mailboxStaleEpoch, .mailboxUnknownGroup, .mailboxCursorInvalid,
            .mailboxObjectTooLarge, .mailboxBlobMismatch, .mailboxQuotaExceeded, .mailboxNoKeyPackages,
            .mailboxUnsupportedClass, .mailboxUnsupportedMode, .mailboxHubUnreachable,
        ]
        #expect(Set(known).count == 11)
        for reason in known {
            #expect(reason.category == "mailbox")
            #expect(ReasonRegistry.effective(reason).fallback == .none, "\(reason.token)")
        }
        let later = try #require(Reason("mailbox.something-new"))
        #expect(ReasonRegistry.effective(later).fallback == .category)
    }
}
