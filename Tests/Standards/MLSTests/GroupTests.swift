import MLS
import Support
import Testing

@Suite("A group")
struct GroupTests {
    @Test("people who are added one by one agree and read each other", arguments: CipherSuite.supported)
    func lifecycle(_ suite: CipherSuite) throws {
        var room = try Room(["alice", "bob", "carol", "dave", "erin"], suite)
        #expect(try room.agree())
        try room.commit(by: "carol")
        #expect(try room.agree())
        try room.commit(CommitOptions([.remove(room.groups["bob"]!.ownLeaf)]), by: "erin")
        #expect(room.groups["bob"]!.status == .removed)
        #expect(try room.agree())
        try room.add("frank", by: "dave")
        #expect(room.groups["frank"]!.ownLeaf == LeafIndex(rawValue: 1))
        #expect(try room.agree())
    }

    @Test("many are added by one commit, with and without a path")
    func batch() throws {
        for forcesPath in [true, false] {
            var room = try Room(["alice", "bob"])
            var bundles: [String: KeyPackageBundle] = [:]
            for index in 0..<12 {
                let name = "person\(index)"
                room.people[name] = try Person(name)
                bundles[name] = try room.people[name]!.bundle()
            }
            var options = CommitOptions(bundles.values.map { .add($0.keyPackage) })
            options.forcesPath = forcesPath
            let made = try room.commit(options, by: "bob")
            for (name, bundle) in bundles {
                #expect(made.welcome!.isFor(bundle.keyPackage))
                room.groups[name] = try Group(joining: made.welcome!, with: bundle, validator: UncheckedCredentials())
            }
            #expect(try room.agree())
            #expect(room.groups["alice"]!.memberCount == 14)
            try room.commit(by: "person3")
            try room.commit(by: "person11")
            #expect(try room.agree())
        }
    }

    @Test("proposals wait, and a commit names them")
    func proposals() throws {
        var room = try Room(["alice", "bob", "carol", "dave"])
        let message = try room.groups["bob"]!.proposeUpdate(at: now, using: &room.random)
        try room.deliver(message, from: "bob")
        try room.propose(.remove(room.groups["dave"]!.ownLeaf), by: "carol")
        #expect(code { _ = try room.groups["alice"]!.protect([1], using: &room.random) } == .usage)
        let made = try room.commit(by: "alice")
        #expect(made.summary.removed == [LeafIndex(rawValue: 3)])
        #expect(made.summary.updated == [LeafIndex(rawValue: 1)])
        #expect(try room.agree())
    }

    @Test("handshakes may travel in the clear")
    func publicHandshakes() throws {
        var room = try Room(["alice", "bob", "carol"])
        for name in room.groups.keys { room.groups[name]!.configuration.encryptsHandshakes = false }
        try room.propose(.remove(room.groups["carol"]!.ownLeaf), by: "bob")
        try room.commit(by: "alice")
        #expect(try room.agree())
        #expect(room.groups["carol"]!.status == .removed)
    }

    @Test("a committer may change its signature key, its credential and its capabilities")
    func newSigner() throws {
        var room = try Room(["alice", "bob"])
        var options = CommitOptions()
        options.signer = try SignaturePrivateKey(.x25519AES128, using: &room.random)
        options.contents = LeafNode.Contents(credential: .basic(identity: Array("alice 2".utf8)))
        try room.commit(options, by: "alice")
        #expect(try room.agree())
        #expect(
            room.groups["bob"]!.member(at: LeafIndex(rawValue: 0))?.credential
                == .basic(identity: Array("alice 2".utf8))
        )
        let update = try room.groups["bob"]!.proposeUpdate(
            signer: SignaturePrivateKey(.x25519AES128, using: &room.random),
            at: now,
            using: &room.random
        )
        try room.deliver(update, from: "bob")
        try room.commit(by: "alice")
        #expect(try room.agree())
    }

    @Test("of two commits at once, the one that is delivered first counts")
    func race() throws {
        var room = try Room(["alice", "bob", "carol"])
        let first = try room.groups["alice"]!.commit(at: now, using: &room.random)
        let second = try room.groups["bob"]!.commit(at: now, using: &room.random)
        for name in ["alice", "bob", "carol"] { try room.groups[name]!.process(second.commit, at: now) }
        #expect(!room.groups["alice"]!.hasPendingCommit)
        #expect(code { try room.groups["carol"]!.process(first.commit, at: now) } == .wrongEpoch)
        #expect(try room.agree())
    }

    @Test("messages come late, out of order, and once")
    func order() throws {
        var room = try Room(["alice", "bob"])
        var messages: [MLSMessage] = []
        for index in 0..<6 { messages.append(try room.groups["alice"]!.protect([UInt8(index)], using: &room.random)) }
        for index in [4, 0, 5, 2] {
            guard case .application(let received) = try room.groups["bob"]!.process(messages[index], at: now) else {
                Issue.record("not application data")
                continue
            }
            #expect(received.data == [UInt8(index)])
        }
        #expect(code { try room.groups["bob"]!.process(messages[4], at: now) } == .secretConsumed)
        try room.commit(by: "alice")
        try room.commit(by: "bob")
        guard case .application(let late) = try room.groups["bob"]!.process(messages[3], at: now) else {
            Issue.record("not application data")
            return
        }
        #expect(late.data == [3] && late.epoch + 2 == room.groups["bob"]!.epoch)
        for _ in 0..<5 { try room.commit(by: "alice") }
        #expect(code { try room.groups["bob"]!.process(messages[1], at: now) } == .wrongEpoch)
    }

    @Test("padding hides the length")
    func padding() throws {
        var room = try Room(["alice", "bob"])
        room.groups["alice"]!.configuration.paddingStep = 256
        let short = try room.groups["alice"]!.protect([1], using: &room.random)
        let long = try room.groups["alice"]!.protect([UInt8](repeating: 7, count: 180), using: &room.random)
        #expect(abs(short.encoded.count - long.encoded.count) <= 2)
        #expect(try room.agree())
    }

    @Test("a group of one commits, and one that shrinks to one goes on")
    func one() throws {
        var room = try Room(["alice"])
        try room.commit(by: "alice")
        try room.add("bob", by: "alice")
        try room.commit(CommitOptions([.remove(LeafIndex(rawValue: 1))]), by: "alice")
        #expect(room.groups["alice"]!.memberCount == 1)
        try room.commit(by: "alice")
        try room.add("carol", by: "alice")
        #expect(try room.agree())
    }

    @Test("a message that was changed anywhere is refused and changes nothing")
    func forged() throws {
        var room = try Room(["alice", "bob"])
        let message = try room.groups["alice"]!.protect(Array("hello".utf8), using: &room.random)
        let before = room.groups["bob"]!
        let bytes = message.encoded
        for at in stride(from: 0, to: bytes.count, by: 2) {
            var forged = bytes
            forged[at] ^= 0x40
            #expect(throws: MLSError.self) { try room.groups["bob"]!.process(MLSMessage(decoding: forged), at: now) }
        }
        #expect(room.groups["bob"]!.epochAuthenticator == before.epochAuthenticator)
        guard case .application = try room.groups["bob"]!.process(message, at: now) else {
            Issue.record("the true message is not read any more")
            return
        }
    }

    @Test("a commit that was changed anywhere is refused and changes nothing")
    func forgedCommit() throws {
        var room = try Room(["alice", "bob", "carol"])
        room.groups["alice"]!.configuration.encryptsHandshakes = false
        let made = try room.groups["alice"]!.commit(at: now, using: &room.random)
        let bytes = made.commit.encoded
        for at in stride(from: 0, to: bytes.count, by: 5) {
            var forged = bytes
            forged[at] ^= 1
            #expect(throws: MLSError.self) { try room.groups["bob"]!.process(MLSMessage(decoding: forged), at: now) }
        }
        for name in ["alice", "bob", "carol"] { try room.groups[name]!.process(made.commit, at: now) }
        #expect(try room.agree())
    }

    @Test("the application may refuse a proposal or a commit")
    func policy() throws {
        var room = try Room(["alice", "bob"])
        let proposal = try room.groups["alice"]!.propose(
            .remove(LeafIndex(rawValue: 1)),
            at: now,
            using: &room.random
        )
        #expect(
            code { try room.groups["bob"]!.process(proposal, at: now, accept: { $0.type != .remove }) } == .proposal
        )
        room.groups["alice"]!.clearQueuedProposals()
        let made = try room.groups["alice"]!.commit(at: now, using: &room.random)
        #expect(code { try room.groups["bob"]!.process(made.commit, at: now, review: { _ in false }) } == .commit)
        try room.groups["bob"]!.process(made.commit, at: now)
    }

    @Test("exported secrets differ by label, context and epoch")
    func exporter() throws {
        var room = try Room(["alice", "bob"])
        let group = room.groups["alice"]!
        let one = try group.export(label: "a", context: [1], count: 32)
        #expect(try one == room.groups["bob"]!.export(label: "a", context: [1], count: 32))
        #expect(try one != group.export(label: "b", context: [1], count: 32))
        #expect(try one != group.export(label: "a", context: [2], count: 32))
        try room.commit(by: "bob")
        #expect(try one != room.groups["alice"]!.export(label: "a", context: [1], count: 32))
        #expect(code { _ = try group.export(label: "a", count: 9000) } == .usage)
    }
}
