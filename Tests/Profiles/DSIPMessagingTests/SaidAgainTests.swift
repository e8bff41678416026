import DSIPIdentity
import Encoding
import MessagingSimulation
import Testing

@testable import DSIPMessaging

/// What a device could not open is said again, and stands where it stands for everybody else.
@Suite struct SaidAgainTests {
    private func say(
        _ text: String,
        _ device: SimulatedWorld.Device,
        _ thread: ULID,
        _ world: SimulatedWorld
    ) throws -> ULID {
        try world.act(device) { try $0.send(MessageDraft(text: text), in: thread, at: world.now) }
    }

    @Test func `What did not open comes back into its place`() throws {
        let world = try SimulatedWorld(seed: 11)
        let devices = try ["alice", "bob"].map { try world.device(world.person($0)) }
        try world.run(20)
        let thread = try world.act(devices[0]) { try $0.open(with: devices[1].person.did, at: world.now) }
        _ = try say("one", devices[0], thread, world)
        try world.run(10)
        let two = try say("two", devices[0], thread, world)
        try world.act(devices[0]) { try $0.react("👍", to: two, in: thread, at: world.now) }
        try world.run(10)
        _ = try say("three", devices[0], thread, world)
        try world.run(10)
        let there = try #require(devices[1].store.conversations().first).id
        let line = try #require(devices[1].store.message(two, in: there))
        let (seq, group) = (try #require(line.seq), try #require(line.group))
        try devices[1].store.commit([.messageGone(two, in: there)])
        try world.act(devices[1]) { messenger in
            try messenger.turn(at: world.now) { $0.noteUnopened(seq, in: group) }.1
        }
        #expect(world.texts(devices[1], there) == ["one", "three"])
        try world.run(60)
        #expect(world.texts(devices[1], there) == ["one", "two", "three"])
        let back = try #require(devices[1].store.message(two, in: there))
        #expect(back.order == line.order && back.seq == line.seq)
        #expect(world.texts(devices[0], thread) == ["one", "two", "three"])
    }

    @Test(arguments: ["one", String(repeating: "long ", count: 3_300)])
    func `Who came in later hears nothing of what is said again to those who were there`(_ text: String) throws {
        let world = try SimulatedWorld(seed: 13)
        let devices = try ["alice", "bob", "carol"].map { try world.device(world.person($0)) }
        let (alice, bob, carol) = (devices[0], devices[1], devices[2])
        try world.run(20)
        let thread = try world.act(alice) {
            try $0.createGroup(title: "", members: [bob.person.did], at: world.now)
        }
        try world.run(10)
        let one = try say(text, alice, thread, world)
        try world.run(10)
        try world.act(alice) { try $0.add([carol.person.did], to: thread, at: world.now) }
        try world.run(10)
        _ = try say("two", alice, thread, world)
        try world.run(10)
        let line = try #require(bob.store.message(one, in: thread))
        let (seq, group) = (try #require(line.seq), try #require(line.group))
        try bob.store.commit([.messageGone(one, in: thread)])
        for device in [bob, carol] {
            try world.act(device) { messenger in
                try messenger.turn(at: world.now) { $0.noteUnopened(seq, in: group) }.1
            }
        }
        #expect(world.texts(carol, thread) == ["two"])
        try world.run(60)
        #expect(world.texts(bob, thread) == [text, "two"])
        #expect(bob.store.message(one, in: thread)?.order == line.order)
        #expect(world.texts(carol, thread) == ["two"])
        // A device of his that comes later has it from the archive.
        let later = try world.device(bob.person)
        try world.run(120)
        #expect(world.texts(later, thread) == [text, "two"])
    }

    @Test func `A new device waits with what was said again until it is in the conversation it was said in`() throws {
        let world = try SimulatedWorld(seed: 11)
        let (alice, bob) = (try world.device(world.person("alice")), try world.device(world.person("bob")))
        try world.run(20)
        // Both begin at once; it goes on in the group that alice began.
        let thread = try world.act(alice) { try $0.open(with: bob.person.did, at: world.now) }
        let there = try world.act(bob) { try $0.open(with: alice.person.did, at: world.now) }
        _ = try say("from alice", alice, thread, world)
        let other = try say("from bob", bob, there, world)
        try world.run(60)
        let after = try say("after", alice, thread, world)
        try world.run(10)
        let line = try #require(alice.store.message(other, in: thread))
        let (seq, group) = (try #require(line.seq), try #require(line.group))
        let goesOn = try #require(alice.store.message(after, in: thread)?.group)
        try #require(goesOn != group)
        // As if her device had not been able to open it.
        #expect(try world.loseArchived(seq, of: group, from: alice))
        try alice.store.commit([.messageGone(other, in: thread)])
        try world.act(alice) { messenger in
            try messenger.turn(at: world.now) { $0.noteUnopened(seq, in: group) }.1
        }
        try world.run(60)
        let expected = world.texts(alice, thread)
        #expect(Set(expected) == ["from alice", "from bob", "after"])
        let later = try world.device(alice.person)
        try world.run(180)
        #expect(world.texts(later, try #require(later.store.conversations().first).id) == expected)
    }

    @Test func `What is too long to be sealed to one device is not said at first either`() throws {
        let world = try SimulatedWorld(seed: 11)
        let devices = try ["alice", "bob"].map { try world.device(world.person($0)) }
        try world.run(20)
        let thread = try world.act(devices[0]) { try $0.open(with: devices[1].person.did, at: world.now) }
        #expect(throws: MessagingError(.refused, "It is too long for a message; send it as a file.")) {
            try say(String(repeating: "long ", count: 3_400), devices[0], thread, world)
        }
        #expect(devices[0].store.conversations().allSatisfy { world.messages(devices[0], $0.id).isEmpty })
    }

    @Test func `Nobody's words are said again by somebody else`() throws {
        let (alice, bob) = (try #require(DID("did:web:a.example")), try #require(DID("did:web:b.example")))
        var random = SystemRandomNumberGenerator()
        let conversation = ULID(milliseconds: 1_760_000_000_000, using: &random)
        let again = SaidAgain(
            id: ULID(milliseconds: 1_760_000_000_000, using: &random),
            conversation: conversation,
            sender: alice,
            sentAt: 1_760_000_000,
            group: GroupID(conversation),
            seq: 3,
            payload: ["object": "content"]
        )
        let read = try MessagingObject(
            again.json,
            in: ObjectContext(conversation: conversation, kind: .direct, sender: alice)
        )
        #expect(read == .saidAgain(again))
        #expect(throws: MessagingError.self) {
            _ = try MessagingObject(
                again.json,
                in: ObjectContext(conversation: conversation, kind: .direct, sender: bob)
            )
        }
    }

    @Test func `Of two ids of one device the later is the higher`() throws {
        let world = try SimulatedWorld(seed: 12)
        let device = try world.device(world.person("alice"))
        var messenger = device.messenger
        let ids = (0..<100).map { _ in messenger.newULID() }
        #expect(ids == ids.sorted())
        #expect(messenger.newULID(after: Int64(try #require(ids.last).milliseconds) + 5_000) > ids[99])
    }
}
