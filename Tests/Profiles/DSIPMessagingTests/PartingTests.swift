import DSIPIdentity
import DSIPMessaging
import Encoding
import MessagingSimulation
import Testing

/// Blocking, and leaving a direct conversation, where mailboxes take nobody in without a grant. M§14
@Suite struct PartingTests {
    private let world: SimulatedWorld
    private let alice: SimulatedWorld.Device
    private let second: SimulatedWorld.Device
    private let bob: SimulatedWorld.Device
    /// The same conversation, as each has it.
    private let alices: ULID
    private let bobs: ULID

    init() throws {
        let world = try SimulatedWorld(seed: 12)
        world.admission = .grant
        let people = ["alice", "bob"].map { world.person($0) }
        let (alice, bob) = (try world.device(people[0]), try world.device(people[1]))
        let second = try world.device(people[0])
        try world.run(60)
        let thread = try world.act(alice) { try $0.open(with: people[1].did, at: world.now) }
        _ = try world.act(alice) { try $0.send(MessageDraft(text: "hello"), in: thread, at: world.now) }
        try world.run(30)
        let other = try #require(bob.store.conversations().first).id
        #expect(world.texts(bob, other) == ["hello"])
        try world.act(alice) {
            $0.contacts = []
            $0.blocked = [people[1].did]
            return try $0.block(people[1].did, at: world.now)
        }
        try PartingTests.block([people[1].did], second, world)
        try world.run(30)
        (self.world, self.alice, self.second, self.bob, alices, bobs) = (world, alice, second, bob, thread, other)
    }

    private static func block(_ people: Set<DID>, _ device: SimulatedWorld.Device, _ world: SimulatedWorld) throws {
        try world.act(device) { messenger -> [MessengerAction] in
            messenger.contacts = []
            messenger.blocked = people
            return []
        }
    }

    private func say(_ text: String, _ device: SimulatedWorld.Device, _ thread: ULID) throws {
        _ = try world.act(device) { try $0.send(MessageDraft(text: text), in: thread, at: world.now) }
    }

    @Test func `Blocking leaves the conversation on every device, and takes back what let the other in`() throws {
        #expect(alice.store.conversation(alices)?.isRemoved == true)
        let seconds = try #require(second.store.conversations().first)
        #expect(seconds.isRemoved)
        try say("are you there?", bob, bobs)
        try world.run(120)
        #expect(world.texts(alice, alices) == ["hello"])
        #expect(world.texts(second, seconds.id) == ["hello"])
        #expect(alice.store.conversations().count == 1)
        let last = try #require(world.messages(bob, bobs).last)
        #expect(last.state == .pending)
        #expect(bob.store.conversation(bobs)?.notice == .inviteOnly)
    }

    @Test func `Whoever is unblocked and asks is a request once more`() throws {
        for device in [alice, second] { try PartingTests.block([], device, world) }
        try say("may I?", bob, bobs)
        try world.run(30)
        let asked = try #require(alice.store.conversation(alices))
        #expect(asked.isRequest && !asked.isRemoved)
        try world.act(alice) { try $0.accept(alices, at: world.now) }
        try world.run(60)
        #expect(world.texts(alice, alices).last == "may I?")
        try say("welcome back", alice, alices)
        try world.run(30)
        #expect(world.texts(bob, bobs).last == "welcome back")
        let seconds = try #require(second.store.conversations().first).id
        #expect(world.texts(second, seconds).suffix(2) == ["may I?", "welcome back"])
    }

    @Test func `Who blocked goes on by writing again, and hears what waited`() throws {
        try say("waiting", bob, bobs)
        try world.run(60)
        _ = try world.act(alice) {
            $0.blocked = []
            return try $0.open(with: bob.person.did, at: world.now)
        }
        try say("it was a mistake", alice, alices)
        try world.run(60)
        #expect(world.texts(bob, bobs).contains("it was a mistake"))
        #expect(world.texts(alice, alices).contains("waiting"))
        #expect(bob.store.conversations().count == 1)
        // Not left again a week later.
        for device in [alice, second, bob] { try world.disconnect(device) }
        try world.run(800_000)
        for device in [alice, second, bob] { try world.connect(device) }
        try world.run(60)
        try say("still here", bob, bobs)
        try world.run(30)
        #expect(world.texts(alice, alices).last == "still here")
    }
}
