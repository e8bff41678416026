import MLS
import Support
import Testing

@Suite("A group seen from outside")
struct ObserverTests {
    /// A room with somebody at the door, who sees what travels and is no member.
    private struct Watched {
        var room: Room
        var observer: GroupObserver

        init(_ names: [String]) throws {
            room = try Room([names[0]])
            for name in names { room.groups[name]?.configuration.encryptsHandshakes = false }
            observer = try Watched.observer(of: room.groups[names[0]]!)
            for name in names.dropFirst() { try add(name, by: names[0]) }
        }

        static func observer(of group: Group) throws -> GroupObserver {
            guard case .groupInfo(let info) = try group.groupInfo() else { throw MLSError(.usage, "no GroupInfo") }
            return try GroupObserver(info, validator: UncheckedCredentials())
        }

        mutating func add(_ name: String, by adder: String) throws {
            room.people[name] = try Person(name)
            let bundle = try room.people[name]!.bundle()
            let made = try commit(CommitOptions([.add(bundle.keyPackage)]), by: adder)
            room.groups[name] = try Group(joining: made.welcome!, with: bundle, validator: UncheckedCredentials())
            room.groups[name]!.configuration.encryptsHandshakes = false
        }

        @discardableResult
        mutating func commit(_ options: CommitOptions = CommitOptions(), by committer: String) throws -> CommitBundle {
            let made = try room.groups[committer]!.commit(options, at: now, using: &room.random)
            try observe(made.commit)
            try room.deliver(made.commit, from: committer)
            try room.groups[committer]!.mergePendingCommit()
            return made
        }

        @discardableResult
        mutating func observe(_ message: MLSMessage) throws -> Observed {
            let observed = try observer.observe(MLSMessage(decoding: message.encoded), at: now)
            switch observed {
            case .commit(let commit): try observer.enter(commit)
            case .proposal(let proposal): try observer.queue(proposal)
            }
            return observed
        }

        /// Whether the observer is where the members are.
        func agrees(with name: String) throws -> Bool {
            let group = room.groups[name]!
            guard case .groupInfo(let info) = try group.groupInfo() else { return false }
            try observer.check(info)
            return observer.context == group.context && observer.ratchetTree.encoded == group.ratchetTree.encoded
                && observer.memberCount == group.memberCount
        }
    }

    @Test("it follows adds, updates, removals and changes of the context, and is where the members are")
    func follows() throws {
        var watched = try Watched(["alice", "bob", "carol", "dave"])
        #expect(try watched.agrees(with: "alice"))
        let update = try watched.room.groups["bob"]!.proposeUpdate(at: now, using: &watched.room.random)
        try watched.observe(update)
        try watched.room.deliver(update, from: "bob")
        try watched.commit(by: "carol")
        #expect(try watched.agrees(with: "bob"))
        let dave = watched.room.groups["dave"]!.ownLeaf
        let removal = try watched.room.groups["alice"]!.commit(
            CommitOptions([.remove(dave)]),
            at: now,
            using: &watched.room.random
        )
        guard case .commit(let commit) = try watched.observe(removal.commit) else { throw MLSError(.usage, "") }
        #expect(commit.removed.map(\.index) == [dave])
        #expect(commit.removed.first?.credential == .basic(identity: Array("dave".utf8)))
        #expect(commit.committer.credential == .basic(identity: Array("alice".utf8)))
        #expect(!commit.isExternal && commit.added.isEmpty)
        try watched.room.deliver(removal.commit, from: "alice")
        try watched.room.groups["alice"]!.mergePendingCommit()
        #expect(try watched.agrees(with: "carol"))
    }

    @Test("it follows one who joins from outside, and comes back in its own place")
    func external() throws {
        var watched = try Watched(["alice", "bob"])
        guard case .groupInfo(let info) = try watched.room.groups["alice"]!.groupInfo() else { return }
        let bob = watched.room.people["bob"]!
        let (joined, message) = try Group.joining(
            info,
            as: bob.contents,
            signer: bob.signer,
            replacing: { $0.credential == bob.credential },
            validator: UncheckedCredentials(),
            using: &watched.room.random
        )
        guard case .commit(let commit) = try watched.observe(message) else { return }
        #expect(commit.isExternal && commit.previous == nil)
        #expect(commit.committer.index == joined.ownLeaf)
        #expect(commit.removed.map(\.credential) == [bob.credential])
        try watched.room.deliver(message, from: "bob")
        watched.room.groups["bob"] = joined
        #expect(try watched.agrees(with: "bob"))
    }

    @Test("saved and restored at every step, it goes on the same")
    func saving() throws {
        var watched = try Watched(["alice", "bob", "carol"])
        let update = try watched.room.groups["bob"]!.proposeUpdate(at: now, using: &watched.room.random)
        try watched.observe(update)
        try watched.room.deliver(update, from: "bob")
        watched.observer = try GroupObserver(restoring: watched.observer.saved, validator: UncheckedCredentials())
        try watched.commit(by: "alice")
        watched.observer = try GroupObserver(restoring: watched.observer.saved, validator: UncheckedCredentials())
        #expect(try watched.agrees(with: "carol"))
        for end in 0..<watched.observer.saved.count where end % 7 == 0 {
            #expect(throws: MLSError.self) {
                try GroupObserver(
                    restoring: Array(watched.observer.saved[..<end]),
                    validator: UncheckedCredentials()
                )
            }
        }
    }

    @Test("it refuses a forged signature, another epoch, private handshakes, and a GroupInfo of another state")
    func refusals() throws {
        var watched = try Watched(["alice", "bob"])
        let made = try watched.room.groups["alice"]!.commit(at: now, using: &watched.room.random)
        var bytes = made.commit.encoded
        bytes[bytes.count - 100] ^= 1
        let forged = bytes
        let observer = watched.observer
        #expect(throws: MLSError.self) { try observer.observe(MLSMessage(decoding: forged), at: now) }
        try watched.observe(made.commit)
        try watched.room.deliver(made.commit, from: "alice")
        let later = watched.observer
        #expect(code { try later.observe(made.commit, at: now) } == .wrongEpoch)
        guard case .groupInfo(let old) = try watched.room.groups["alice"]!.groupInfo() else { return }
        #expect(code { try later.check(old) } == .wrongEpoch)
        try watched.room.groups["alice"]!.mergePendingCommit()
        watched.room.groups["alice"]!.configuration.encryptsHandshakes = true
        let hidden = try watched.room.groups["alice"]!.commit(at: now, using: &watched.room.random)
        #expect(code { try later.observe(hidden.commit, at: now) } == .usage)
        let other = try Room(["alice", "bob"])
        guard case .groupInfo(let foreign) = try other.groups["alice"]!.groupInfo() else { return }
        #expect(throws: MLSError.self) { try later.check(foreign) }
    }
}
