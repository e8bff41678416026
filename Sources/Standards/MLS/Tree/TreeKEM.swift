/// The private keys a member knows: its leaf's, and those of nodes above it, by level (RFC 9420 §4.2).
package struct TreePrivateKeys: Sendable {
    package var leaf: HPKEPrivateKey
    package var parents: [Int: HPKEPrivateKey] = [:]

    package init(leaf: HPKEPrivateKey) { self.leaf = leaf }

    /// Takes in the secrets of a path from `level` up, and checks each against the tree (RFC 9420 §12.4.2, §12.4.3.1).
    ///
    /// - Parameter levels: where the path has nodes, ascending.
    /// - Returns: the commit secret.
    package mutating func insert(
        _ pathSecret: Secret,
        from level: Int,
        _ levels: [Int],
        of owner: LeafIndex,
        in root: Subtree,
        _ suite: Suite
    ) throws(MLSError) -> Secret {
        var secret = pathSecret
        for level in levels.drop(while: { $0 < level }) {
            let key = try suite.kem.deriveKeyPair(suite.deriveSecret(secret, "node"))
            guard root.descend(to: level, towards: owner).parentNode?.encryptionKey == key.publicKey else {
                throw MLSError(.tree, "a path secret does not give the node's key")
            }
            parents[level] = key
            secret = suite.deriveSecret(secret, "path")
        }
        return secret
    }

    /// Forgets the keys of nodes that are blank or someone else's now (RFC 9420 §9.2).
    mutating func prune(_ index: LeafIndex, in root: Subtree) {
        var tree = root
        var kept: [Int: HPKEPrivateKey] = [:]
        while let (on, _) = tree.children(towards: index) {
            if let key = parents[tree.level], tree.parentNode?.encryptionKey == key.publicKey { kept[tree.level] = key }
            tree = on
        }
        parents = kept
    }
}

/// A path as the tree will hold it: public keys placed, parent hashes chained from the root down (RFC 9420 §7.9).
struct PlacedPath {
    /// With every hash computed but those of the path, which wait for the leaf.
    private let siblings: [Subtree]
    private let parents: [ParentNode?]
    private let owner: LeafIndex
    /// What the leaf must carry.
    let leafParentHash: [UInt8]

    /// - Parameters:
    ///   - root: with the commit's proposals applied.
    ///   - keys: one for each of `levels`.
    init(_ keys: [HPKEPublicKey], _ levels: [Int], of owner: LeafIndex, in root: Subtree, _ suite: Suite) {
        self.owner = owner
        var siblings: [Subtree] = []
        var tree = root
        while let (on, beside) = tree.children(towards: owner) {
            siblings.append(beside.hashed(first: owner.firstBeside(at: tree.level), suite))
            tree = on
        }
        siblings.reverse()
        self.siblings = siblings
        var parents = [ParentNode?](repeating: nil, count: root.level + 1)
        var parentHash: [UInt8] = []
        for (level, key) in zip(levels, keys).reversed() {
            let parent = ParentNode(encryptionKey: key, parentHash: parentHash)
            parents[level] = parent
            parentHash = parent.hashForChild(originalSiblingHash: siblings[level - 1].hash, suite)
        }
        self.parents = parents
        leafParentHash = parentHash
    }

    /// The tree with the path and `leaf` in place, hashed.
    func tree(with leaf: LeafNode, _ suite: Suite) -> Subtree {
        var tree = Subtree(leaf: leaf)
        for (below, sibling) in siblings.enumerated() {
            let level = below + 1
            tree =
                owner.isRight(at: level)
                ? Subtree(parents[level], sibling, tree) : Subtree(parents[level], tree, sibling)
        }
        return tree.hashed(first: 0, suite)
    }
}

/// A committer's fresh path: its secrets, its place in the tree, and how it is told to the others (RFC 9420 §7.5, §7.6).
package struct FreshPath {
    let levels: [Int]
    /// One for each level, and the commit secret after the last.
    let secrets: [Secret]
    let privateKeys: TreePrivateKeys
    package let root: Subtree
    let leafNode: LeafNode

    package var commitSecret: Secret { secrets[levels.count] }

    package init<Random: RandomNumberGenerator>(
        _ owner: LeafIndex,
        _ contents: LeafNode.Contents,
        in root: Subtree,
        groupID: [UInt8],
        signedBy signer: SignaturePrivateKey,
        _ suite: Suite,
        using random: inout Random
    ) throws(MLSError) {
        levels = root.filteredPath(of: owner)
        var keys = TreePrivateKeys(leaf: try suite.kem.generateKeyPair(using: &random))
        var secrets = [Secret(count: suite.hash.byteCount, using: &random)]
        var publicKeys: [HPKEPublicKey] = []
        for level in levels {
            let key = try suite.kem.deriveKeyPair(suite.deriveSecret(secrets[secrets.count - 1], "node"))
            keys.parents[level] = key
            publicKeys.append(key.publicKey)
            secrets.append(suite.deriveSecret(secrets[secrets.count - 1], "path"))
        }
        self.secrets = secrets
        privateKeys = keys
        let placed = PlacedPath(publicKeys, levels, of: owner, in: root, suite)
        leafNode = try LeafNode(
            contents,
            encryptionKey: keys.leaf.publicKey,
            source: .commit(parentHash: placed.leafParentHash),
            place: .init(groupID: groupID, index: owner),
            signedBy: signer,
            suite
        )
        self.root = placed.tree(with: leafNode, suite)
    }

    /// Seals each secret to the resolution of the node beside it.
    ///
    /// - Parameters:
    ///   - before: the tree with the commit's proposals applied and the path not yet.
    ///   - joiners: leaves added by the same commit, ascending; they learn from the Welcome.
    package func sealed<Random: RandomNumberGenerator>(
        _ owner: LeafIndex,
        in before: Subtree,
        excluding joiners: [LeafIndex],
        _ context: GroupContext,
        _ suite: Suite,
        using random: inout Random
    ) throws(MLSError) -> UpdatePath {
        let preparation = suite.prepareEncryption("UpdatePathNode", context.encoded)
        var nodes: [UpdatePath.Node] = []
        nodes.reserveCapacity(levels.count)
        for (at, level) in levels.enumerated() {
            var recipients: [HPKEPublicKey] = []
            if let beside = before.descend(to: level, towards: owner).children(towards: owner)?.beside {
                beside.resolution(
                    first: owner.firstBeside(at: level),
                    excluding: joiners,
                    &recipients,
                    in: before
                )
            }
            var sealed: [HPKECiphertext] = []
            sealed.reserveCapacity(recipients.count)
            for recipient in recipients {
                sealed.append(try suite.encrypt(secrets[at], to: recipient, preparation, using: &random))
            }
            nodes.append(
                UpdatePath.Node(encryptionKey: privateKeys.parents[level]!.publicKey, secrets: sealed)
            )
        }
        return UpdatePath(leafNode: leafNode, nodes: nodes)
    }

    /// What a new member at `leaf` is told: the secret of the lowest node above both.
    func secret(for leaf: LeafIndex, from owner: LeafIndex) -> Secret? {
        let level = owner.commonLevel(with: leaf)
        return levels.firstIndex { $0 >= level }.map { secrets[$0] }
    }
}

/// A received path laid over the tree: its form checked, nothing decrypted yet (RFC 9420 §7.5, §12.4.2).
package struct ReceivedPath {
    let path: UpdatePath
    let owner: LeafIndex
    package let levels: [Int]
    /// Before and after the path.
    let before: Subtree
    package let root: Subtree

    package init(_ path: UpdatePath, of owner: LeafIndex, in before: Subtree, _ suite: Suite) throws(MLSError) {
        self.path = path
        self.owner = owner
        self.before = before
        levels = before.filteredPath(of: owner)
        guard path.nodes.count == levels.count else {
            throw MLSError(.commit, "an update path is not as long as the committer's filtered direct path")
        }
        let size = suite.kem.publicKeyByteCount
        guard path.nodes.allSatisfy({ $0.encryptionKey.bytes.count == size }) else {
            throw MLSError(.commit, "an update path's key is not of the cipher suite")
        }
        let placed = PlacedPath(path.nodes.map(\.encryptionKey), levels, of: owner, in: before, suite)
        let leaf = path.leafNode.value
        guard case .commit(let parentHash) = leaf.source else {
            throw MLSError(.leafNode, "an update path's leaf has another source")
        }
        // RFC 9420 §12.4.2: the leaf names the path above it.
        guard parentHash == placed.leafParentHash else {
            throw MLSError(.commit, "an update path's parent hash is wrong")
        }
        root = placed.tree(with: leaf, suite)
    }

    /// Every node carries as many secrets as its copath child's resolution has nodes, without the joiners.
    package func checkCounts(excluding joiners: [LeafIndex]) throws(MLSError) {
        for (node, level) in zip(path.nodes, levels) {
            guard let beside = before.descend(to: level, towards: owner).children(towards: owner)?.beside else {
                continue
            }
            let first = owner.firstBeside(at: level)
            let excluded = joiners.count(in: first..<first + 1 << UInt32(level - 1))
            guard node.secrets.count == beside.resolutionCount - excluded else {
                throw MLSError(.commit, "an update path has not one secret for each node of a resolution")
            }
        }
    }

    /// Opens the secret meant for `receiver` and derives those above.
    ///
    /// - Returns: the receiver's keys after the commit, and the commit secret.
    package func open(
        _ receiver: LeafIndex,
        _ keys: TreePrivateKeys,
        excluding joiners: [LeafIndex],
        _ context: GroupContext,
        _ suite: Suite
    ) throws(MLSError) -> (keys: TreePrivateKeys, commitSecret: Secret) {
        let level = owner.commonLevel(with: receiver)
        guard receiver != owner, let at = levels.firstIndex(of: level) else {
            throw MLSError(.commit, "an update path has no secret for this member")
        }
        // Down from the copath child towards the receiver, to the node of the resolution whose key it holds; `position` counts
        // the resolution's nodes left of it.
        var tree = before.descend(to: level - 1, towards: receiver)
        var position = 0
        let key: HPKEPrivateKey
        while true {
            switch tree.node {
            case .leaf:
                key = keys.leaf
            case .parent(let parent?, _, _):
                if parent.unmergedLeaves.containsAscending(receiver) {
                    key = keys.leaf
                    let before = parent.unmergedLeaves.prefix(parent.unmergedLeaves.firstPosition(of: receiver))
                    position += 1 + before.count(where: { !joiners.containsAscending($0) })
                } else if let held = keys.parents[tree.level], held.publicKey == parent.encryptionKey {
                    key = held
                } else {
                    throw MLSError(.commit, "no private key is held for the receiver's node of the resolution")
                }
            case .parent(nil, let left, let right):
                if receiver.isRight(at: tree.level) {
                    let first = receiver.first(at: tree.level)
                    let excluded = joiners.count(in: first..<first + 1 << UInt32(left.level))
                    position += left.resolutionCount - excluded
                    tree = right
                } else {
                    tree = left
                }
                continue
            }
            break
        }
        let secrets = path.nodes[at].secrets
        guard position < secrets.count else { throw MLSError(.commit, "an update path has too few secrets") }
        let secret = try suite.decrypt(
            secrets[position],
            with: key,
            suite.prepareEncryption("UpdatePathNode", context.encoded)
        )
        var updated = keys
        let commitSecret = try updated.insert(secret, from: level, levels, of: receiver, in: root, suite)
        updated.prune(receiver, in: root)
        return (updated, commitSecret)
    }
}
