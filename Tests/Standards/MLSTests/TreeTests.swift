import Support
import Testing

@testable import MLS

@Suite("The ratchet tree")
struct TreeTests {
    private let suite = try! Suite(.x25519AES128)

    private func verify(_ root: Subtree, of group: Group) -> MLSError.Code? {
        code {
            _ = try UnverifiedRatchetTree(decoding: UnverifiedRatchetTree(root).encoded).verified(
                groupID: group.id,
                treeHash: nil,
                suite,
                UncheckedCredentials()
            )
        }
    }

    @Test("a tree with commits, removals and joins is verified again from its bytes", arguments: 1...2)
    func roundTrip(_ seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var room = try Room(["p0", "p1", "p2"])
        for step in 3..<20 {
            let active = room.groups.filter { $0.value.status == .active }.keys.sorted()
            let actor = active.randomElement(using: &random)!
            switch Int.random(in: 0..<5, using: &random) {
            case 0 where active.count > 2:
                let victim = active.first { $0 != actor }!
                try room.commit(CommitOptions([.remove(room.groups[victim]!.ownLeaf)]), by: actor)
                room.groups[victim] = nil
            case 1: try room.commit(by: actor)
            default:
                let bundle = try Person("p\(step)").bundleOnce()
                var options = CommitOptions([.add(bundle.keyPackage)])
                options.forcesPath = step.isMultiple(of: 2)
                let made = try room.commit(options, by: actor)
                room.groups["p\(step)"] = try Group(
                    joining: made.welcome!,
                    with: bundle,
                    validator: UncheckedCredentials()
                )
            }
            let group = room.groups[actor]!
            #expect(verify(group.publicGroup.tree.root, of: group) == nil)
            let again = try UnverifiedRatchetTree(decoding: group.ratchetTree.encoded)
            #expect(again.encoded == group.ratchetTree.encoded)
            #expect(again.hashed(suite).hash == group.context.treeHash)
        }
        #expect(try room.agree())
    }

    @Test("a node whose hash its child does not name is refused")
    func parentHash() throws {
        var room = try Room(["alice", "bob", "carol", "dave"])
        try room.commit(by: "bob")
        let group = room.groups["alice"]!
        guard case .parent(let parent?, let left, let right) = group.publicGroup.tree.root.node else {
            Issue.record("the root is blank")
            return
        }
        let key = HPKEPublicKey([UInt8](repeating: 7, count: 32))
        let other = ParentNode(encryptionKey: key, parentHash: parent.parentHash)
        #expect(verify(Subtree(other, left, right), of: group) == .tree)
        let named = ParentNode(encryptionKey: parent.encryptionKey, parentHash: [1])
        #expect(verify(Subtree(named, left, right), of: group) == .tree)
        #expect(verify(Subtree(parent, left, right), of: group) == nil)
        // A parent that nobody made.
        #expect(verify(Subtree(parent, right, left), of: group) != nil)
    }

    @Test("unmerged leaves ascend, lie below their node, are there, and are unmerged all the way")
    func unmerged() throws {
        var room = try Room(["alice", "bob", "carol", "dave"])
        try room.commit(by: "carol")
        let group = room.groups["alice"]!
        guard case .parent(let parent?, let left, let right) = group.publicGroup.tree.root.node else {
            Issue.record("the root is blank")
            return
        }
        for leaves in [[1, 0], [0, 0], [4], [2]] as [[UInt32]] {
            let changed = ParentNode(
                encryptionKey: parent.encryptionKey,
                parentHash: parent.parentHash,
                unmergedLeaves: leaves.map { LeafIndex(rawValue: $0) }
            )
            #expect(verify(Subtree(changed, left, right), of: group) == .tree)
        }
    }

    @Test("members' keys, and nodes' keys, are in the tree once")
    func uniqueKeys() throws {
        var (alice, bob) = (try Person("alice"), try Person("bob"))
        let leaf = try alice.bundle().keyPackage.leafNode
        let group = try alice.create()
        let twice = Subtree(nil, Subtree(leaf: leaf), Subtree(leaf: leaf))
        #expect(verify(twice, of: group) == .leafNode)
        bob.signer = alice.signer
        let sameSigner = Subtree(nil, Subtree(leaf: leaf), Subtree(leaf: try bob.bundle().keyPackage.leafNode))
        #expect(verify(sameSigner, of: group) == .leafNode)
    }

    @Test("a tree is no larger than it must be, ends with a member, and has each kind of node in its place")
    func shape() throws {
        var alice = try Person("alice")
        let leaf = try alice.bundle().keyPackage.leafNode
        let group = try alice.create()
        #expect(verify(Subtree(leaf: leaf), of: group) == nil)
        func encoding(_ body: (inout WireWriter) -> Void) -> [UInt8] {
            var writer = WireWriter()
            writer.nested { body(&$0) }
            return writer.bytes
        }
        func blank(_ writer: inout WireWriter) { writer.write(UInt8(0)) }
        func put(_ writer: inout WireWriter) {
            writer.write(UInt8(1))
            writer.write(UInt8(1))
            writer.write(leaf)
        }
        func decode(_ bytes: [UInt8]) -> MLSError.Code? { code { _ = try UnverifiedRatchetTree(decoding: bytes) } }
        #expect(decode(encoding { put(&$0) }) == nil)
        #expect(decode(encoding { _ in }) == .tree)
        for nodes in [[put, blank], [put, put], [blank, blank]] {
            #expect(decode(encoding { writer in for node in nodes { node(&writer) } }) == .tree)
        }
        #expect(decode([]) == .malformed)
        #expect(decode([0xc0]) == .malformed)
    }

    @Test("a leaf that is signed for another place or group is refused")
    func leafPlace() throws {
        var room = try Room(["alice", "bob"])
        try room.commit(by: "alice")
        try room.commit(by: "bob")
        let group = room.groups["alice"]!
        let result = code {
            _ = try group.ratchetTree.verified(groupID: [1], treeHash: nil, suite, UncheckedCredentials())
        }
        #expect(result == .signature)
        #expect(
            code {
                _ = try group.ratchetTree.verified(groupID: group.id, treeHash: [1], suite, UncheckedCredentials())
            } == .tree
        )
    }

    @Test("the tree hash is kept as the tree changes, and is what hashing all of it gives", arguments: [1, 2, 5, 13])
    func incremental(_ count: Int) throws {
        var random = SeededRandom(seed: UInt64(count))
        var group = ProvisionalGroup(
            root: Subtree(leaf: nil),
            changes: TreeIndex.Changes(TreeIndex()),
            extensions: [],
            requiresPath: false
        )
        var leaves: [LeafIndex: LeafNode] = [:]
        for step in 0..<count * 3 {
            if leaves.count < 2 || Bool.random(using: &random) {
                let leaf = try Person("m\(step)").bundleOnce().keyPackage.leafNode
                leaves[try group.occupy(leaf)] = leaf
            } else if let gone = leaves.keys.sorted().randomElement(using: &random) {
                leaves[gone] = nil
                group.root = group.root.replacing(gone, with: nil) { _, _ in nil }.truncated
            }
            group.root = group.root.hashed(first: 0, suite)
            let fresh = try UnverifiedRatchetTree(decoding: UnverifiedRatchetTree(group.root).encoded).hashed(suite)
            #expect(fresh.hash == group.root.hash)
            #expect(group.root.occupied == leaves.count && group.root.resolutionCount == leaves.count)
            #expect(leaves.allSatisfy { group.root.leaf(at: $0.key) == $0.value })
        }
    }

    @Test("numbers of nodes: levels, children, parents and siblings fit together")
    func math() {
        for leaves in [UInt32(1), 2, 4, 8, 64] {
            let root = TreeMath.root(leaves: leaves)
            #expect(TreeMath.parent(root, leaves: leaves) == nil)
            for node in 0..<TreeMath.nodeCount(leaves: leaves) where node != root {
                let parent = TreeMath.parent(node, leaves: leaves)!
                #expect(TreeMath.left(parent) == node || TreeMath.right(parent) == node)
                #expect(TreeMath.sibling(TreeMath.sibling(node, leaves: leaves)!, leaves: leaves) == node)
                #expect(TreeMath.level(parent) == TreeMath.level(node) + 1)
            }
        }
    }
}

extension Person {
    /// A bundle of a person who is not kept.
    func bundleOnce() throws -> KeyPackageBundle {
        var person = self
        return try person.bundle()
    }
}
