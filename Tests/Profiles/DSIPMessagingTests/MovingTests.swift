import DSIPIdentity
import DSIPMessaging
import Encoding
import MessagingSimulation
import Testing

/// A group moves to another hub while its hub is alive. M§7.4
@Suite struct MovingTests {
    private let world: SimulatedWorld
    private let alice: SimulatedWorld.Device
    private let bob: SimulatedWorld.Device
    private let carol: SimulatedWorld.Device
    /// The same group for all, made by Alice, whose service orders it.
    private let thread: ULID

    /// Alice and Carol are at one service, Bob is at another one.
    init() throws {
        let world = try SimulatedWorld(seed: 21)
        let people = ["alice", "bob", "carol"].map { world.person($0) }
        let devices = try people.map { try world.device($0) }
        try world.run(20)
        let thread = try world.act(devices[0]) {
            try $0.createGroup(title: "Moving", members: [people[1].did, people[2].did], at: world.now)
        }
        try world.run(20)
        (self.world, self.thread) = (world, thread)
        (alice, bob, carol) = (devices[0], devices[1], devices[2])
        try say("before", alice)
        try world.run(10)
        for device in devices { #expect(world.texts(device, thread) == ["before"]) }
    }

    private func say(_ text: String, _ device: SimulatedWorld.Device) throws {
        _ = try world.act(device) { try $0.send(MessageDraft(text: text), in: thread, at: world.now) }
    }

    private func move(_ device: SimulatedWorld.Device) throws {
        try world.act(device) { try $0.move(thread, at: world.now) }
    }

    private func hub(_ device: SimulatedWorld.Device) -> DID? { device.messenger.hub(of: thread)?.did }

    private func expect(_ texts: [String], _ devices: [SimulatedWorld.Device]? = nil) {
        for device in devices ?? world.devices {
            #expect(world.texts(device, thread) == texts, "\(device.name)")
            #expect(device.messenger.loose == [], "\(device.name)")
            #expect(device.store.conversation(thread)?.notice == nil)
        }
    }

    @Test func `Everybody follows a group to another hub, and the numbering goes on there`() throws {
        let old = hub(alice)
        try move(bob)
        try world.run(10)
        try say("from the mover", bob)
        try say("from who followed", alice)
        try world.run(20)
        #expect(hub(bob) != old)
        for device in [alice, carol] { #expect(hub(device) == hub(bob)) }
        expect(["before", "from the mover", "from who followed"])
        let seqs = world.messages(alice, thread).compactMap(\.seq)
        #expect(Set(seqs).count == seqs.count && seqs == seqs.sorted())
    }

    @Test func `What is said while the group moves arrives once, whoever is quicker`() throws {
        try move(bob)
        for n in 0..<12 {
            try say("\(n)", [alice, bob, carol][n % 3])
            try world.run(n % 2 == 0 ? 0 : 1)
        }
        try world.run(60)
        for device in world.devices { #expect(world.texts(device, thread).count == 13, "\(device.name)") }
        expect(world.texts(alice, thread))
    }

    @Test func `A member that was away while the group moved reads on when it is back, and speaks`() throws {
        try world.disconnect(carol)
        try move(bob)
        try world.run(10)
        try say("without you", alice)
        // Long enough for the new hub to come by seldom.
        try world.run(6000)
        try say("still without you", bob)
        try world.run(20)
        try world.connect(carol)
        try world.run(30)
        expect(["before", "without you", "still without you"])
        try say("here I am", carol)
        try world.run(20)
        expect(["before", "without you", "still without you", "here I am"])
    }

    @Test func `What a member wrote before it had heard of the move is said at the new hub`() throws {
        try world.disconnect(carol)
        try say("unaware", carol)
        try move(bob)
        try world.run(60)
        try world.connect(carol)
        try world.run(60)
        expect(["before", "unaware"])
    }

    @Test func `A mover whose program ends at any point of it has moved the group when it is back`() throws {
        for milliseconds in 0..<6 {
            let (from, to) = milliseconds % 2 == 0 ? (alice, bob) : (bob, alice)
            try move(to)
            try world.run(Int64(milliseconds / 3))
            try world.restart(to)
            try world.run(120)
            #expect(hub(from) == hub(to) && hub(to) == hub(carol))
            try say("\(milliseconds)", carol)
            try world.run(30)
        }
        expect(["before", "0", "1", "2", "3", "4", "5"])
    }

    @Test func `Two who move a group at once end at one hub`() throws {
        try move(bob)
        try world.run(30)
        try move(alice)
        try move(bob)
        try move(carol)
        try world.run(120)
        #expect(hub(alice) == hub(bob) && hub(bob) == hub(carol))
        for device in world.devices { try say("\(device.name)", device) }
        try world.run(60)
        #expect(world.texts(alice, thread).count == 4)
        expect(world.texts(alice, thread))
    }

    @Test func `Only a service of one's own can be asked for, by who is in the group`() throws {
        let theirs = try #require(hub(alice))
        #expect(throws: MessagingError.self) { try world.act(bob) { try $0.move(thread, to: theirs, at: world.now) } }
        #expect(throws: MessagingError.self) {
            try world.act(bob) { try $0.move(ULID(milliseconds: 1, using: &world.random), at: world.now) }
        }
        // Where it is already it stays.
        try move(alice)
        try world.run(10)
        #expect(hub(alice) == theirs)
        expect(["before"])
    }

    @Test func `A new device of a member comes into the group where it is by then`() throws {
        try move(bob)
        try world.run(20)
        let second = try world.device(carol.person)
        try world.run(90)
        let record = try #require(second.store.conversations().first { $0.kind == .group })
        #expect(second.messenger.hub(of: record.id)?.did == hub(bob))
        try say("to all devices", bob)
        try world.run(20)
        #expect(world.texts(second, record.id).last == "to all devices")
    }
}
