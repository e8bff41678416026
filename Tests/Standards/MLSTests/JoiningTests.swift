import MLS
import Support
import Testing

@Suite("Joining")
struct JoiningTests {
    private func info(_ message: MLSMessage) throws -> Unverified<GroupInfo> {
        guard case .groupInfo(let info) = try MLSMessage(decoding: message.encoded) else {
            throw MLSError(.malformed, "no GroupInfo")
        }
        return info
    }

    @Test("one joins by external commit, and comes back by another that removes its old self")
    func external() throws {
        var room = try Room(["alice", "bob", "carol"])
        room.people["dave"] = try Person("dave")
        let person = room.people["dave"]!
        for round in 0..<3 {
            let (group, commit) = try Group.joining(
                info(room.groups["bob"]!.groupInfo()),
                as: person.contents,
                signer: person.signer,
                replacing: { $0.credential == person.credential },
                validator: UncheckedCredentials(),
                using: &room.random
            )
            room.groups["dave"] = nil
            try room.deliver(commit, from: "dave")
            room.groups["dave"] = group
            #expect(try room.agree())
            #expect(group.memberCount == 4)
            try room.commit(by: round == 0 ? "dave" : "alice")
            #expect(try room.agree())
        }
    }

    @Test("an external commit needs the external key")
    func noExternalKey() throws {
        var room = try Room(["alice", "bob"])
        let dave = try Person("dave")
        #expect(
            code {
                _ = try Group.joining(
                    info(room.groups["bob"]!.groupInfo(includesExternalPub: false)),
                    as: dave.contents,
                    signer: dave.signer,
                    validator: UncheckedCredentials(),
                    using: &room.random
                )
            } == .join
        )
    }

    @Test("the tree may come from elsewhere, but must be the one that is meant")
    func treeElsewhere() throws {
        var room = try Room(["alice", "bob"])
        var carol = try Person("carol")
        let bundle = try carol.bundle()
        var options = CommitOptions([.add(bundle.keyPackage)])
        options.includesRatchetTree = false
        let old = room.groups["alice"]!.ratchetTree
        let made = try room.commit(options, by: "alice")
        let welcome = made.welcome!
        func join(_ tree: UnverifiedRatchetTree?) throws -> Group {
            try Group(joining: welcome, with: bundle, ratchetTree: tree, validator: UncheckedCredentials())
        }
        #expect(code { _ = try join(nil) } == .join)
        #expect(code { _ = try join(old) } == .tree)
        let tree = try UnverifiedRatchetTree(decoding: room.groups["bob"]!.ratchetTree.encoded)
        room.groups["carol"] = try join(tree)
        #expect(try room.agree())
    }

    @Test("a Welcome is for those whom it names")
    func otherWelcome() throws {
        var room = try Room(["alice"])
        var bob = try Person("bob")
        let bundle = try bob.bundle()
        let made = try room.commit(CommitOptions([.add(bundle.keyPackage)]), by: "alice")
        let other = try bob.bundle()
        #expect(!made.welcome!.isFor(other.keyPackage))
        #expect(code { _ = try Group(joining: made.welcome!, with: other, validator: UncheckedCredentials()) } == .join)
    }

    @Test("a key package is saved and joins after a restart")
    func savedBundle() throws {
        var room = try Room(["alice"])
        var bob = try Person("bob")
        let bundle = try KeyPackageBundle(restoring: bob.bundle().saved)
        let made = try room.commit(CommitOptions([.add(bundle.keyPackage)]), by: "alice")
        room.groups["bob"] = try Group(joining: made.welcome!, with: bundle, validator: UncheckedCredentials())
        #expect(try room.agree())
    }

    @Test("external senders and joiners propose; members judge")
    func externalProposals() throws {
        let server = try Person("server")
        let sender = ExternalSender(signatureKey: server.signer.publicKey, credential: server.credential)
        var room = try Room(["alice", "bob", "carol"], extensions: [.externalSenders([sender])])
        let context = room.groups["alice"]!.context
        let removal = try ExternalProposal.message(
            .remove(LeafIndex(rawValue: 2)),
            to: context,
            as: 0,
            signedBy: server.signer
        )
        try room.deliver(removal, from: "server")
        var dave = try Person("dave")
        let bundle = try dave.bundle()
        try room.deliver(ExternalProposal.add(bundle, toGroup: context.groupID, epoch: context.epoch), from: "dave")
        let made = try room.commit(by: "bob")
        room.groups["dave"] = try Group(joining: made.welcome!, with: bundle, validator: UncheckedCredentials())
        #expect(made.summary.removed.count == 1 && made.summary.added.count == 1)
        #expect(try room.agree())

        let present = room.groups["alice"]!.context
        let stranger = try Person("stranger")
        for (proposal, index, signer, expected) in [
            (Proposal.remove(LeafIndex(rawValue: 1)), UInt32(0), stranger.signer, MLSError.Code.signature),
            (.remove(LeafIndex(rawValue: 1)), 1, server.signer, .authentication),
            (.externalInit(kemOutput: [1]), 0, server.signer, .proposal),
        ] {
            let message = try ExternalProposal.message(proposal, to: present, as: index, signedBy: signer)
            #expect(code { try room.groups["alice"]!.process(message, at: now) } == expected)
        }
    }

    @Test("external keys join the schedule, and all must hold them")
    func preSharedKeys() throws {
        var room = try Room(["alice", "bob", "carol"])
        let id = Array("shared".utf8)
        for name in ["alice", "bob"] { room.groups[name]!.preSharedKeys[external: id] = Secret([1, 2, 3]) }
        let proposal = room.groups["alice"]!.externalPreSharedKey(id, using: &room.random)
        var options = CommitOptions([proposal])
        options.forcesPath = false
        let made = try room.groups["alice"]!.commit(options, at: now, using: &room.random)
        #expect(code { try room.groups["carol"]!.process(made.commit, at: now) } == .unknownPreSharedKey)
        room.groups["carol"]!.preSharedKeys[external: id] = Secret([9])
        #expect(code { try room.groups["carol"]!.process(made.commit, at: now) } == .authentication)
        room.groups["carol"]!.preSharedKeys[external: id] = Secret([1, 2, 3])
        for name in ["alice", "bob", "carol"] { try room.groups[name]!.process(made.commit, at: now) }
        #expect(try room.agree())

        // A joiner needs it too.
        var dave = try Person("dave")
        let bundle = try dave.bundle()
        let add = try room.commit(
            CommitOptions([
                .add(bundle.keyPackage), room.groups["bob"]!.externalPreSharedKey(id, using: &room.random),
            ]),
            by: "bob"
        )
        #expect(
            code { _ = try Group(joining: add.welcome!, with: bundle, validator: UncheckedCredentials()) }
                == .unknownPreSharedKey
        )
        var keys = PreSharedKeys()
        keys[external: id] = Secret([1, 2, 3])
        room.groups["dave"] = try Group(
            joining: add.welcome!,
            with: bundle,
            preSharedKeys: keys,
            validator: UncheckedCredentials()
        )
        #expect(try room.agree())
    }

    @Test("a past epoch's key joins the schedule; one who was not there cannot follow")
    func resumption() throws {
        var room = try Room(["alice", "bob"])
        let past = room.groups["alice"]!.epoch
        try room.add("carol", by: "alice")
        let proposal = room.groups["alice"]!.resumptionPreSharedKey(
            of: room.groups["alice"]!.id,
            epoch: past,
            using: &room.random
        )
        let made = try room.groups["alice"]!.commit(CommitOptions([proposal]), at: now, using: &room.random)
        #expect(code { try room.groups["carol"]!.process(made.commit, at: now) } == .unknownPreSharedKey)
        for name in ["alice", "bob"] { try room.groups[name]!.process(made.commit, at: now) }
        room.groups["carol"] = nil
        #expect(try room.agree())
    }

    @Test("a group is re-initialised with another suite, and its successor is bound to it")
    func reInit() throws {
        var room = try Room(["alice", "bob"])
        let reInit = ReInit(groupID: Array("next".utf8), cipherSuite: .p256AES128)
        try room.commit(CommitOptions([.reInit(reInit)]), by: "alice")
        for name in ["alice", "bob"] { #expect(room.groups[name]!.status == .reInitialised(reInit)) }
        #expect(code { _ = try room.groups["bob"]!.protect([1], using: &room.random) } == .inactive)
        #expect(code { _ = try room.groups["bob"]!.commit(at: now, using: &room.random) } == .inactive)
        var alice = try Person("alice", .p256AES128)
        var bob = try Person("bob", .p256AES128)
        let bundle = try bob.bundle()
        let (next, welcome) = try room.groups["alice"]!.successor(
            adding: [bundle.keyPackage],
            alice.contents,
            signer: alice.signer,
            validator: UncheckedCredentials(),
            at: now,
            using: &alice.random
        )
        #expect(
            code { _ = try Group(joining: welcome!, with: bundle, validator: UncheckedCredentials()) }
                == .unknownPreSharedKey
        )
        let joined = try Group(
            joining: welcome!,
            with: bundle,
            predecessor: room.groups["bob"]!,
            validator: UncheckedCredentials()
        )
        #expect(joined.epochAuthenticator == next.epochAuthenticator)
        #expect(joined.cipherSuite == .p256AES128 && joined.epoch == 1)
    }

    @Test("a branch is bound to its group and has only its members")
    func branch() throws {
        var room = try Room(["alice", "bob", "carol"])
        let bundle = try room.people["bob"]!.bundle()
        let (branch, welcome) = try room.groups["alice"]!.branch(
            Array("branch".utf8),
            adding: [bundle.keyPackage],
            at: now,
            using: &room.random
        )
        let joined = try Group(
            joining: welcome!,
            with: bundle,
            predecessor: room.groups["bob"]!,
            validator: UncheckedCredentials()
        )
        #expect(joined.epochAuthenticator == branch.epochAuthenticator)
        #expect(try room.agree())

        var stranger = try Person("stranger")
        let strange = try stranger.bundle()
        let (_, bad) = try room.groups["alice"]!.branch(
            Array("bad".utf8),
            adding: [strange.keyPackage, bundle.keyPackage],
            at: now,
            using: &room.random
        )
        #expect(
            code {
                _ = try Group(
                    joining: bad!,
                    with: bundle,
                    predecessor: room.groups["bob"]!,
                    validator: UncheckedCredentials()
                )
            } == .join
        )
    }
}
