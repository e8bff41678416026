import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import MLS
import Testing

@Suite("A mailbox service, and people at it", .serialized) struct HostConversationTests {
    /// Two identities, each with a phone, at one service or at two.
    struct Pair {
        let world = HostWorld()
        let alice: HostWorld.Device
        let bob: HostWorld.Device

        init(services: Int = 1, limits: MailboxHost.Limits = MailboxHost.Limits()) throws {
            let first = try world.node("one", limits: limits)
            let second = services == 1 ? first : try world.node("two", limits: limits)
            alice = try world.device(of: world.key(), at: first)
            bob = try world.device(of: world.key(), at: second)
            try #require(bob.upload(3)?.accepted != nil)
            // Bob lets everybody in.
            let open = MailboxConfig(subject: bob.identity.did, admit: .open)
            try #require(world.send(.mailboxConfig(open), from: bob)?.accepted != nil)
        }

        /// Alice makes a direct conversation and adds Bob's devices.
        func converse(_ kind: ConversationKind = .direct) throws -> GroupID {
            let group = try alice.create(kind)
            try #require(alice.publishInfo(of: group)?.accepted != nil)
            guard case .packages(let packages)? = try alice.packages(of: bob.identity.did, at: bob.node) else {
                throw Failure()
            }
            let answer = try alice.commit(try alice.adds(packages), in: group)
            #expect(answer?.accepted?.seq == 1)
            try #require(alice.publishInfo(of: group)?.accepted != nil)
            return group
        }
    }

    struct Failure: Error {}

    @Test("M§2.3: two people at one or two services talk, and each device hears everything once", arguments: [1, 2])
    func direct(services: Int) throws {
        let pair = try Pair(services: services)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        try #require(alice.say("hello", in: group)?.accepted?.seq == 2)
        try bob.sync()
        try bob.process()
        #expect(bob.texts == ["hello"])
        #expect(try bob.say("hi", in: group)?.accepted?.seq == 3)
        try alice.sync()
        try alice.process()
        #expect(alice.texts == ["hi"])
        // What Alice said came back to her own mailbox, for her other devices. M§6.5 rule 5
        #expect(alice.items.compactMap(\.seq) == [1, 2, 3])
        #expect(bob.items.filter { $0.itemClass == .groupInfo }.count == 1)
        try bob.sync()
        world.pass(120)
        let (more, again) = (try alice.sync(), try bob.sync())
        #expect(more == 0 && again == 0)
    }

    @Test("M§9.1: what is stored is pushed to whoever is there, and wakes who is not")
    func pushes() throws {
        let pair = try Pair()
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        try bob.sync(live: true)
        let group = try pair.converse()
        try alice.say("live", in: group)
        try bob.process()
        #expect(bob.texts == ["live"])
        #expect(alice.node.woken.isEmpty)
        world.unbind(bob)
        try alice.say("later", in: group)
        #expect(alice.node.woken.map(\.device) == [bob.did])
        world.bind(bob)
        try bob.sync()
        try bob.process()
        #expect(bob.texts == ["live", "later"])
    }

    @Test("M§6.5: a service that restarts after every commit answers as if it had not", arguments: [1, 2])
    func restarts(services: Int) throws {
        let pair = try Pair(services: services)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        world.restarts = true
        let group = try pair.converse()
        for number in 1...5 {
            try #require(alice.say("a\(number)", in: group)?.accepted?.seq == Int64(number * 2))
            world.pass(130)
            try bob.sync()
            try bob.process()
            // An answer that a service forgot on its way is had by asking again with the same bytes. M§9.3
            let mls = try bob.encrypt("b\(number)", in: group)
            var answer = try bob.say(mls, in: group)
            if answer == nil {
                world.restarts = false
                answer = try bob.say(mls, in: group)
                world.restarts = true
            }
            try #require(answer?.accepted?.seq == Int64(number * 2 + 1))
            world.pass(130)
        }
        try alice.sync()
        try bob.sync()
        try alice.process()
        #expect(bob.texts == (1...5).map { "a\($0)" })
        #expect(alice.texts == (1...5).map { "b\($0)" })
        #expect(bob.items.compactMap(\.seq).sorted() == Array(1...11))
    }

    @Test("M§9.3: the same bytes again are answered with the first seq, and go out once")
    func redelivery() throws {
        let pair = try Pair(services: 2)
        let group = try pair.converse()
        let mls = try pair.alice.encrypt("once", in: group)
        #expect(try pair.alice.say(mls, in: group)?.accepted?.seq == 2)
        let again = try pair.alice.say(mls, in: group)?.accepted
        #expect(again?.seq == 2 && again?.duplicate == true)
        try pair.bob.sync()
        try pair.bob.process()
        #expect(pair.bob.texts == ["once"])
        #expect(pair.bob.items.filter { $0.seq == 2 }.count == 1)
    }

    @Test("M§6.5 rule 2: of two commits for one epoch the first wins, the other conflicts, an older one is stale")
    func conflict() throws {
        let pair = try Pair(services: 2)
        let (alice, bob) = (pair.alice, pair.bob)
        let group = try pair.converse()
        try bob.sync()
        try bob.process()
        let losing = try bob.makeCommit([], in: group)
        #expect(try alice.commit([], in: group)?.accepted?.seq == 2)
        #expect(try bob.submit(losing, in: group)?.reason == .mailboxCommitConflict)
        try bob.sync()
        try bob.process()
        #expect(bob.groups[group]?.epoch == 2)
        let stale = try bob.makeCommit([], in: group)
        #expect(try alice.commit([], in: group)?.accepted?.seq == 3)
        #expect(try alice.commit([], in: group)?.accepted?.seq == 4)
        #expect(try bob.submit(stale, in: group)?.reason == .mailboxStaleEpoch)
        #expect(try bob.commit([], in: group)?.reason == .mailboxStaleEpoch)
        try bob.sync()
        try bob.process()
        #expect(try bob.commit([], in: group)?.accepted?.seq == 5)
    }

    @Test(
        "M§6.5 rule 5: while a member's mailbox is not reached nothing is lost, and it hears all in order",
        arguments: [false, true]
    )
    func outage(restarts: Bool) throws {
        let pair = try Pair(services: 2)
        let (world, alice, bob) = (pair.world, pair.alice, pair.bob)
        let group = try pair.converse()
        world.restarts = restarts
        world.cut = [alice.node.service.did]
        for number in 1...10 { try #require(alice.say("\(number)", in: group)?.accepted != nil) }
        world.pass(600)
        try bob.sync()
        try bob.process()
        #expect(bob.texts.isEmpty)
        world.cut = []
        world.pass(1200)
        try bob.sync()
        try bob.process()
        #expect(bob.texts == (1...10).map(String.init))
        let seqs = bob.items.filter { $0.itemClass == .application }.compactMap(\.seq)
        #expect(seqs == seqs.sorted())
    }

    @Test("M§9.3: what cannot be stored is refused and nothing of it is there; later it is taken")
    func fullDisk() throws {
        let pair = try Pair()
        let group = try pair.converse()
        pair.alice.node.store.failure = .full
        let mls = try pair.alice.encrypt("kept", in: group)
        let refused = try pair.alice.say(mls, in: group)
        #expect(refused == .refused(.mailboxQuotaExceeded, retryAfter: 5))
        pair.alice.node.store.failure = nil
        #expect(try pair.alice.say(mls, in: group)?.accepted?.seq == 2)
        try pair.bob.sync()
        try pair.bob.process()
        #expect(pair.bob.texts == ["kept"])
    }
}
