import DSIPIdentity
import DSIPMessaging
import Encoding
import MessagingSimulation
import Testing

/// Devices at a real service, on virtual time.
@Suite struct MessengerTests {
    private func scene(_ names: [String]) throws -> (SimulatedWorld, [SimulatedWorld.Device]) {
        let world = try SimulatedWorld(seed: 7)
        let people = names.map { world.person($0) }
        let devices = try people.map { try world.device($0) }
        try world.run(20)
        return (world, devices)
    }

    private func conversation(_ device: SimulatedWorld.Device) throws -> ULID {
        try #require(device.store.conversations().first).id
    }

    /// A long time in which nobody is there.
    private func pass(_ seconds: Int64, _ devices: [SimulatedWorld.Device], _ world: SimulatedWorld) throws {
        for device in devices where device.isOnline { try world.disconnect(device) }
        try world.run(seconds)
    }

    @discardableResult
    private func say(
        _ text: String,
        _ device: SimulatedWorld.Device,
        _ thread: ULID,
        _ world: SimulatedWorld
    ) throws -> ULID {
        let now = world.now
        return try world.act(device) { try $0.send(MessageDraft(text: text), in: thread, at: now) }
    }

    private func open(_ a: SimulatedWorld.Device, _ b: SimulatedWorld.Device, _ world: SimulatedWorld) throws -> ULID {
        let now = world.now
        return try world.act(a) { try $0.open(with: b.person.did, at: now) }
    }

    @Test func `Two people talk, and each learns what became of what was said`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let thread = try open(devices[0], devices[1], world)
        let first = try say("hello", devices[0], thread, world)
        try world.run(10)
        let other = try conversation(devices[1])
        #expect(world.texts(devices[1], other) == ["hello"])
        #expect(devices[0].store.message(first, in: thread)?.state == .delivered)
        #expect(devices[1].store.conversation(other)?.unread == 1)
        try world.act(devices[1]) { try $0.read(through: first, in: other, at: world.now) }
        try say("and to you", devices[1], other, world)
        try world.run(10)
        #expect(devices[0].store.message(first, in: thread)?.state == .read)
        #expect(devices[1].store.conversation(other)?.unread == 0)
        #expect(world.texts(devices[0], thread) == ["hello", "and to you"])
    }

    @Test func `What was said offline leaves after a restart, as the bytes that were kept`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let thread = try open(devices[0], devices[1], world)
        try say("one", devices[0], thread, world)
        try world.run(10)
        try world.disconnect(devices[0])
        try say("two", devices[0], thread, world)
        try say("three", devices[0], thread, world)
        let kept = devices[0].store.rows(.outbox, "")
        #expect(kept.count == 2)
        try world.restart(devices[0])
        let again = devices[0].store.rows(.outbox, "")
        #expect(again == kept)
        try world.run(10)
        #expect(world.texts(devices[1], try conversation(devices[1])) == ["one", "two", "three"])
        #expect(devices[0].store.rows(.outbox, "").isEmpty)
    }

    @Test func `A new device reads the history and takes part`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let thread = try open(devices[0], devices[1], world)
        try say("before", devices[0], thread, world)
        try world.run(10)
        try say("an answer", devices[1], try conversation(devices[1]), world)
        try world.run(10)
        let second = try world.device(world.people[0])
        try world.run(120)
        let there = try conversation(second)
        #expect(world.texts(second, there) == ["before", "an answer"])
        try say("from the new one", second, there, world)
        try world.run(20)
        for device in devices {
            #expect(world.texts(device, try conversation(device)) == ["before", "an answer", "from the new one"])
        }
    }

    @Test func `What is read on one device is read on the other, also when nobody else is to know`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let second = try world.device(world.people[1])
        try world.run(120)
        let thread = try open(devices[0], devices[1], world)
        let said = try say("hello", devices[0], thread, world)
        try world.run(60)
        for device in [devices[1], second] {
            var settings = device.messenger.settings
            settings.sendsRead = false
            let now = world.now
            try world.act(device) { try $0.update(settings: settings, at: now) }
        }
        let here = try conversation(devices[1])
        #expect(second.store.conversation(try conversation(second))?.unread == 1)
        try world.act(devices[1]) { try $0.read(through: said, in: here, at: world.now) }
        try world.run(60)
        #expect(second.store.conversation(try conversation(second))?.unread == 0)
        #expect(devices[0].store.message(said, in: thread)?.state == .delivered)
    }

    /// At the hub's own service and at another one, which only its leaf names.
    @Test(arguments: [1, 2]) func `Who was removed reads nothing of what is said afterwards`(removed: Int) throws {
        let (world, all) = try scene(["alice", "bob", "carol"])
        var devices = all
        if removed == 1 { devices.swapAt(1, 2) }
        let others = devices.dropFirst().map(\.person.did)
        let now = world.now
        let thread = try world.act(devices[0]) { try $0.createGroup(title: "Three", members: others, at: now) }
        try world.run(20)
        try say("all of you", devices[0], thread, world)
        try world.run(10)
        let carols = try conversation(devices[2])
        #expect(devices[2].store.conversation(carols)?.title == "Three")
        #expect(world.texts(devices[2], carols) == ["all of you"])
        try world.act(devices[0]) { try $0.remove([devices[2].person.did], from: thread, at: world.now) }
        try world.run(10)
        try say("only us", devices[0], thread, world)
        try world.run(10)
        #expect(world.texts(devices[1], try conversation(devices[1])) == ["all of you", "only us"])
        #expect(world.texts(devices[2], carols) == ["all of you"])
        #expect(devices[2].store.conversation(carols)?.isRemoved == true)
    }

    @Test func `Whose delegation ended a week ago is taken out, once, by whoever is first`() throws {
        let world = try SimulatedWorld(seed: 9)
        let people = ["alice", "bob", "carol"].map { world.person($0) }
        let alice = try world.device(people[0])
        let bob = try world.device(people[1])
        let carol = try world.device(people[2], delegatedFor: 86_400)
        try world.run(20)
        let members = [people[1].did, people[2].did]
        let thread = try world.act(alice) { try $0.createGroup(title: "Three", members: members, at: world.now) }
        try world.run(20)
        try pass(86_400 * 7, [alice, bob, carol], world)
        for device in [alice, bob] { try world.connect(device) }
        try world.run(60)
        #expect(alice.store.conversation(thread)?.members == members)
        try pass(86_400 * 2, [alice, bob], world)
        for device in [alice, bob] { try world.connect(device) }
        try world.run(60)
        #expect(alice.store.conversation(thread)?.members == [people[1].did])
        let there = try conversation(bob)
        #expect(bob.store.conversation(there)?.members == [people[0].did])
        #expect(
            world.messages(bob, there).filter { $0.kind == .roster && $0.roster?.removed == [people[2].did] }.count == 1
        )
        try say("still here", bob, there, world)
        try world.run(10)
        #expect(world.texts(alice, thread) == ["still here"])
    }

    @Test func `A device whose delegation was renewed renews its leaves, and is read on after the old one ended`()
        throws
    {
        let world = try SimulatedWorld(seed: 10)
        let people = ["alice", "bob"].map { world.person($0) }
        let alice = try world.device(people[0], delegatedFor: 10 * 86_400)
        let bob = try world.device(people[1])
        try world.run(20)
        let thread = try open(alice, bob, world)
        try say("before", alice, thread, world)
        try pass(6 * 86_400, [alice, bob], world)
        for device in [alice, bob] { try world.connect(device) }
        try world.renew(alice)
        try pass(2 * 86_400, [alice, bob], world)
        for device in [alice, bob] { try world.connect(device) }
        try world.run(60)
        try pass(12 * 86_400, [alice, bob], world)
        for device in [alice, bob] { try world.connect(device) }
        try world.run(60)
        try say("long after", alice, thread, world)
        try world.run(10)
        #expect(world.texts(bob, try conversation(bob)) == ["before", "long after"])
        #expect(bob.store.conversation(try conversation(bob))?.members == [people[0].did])
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>, [2, 3] as [Int64])
    func `Two that renew their leaves at one moment, in time or not, and speak, hear each other now and later`(
        seed: UInt64,
        end: Int64
    ) throws {
        let world = try SimulatedWorld(seed: seed)
        world.setLinks(.init(latency: 5...400))
        let people = ["alice", "bob"].map { world.person($0) }
        let devices = try people.map { try world.device($0, delegatedFor: 10 * 3_600) }
        try world.run(20)
        let there = try open(devices[0], devices[1], world)
        try say("before", devices[0], there, world)
        try world.run(10)
        let here = try conversation(devices[1])
        var said: Set = ["before"]
        // Half way, when their delegations end within the hour or have just ended, and when the first delegations are long over.
        for hours in [6, end, 8] as [Int64] {
            try pass(hours * 3_600, devices, world)
            if hours == end { for device in devices { try world.renew(device) } }
            for device in devices where hours != end { try world.connect(device) }
            for (device, thread) in zip(devices, [there, here]) {
                said.insert("\(device.name) after \(hours)")
                try say("\(device.name) after \(hours)", device, thread, world)
            }
            try world.run(90)
            for (device, thread) in zip(devices, [there, here]) { #expect(Set(world.texts(device, thread)) == said) }
        }
    }

    @Test func `Who leaves is gone for the others`() throws {
        let (world, devices) = try scene(["alice", "bob", "carol"])
        let others = devices.dropFirst().map(\.person.did)
        let now = world.now
        let thread = try world.act(devices[0]) { try $0.createGroup(title: "Three", members: others, at: now) }
        try world.run(20)
        try world.act(devices[2]) { try $0.leave(try conversation(devices[2]), at: world.now) }
        try world.run(60)
        #expect(devices[0].store.conversation(thread)?.members == [devices[1].person.did])
        #expect(devices[1].store.conversation(try conversation(devices[1]))?.members == [devices[0].person.did])
    }

    @Test func `A device that was taken away cannot read on, and its siblings archive under a new key`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let lost = try world.device(world.people[0])
        try world.run(60)
        let thread = try open(devices[0], devices[1], world)
        try say("one", devices[0], thread, world)
        try world.run(30)
        let keys = devices[0].store.rows(.archiveKey, "").count
        try world.act(devices[0]) { try $0.removeDevice(lost.key.did, revocation: nil, at: world.now) }
        try world.run(30)
        try say("two", devices[1], try conversation(devices[1]), world)
        try world.run(30)
        #expect(world.texts(devices[0], thread) == ["one", "two"])
        #expect(!world.texts(lost, try conversation(lost)).contains("two"))
        #expect(devices[0].store.rows(.archiveKey, "").count == keys + 1)
        #expect(lost.store.rows(.archiveKey, "").count == keys)
    }

    @Test func `Both begin at once and go on as one`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let a = try open(devices[0], devices[1], world)
        let b = try open(devices[1], devices[0], world)
        try say("from alice", devices[0], a, world)
        try say("from bob", devices[1], b, world)
        try world.run(60)
        try say("after", devices[0], a, world)
        try world.run(10)
        let (first, second) = (world.texts(devices[0], a), world.texts(devices[1], b))
        #expect(first == second)
        #expect(Set(first) == ["from alice", "from bob", "after"])
        #expect(devices.allSatisfy { $0.store.conversations().count == 1 })
    }

    @Test func `A device that comes by itself shows what began at once as one conversation`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        try say("from alice", devices[0], try open(devices[0], devices[1], world), world)
        try say("from bob", devices[1], try open(devices[1], devices[0], world), world)
        try world.run(60)
        try world.disconnect(devices[0])
        let second = try world.device(world.people[0])
        try world.run(180)
        try world.connect(devices[0])
        try world.run(60)
        #expect(second.store.conversations().count == 1)
        let expected = world.texts(devices[0], try conversation(devices[0]))
        #expect(Set(expected) == ["from alice", "from bob"])
        #expect(world.texts(second, try conversation(second)) == expected)
    }

    @Test func `A welcome waits for a document, and what follows is read after it, a restart or not`() throws {
        let world = try SimulatedWorld(seed: 7)
        let dave = try world.device(world.person("dave", isNamed: true))
        let bob = try world.device(world.person("bob"))
        try world.run(20)
        world.hideDocuments(true)
        let thread = try open(dave, bob, world)
        try say("one", dave, thread, world)
        try say("two", dave, thread, world)
        try world.run(30)
        #expect(bob.store.conversations().isEmpty)
        try world.restart(bob)
        try world.run(10)
        try say("three", dave, thread, world)
        try world.run(10)
        world.hideDocuments(false)
        try world.run(150)
        #expect(world.texts(bob, try conversation(bob)) == ["one", "two", "three"])
        #expect(bob.messenger.loose.isEmpty)
    }

    @Test func `What was read and not told before the program ended is told afterwards`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let sibling = try world.device(world.people[1])
        try world.run(60)
        let thread = try open(devices[0], devices[1], world)
        let first = try say("one", devices[0], thread, world)
        try world.run(20)
        let second = try say("two", devices[0], thread, world)
        try world.run(20)
        let other = try conversation(devices[1])
        try world.act(devices[1]) { try $0.read(through: first, in: other, at: world.now) }
        try world.act(devices[1]) { try $0.read(through: second, in: other, at: world.now) }
        try world.restart(devices[1])
        try world.run(30)
        #expect(sibling.store.conversation(try conversation(sibling))?.unread == 0)
        #expect(devices[0].store.message(second, in: thread)?.state == .read)
    }

    @Test func `An edit, a retraction and a reaction reach everybody`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let thread = try open(devices[0], devices[1], world)
        let first = try say("helo", devices[0], thread, world)
        let second = try say("oops", devices[0], thread, world)
        try world.run(10)
        try world.act(devices[0]) { try $0.edit(first, in: thread, text: "hello", at: world.now) }
        try world.act(devices[0]) { try $0.retract(second, in: thread, at: world.now) }
        let other = try conversation(devices[1])
        try world.act(devices[1]) { try $0.react("👍", to: first, in: other, at: world.now) }
        try world.run(10)
        for (device, thread) in [(devices[0], thread), (devices[1], other)] {
            let line = try #require(device.store.message(first, in: thread))
            #expect(line.text == "hello" && line.isEdited)
            #expect(line.reactions.map(\.emoji) == ["👍"])
            #expect(device.store.message(second, in: thread)?.isRetracted == true)
        }
    }

    @Test func `Disappearing messages go from every device`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let thread = try open(devices[0], devices[1], world)
        try world.act(devices[0]) { try $0.setDisappearAfter(30, of: thread, at: world.now) }
        let id = try say("soon gone", devices[0], thread, world)
        try world.run(10)
        let other = try conversation(devices[1])
        let group = try #require(devices[0].store.message(id, in: thread)?.group).text
        let sent = devices[0].store.rows(.sent, group).count
        try world.act(devices[1]) { try $0.read(through: id, in: other, at: world.now) }
        try world.run(60)
        #expect(world.texts(devices[0], thread).isEmpty)
        #expect(world.texts(devices[1], other).isEmpty)
        #expect(devices[0].store.rows(.sent, group).count == sent - 1, "it is not said again either")
    }

    @Test func `A missed call stands in the conversation on every device`() throws {
        let (world, devices) = try scene(["alice", "bob"])
        let second = try world.device(world.people[0])
        try world.run(60)
        var random = SeededGenerator()
        let event = CallEvent(
            session: ULID(milliseconds: UInt64(world.now) * 1000, using: &random),
            peer: devices[1].person.did,
            direction: .inbound,
            outcome: .missed,
            at: world.now
        )
        try world.act(devices[0]) { try $0.callEnded(event, at: world.now) }
        try world.run(20)
        for device in [devices[0], second] {
            let lines = world.messages(device, try conversation(device))
            #expect(lines.map(\.kind) == [.call])
        }
    }

    @Test(arguments: [1, 2] as [UInt64])
    func `Ten devices of four people end with the same, whatever was lost, repeated, cut or ended`(seed: UInt64) throws
    {
        var settings = Convergence.Settings()
        settings.steps = 25
        var run = try Convergence(seed: seed, settings)
        try run.run()
        let problems = run.problems
        #expect(problems.isEmpty, "seed \(seed)")
    }
}

private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64 = 1
    mutating func next() -> UInt64 {
        state &*= 6_364_136_223_846_793_005
        state &+= 1
        return state
    }
}
