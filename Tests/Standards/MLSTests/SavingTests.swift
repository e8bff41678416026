import MLS
import Support
import Testing

@Suite("Saved state")
struct SavingTests {
    private func restored(_ group: Group) throws -> Group {
        try Group(restoring: group.saved, validator: UncheckedCredentials())
    }

    @Test("a group that is saved, stopped and restored after every step goes on", arguments: [UInt64(1), 2])
    func everyStep(_ seed: UInt64) throws {
        var room = try Room(["alice", "bob", "carol", "dave"])
        var random = SeededRandom(seed: seed)
        for step in 0..<10 {
            let names = room.groups.filter { $0.value.status == .active }.keys.sorted()
            let actor = names.randomElement(using: &random)!
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                let update = try room.groups[actor]!.proposeUpdate(at: now, using: &room.random)
                try room.restart()
                try room.deliver(update, from: actor)
                try room.restart()
                let other = names.first { $0 != actor }!
                try room.commit(by: other)
            case 1: try room.add("joiner\(step)", by: actor)
            case 2 where names.count > 2:
                let victim = names.first { $0 != actor }!
                try room.commit(CommitOptions([.remove(room.groups[victim]!.ownLeaf)]), by: actor)
            default:
                let made = try room.groups[actor]!.commit(at: now, using: &room.random)
                try room.restart()
                #expect(room.groups[actor]!.hasPendingCommit)
                for name in names { try room.groups[name]!.process(made.commit, at: now) }
            }
            try room.restart()
            #expect(try room.agree(), "seed \(seed), step \(step)")
        }
    }

    @Test("keys of late messages, past epochs and resumption keys are saved too")
    func late() throws {
        var room = try Room(["alice", "bob"])
        let first = try room.groups["alice"]!.protect([1], using: &room.random)
        let second = try room.groups["alice"]!.protect([2], using: &room.random)
        try room.groups["bob"]!.process(second, at: now)
        let past = room.groups["bob"]!.epoch
        let key = room.groups["bob"]!.resumptionKey(of: past)
        try room.commit(by: "alice")
        room.groups["bob"] = try restored(room.groups["bob"]!)
        #expect(room.groups["bob"]!.resumptionKey(of: past) == key)
        guard case .application(let message) = try room.groups["bob"]!.process(first, at: now) else {
            Issue.record("not application data")
            return
        }
        #expect(message.data == [1])
        #expect(code { try room.groups["bob"]!.process(second, at: now) } == .secretConsumed)
    }

    @Test("a saved state that was cut or changed is refused or read, and never traps")
    func broken() throws {
        var room = try Room(["alice", "bob"])
        _ = try room.groups["alice"]!.commit(at: now, using: &room.random)
        let saved = room.groups["alice"]!.saved.bytes
        var random = SeededRandom(seed: 5)
        for count in stride(from: 0, to: saved.count, by: 41) {
            #expect(throws: MLSError.self) {
                try Group(restoring: Secret(saved[..<count]), validator: UncheckedCredentials())
            }
        }
        for _ in 0..<40 {
            var changed = saved
            changed[Int.random(in: changed.indices, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
            _ = try? Group(restoring: Secret(changed), validator: UncheckedCredentials())
        }
    }
}
