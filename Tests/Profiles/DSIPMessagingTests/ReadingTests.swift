import DSIPIdentity
import Encoding
import Support
import Testing

@testable import DSIPMessaging
@testable import MessagingSimulation

/// How far an identity has read, the same on all its devices. M§10.3, M§10.5
@Suite struct ReadingTests {
    private typealias Device = SimulatedWorld.Device

    /// Alice, and two devices of Bob's that talk with her.
    ///
    /// - Parameter isSilent: whether Bob tells nobody else how far he has read.
    private func scene(
        seed: UInt64,
        isSilent: Bool = false
    ) throws -> (world: SimulatedWorld, alice: Device, bobs: [Device], thread: ULID) {
        let world = try SimulatedWorld(seed: seed)
        let people = ["alice", "bob"].map { world.person($0) }
        if isSilent { world.silentReaders.insert(people[1].did) }
        let alice = try world.device(people[0])
        let bobs = [try world.device(people[1]), try world.device(people[1])]
        try world.run(60)
        let thread = try world.act(alice) { try $0.open(with: people[1].did, at: world.now) }
        _ = try say("one", alice, thread, world)
        try world.run(60)
        return (world, alice, bobs, thread)
    }

    private func say(_ text: String, _ device: Device, _ thread: ULID, _ world: SimulatedWorld) throws -> ULID {
        try world.act(device) { try $0.send(MessageDraft(text: text), in: thread, at: world.time(of: device)) }
    }

    private func record(_ device: Device) throws -> ConversationRecord {
        try #require(device.store.conversations().first)
    }

    private func mark(_ milliseconds: UInt64, _ group: UInt64, _ seq: Int64, _ place: Int64) -> ReadMarks.Mark {
        var random = SeededRandom(seed: milliseconds)
        var groupRandom = SeededRandom(seed: group)
        return .init(
            message: ULID(milliseconds: milliseconds, using: &random),
            group: GroupID(ULID(milliseconds: group, using: &groupRandom)),
            seq: seq,
            order: GroupState.order(seq, at: place)
        )
    }

    @Test func `Marks in two groups come to the same, whichever of the groups stood last when they came`() throws {
        let (early, late) = (mark(1, 1, 9, 10), mark(2, 2, 3, 20))
        for order in [[early, late], [late, early]] {
            // Where the first group is still the last of the thread.
            var marks = ReadMarks()
            for var mark in order {
                if mark.group == early.group { mark.order = GroupState.order(9, at: GroupState.lastPlace) }
                let isFurther = marks.insert(mark)
                #expect(isFurther)
            }
            #expect(marks.highest?.message == early.message)
            // It has given its place to the second.
            for index in marks.marks.indices {
                marks.marks[index].order = marks.marks[index].message == early.message ? early.order : late.order
            }
            #expect(marks.highest?.message == late.message)
            #expect(ReadMarks(decoding: marks.encoded) == marks)
        }
    }

    @Test func `A mark that was written before there was one a group still counts`() {
        let known = mark(1, 1, 5, 10)
        var row = RowWriter()
        row.put("order", known.order)
        row.put("message", known.message)
        #expect(ReadMarks(decoding: row.bytes)?.order == known.order)
        #expect(ReadMarks(decoding: row.bytes)?.highest?.message == known.message)
    }

    @Test func `Of many marks the highest of each group stay`() {
        var marks = ReadMarks()
        _ = marks.insert(mark(1, 1, 1, 10))
        for seq in 2...40 { _ = marks.insert(mark(UInt64(seq), 2, Int64(seq), 20)) }
        let isFurther = marks.insert(mark(100, 2, 7, 20))
        #expect(!isFurther)
        #expect(marks.marks.count == ReadMarks.maximum)
        #expect(marks.marks.contains(mark(1, 1, 1, 10)))
        #expect(marks.highest == mark(40, 2, 40, 20))
    }

    @Test func `A mark in the personal group that comes before its line counts when the line comes`() throws {
        let (world, alice, bobs, thread) = try scene(seed: 31)
        try world.disconnect(bobs[1])
        let said = try say("two", alice, thread, world)
        try world.run(10)
        let (here, there) = (try record(bobs[0]), try record(bobs[1]))
        #expect(here.unread == 2)
        #expect(there.unread == 1)
        let personal = try #require(bobs[1].messenger.personal)
        try world.act(bobs[1]) { messenger in
            try messenger.turn(at: world.now) { messenger throws(MessagingError) in
                let carrier = messenger.groups[personal]?.conversation ?? there.id
                let receipt = Receipt(
                    id: messenger.newULID(),
                    conversation: messenger.current(there.id)?.conversation ?? there.id,
                    sender: messenger.identity,
                    sentAt: world.now,
                    .read(through: said)
                )
                let saying = Saying(
                    group: personal,
                    thread: carrier,
                    conversation: carrier,
                    order: 1,
                    seq: 99,
                    sender: messenger.identity,
                    device: bobs[0].key.did,
                    receivedAt: world.now,
                    blobs: [],
                    origin: .live,
                    payload: receipt.json
                )
                try messenger.apply(.receipt(receipt), saying)
            }.1
        }
        #expect(try record(bobs[1]).unread == 1)
        try world.connect(bobs[1])
        try world.run(10)
        #expect(world.texts(bobs[1], there.id) == ["one", "two"])
        #expect(try record(bobs[1]).unread == 0)
    }

    @Test func `What is read where nobody can be told yet is told when somebody can`() throws {
        let (world, _, bobs, _) = try scene(seed: 33, isSilent: true)
        let (here, there) = (try record(bobs[0]), try record(bobs[1]))
        #expect(here.unread == 1)
        #expect(there.unread == 1)
        let line = try #require(world.messages(bobs[0], here.id).last { $0.isContent })
        let personal = bobs[0].messenger.personal
        try world.act(bobs[0]) { messenger in
            messenger.personal = nil
            return try messenger.read(through: line.id, in: here.id, at: world.now)
        }
        #expect(try record(bobs[0]).unread == 0)
        try world.run(20)
        #expect(try record(bobs[1]).unread == 1)
        try world.act(bobs[0]) { messenger in
            messenger.personal = personal
            return try messenger.turn(at: world.now) { messenger throws(MessagingError) in try messenger.tellAllRead() }
                .1
        }
        try world.run(20)
        #expect(try record(bobs[1]).unread == 0)
    }

    @Test func `Whoever reads up to what waits to leave has read what stands before it, and all devices know`() throws {
        let (world, _, bobs, _) = try scene(seed: 32)
        let here = try record(bobs[0])
        #expect(here.unread == 1)
        try world.disconnect(bobs[0])
        let answer = try say("an answer", bobs[0], here.id, world)
        try world.act(bobs[0]) { try $0.read(through: answer, in: here.id, at: world.now) }
        #expect(try record(bobs[0]).unread == 0)
        try world.connect(bobs[0])
        try world.run(20)
        #expect(try record(bobs[1]).unread == 0)
    }
}
