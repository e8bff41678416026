import Encoding
import MLS

/// Kinds `tree-validation`, `tree-operations` and `treekem`.
enum MLSTrees {
    static func validation(_ vector: VectorReader) throws {
        let suite = try vector.suite()
        let unverified = try UnverifiedRatchetTree(decoding: vector.bytes("tree"))
        try expect(unverified.encoded, vector.bytes("tree"), "the tree's encoding")
        let tree = try unverified.verified(
            groupID: vector.bytes("group_id"),
            treeHash: nil,
            suite,
            UncheckedCredentials()
        )
        let nodes = tree.root.nodes(first: 0).sorted { $0.index < $1.index }
        let hashes = try vector.array("tree_hashes")
        let resolutions = try vector.array("resolutions")
        try expect(hashes.count <= nodes.count && resolutions.count <= nodes.count, "the number of nodes")
        for (at, hash) in hashes.enumerated() {
            try expect(nodes[at].tree.hash, VectorReader.bytes(hash), "the tree hash of node \(at)")
        }
        for (at, resolution) in resolutions.enumerated() {
            try expect(
                nodes[at].tree.resolution(first: nodes[at].first).map(Int64.init),
                (resolution.array ?? []).compactMap(\.int),
                "the resolution of node \(at)"
            )
        }
    }

    static func operations(_ vector: VectorReader) throws {
        let suite = try vector.suite()
        func tree(_ name: String) throws -> Subtree {
            try UnverifiedRatchetTree(decoding: vector.bytes(name)).hashed(suite)
        }
        let before = try tree("tree_before")
        try expect(before.hash, vector.bytes("tree_hash_before"), "tree_hash_before")
        let after = try ProposalEffect.apply(
            Proposal(wire: vector.bytes("proposal")),
            from: LeafIndex(rawValue: UInt32(vector.int("proposal_sender"))),
            to: before,
            suite
        )
        try expect(after.hash, vector.bytes("tree_hash_after"), "tree_hash_after")
        try expect(UnverifiedRatchetTree(after).encoded, vector.bytes("tree_after"), "tree_after")
    }

    static func treeKEM(_ vector: VectorReader) throws {
        let suite = try vector.suite()
        let groupID = try vector.bytes("group_id")
        // The leaves of some of these trees do not list the suite they are used with: keys and parent hashes are what is judged.
        let unverified = try UnverifiedRatchetTree(decoding: vector.bytes("ratchet_tree"))
        try unverified.verifyParents(suite)
        let root = unverified.hashed(suite)
        func context(_ root: Subtree) throws -> GroupContext {
            GroupContext(
                cipherSuite: suite.id,
                groupID: groupID,
                epoch: UInt64(try vector.int("epoch")),
                treeHash: root.hash,
                confirmedTranscriptHash: try vector.bytes("confirmed_transcript_hash"),
                extensions: []
            )
        }
        var members: [LeafIndex: (keys: TreePrivateKeys, signer: SignaturePrivateKey)] = [:]
        for leaf in try vector.readers("leaves_private") {
            let index = LeafIndex(rawValue: UInt32(try leaf.int("index")))
            var keys = TreePrivateKeys(leaf: try HPKEPrivateKey(suite.kem, leaf.secret("encryption_priv")))
            try expect(keys.leaf.publicKey, root.leaf(at: index)?.encryptionKey, "the key of leaf \(index.rawValue)")
            for path in try leaf.readers("path_secrets") {
                let level = TreeMath.level(UInt32(try path.int("node")))
                _ = try keys.insert(path.secret("path_secret"), from: level, [level], of: index, in: root, suite)
            }
            members[index] = (keys, try SignaturePrivateKey(suite.id, rawRepresentation: leaf.secret("signature_priv")))
        }

        for update in try vector.readers("update_paths") {
            let sender = LeafIndex(rawValue: UInt32(try update.int("sender")))
            let received = try ReceivedPath(
                UpdatePath(wire: update.bytes("update_path")),
                of: sender,
                in: root,
                suite
            )
            try received.checkCounts(excluding: [])
            try expect(received.root.hash, update.bytes("tree_hash_after"), "tree_hash_after")
            let secrets = try update.array("path_secrets")
            for (index, member) in members where index != sender {
                let opened = try received.open(index, member.keys, excluding: [], context(received.root), suite)
                try expect(opened.commitSecret, update.secret("commit_secret"), "the commit secret")
                let level = sender.commonLevel(with: index)
                var derived = member.keys
                let expected = Secret(try VectorReader.bytes(secrets[Int(index.rawValue)]))
                try expect(
                    derived.insert(expected, from: level, received.levels, of: index, in: received.root, suite),
                    opened.commitSecret,
                    "the commit secret from leaf \(index.rawValue)'s path secret"
                )
            }

            guard let own = members[sender], let leaf = root.leaf(at: sender) else { continue }
            var random = VectorRandom()
            let fresh = try FreshPath(
                sender,
                leaf.contents,
                in: root,
                groupID: groupID,
                signedBy: own.signer,
                suite,
                using: &random
            )
            let sealed = try fresh.sealed(
                sender,
                in: root,
                excluding: [],
                context(fresh.root),
                suite,
                using: &random
            )
            let back = try ReceivedPath(UpdatePath(wire: sealed.wire), of: sender, in: root, suite)
            try expect(back.root.hash, fresh.root.hash, "the tree hash of a fresh path")
            for (index, member) in members where index != sender {
                let opened = try back.open(index, member.keys, excluding: [], context(back.root), suite)
                try expect(opened.commitSecret, fresh.commitSecret, "the commit secret of a fresh path")
            }
        }
    }
}

extension Subtree {
    /// All nodes below with their numbers in the array and their first leaves.
    fileprivate func nodes(first: UInt32) -> [(index: UInt32, first: UInt32, tree: Subtree)] {
        let own = (index: 2 * first + (1 << UInt32(level)) - 1, first: first, tree: self)
        guard case .parent(_, let left, let right) = node else { return [own] }
        return left.nodes(first: first) + [own] + right.nodes(first: first + 1 << UInt32(left.level))
    }

    fileprivate func resolution(first: UInt32) -> [UInt32] {
        switch node {
        case .leaf(let leaf): leaf == nil ? [] : [2 * first]
        case .parent(let parent?, _, _):
            [2 * first + (1 << UInt32(level)) - 1] + parent.unmergedLeaves.map { 2 * $0.rawValue }
        case .parent(nil, let left, let right):
            left.resolution(first: first) + right.resolution(first: first + 1 << UInt32(left.level))
        }
    }
}
