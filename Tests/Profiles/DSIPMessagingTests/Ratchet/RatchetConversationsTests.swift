import DSIPIdentity
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPMessaging

private let alice = RatchetWorld.person("alice")
private let bob = RatchetWorld.person("bob")

/// `DSIP_RUNS` runs from `DSIP_SEED` on.
private let seeds: [UInt64] = {
    let environment = ProcessInfo.processInfo.environment
    let first = environment["DSIP_SEED"].flatMap { UInt64($0) } ?? 1
    let runs = environment["DSIP_RUNS"].flatMap { UInt64($0) } ?? 2
    return (0..<max(1, runs)).map { first &+ $0 }
}()

@Suite("Ratchet conversations")
struct RatchetConversationsTests {
    @Test("two people who never met write to each other, and see ticks")
    func firstWords() throws {
        let world = RatchetWorld(seed: 1)
        let (a, b) = (try world.add("alice"), try world.add("bob"))
        let hello = try #require(world.say("hello", a, to: bob))
        world.settle()
        #expect(world.texts(b, with: alice) == ["hello"])
        #expect(world.lines(a, with: bob)[0].state == .delivered)
        world.say("hi", b, to: alice)
        world.about(b, alice) { try $0.read(through: hello, in: $1, at: world.now) }
        world.settle()
        #expect(world.texts(a, with: bob) == ["hello", "hi"])
        #expect(world.lines(a, with: bob)[0].state == .read)
        #expect(world.lines(b, with: alice)[0].state == .received)
    }

    @Test("what is said before the other has prekeys waits, over a restart, and arrives")
    func waits() throws {
        let world = RatchetWorld(seed: 2)
        let a = try world.add("alice")
        world.say("one", a, to: bob)
        world.say("two", a, to: bob)
        world.pass(60)
        world.restart(a)
        #expect(world.lines(a, with: bob).map(\.state) == [.pending, .pending])
        let b = try world.add("bob")
        world.pass(3600)
        world.settle()
        #expect(world.texts(b, with: alice).sorted() == ["one", "two"])
        #expect(world.lines(a, with: bob).allSatisfy { $0.state == .delivered })
    }

    @Test("both begin at once")
    func glare() throws {
        let world = RatchetWorld(seed: 3)
        let (a, b) = (try world.add("alice"), try world.add("bob"))
        world.say("from alice", a, to: bob)
        world.say("from bob", b, to: alice)
        world.settle()
        world.say("more", a, to: bob)
        world.settle()
        #expect(Set(world.texts(a, with: bob)) == ["from alice", "from bob", "more"])
        #expect(Set(world.texts(b, with: alice)) == ["from alice", "from bob", "more"])
    }

    @Test("several devices a person: all show what either says, edits included, and one that joins is found")
    func devices() throws {
        let world = RatchetWorld(seed: 4)
        let a = try world.add("alice", hasSiblings: true)
        let a2 = try world.add("alice", hasSiblings: true)
        let b = try world.add("bob", hasSiblings: true)
        let b2 = try world.add("bob", hasSiblings: true)
        let id = try #require(world.say("helo", a, to: bob))
        world.settle()
        world.say("yes?", b2, to: alice)
        world.settle()
        world.about(a, bob) { try $0.edit(id, in: $1, text: "hello", at: world.now) }
        world.settle()
        for (device, peer) in [(a, bob), (a2, bob), (b, alice), (b2, alice)] {
            #expect(Set(world.texts(device, with: peer)) == ["hello", "yes?"])
        }
        #expect(world.lines(a2, with: bob).filter(\.isMine).count == 1)

        let b3 = try world.add("bob", hasSiblings: true)
        world.pass(3700)
        world.say("first", a, to: bob)
        world.settle()
        world.say("second", a, to: bob)
        world.settle()
        #expect(world.texts(b3, with: alice).contains("second"))
    }

    @Test("a device that joins where no mailbox keeps anything is told the past by another one, and what was read")
    func past() throws {
        let world = RatchetWorld(seed: 41)
        let (a, b) = (try world.add("alice"), try world.add("bob"))
        for number in 0..<8 {
            world.now += 1
            world.say("\(number)", number % 3 == 0 ? b : a, to: number % 3 == 0 ? alice : bob)
            world.settle()
        }
        let lines = world.lines(b, with: alice)
        world.about(b, alice) { try $0.read(through: lines[3].id, in: $1, at: world.now) }
        world.about(a, bob) { try $0.react("👋", to: lines[0].id, in: $1, at: world.now) }
        world.settle()
        let late = try world.add("bob", hasSiblings: true)
        world.run(b) { try $0.expect(late.did, at: world.now) }
        world.settle()
        #expect(world.texts(late, with: alice) == world.texts(b, with: alice))
        #expect(world.lines(late, with: alice).map(\.isMine) == lines.map(\.isMine))
        #expect(world.lines(late, with: alice).first?.reactions.map(\.emoji) == ["👋"])
        let records = [b, late].map { device in device.mailStore.conversations().first { $0.peer == alice } }
        #expect(records[0]?.unread == records[1]?.unread && records[1]?.isRequest == false)
        // What is said to the device that Alice knows is handed on, and what this one says goes to all.
        world.say("after", a, to: bob)
        world.settle()
        world.say("from the new one", late, to: alice)
        world.settle()
        for device in [b, late] {
            #expect(world.texts(device, with: alice).suffix(2) == ["after", "from the new one"])
        }
        #expect(world.texts(a, with: bob).last == "from the new one")
        // Told twice, it is there once.
        world.work(b) { try $0.siblingCame(at: world.now) }
        world.settle()
        #expect(world.texts(late, with: alice).count == 10)
    }

    @Test(
        "an edit that comes before what it edits waits for it; only who said it edits, and nothing follows a retraction"
    )
    func edits() throws {
        let world = RatchetWorld(seed: 5)
        let (a, b) = (try world.add("alice"), try world.add("bob"))
        world.say("first", a, to: bob)
        world.settle()
        let id = try #require(world.say("teh", a, to: bob))
        world.about(a, bob) { try $0.edit(id, in: $1, text: "the", at: world.now) }
        // The last envelope first.
        let queue = try #require(world.queues[b.did])
        world.queues[b.did] = queue.reversed()
        for waiting in queue.reversed() {
            world.run(b) { try $0.received(waiting.message, from: waiting.from, at: world.now) }
        }
        #expect(world.texts(b, with: alice).last == "the")
        let (there, here) = (try #require(a.thread(with: bob)), try #require(b.thread(with: alice)))
        #expect(throws: MessagingError(.refused, "")) { try b.mail.retract(id, in: here, at: world.now) }
        world.about(a, bob) { try $0.retract(id, in: $1, at: world.now) }
        world.settle()
        #expect(world.texts(b, with: alice).last == "(retracted)")
        #expect(throws: MessagingError(.refused, "")) { try a.mail.edit(id, in: there, text: "x", at: world.now) }
    }

    @Test("whoever is written to over a ratchet hears that the identity has moved")
    func moving() throws {
        let world = RatchetWorld(seed: 12)
        let (hers, his) = (try world.add("alice"), try world.add("bob"))
        world.say("hello", hers, to: his.identity)
        world.settle()
        let (old, new) = (SigningKey(), SigningKey())
        let move = IdentityMove(
            id: ULID(milliseconds: 1, using: &world.random),
            old: old.did,
            new: new.did,
            issuedAt: world.now,
            expiresAt: world.now + 86_400
        )
        let statement = try MoveStatement(move, old: old, new: new)
        world.work(hers) { try $0.tell(statement, at: world.now) }
        world.settle()
        for device in [hers, his] {
            let kept = device.mailStore.rows(.setting, "moves")
            #expect(kept.map(\.key) == [hers.identity.string] && kept.first?.value == statement.json.utf8)
        }
    }

    @Test("typing is shown at once or never, and is in no outbox")
    func typing() throws {
        let world = RatchetWorld(seed: 6)
        let (a, b) = (try world.add("alice"), try world.add("bob"))
        world.say("hi", a, to: bob)
        world.settle()
        world.about(a, bob) { try $0.act(.typing, .active, in: $1, at: world.now) }
        #expect(a.store.rows(.outbox, "", after: nil, limit: 10).isEmpty)
        while world.deliverOne() {}
        let here = try #require(b.thread(with: alice))
        #expect(b.mail.activity(in: here) == [alice: [.typing]])
        world.about(a, bob) { try $0.act(.typing, .stopped, in: $1, at: world.now) }
        while world.deliverOne() {}
        #expect(b.mail.activity(in: here).isEmpty)
        // Too late, it tells nothing.
        world.pass(30)
        world.about(a, bob) { try $0.act(.typing, .active, in: $1, at: world.now) }
        world.now += 60
        while world.deliverOne() {}
        #expect(b.mail.activity(in: here).isEmpty)
    }

    @Test("a device put back to an old backup heals: what it could not open is sent again, and shown once")
    func heals() throws {
        let world = RatchetWorld(seed: 7)
        let (a, b) = (try world.add("alice"), try world.add("bob"))
        world.say("one", a, to: bob)
        world.settle()
        world.say("back", b, to: alice)
        world.settle()
        let backup = b.store.copy()
        for text in ["two", "three"] {
            world.say(text, a, to: bob)
            world.settle()
            world.say("re \(text)", b, to: alice)
            world.settle()
        }
        b.store = backup
        world.restart(b)
        world.say("four", a, to: bob)
        world.say("five", a, to: bob)
        world.settle()
        #expect(Set(world.texts(b, with: alice)).isSuperset(of: ["one", "back", "four", "five"]))
        #expect(world.texts(b, with: alice).filter { $0 == "four" }.count == 1)
        world.say("six", b, to: alice)
        world.settle()
        #expect(world.texts(a, with: bob).contains("six"))
    }

    @Test("a device that lost everything heals too")
    func lostEverything() throws {
        let world = RatchetWorld(seed: 8)
        let (a, b) = (try world.add("alice"), try world.add("bob"))
        world.say("one", a, to: bob)
        world.settle()
        world.say("back", b, to: alice)
        world.settle()
        (b.store, b.mailStore) = (MemoryRatchetStore(), MemoryMessengerStore())
        world.restart(b)
        world.say("two", a, to: bob)
        world.settle()
        #expect(world.texts(b, with: alice) == ["two"])
        #expect(world.lines(a, with: bob).allSatisfy { $0.state == .delivered || !$0.isMine })
    }

    @Test("an envelope that is delivered ten times is one line, acknowledged each time")
    func duplicates() throws {
        let world = RatchetWorld(seed: 9)
        let (a, b) = (try world.add("alice"), try world.add("bob"))
        world.say("once", a, to: bob)
        let waiting = try #require(world.queues[b.did]?.first)
        for _ in 0..<10 {
            world.run(b) { machine in
                let actions = try machine.received(waiting.message, from: alice, at: world.now)
                #expect(actions.contains(.acknowledge(waiting.message.head.id)))
                return actions
            }
        }
        #expect(world.texts(b, with: alice) == ["once"])
    }

    @Test("what is not for this device, or sealed by another, is acknowledged and brings nothing")
    func foreign() throws {
        let world = RatchetWorld(seed: 10)
        let (a, b) = (try world.add("alice"), try world.add("bob"))
        let eve = try world.add("eve")
        world.say("for bob", a, to: bob)
        var waiting = try #require(world.queues[b.did]?.first)
        #expect(try eve.machine.received(waiting.message, from: alice, at: world.now).count == 1)
        // Eve's envelope with Alice's ciphertext.
        waiting.message.head.from = eve.did
        _ = try b.machine.received(waiting.message, from: eve.identity, at: world.now)
        #expect(world.texts(b, with: eve.identity).isEmpty && world.texts(b, with: alice).isEmpty)
        #expect(b.store.rows(.failed, eve.identity.string, after: nil, limit: 1).isEmpty)
    }

    @Test("too much for somebody who cannot be written to is refused, and the rest is kept")
    func bounded() throws {
        let world = RatchetWorld(seed: 11)
        let a = try world.add("alice")
        let limit = a.configuration.limits.waiting
        func object(_ number: Int) -> JSONValue { ["object": "content", "text": .int(Int64(number))] }
        func item() -> ULID { ULID(milliseconds: UInt64(world.now) * 1000, using: &world.random) }
        for number in 0..<limit { _ = try a.machine.send(object(number), as: item(), to: bob, at: world.now) }
        #expect(throws: MessagingError(.refused, "")) {
            try a.machine.send(object(limit), as: item(), to: bob, at: world.now)
        }
        #expect(a.store.rows(.waiting, bob.string, after: nil, limit: limit + 1).count == limit)
    }

    @Test("prekeys are published, used once each, replenished, and replaced weekly")
    func prekeys() throws {
        let world = RatchetWorld(seed: 12)
        let b = try world.add("bob")
        #expect(world.shelves[bob]?.remaining(of: b.did) == 8)
        for number in 0..<12 {
            let stranger = try world.add("s\(number)")
            world.say("hi", stranger, to: bob)
            world.settle()
        }
        #expect((3...8).contains(world.shelves[bob]?.remaining(of: b.did) ?? 0))
        world.pass(8 * 86_400)
        #expect(world.shelves[bob]?.remaining(of: b.did) == 8)
        let late = try world.add("late")
        world.say("hi", late, to: bob)
        world.settle()
        #expect(world.texts(b, with: late.identity) == ["hi"])
    }

    @Test(
        "loss, reorder, duplicates and crashes at every commit: all devices end with the same, nothing undecryptable",
        arguments: seeds
    )
    func convergence(seed: UInt64) throws {
        let world = RatchetWorld(seed: seed &* 7919)
        let pair = [
            try world.add("alice", hasSiblings: true), try world.add("alice", hasSiblings: true),
            try world.add("bob", hasSiblings: true), try world.add("bob", hasSiblings: true),
        ]
        func peer(_ device: RatchetWorld.Device) -> DID { device.identity == alice ? bob : alice }
        world.settle()
        // Everybody has spoken once, so that every device knows every other.
        for device in pair {
            world.say("from \(device.did.string.suffix(4))", device, to: peer(device))
            world.settle()
        }
        (world.loss, world.crash) = (20, 15)
        var said: Set<ULID> = Set(world.lines(pair[0], with: bob).map(\.id))
        for step in 0..<80 {
            guard let device = pair.randomElement(using: &world.random) else { break }
            switch Int.random(in: 0..<10, using: &world.random) {
            case 0...2: if let id = world.say("\(step)", device, to: peer(device)) { said.insert(id) }
            case 3:
                if let line = world.lines(device, with: peer(device)).filter(\.isMine).randomElement(
                    using: &world.random
                ) {
                    world.about(device, peer(device)) {
                        try $0.edit(line.id, in: $1, text: "e\(step)", at: world.now)
                    }
                }
            case 4:
                if let line = world.lines(device, with: peer(device)).last(where: { !$0.isMine }) {
                    world.about(device, peer(device)) { try $0.read(through: line.id, in: $1, at: world.now) }
                }
            case 5: world.restart(device)
            case 6, 7: world.pass(Int64.random(in: 1...30, using: &world.random))
            default: for _ in 0..<6 { world.deliverOne() }
            }
        }
        world.settle()
        world.pass(40)
        world.settle()
        let expected = Dictionary(uniqueKeysWithValues: world.lines(pair[0], with: bob).map { ($0.id, $0) })
        #expect(said.isSubset(of: Set(expected.keys)), "seed \(seed)")
        for device in pair {
            #expect(device.mail.outbox.isEmpty, "seed \(seed)")
            let lines = world.lines(device, with: peer(device))
            #expect(Set(lines.map(\.id)) == Set(expected.keys), "seed \(seed)")
            for line in lines { #expect(line.text == expected[line.id]?.text, "seed \(seed)") }
            #expect(device.store.rows(.failed, peer(device).string, after: nil, limit: 1).isEmpty, "seed \(seed)")
            #expect(device.store.rows(.waiting, peer(device).string, after: nil, limit: 1).isEmpty, "seed \(seed)")
        }
        #expect(world.restarts > 5, "seed \(seed)")
    }
}
