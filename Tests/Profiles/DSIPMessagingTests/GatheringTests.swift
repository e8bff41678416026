import DSIPIdentity
import Encoding
import Support
import Testing

@testable import DSIPMessaging
@testable import MessagingSimulation

/// What is said in a new group is held until those it was made with are in, and not for ever.
@Suite struct GatheringTests {
    private let world: SimulatedWorld
    private let alice: SimulatedWorld.Device
    private let bob: SimulatedWorld.Device
    /// Has not been at her mailbox yet.
    private let carol: SimulatedWorld.Device

    init() throws {
        let world = try SimulatedWorld(seed: 11)
        self.world = world
        let people = ["alice", "bob", "carol"].map { world.person($0) }
        alice = try world.device(people[0])
        bob = try world.device(people[1])
        carol = try world.device(people[2], online: false)
        try world.run(20)
    }

    private func group(_ members: [DID]) throws -> ULID {
        try world.act(alice) { try $0.createGroup(title: "New", members: members, at: world.now) }
    }

    private func say(_ text: String, in thread: ULID) throws {
        _ = try world.act(alice) { try $0.send(MessageDraft(text: text), in: thread, at: world.now) }
    }

    private func texts(_ device: SimulatedWorld.Device) -> [String] {
        device.store.conversations().first.map { world.texts(device, $0.id) } ?? []
    }

    private func isGathering(_ thread: ULID) -> Bool { alice.messenger.isGathering(thread) }

    @Test func `First words wait for a member who comes in a little later, who then reads them`() throws {
        let thread = try group([bob.person.did, carol.person.did])
        try say("all of you", in: thread)
        try world.run(10)
        #expect(isGathering(thread))
        #expect(texts(bob).isEmpty)
        try world.connect(carol)
        try world.run(15)
        #expect(!isGathering(thread))
        #expect(texts(bob) == ["all of you"])
        #expect(texts(carol) == ["all of you"])
        let record = try #require(carol.store.conversations().first)
        #expect(record.title == "New")
    }

    @Test func `Nobody waits longer than half a minute for one who does not come`() throws {
        let thread = try group([bob.person.did, carol.person.did])
        try say("those who are here", in: thread)
        try world.run(25)
        #expect(texts(bob).isEmpty)
        try world.run(10)
        #expect(texts(bob) == ["those who are here"])
        #expect(!isGathering(thread))
        try world.connect(carol)
        try world.run(10)
        try world.act(alice) { try $0.add([carol.person.did], to: thread, at: world.now) }
        try world.run(10)
        try say("with carol", in: thread)
        try world.run(10)
        #expect(texts(carol) == ["with carol"])
        #expect(texts(bob) == ["those who are here", "with carol"])
    }

    @Test func `Who is taken out before they could come in is not brought in`() throws {
        let thread = try group([bob.person.did, carol.person.did])
        try world.run(10)
        try world.act(alice) { try $0.remove([carol.person.did], from: thread, at: world.now) }
        try say("the two of us", in: thread)
        try world.run(10)
        #expect(texts(bob) == ["the two of us"])
        try world.connect(carol)
        try world.run(120)
        #expect(carol.store.conversations().isEmpty)
    }

    /// A group of Alice, Bob, Dave, and Erin, whose document nobody can find now.
    private func lateGroup() throws -> (ULID, dave: SimulatedWorld.Device, erin: SimulatedWorld.Device) {
        let dave = try world.device(world.person("dave"))
        let erin = try world.device(world.person("erin", isNamed: true))
        try world.run(20)
        world.hideDocuments(true)
        let thread = try group([bob, dave, erin].map(\.person.did))
        try world.run(45)
        return (thread, dave, erin)
    }

    /// Another device of Alice’s, and a late group in which she has said three lines.
    private func lateGroupWithPhone() throws -> (phone: SimulatedWorld.Device, erin: SimulatedWorld.Device) {
        let phone = try world.device(alice.person)
        try world.run(60)
        let (thread, _, erin) = try lateGroup()
        for text in ["one", "two", "three"] { try say(text, in: thread) }
        try world.run(10)
        return (phone, erin)
    }

    /// Edits the first line and takes the second back.
    private func change(on phone: SimulatedWorld.Device) throws {
        let there = try #require(phone.store.conversations().first { $0.kind == .group }).id
        let lines = world.messages(phone, there).filter(\.isContent)
        #expect(lines.map(\.text) == ["one", "two", "three"])
        try world.act(phone) { try $0.edit(lines[0].id, in: there, text: "first", at: world.now) }
        try world.act(phone) { try $0.retract(lines[1].id, in: there, at: world.now) }
    }

    private func expectChanged(_ device: SimulatedWorld.Device) throws {
        let conversation = try #require(device.store.conversations().first)
        let shown = world.messages(device, conversation.id).filter(\.isContent)
        #expect(shown.map(\.text) == ["first", "", "three"])
        #expect(shown.map(\.isRetracted) == [false, true, false])
    }

    @Test func `Who comes in late reads what was said, though another was taken out, who does not when they are back`()
        throws
    {
        let (thread, dave, erin) = try lateGroup()
        try say("with dave", in: thread)
        try world.run(10)
        try world.act(alice) { try $0.remove([dave.person.did], from: thread, at: world.now) }
        try world.run(10)
        try say("without dave", in: thread)
        try world.run(10)
        #expect(texts(dave) == ["with dave"])
        world.hideDocuments(false)
        try world.run(180)
        #expect(texts(erin) == ["with dave", "without dave"])
        try world.act(alice) { try $0.add([dave.person.did], to: thread, at: world.now) }
        try world.run(60)
        #expect(try #require(dave.store.conversations().first).isRemoved == false)
        #expect(texts(dave) == ["with dave"])
    }

    @Test func `Who comes in late reads what was said as another device of its speaker has changed it`() throws {
        let (phone, erin) = try lateGroupWithPhone()
        try change(on: phone)
        try world.run(10)
        world.hideDocuments(false)
        try world.run(180)
        try expectChanged(erin)
    }

    @Test func `Who has come in reads the change that another device had made before it knew of them`() throws {
        let (phone, erin) = try lateGroupWithPhone()
        try world.disconnect(phone)
        try change(on: phone)
        world.hideDocuments(false)
        try world.run(180)
        #expect(texts(erin) == ["one", "two", "three"])
        try world.connect(phone)
        try world.run(20)
        try expectChanged(erin)
    }

    @Test(arguments: [6, 11, 22]) func `Two who come in late, one right behind the other, both read what was said`(
        seed: UInt64
    ) throws {
        let world = try SimulatedWorld(seed: seed)
        let devices = try ["alice", "bob", "erin", "frank"].map {
            try world.device(world.person($0, isNamed: $0 == "erin" || $0 == "frank"))
        }
        try world.run(20)
        world.hideDocuments(true)
        let members = devices.dropFirst().map(\.person.did)
        let thread = try world.act(devices[0]) { try $0.createGroup(title: "New", members: members, at: world.now) }
        try world.run(45)
        for text in ["one", "two"] {
            _ = try world.act(devices[0]) { try $0.send(MessageDraft(text: text), in: thread, at: world.now) }
        }
        try world.run(10)
        // Some answers of the hub are lost, and what it ordered is back late.
        world.network.setLink(from: .service(0), to: .device(0), .init(latency: 5...50, loss: 300, isOrdered: false))
        world.network.setLink(from: .service(0), to: .items(0), .init(latency: 10_000...10_000))
        world.hideDocuments(false)
        try world.run(180)
        for device in devices {
            let shown = try #require(device.store.conversations().first)
            #expect(world.texts(device, shown.id) == ["one", "two"], "\(device.name)")
        }
    }

    @Test func `Who comes in late does not read what was said without another who is back before`() throws {
        let (thread, dave, erin) = try lateGroup()
        let there = try #require(bob.store.conversations().first).id
        try world.act(bob) { try $0.remove([dave.person.did], from: there, at: world.now) }
        try world.run(10)
        try say("without dave", in: thread)
        try world.run(10)
        try world.act(bob) { try $0.add([dave.person.did], to: there, at: world.now) }
        try world.run(30)
        world.hideDocuments(false)
        try world.run(180)
        try say("to all", in: thread)
        try world.run(10)
        for device in [dave, erin] { #expect(texts(device) == ["to all"]) }
        #expect(texts(bob) == ["without dave", "to all"])
    }

    @Test func `What is owed is sealed to those it is owed to when others come in before it is said`() throws {
        let (thread, _, erin) = try lateGroup()
        try say("one", in: thread)
        try world.run(10)
        world.hideDocuments(false)
        let (frank, gina) = (try world.device(world.person("frank")), try world.device(world.person("gina")))
        for _ in 0..<20_000 where alice.messenger.outbox[thread]?.compactMap(\.again).isEmpty ?? true {
            try world.run(milliseconds: 10)
        }
        #expect(alice.messenger.outbox[thread]?.compactMap(\.again).count == 1)
        try world.disconnect(alice)
        let there = try #require(bob.store.conversations().first).id
        for new in [frank, gina] {
            try world.act(bob) { try $0.add([new.person.did], to: there, at: world.now) }
            try world.run(30)
        }
        try world.connect(alice)
        try world.run(30)
        try say("to all", in: thread)
        try world.run(10)
        #expect(texts(erin) == ["one", "to all"])
        for new in [frank, gina] { #expect(texts(new) == ["to all"]) }
    }

    @Test func `The time runs only while the device is connected, and is kept over a restart`() throws {
        let thread = try group([bob.person.did, carol.person.did])
        try say("hello", in: thread)
        try world.run(5)
        try world.disconnect(alice)
        try world.run(300)
        #expect(isGathering(thread))
        try world.connect(carol)
        try world.run(5)
        try world.restart(alice)
        #expect(isGathering(thread))
        try world.run(25)
        #expect(texts(carol) == ["hello"])
        #expect(texts(bob) == ["hello"])
    }

    @Test func `One whose mailbox nobody knows does not keep the others out`() throws {
        let stranger = try #require(DID("did:web:nowhere.example"))
        let thread = try group([stranger, bob.person.did])
        try say("hello", in: thread)
        try world.run(35)
        #expect(texts(bob) == ["hello"])
        // What a person asks for goes before what waits.
        try world.act(alice) { try $0.remove([bob.person.did], from: thread, at: world.now) }
        try world.run(10)
        #expect(try #require(bob.store.conversations().first).isRemoved)
    }
}
