import Support
import Testing

@testable import MLS

/// Accepts members by name, lets a name succeed itself, and admits it once.
private struct Names: CredentialValidator {
    var refused: Set<String> = []

    private func name(_ credential: Credential) -> String {
        if case .basic(let identity) = credential { String(decoding: identity, as: UTF8.self) } else { "" }
    }

    func accepts(_ credential: Credential, signatureKey: SignaturePublicKey, as role: CredentialRole) -> Bool {
        !refused.contains(name(credential))
    }

    func isSuccessor(_ new: Credential, of old: Credential) -> Bool { name(new) == name(old) }
    func client(of credential: Credential) -> [UInt8]? { Array(name(credential).utf8) }
}

@Suite("What the application decides")
struct ApplicationTests {
    private func group(_ person: inout Person, _ validator: some CredentialValidator) throws -> Group {
        try Group(
            creating: [1],
            person.suite,
            person.contents,
            signer: person.signer,
            validator: validator,
            at: now,
            using: &person.random
        )
    }

    @Test(
        "application data is framed in one buffer as it is in parts",
        arguments: [0, 1, 59, 63, 64, 16_383, 16_384, 70_000]
    )
    func oneBuffer(count: Int) throws {
        let room = try Room(["alice", "bob"])
        var alice = room.groups["alice"]!
        alice.configuration.paddingStep = 32
        let data = [UInt8](repeating: 9, count: count)
        var tree = alice.secretTree
        var (random, again) = (SeededRandom(seed: 7), SeededRandom(seed: 7))
        let content = FramedContent(
            groupID: alice.id,
            epoch: alice.epoch,
            sender: .member(alice.ownLeaf),
            authenticatedData: [1, 2, 3],
            body: .application(data)
        )
        let inParts = try PrivateMessage(
            AuthenticatedContent.signed(.privateMessage, content, by: alice.signer, alice.context, alice.suite),
            from: alice.ownLeaf,
            tree.next(.application, of: alice.ownLeaf, alice.suite),
            senderDataSecret: alice.secrets.senderData,
            padding: (32 - (count + 4) % 32) % 32,
            alice.suite,
            using: &random
        )
        let inOne = try alice.protect(data, authenticatedData: [1, 2, 3], using: &again)
        #expect(inOne.encoded == MLSMessage(inParts).encoded)
    }

    @Test("a credential that is refused cannot create, be added, propose from outside, or be joined with")
    func refused() throws {
        var (alice, mallory) = (try Person("alice"), try Person("mallory"))
        let strict = Names(refused: ["mallory"])
        #expect(code { _ = try group(&mallory, strict) } == .credential)
        var room = try group(&alice, strict)
        let bundle = try mallory.bundle()
        #expect(
            code { _ = try room.commit(CommitOptions([.add(bundle.keyPackage)]), at: now, using: &alice.random) }
                == .credential
        )
        #expect(
            code {
                _ = try Unverified<KeyPackage>(decoding: bundle.keyPackage.encoded).verified(at: now, by: strict)
            } == .credential
        )
        let sender = ExternalSender(signatureKey: mallory.signer.publicKey, credential: mallory.credential)
        let context = Proposal.groupContextExtensions([.externalSenders([sender])])
        #expect(code { _ = try room.commit(CommitOptions([context]), at: now, using: &alice.random) } == .credential)
        // A group that has such a member is not joined.
        var lax = try group(&alice, UncheckedCredentials())
        var bob = try Person("bob")
        let offer = try bob.bundle()
        let made = try lax.commit(
            CommitOptions([.add(bundle.keyPackage), .add(offer.keyPackage)]),
            at: now,
            using: &alice.random
        )
        #expect(code { _ = try Group(joining: made.welcome!, with: offer, validator: strict) } == .credential)
    }

    @Test("a client is a member once; its place may be taken in the commit that removes it")
    func client() throws {
        var (alice, bob) = (try Person("alice"), try Person("bob"))
        var room = try group(&alice, Names())
        _ = try room.commit(CommitOptions([.add(bob.bundle().keyPackage)]), at: now, using: &alice.random)
        try room.mergePendingCommit()
        bob.signer = try SignaturePrivateKey(.x25519AES128, using: &bob.random)
        let again = try bob.bundle()
        #expect(
            code { _ = try room.commit(CommitOptions([.add(again.keyPackage)]), at: now, using: &alice.random) }
                == .leafNode
        )
        let swap = CommitOptions([.add(again.keyPackage), .remove(LeafIndex(rawValue: 1))])
        _ = try room.commit(swap, at: now, using: &alice.random)
        try room.mergePendingCommit()
        #expect(room.memberCount == 2)
    }

    @Test("only a successor takes over a leaf, by update or by external commit")
    func successor() throws {
        var alice = try Person("alice")
        var room = try group(&alice, Names())
        var options = CommitOptions()
        options.contents = LeafNode.Contents(credential: .basic(identity: Array("mallory".utf8)))
        #expect(code { _ = try room.commit(options, at: now, using: &alice.random) } == .credential)
        let bob = try Person("bob")
        _ = try room.commit(CommitOptions([.add(bob.bundleOnce().keyPackage)]), at: now, using: &alice.random)
        try room.mergePendingCommit()
        guard case .groupInfo(let info) = try room.groupInfo() else { return }
        // Mallory says she was bob; her own program would let her, alice's does not.
        var mallory = try Person("mallory")
        let (_, commit) = try Group.joining(
            info,
            as: mallory.contents,
            signer: mallory.signer,
            replacing: { $0.credential == bob.credential },
            validator: UncheckedCredentials(),
            using: &mallory.random
        )
        #expect(code { try room.process(commit, at: now) } == .credential)
        #expect(
            code {
                _ = try Group.joining(
                    info,
                    as: mallory.contents,
                    signer: mallory.signer,
                    replacing: { $0.credential == bob.credential },
                    validator: Names(),
                    using: &mallory.random
                )
            } == .credential
        )
    }

    @Test(
        "credentials of all kinds travel",
        arguments: [
            Credential.basic(identity: [1, 2]), .x509(certificates: [[1], [2, 3]]),
            .application(type: CredentialType(rawValue: 0xf001), contents: [9]),
        ]
    )
    func credentials(_ credential: Credential) throws {
        #expect(try Credential(wire: credential.wire) == credential)
        var person = try Person("person")
        let capabilities = Capabilities(credentials: [.basic, .x509, CredentialType(rawValue: 0xf001)])
        person.capabilities = capabilities
        var room = try group(&person, UncheckedCredentials())
        var random = SeededRandom(seed: 4)
        let bundle = try KeyPackageBundle(
            .x25519AES128,
            LeafNode.Contents(
                credential: credential,
                capabilities: capabilities,
                extensions: [.applicationID([4, 5])]
            ),
            signer: SignaturePrivateKey(.x25519AES128, using: &random),
            lifetime: Lifetime(from: now),
            using: &random
        )
        let made = try room.commit(CommitOptions([.add(bundle.keyPackage)]), at: now, using: &random)
        try room.mergePendingCommit()
        let joined = try Group(joining: made.welcome!, with: bundle, validator: UncheckedCredentials())
        #expect(room.member(at: joined.ownLeaf)?.credential == credential)
        #expect(room.member(at: joined.ownLeaf)?.leafNode.extensions.applicationID == [4, 5])
    }

    @Test("a credential of a type that a member does not understand keeps its holder out")
    func notUnderstood() throws {
        var alice = try Person("alice")
        var room = try group(&alice, UncheckedCredentials())
        var bob = try Person("bob")
        bob.capabilities.credentials = [CredentialType(rawValue: 0xf001), .basic]
        let bundle = try KeyPackageBundle(
            .x25519AES128,
            LeafNode.Contents(
                credential: .application(type: CredentialType(rawValue: 0xf001), contents: []),
                capabilities: bob.capabilities
            ),
            signer: bob.signer,
            lifetime: Lifetime(from: now),
            using: &bob.random
        )
        #expect(
            code { _ = try room.commit(CommitOptions([.add(bundle.keyPackage)]), at: now, using: &alice.random) }
                == .leafNode
        )
    }

    @Test("an extension that is there twice is refused wherever it stands")
    func duplicates() throws {
        var alice = try Person("alice")
        let twice = Extensions([.applicationID([1]), .applicationID([2])])
        let contents = LeafNode.Contents(credential: alice.credential, extensions: twice)
        #expect(
            code {
                _ = try Group(
                    creating: [1],
                    .x25519AES128,
                    contents,
                    signer: alice.signer,
                    validator: UncheckedCredentials(),
                    at: now,
                    using: &alice.random
                )
            } == .leafNode
        )
        var room = try group(&alice, UncheckedCredentials())
        let context = Proposal.groupContextExtensions([.externalSenders([]), .externalSenders([])])
        #expect(code { _ = try room.commit(CommitOptions([context]), at: now, using: &alice.random) } == .proposal)
        let bundle = try KeyPackageBundle(
            .x25519AES128,
            try Person("bob").contents,
            signer: alice.signer,
            lifetime: Lifetime(from: now),
            extensions: twice,
            using: &alice.random
        )
        #expect(
            code { _ = try room.commit(CommitOptions([.add(bundle.keyPackage)]), at: now, using: &alice.random) }
                == .leafNode
        )
    }

    @Test("a GroupInfo that was changed anywhere is refused")
    func groupInfo() throws {
        var alice = try Person("alice")
        let room = try group(&alice, UncheckedCredentials())
        guard case .groupInfo(let info) = try room.groupInfo() else { return }
        let (bytes, bob) = (info.encoded, try Person("bob"))
        for at in stride(from: 0, to: bytes.count, by: 11) {
            var forged = bytes
            forged[at] ^= 1
            #expect(throws: MLSError.self) {
                _ = try Group.joining(
                    Unverified(decoding: forged),
                    as: bob.contents,
                    signer: bob.signer,
                    validator: UncheckedCredentials(),
                    using: &alice.random
                )
            }
        }
    }

    @Test("a path secret that does not give the tree's keys is refused")
    func pathSecret() throws {
        var room = try Room(["alice", "bob", "carol", "dave"])
        try room.commit(by: "alice")
        let group = room.groups["alice"]!
        var keys = group.keys
        let levels = group.publicGroup.tree.root.filteredPath(of: group.ownLeaf)
        #expect(
            code {
                _ = try keys.insert(
                    Secret([UInt8](repeating: 1, count: 32)),
                    from: 1,
                    levels,
                    of: group.ownLeaf,
                    in: group.publicGroup.tree.root,
                    group.suite
                )
            } == .tree
        )
    }

    @Test("one who was removed exports nothing")
    func removedExports() throws {
        var room = try Room(["alice", "bob"])
        try room.commit(CommitOptions([.remove(LeafIndex(rawValue: 1))]), by: "alice")
        let bob = room.groups["bob"]!
        #expect(code { _ = try bob.export(label: "a", count: 32) } == .inactive)
        #expect(bob.epochAuthenticator.isEmpty && bob.resumptionKey(of: bob.epoch) == nil)
        #expect(code { _ = try bob.groupInfo() } == .inactive)
        #expect(
            code { try Group(restoring: bob.saved, validator: UncheckedCredentials()).export(label: "a", count: 1) }
                == .inactive
        )
    }
}
