import Support
import Testing

@testable import MLS

/// Commits that no honest member makes, signed and framed as if one did.
@Suite("Rules of commits")
struct CommitRuleTests {
    private let alice = LeafIndex(rawValue: 0)
    private let bob = LeafIndex(rawValue: 1)
    private let carol = LeafIndex(rawValue: 2)

    /// A commit by alice of `proposals` whatever they are, its confirmation tag made up: rules are judged before it.
    private func rogue(
        _ room: Room,
        _ proposals: [Proposal],
        references: [[UInt8]] = [],
        path: UpdatePath? = nil,
        sender: Sender = .member(LeafIndex(rawValue: 0)),
        signer: SignaturePrivateKey? = nil
    ) throws -> MLSMessage {
        let group = room.groups["alice"]!
        let content = FramedContent(
            groupID: group.id,
            epoch: group.epoch,
            sender: sender,
            authenticatedData: [],
            body: .commit(
                Commit(items: proposals.map { .proposal($0) } + references.map { .reference($0) }, path: path)
            )
        )
        let signed = try AuthenticatedContent.signed(
            .publicMessage,
            content,
            by: signer ?? group.signer,
            group.context,
            group.suite
        ).with(confirmationTag: [UInt8](repeating: 0, count: 32))
        return MLSMessage(PublicMessage(signed, membershipKey: group.secrets.membershipKey, group.context, group.suite))
    }

    private func refusal(_ room: inout Room, _ message: MLSMessage) throws -> MLSError.Code? {
        let before = room.groups["bob"]!.saved.count
        // Proposals that wait are seen by who was there when they came.
        let observer = room.groups["bob"]!.queuedProposals.isEmpty ? try observer(of: room) : nil
        let result = code { try room.groups["bob"]!.process(MLSMessage(decoding: message.encoded), at: now) }
        #expect(room.groups["bob"]!.saved.count == before)
        if let observer { observe(observer, message, refusedByMember: result) }
        return result
    }

    /// Who only watches refuses what a member refuses, but for what only a member's secrets show.
    private func observe(_ observer: GroupObserver, _ message: MLSMessage, refusedByMember expected: MLSError.Code?) {
        let observed = code { try observer.observe(MLSMessage(decoding: message.encoded), at: now) }
        let needsSecrets = expected == .authentication || expected == .unknownPreSharedKey
        #expect(observed == expected || (needsSecrets && observed == nil))
    }

    private func observer(of room: Room) throws -> GroupObserver {
        guard case .groupInfo(let info) = try room.groups["bob"]!.groupInfo() else {
            throw MLSError(.usage, "no GroupInfo")
        }
        return try GroupObserver(info, validator: UncheckedCredentials())
    }

    private func refusal(_ room: inout Room, _ proposals: [Proposal], path: UpdatePath? = nil) throws -> MLSError.Code?
    {
        try refusal(&room, rogue(room, proposals, path: path))
    }

    private func leaf(_ room: inout Room, of name: String, _ source: LeafNode.Source = .update) throws -> LeafNode {
        let group = room.groups[name]!
        return try LeafNode(
            room.people[name]!.contents,
            encryptionKey: group.suite.kem.generateKeyPair(using: &room.random).publicKey,
            source: source,
            place: .init(groupID: group.id, index: group.ownLeaf),
            signedBy: group.signer,
            group.suite
        )
    }

    @Test("a list that breaks RFC 9420 §12.2 is refused")
    func lists() throws {
        var room = try Room(["alice", "bob", "carol"])
        let group = room.groups["alice"]!
        let psk = group.externalPreSharedKey([1], using: &room.random)
        let own = try leaf(&room, of: "alice")
        var dave = try Person("dave")
        let (one, two) = (try dave.bundle(), try dave.bundle())
        for (name, proposals, expected) in [
            ("own update", [.update(Unverified(own))], MLSError.Code.proposal),
            ("own removal", [.remove(alice)], .proposal),
            ("a leaf twice", [.remove(carol), .remove(carol)], .proposal),
            ("nobody's removal", [.remove(LeafIndex(rawValue: 3))], .proposal),
            ("removal far outside", [.remove(LeafIndex(rawValue: .max))], .proposal),
            ("a key twice", [psk, psk], .proposal),
            ("two contexts", [.groupContextExtensions([]), .groupContextExtensions([])], .proposal),
            ("reInit and more", [.reInit(ReInit(groupID: [1], cipherSuite: group.cipherSuite)), psk], .proposal),
            ("externalInit", [.externalInit(kemOutput: [1])], .proposal),
            ("an unknown type", [.custom(type: ProposalType(rawValue: 0xf001), contents: [])], .proposal),
            ("one client's key twice", [.add(one.keyPackage), .add(two.keyPackage)], .leafNode),
            ("one key package twice", [.add(one.keyPackage), .add(one.keyPackage)], .leafNode),
        ] as [(String, [Proposal], MLSError.Code)] {
            #expect(try refusal(&room, proposals) == expected, "\(name)")
        }
        #expect(try room.agree())
    }

    @Test("a pre-shared key that may not be named so is refused")
    func preSharedKeys() throws {
        var room = try Room(["alice", "bob"])
        let group = room.groups["alice"]!
        let nonce = [UInt8](repeating: 1, count: 32)
        for key in [
            PreSharedKeyID(.external([1]), nonce: [1]),
            PreSharedKeyID(.resumption(.reInit, groupID: group.id, epoch: 0), nonce: nonce),
            PreSharedKeyID(.resumption(.branch, groupID: group.id, epoch: 0), nonce: nonce),
        ] { #expect(try refusal(&room, [.preSharedKey(key)]) == .proposal) }
    }

    @Test("a key package that may not be added is refused")
    func adds() throws {
        var room = try Room(["alice", "bob"])
        var dave = try Person("dave")
        func add(_ bundle: KeyPackageBundle) throws -> MLSError.Code? {
            try refusal(&room, [.add(bundle.keyPackage)])
        }
        #expect(try add(dave.bundle(lifetime: Lifetime(notBefore: 0, notAfter: now - 1))) == .leafNode)
        #expect(try add(dave.bundle(lifetime: Lifetime(notBefore: now + 1, notAfter: .max))) == .leafNode)
        var other = try Person("other", .p256AES128)
        #expect(try add(other.bundle()) == .leafNode)
        dave.capabilities.credentials = [.x509]
        #expect(try add(dave.bundle()) == .leafNode)
        dave.capabilities = Capabilities(cipherSuites: [.p256AES128])
        #expect(try add(dave.bundle()) == .leafNode)
        dave.capabilities = Capabilities()
        dave.signer = room.people["bob"]!.signer
        #expect(try add(dave.bundle()) == .leafNode)
        // A signature that is not the holder's.
        let good = try Person("erin").contents
        var random = SeededRandom(seed: 3)
        let (a, b) = (
            try SignaturePrivateKey(.x25519AES128, using: &random),
            try SignaturePrivateKey(.x25519AES128, using: &random)
        )
        var bytes = try KeyPackageBundle(.x25519AES128, good, signer: a, lifetime: Lifetime(from: now), using: &random)
            .keyPackage.encoded
        bytes[bytes.count - 1] ^= 1
        #expect(try refusal(&room, [.add(try Unverified(decoding: bytes))]) == .signature)
        #expect(a.publicKey != b.publicKey)
    }

    @Test("what needs a path is refused without one")
    func missingPath() throws {
        var room = try Room(["alice", "bob", "carol"])
        for proposals in [[], [.remove(carol)], [.groupContextExtensions([])]] as [[Proposal]] {
            #expect(try refusal(&room, proposals) == .commit)
        }
    }

    @Test("an update of another's is judged like a member's leaf")
    func updates() throws {
        var room = try Room(["alice", "bob", "carol"])
        let group = room.groups["carol"]!
        let current = group.publicGroup.tree.root.leaf(at: carol)!
        let samekey = try LeafNode(
            room.people["carol"]!.contents,
            encryptionKey: current.encryptionKey,
            source: .update,
            place: .init(groupID: group.id, index: carol),
            signedBy: group.signer,
            group.suite
        )
        let elsewhere = try LeafNode(
            room.people["carol"]!.contents,
            encryptionKey: group.suite.kem.generateKeyPair(using: &room.random).publicKey,
            source: .update,
            place: .init(groupID: group.id, index: alice),
            signedBy: group.signer,
            group.suite
        )
        let committed = try leaf(&room, of: "carol", .commit(parentHash: []))
        for (leaf, expected) in [(samekey, MLSError.Code.leafNode), (elsewhere, .signature)] {
            let group = room.groups["carol"]!
            #expect(
                code {
                    try group.publicGroup.check(
                        .update(Unverified(leaf)),
                        from: .member(carol),
                        at: now,
                        group.validator
                    )
                } == expected
            )
        }
        // The source is judged when it is applied.
        let list = ProposalList(
            group: group.publicGroup,
            proposals: [
                QueuedProposal(proposal: .update(Unverified(committed)), sender: .member(carol), reference: [1])
            ],
            committer: alice,
            validator: UncheckedCredentials(),
            now: now
        )
        #expect(code { _ = try list.applied() } == .leafNode)
    }

    // MARK: Paths

    /// A good path of alice's in the present tree, and the context that it is sealed under.
    private func path(_ room: inout Room) throws -> (path: UpdatePath, fresh: FreshPath) {
        let group = room.groups["alice"]!
        let root = group.publicGroup.tree.root
        let fresh = try FreshPath(
            alice,
            room.people["alice"]!.contents,
            in: root,
            groupID: group.id,
            signedBy: group.signer,
            group.suite,
            using: &room.random
        )
        let context = try group.publicGroup.pathContext(fresh.root, group.extensions)
        let sealed = try fresh.sealed(alice, in: root, excluding: [], context, group.suite, using: &room.random)
        return (sealed, fresh)
    }

    @Test("a path that breaks RFC 9420 §12.4.2 is refused")
    func paths() throws {
        var room = try Room(["alice", "bob", "carol", "dave", "erin"])
        try room.commit(by: "erin")
        try room.commit(by: "bob")
        let (good, _) = try path(&room)
        // Only the confirmation tag is wrong with this one.
        #expect(try refusal(&room, [], path: good) == .authentication)
        let leaf = good.leafNode.value
        func with(_ nodes: [UpdatePath.Node], _ other: LeafNode? = nil) -> UpdatePath {
            UpdatePath(leafNode: other ?? leaf, nodes: nodes)
        }
        var nodes = good.nodes
        #expect(try refusal(&room, [], path: with(Array(nodes.dropLast()))) == .commit)
        #expect(try refusal(&room, [], path: with(nodes + [nodes[0]])) == .commit)
        nodes[1] = .init(encryptionKey: nodes[1].encryptionKey, secrets: Array(nodes[1].secrets.dropLast()))
        #expect(try refusal(&room, [], path: with(nodes)) == .commit)
        nodes = good.nodes
        nodes[0] = .init(encryptionKey: HPKEPublicKey([1, 2]), secrets: nodes[0].secrets)
        #expect(try refusal(&room, [], path: with(nodes)) == .commit)
        // Another key in the path: the leaf's parent hash is not of it.
        nodes = good.nodes
        nodes[1] = .init(encryptionKey: leaf.encryptionKey, secrets: nodes[1].secrets)
        #expect(try refusal(&room, [], path: with(nodes)) == .commit)
        let update = try self.leaf(&room, of: "alice")
        #expect(try refusal(&room, [], path: with(good.nodes, update)) == .leafNode)
        let unnamed = try self.leaf(&room, of: "alice", .commit(parentHash: []))
        #expect(try refusal(&room, [], path: with(good.nodes, unnamed)) == .commit)
    }

    @Test("a path's keys are new to the tree")
    func reusedKeys() throws {
        var room = try Room(["alice", "bob", "carol", "dave"])
        try room.commit(by: "dave")
        let group = room.groups["alice"]!
        let root = group.publicGroup.tree.root
        let levels = root.filteredPath(of: alice)
        for reused in [root.leaf(at: bob)!.encryptionKey, root.parentNode!.encryptionKey] {
            let other = try group.suite.kem.generateKeyPair(using: &room.random).publicKey
            let keys = [reused, other]
            let placed = PlacedPath(keys, levels, of: alice, in: root, group.suite)
            let leaf = try self.leaf(&room, of: "alice", .commit(parentHash: placed.leafParentHash))
            let (good, _) = try path(&room)
            let nodes = zip(keys, good.nodes).map { UpdatePath.Node(encryptionKey: $0, secrets: $1.secrets) }
            #expect(try refusal(&room, [], path: UpdatePath(leafNode: leaf, nodes: nodes)) == .tree)
        }
    }

    @Test("a commit names proposals that are known, and comes from one who may commit")
    func senders() throws {
        var room = try Room(["alice", "bob"])
        #expect(try refusal(&room, rogue(room, [], references: [[1, 2, 3]])) == .unknownProposal)
        #expect(try refusal(&room, rogue(room, [], sender: .member(LeafIndex(rawValue: 9)))) == .authentication)
        #expect(try refusal(&room, rogue(room, [], sender: .external(0))) == .malformed)
        #expect(try refusal(&room, rogue(room, [], sender: .newMemberProposal)) == .malformed)
        // Without a path there is no key to verify a new member's commit by.
        #expect(try refusal(&room, rogue(room, [.externalInit(kemOutput: [1])], sender: .newMemberCommit)) == .commit)
    }

    @Test("an external commit holds what RFC 9420 §12.2 lets it hold")
    func external() throws {
        var room = try Room(["alice", "bob", "carol"])
        let (path, _) = try path(&room)
        let group = room.groups["alice"]!
        let psk = group.externalPreSharedKey([1], using: &room.random)
        let proposal = Proposal.externalInit(kemOutput: [1])
        var dave = try Person("dave")
        let bundle = try dave.bundle()
        for (name, proposals, references) in [
            ("none", [psk], []), ("two", [proposal, proposal], []),
            ("two removals", [proposal, .remove(bob), .remove(carol)], []),
            ("an add", [proposal, .add(bundle.keyPackage)], []),
            ("a reInit", [proposal, .reInit(ReInit(groupID: [1], cipherSuite: group.cipherSuite))], []),
            ("a context", [proposal, .groupContextExtensions([])], []),
        ] as [(String, [Proposal], [[UInt8]])] {
            let message = try rogue(room, proposals, references: references, path: path, sender: .newMemberCommit)
            #expect(try refusal(&room, message) == .proposal, "\(name)")
        }
        let queued = try room.groups["carol"]!.propose(.remove(alice), at: now, using: &room.random)
        try room.groups["bob"]!.process(queued, at: now)
        let reference = room.groups["bob"]!.queuedProposals[0].reference
        let message = try rogue(room, [proposal], references: [reference], path: path, sender: .newMemberCommit)
        #expect(try refusal(&room, message) == .proposal)
    }

    @Test("messages of other groups and epochs, and application data in the clear, are refused")
    func framing() throws {
        var room = try Room(["alice", "bob"])
        let group = room.groups["alice"]!
        func message(_ groupID: [UInt8], _ epoch: UInt64, _ body: FramedContent.Body) throws -> MLSMessage {
            let content = FramedContent(
                groupID: groupID,
                epoch: epoch,
                sender: .member(alice),
                authenticatedData: [],
                body: body
            )
            let signed = try AuthenticatedContent.signed(
                .publicMessage,
                content,
                by: group.signer,
                group.context,
                group.suite
            )
            return MLSMessage(
                PublicMessage(signed, membershipKey: group.secrets.membershipKey, group.context, group.suite)
            )
        }
        let proposal = FramedContent.Body.proposal(.remove(bob))
        #expect(try refusal(&room, message([9], group.epoch, proposal)) == .wrongEpoch)
        #expect(try refusal(&room, message(group.id, group.epoch + 1, proposal)) == .wrongEpoch)
        #expect(try refusal(&room, message(group.id, group.epoch, .application([1]))) == .malformed)
        #expect(
            code { try room.groups["bob"]!.process(room.people["alice"]!.bundle().keyPackage.message, at: now) }
                == .usage
        )
    }

    @Test("what all members must understand, all do")
    func capabilities() throws {
        let custom = ExtensionType(rawValue: 0xf100)
        let proposal = ProposalType(rawValue: 0xf200)
        var room = try Room(["alice", "bob"])
        // Nobody lists it.
        #expect(
            code { try room.commit(CommitOptions([.groupContextExtensions([Extension(custom, [1])])]), by: "alice") }
                == .proposal
        )
        let required = Extension.requiredCapabilities(.init(extensions: [custom], proposals: [proposal]))
        #expect(
            code { try room.commit(CommitOptions([.groupContextExtensions([required])]), by: "alice") } == .leafNode
        )
        #expect(
            code { try room.commit(CommitOptions([.custom(type: proposal, contents: [7])]), by: "alice") } == .proposal
        )
        // Everybody does.
        for name in ["alice", "bob"] {
            room.people[name]!.capabilities = Capabilities(extensions: [custom], proposals: [proposal])
            var options = CommitOptions()
            options.contents = room.people[name]!.contents
            try room.commit(options, by: name)
        }
        try room.commit(CommitOptions([.groupContextExtensions([required, Extension(custom, [1])])]), by: "alice")
        #expect(room.groups["bob"]!.extensions[custom] == [1])
        let made = try room.commit(CommitOptions([.custom(type: proposal, contents: [7])]), by: "bob")
        #expect(made.summary.custom.first?.contents == [7])
        #expect(try room.agree())
        // One who does not cannot be added.
        #expect(code { try room.add("carol", by: "alice") } == .proposal)
    }

    @Test("meaningless values change nothing")
    func grease() throws {
        var room = try Room(["alice"])
        var random = SeededRandom(seed: 8)
        for name in ["bob", "carol"] {
            room.people[name] = try Person(name)
            room.people[name]!.capabilities = Capabilities().greased(using: &random)
            #expect(room.people[name]!.capabilities.cipherSuites.contains { GREASE.values.contains($0.rawValue) })
            try room.add(name, by: "alice")
        }
        #expect(try room.agree())
        #expect(
            GREASE.values.count == 15 && GREASE.values.allSatisfy { GREASE.contains($0) } && !GREASE.contains(0xfafa)
        )
    }
}
