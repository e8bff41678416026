import DSIPIdentity
import Encoding
import MLS
import Support
import Testing

@testable import DSIPMessaging
@testable import MessagingSimulation

/// Devices that come back to their conversations, and what stands in their way. M§6.2, M§6.8
@Suite struct ReturningTests {
    private func say(
        _ text: String,
        _ device: SimulatedWorld.Device,
        _ thread: ULID,
        _ world: SimulatedWorld
    ) throws {
        _ = try world.act(device) { try $0.send(MessageDraft(text: text), in: thread, at: world.time(of: device)) }
    }

    private func conversation(_ device: SimulatedWorld.Device) throws -> ULID {
        try #require(device.store.conversations().first).id
    }

    private func lose(_ group: GroupID, _ device: SimulatedWorld.Device, _ world: SimulatedWorld) throws {
        try world.act(device) { messenger in
            try messenger.turn(at: world.time(of: device)) { messenger throws(MessagingError) in
                try messenger.lose(group)
            }.1
        }
    }

    /// A device each of Alice and Bob, and the conversation that Alice opens.
    private func two(
        in world: SimulatedWorld
    ) throws -> (alice: SimulatedWorld.Device, bob: SimulatedWorld.Device, thread: ULID) {
        let devices = try ["alice", "bob"].map { world.person($0) }.map { try world.device($0) }
        try world.run(20)
        let thread = try world.act(devices[0]) { try $0.open(with: devices[1].person.did, at: world.now) }
        return (devices[0], devices[1], thread)
    }

    /// A device each of Alice, Bob and Carol.
    private func three(
        in world: SimulatedWorld
    ) throws -> (alice: SimulatedWorld.Device, bob: SimulatedWorld.Device) {
        let devices = try ["alice", "bob", "carol"].map { try world.device(world.person($0)) }
        try world.run(20)
        return (devices[0], devices[1])
    }

    /// A group of everybody, all of them in.
    private func group(_ founder: SimulatedWorld.Device, _ world: SimulatedWorld) throws -> ULID {
        let others = world.people.map(\.did).filter { $0 != founder.person.did }
        let thread = try world.act(founder) { try $0.createGroup(title: "", members: others, at: world.now) }
        try world.run(60)
        return thread
    }

    @Test func `A device comes back although the last that did was gone before it published the GroupInfo`() throws {
        let world = try SimulatedWorld(seed: 21)
        let people = ["alice", "bob"].map { world.person($0) }
        let alice = try world.device(people[0])
        let bob = try world.device(people[1])
        let gone = try world.device(people[1])
        try world.run(60)
        let thread = try world.act(alice) { try $0.open(with: people[1].did, at: world.now) }
        try say("before", alice, thread, world)
        try world.run(60)
        let there = try conversation(bob)
        let group = try #require(bob.messenger.current(there)?.id)
        // Every way takes three seconds: the GroupInfo is on its own when the device is cut off for good.
        world.setLinks(.init(latency: 3000...3000))
        let epoch = try #require(try alice.messenger.mlsGroup(group)?.epoch)
        try lose(group, gone, world)
        for _ in 0..<60 where gone.messenger.groups[group]?.phase != .active { try world.run(1) }
        #expect(gone.messenger.groups[group]?.phase == .active)
        try world.disconnect(gone)
        world.setLinks(.init(latency: 5...50))
        try world.run(10)
        #expect(try alice.messenger.mlsGroup(group)?.epoch == epoch + 1)
        try lose(group, bob, world)
        try world.run(10)
        #expect(bob.messenger.groups[group]?.phase == .lost)
        try world.run(180)
        #expect(bob.messenger.groups[group]?.phase == .active)
        try say("after", alice, thread, world)
        try world.run(10)
        #expect(world.texts(bob, there) == ["before", "after"])
    }

    @Test func `A GroupInfo for who has left the group here waits for them to be back, and is not tried meanwhile`()
        throws
    {
        let world = try SimulatedWorld(seed: 22)
        let people = ["alice", "bob"].map { world.person($0) }
        let devices = try people.map { try world.device($0) }
        let alice = devices[0]
        try world.run(20)
        let thread = try world.act(alice) { try $0.open(with: people[1].did, at: world.now) }
        try say("hello", alice, thread, world)
        try world.run(60)
        let group = try #require(alice.messenger.current(thread)?.id)
        try world.act(alice) { messenger in
            try messenger.turn(at: world.now) { messenger throws(MessagingError) in
                messenger.configure(group, .left)
            }.1
        }
        try world.run(10)
        try world.act(alice) { messenger in
            try messenger.turn(at: world.now) { messenger throws(MessagingError) in
                messenger.ledger.set(.groupInfo, "", group.text, nil)
                try messenger.publishGroupInfo(of: group)
            }.1
        }
        try world.run(60)
        #expect(world.services[0].host.undelivered.isEmpty)
        #expect(try alice.messenger.groupInfoItem(group) == nil)
        let hub = world.services[0].did
        try world.act(alice) { messenger in
            try messenger.turn(at: world.now) { messenger throws(MessagingError) in
                messenger.addErrand(
                    .config,
                    .mailboxConfig(
                        MailboxConfig(subject: people[0].did, groups: [.init(group, .joined, hub: hub)])
                    ),
                    via: MailboxRoute(mailbox: hub)
                )
            }.1
        }
        try world.run(10)
        #expect(try alice.messenger.groupInfoItem(group) != nil)
    }

    @Test func `A new device comes in as soon as the documents of who is there can be had, however late`() throws {
        let world = try SimulatedWorld(seed: 25)
        let people = ["alice", "bob", "carol"].map { world.person($0, isNamed: $0 != "alice") }
        let devices = try people.map { try world.device($0) }
        try world.run(20)
        let thread = try group(devices[0], world)
        let group = try #require(devices[1].messenger.current(thread)?.id)
        try say("hello", devices[1], thread, world)
        try world.run(20)
        try world.disconnect(devices[0])
        world.hideDocuments(true)
        let late = try world.device(people[0])
        try world.run(120)
        #expect(late.messenger.groups[group]?.phase == .lost)
        // Each GroupInfo makes it try again, oftener than a device that was never in tries in vain.
        for _ in 0..<40 {
            try world.act(devices[1]) { messenger in
                try messenger.turn(at: world.now) { messenger throws(MessagingError) in
                    try messenger.publishGroupInfo(of: group)
                }.1
            }
            try world.run(2)
        }
        try world.run(600)
        #expect(late.messenger.groups[group]?.phase == .lost)
        world.hideDocuments(false)
        try world.run(70)
        #expect(late.messenger.groups[group]?.phase == .active)
        try say("there you are", devices[1], thread, world)
        try world.run(20)
        #expect(world.texts(late, thread).contains("there you are"))
    }

    @Test func `What was said to somebody whose only device was lost is said again to the new one`() throws {
        let world = try SimulatedWorld(seed: 26)
        let (lost, bob) = try three(in: world)
        let carol = try #require(world.devices.last)
        let thread = try group(lost, world)
        let direct = try world.act(bob) { try $0.open(with: lost.person.did, at: world.now) }
        try say("are you there?", bob, direct, world)
        try say("one", bob, thread, world)
        try world.run(60)
        try world.disconnect(lost)
        try say("two", bob, thread, world)
        try world.run(5)
        try say("three", carol, thread, world)
        try say("please answer", bob, direct, world)
        try world.run(60)
        let line = try #require(world.messages(carol, thread).first { $0.text == "two" })
        try world.act(carol) { try $0.react("👍", to: line.id, in: thread, at: world.now) }
        try world.run(60)
        let new = try world.device(lost.person)
        try world.run(40)
        try world.restart(new)
        try world.run(200)
        let shown = new.store.conversations().map { (isDirect: $0.peer != nil, texts: world.texts(new, $0.id)) }
        #expect(shown.first { !$0.isDirect }?.texts == ["one", "two", "three"])
        #expect(shown.first { $0.isDirect }?.texts == ["are you there?", "please answer"])
        #expect(new.store.message(line.id, in: thread)?.reactions.map(\.emoji) == ["👍"])
        #expect(new.messenger.loose.isEmpty && new.messenger.passed.isEmpty)
        try say("found it", new, thread, world)
        try world.run(20)
        #expect(world.texts(carol, thread) == ["one", "two", "three", "found it"])
    }

    @Test func `What is said to a new device by who has not heard of it yet is said to it again`() throws {
        let world = try SimulatedWorld(seed: 22)
        let people = ["alice", "bob"].map { world.person($0) }
        let (alice, bob) = (try world.device(people[0]), try world.device(people[1]))
        try world.run(20)
        let thread = try world.act(alice) { try $0.open(with: people[1].did, at: world.now) }
        try say("one", alice, thread, world)
        try world.run(20)
        for device in [alice, bob] { try world.disconnect(device) }
        try say("two", alice, thread, world)
        let later = try world.device(people[1])
        try world.run(180)
        let there = try conversation(later)
        try world.connect(alice)
        try world.run(120)
        #expect(world.texts(later, there) == ["one", "two"])
    }

    @Test func `What is heard behind two own changes of the group is read, though it was said before both`() throws {
        let world = try SimulatedWorld(seed: 36)
        let people = ["alice", "bob", "carol", "dave"].map { world.person($0) }
        let devices = try people.map { try world.device($0) }
        let (alice, bob) = (devices[0], devices[1])
        try world.run(20)
        let thread = try world.act(bob) { try $0.createGroup(title: "", members: [alice.person.did], at: world.now) }
        try world.run(60)
        try world.disconnect(bob)
        try say("unheard", bob, thread, world)
        world.network.cut(.service(0), .items(alice.index))
        try world.act(alice) { try $0.add([people[2].did], to: thread, at: world.now) }
        try world.run(20)
        try world.connect(bob)
        try world.run(3)
        try world.disconnect(bob)
        #expect(world.messages(bob, thread).last?.state == .accepted)
        try world.act(alice) { try $0.add([people[3].did], to: thread, at: world.now) }
        try world.run(20)
        #expect(alice.store.conversation(thread)?.members.count == 3 && world.texts(alice, thread).isEmpty)
        world.network.heal(.service(0), .items(alice.index))
        try world.restart(alice)
        try world.run(200)
        #expect(world.texts(alice, thread) == ["unheard"])
        #expect(alice.messenger.loose.isEmpty)
    }

    @Test(arguments: [true, false]) func `What comes to the mailbox behind a new device's coming is said to it again`(
        isFirst: Bool
    ) throws {
        let world = try SimulatedWorld(seed: 37)
        let (lost, bob) = try three(in: world)
        let thread = try group(lost, world)
        if !isFirst { try say("one", bob, thread, world) }
        try world.run(60)
        try world.disconnect(lost)
        let new = try world.device(lost.person)
        try world.run(5)
        world.network.cut(.service(0), .items(new.index))
        try say("two", bob, thread, world)
        try world.run(120)
        let there = try #require(new.store.conversations().first { $0.kind == .group })
        #expect(new.messenger.current(there.id)?.phase == .active && world.texts(new, there.id) == [])
        world.network.heal(.service(0), .items(new.index))
        try world.restart(new)
        try world.run(120)
        #expect(world.texts(new, there.id) == (isFirst ? ["two"] : ["one", "two"]))
        #expect(new.messenger.loose.isEmpty)
    }

    @Test func `Who was taken out while it could not follow is out, whatever it last knew`() throws {
        let world = try SimulatedWorld(seed: 24)
        let (alice, bob) = try three(in: world)
        let thread = try group(alice, world)
        let group = try #require(bob.messenger.current(thread)?.id)
        try world.disconnect(bob)
        try say("unsaid", bob, thread, world)
        try world.act(alice) { try $0.remove([bob.person.did], from: thread, at: world.now) }
        try world.run(60)
        // It reads nothing of its removal, being on its way back.
        try lose(group, bob, world)
        try world.connect(bob)
        try world.run(1200)
        let record = try #require(bob.store.conversation(thread))
        #expect(record.isRemoved && record.notice == nil)
        #expect(world.messages(bob, thread).last?.state == .failed)
        #expect(bob.messenger.loose.isEmpty)
        // And is in again when it is wanted.
        try world.act(alice) { try $0.add([bob.person.did], to: thread, at: world.now) }
        try world.run(60)
        try say("welcome back", alice, thread, world)
        try world.run(20)
        #expect(bob.store.conversation(thread)?.isRemoved == false)
        #expect(world.texts(bob, thread).contains("welcome back"))
    }

    @Test func `Who says something without a connection, leaves and deletes the conversation has left it`() throws {
        let world = try SimulatedWorld(seed: 34)
        let (alice, bob) = try three(in: world)
        let thread = try group(alice, world)
        try world.disconnect(bob)
        try say("on my way out", bob, thread, world)
        try world.act(bob) { try $0.leave(thread, at: world.now) }
        try world.act(bob) { try $0.delete(thread, at: world.now) }
        try world.connect(bob)
        try world.run(60)
        #expect(alice.store.conversation(thread)?.members.contains(bob.person.did) == false)
        #expect(bob.messenger.loose == [])
    }

    @Test func `An old welcome, read again, leads nobody back into a group`() throws {
        let world = try SimulatedWorld(seed: 28)
        let (alice, bob) = try three(in: world)
        // A KeyPackage of last resort opens welcomes more than once.
        let packages = bob.store.rows(.keyPackage, "")
        let thread = try group(alice, world)
        #expect(bob.messenger.current(thread) != nil)
        try world.act(alice) { try $0.remove([bob.person.did], from: thread, at: world.now) }
        try world.run(60)
        #expect(bob.store.conversation(thread)?.isRemoved == true)
        let mailbox = try #require(bob.messenger.primary)
        try world.act(bob) { messenger in
            try messenger.turn(at: world.now) { messenger throws(MessagingError) in
                for row in packages { messenger.ledger.set(.keyPackage, "", row.key, row.value) }
                messenger.readAnew(mailbox)
                messenger.askAll()
            }.1
        }
        try world.run(60)
        #expect(bob.messenger.inbox.cursors[mailbox] != nil)
        #expect(bob.messenger.current(thread) == nil && bob.store.conversation(thread)?.isRemoved == true)
        try world.act(alice) { try $0.add([bob.person.did], to: thread, at: world.now) }
        try world.run(60)
        #expect(bob.messenger.current(thread) != nil && bob.store.conversation(thread)?.isRemoved == false)
    }

    @Test func `What was passed over by a return is asked for, though it never came`() throws {
        let world = try SimulatedWorld(seed: 25)
        let (alice, bob, thread) = try two(in: world)
        try say("before", alice, thread, world)
        try world.run(60)
        let there = try conversation(bob)
        let group = try #require(bob.messenger.current(there)?.id)
        // Read up to the first; what is said meanwhile is beyond a hole, and gone from the mailbox when it is back.
        let inbox = bob.messenger.inbox
        try say("passed over", alice, thread, world)
        try world.run(20)
        let line = try #require(world.messages(bob, there).last { $0.text == "passed over" })
        try bob.store.commit([.messageGone(line.id, in: there)])
        try world.act(bob) { messenger in
            try messenger.turn(at: world.now) { messenger throws(MessagingError) in
                messenger.inbox.trackers[group] = inbox.trackers[group]
                try messenger.lose(group)
            }.1
        }
        try world.run(120)
        #expect(bob.messenger.groups[group]?.phase == .active)
        #expect(world.texts(bob, there) == ["before", "passed over"])
        #expect(world.texts(alice, thread) == ["before", "passed over"])
    }

    @Test func `A file that was on its way when the program ended comes when it begins anew`() throws {
        let world = try SimulatedWorld(seed: 28)
        let (alice, bob, thread) = try two(in: world)
        let file = AttachmentDraft(.file, name: "long", contentType: "application/pdf", size: 32)
        for _ in 0..<2 {
            var draft = MessageDraft(.attachment(file), purpose: .attachment)
            let id = ULID(milliseconds: UInt64(world.now) * 1000, using: &world.random)
            draft.id = id
            world.uploads[id] = SimulatedPerson.seed(&world.random)
            _ = try world.act(alice) { try $0.send(draft, in: thread, at: world.now) }
            try world.run(30)
        }
        let there = try conversation(bob)
        let lines = world.messages(bob, there).filter { $0.attachment != nil }
        let request = try #require(
            bob.messenger.fetchAttachment(lines[0].id, in: there, at: world.now).compactMap { action in
                if case .getBlob(let request) = action { request } else { nil }
            }.first
        )
        let nowhere = request.sources.map { (source: $0, response: BlobResponse(status: 503)) }
        _ = try bob.messenger.blobMissing(request.id, tried: nowhere, at: world.now)
        _ = try bob.messenger.fetchAttachment(lines[1].id, in: there, at: world.now)
        #expect(world.messages(bob, there).compactMap(\.attachment?.state) == [.none, .downloading])
        try world.restart(bob)
        try world.run(30)
        for line in world.messages(bob, there).filter({ $0.attachment != nil }) {
            #expect(line.attachment?.state == .ready && line.attachment?.attempts == (line.id == lines[0].id ? 2 : 1))
            #expect(bob.opened[line.id] == world.uploads[line.id])
        }
        #expect(bob.store.rows(.setting, "downloads").isEmpty && bob.messenger.attachmentRetries.isEmpty)
    }

    @Test func `A request whose answer could not be stored is answered when it comes again`() throws {
        let world = try SimulatedWorld(seed: 27)
        let (alice, bob, thread) = try two(in: world)
        try say("once more", alice, thread, world)
        try world.run(60)
        let line = try #require(world.messages(alice, thread).last)
        let (group, seq) = (try #require(line.group), try #require(line.seq))
        let conversation = try #require(alice.messenger.groups[group]?.conversation)
        let request = ResendRequest(
            id: ULID(milliseconds: UInt64(world.now) * 1000, using: &world.random),
            conversation: conversation,
            sender: bob.person.did,
            sentAt: world.now,
            group: group,
            seqs: [seq]
        )
        let said = Saying(
            group: group,
            thread: thread,
            conversation: conversation,
            order: line.order + 1,
            seq: seq + 1,
            sender: bob.person.did,
            device: bob.key.did,
            receivedAt: world.now,
            blobs: [],
            origin: .live,
            payload: request.json
        )
        func answer() throws {
            _ = try alice.messenger.turn(at: world.now) { messenger throws(MessagingError) in
                try messenger.answer(request, said)
            }
        }
        try world.disconnect(alice)
        alice.store.fail(after: 0)
        #expect(throws: MessagingError.self) { try answer() }
        alice.store.fail(after: nil)
        for _ in 0..<2 {
            try answer()
            #expect(alice.messenger.outbox[thread]?.compactMap(\.again).map(\.seq) == [seq])
        }
    }

    @Test func `What is uploaded for a conversation that has ended meanwhile fails, and nothing else does`() throws {
        let world = try SimulatedWorld(seed: 27)
        let (alice, bob) = try three(in: world)
        let thread = try group(alice, world)
        world.blobFaults = 100
        let file = AttachmentDraft(.file, name: "a", contentType: "application/pdf", size: 32)
        var draft = MessageDraft(.attachment(file), purpose: .attachment)
        var random = SeededRandom(seed: 27)
        let id = ULID(milliseconds: UInt64(world.now) * 1000, using: &random)
        draft.id = id
        world.uploads[id] = [UInt8](repeating: 1, count: 32)
        _ = try world.act(bob) { try $0.send(draft, in: thread, at: world.time(of: bob)) }
        try world.act(alice) { try $0.remove([bob.person.did], from: thread, at: world.now) }
        try world.run(60)
        #expect(bob.store.conversation(thread)?.isRemoved == true)
        #expect(bob.store.message(id, in: thread)?.state == .pending)
        world.blobFaults = 0
        try world.run(300)
        let line = try #require(bob.store.message(id, in: thread))
        #expect(line.state == .failed && line.stateSentence == "The conversation is over.")
        #expect(bob.errors.isEmpty)
    }

    @Test func `KeyPackages that the mailbox has not confirmed are made anew`() throws {
        let world = try SimulatedWorld(seed: 26)
        let people = ["alice", "bob"].map { world.person($0) }
        let alice = try world.device(people[0])
        try world.run(20)
        // All that bob sends is lost, again and again, until he believes that he has sent enough.
        var links = SimulatedWorld.Links(latency: 5...50)
        links.deviceLoss = 1000
        world.setLinks(links)
        let bob = try world.device(people[1])
        for _ in 0..<4 {
            try world.run(5)
            try world.disconnect(bob)
            try world.run(2)
            try world.connect(bob)
        }
        #expect(bob.store.rows(.keyPackage, "").count >= 30)
        world.setLinks(.init(latency: 5...50))
        try world.disconnect(bob)
        try world.connect(bob)
        try world.run(120)
        let thread = try world.act(alice) { try $0.open(with: people[1].did, at: world.now) }
        try say("hello", alice, thread, world)
        try world.run(30)
        #expect(world.texts(bob, try conversation(bob)) == ["hello"])
    }

    /// The first one back takes the other's leaf out; neither has to say anything twice.
    @Test(arguments: [0, 1]) func `What two said who slept past their ends is said in the conversation that follows`(
        first: Int
    ) throws {
        let world = try SimulatedWorld(seed: 23)
        let people = ["alice", "bob"].map { world.person($0) }
        let devices = try people.map { try world.device($0, delegatedFor: 86_400) }
        try world.run(20)
        var threads = [try world.act(devices[0]) { try $0.open(with: people[1].did, at: world.now) }]
        try say("before", devices[0], threads[0], world)
        try world.run(10)
        threads.append(try conversation(devices[1]))
        for device in devices { try world.disconnect(device) }
        try world.run(10)
        // Nobody is there, and nothing under way.
        let isQuiet = world.network.next(before: (world.now + 9 * 86_400) * 1000) == nil
        #expect(isQuiet)
        for device in devices { try say("\(device.name) asleep", device, threads[device.index], world) }
        let (one, other) = (devices[first], devices[1 - first])
        try world.renew(one)
        try world.run(3 * 3600)
        try say("\(one.name) alone", one, threads[one.index], world)
        try world.run(60)
        try world.renew(other)
        try world.run(600)
        try say("\(other.name) too", other, threads[other.index], world)
        try world.run(60)
        let said: Set = [
            "before", "\(one.name) asleep", "\(one.name) alone", "\(other.name) asleep", "\(other.name) too",
        ]
        for device in devices {
            #expect(device.store.conversations().count == 1)
            #expect(Set(world.texts(device, threads[device.index])) == said)
            let unsaid = world.messages(device, threads[device.index]).filter {
                $0.state == .failed || $0.state == .pending
            }
            #expect(unsaid.map { "\($0.text) \($0.state) \($0.stateSentence ?? "")" }.isEmpty)
        }
        #expect(world.texts(devices[0], threads[0]) == world.texts(devices[1], threads[1]))
    }
}
