/// A node of the ratchet tree and all below it: immutable, shared between the trees of successive epochs.
///
/// A change makes new nodes along one path from the root and shares the rest, so that an epoch's tree costs what it changed, an
/// old epoch's tree stays as it was, and a commit that fails leaves nothing to undo. Each node carries what would otherwise be
/// searched for: its tree hash, how many leaves below are occupied, and how many nodes its resolution has.
package final class Subtree: Sendable {
    package enum Node: Sendable {
        case leaf(LeafNode?)
        case parent(ParentNode?, left: Subtree, right: Subtree)
    }

    package let node: Node
    /// 0 for a leaf.
    package let level: Int
    /// Occupied leaves.
    let occupied: Int
    /// Nodes of the resolution (RFC 9420 §4.1.1).
    let resolutionCount: Int
    /// The tree hash (RFC 9420 §7.8); empty until it is asked for.
    package let hash: [UInt8]

    var isBlank: Bool {
        switch node {
        case .leaf(let leaf): leaf == nil
        case .parent(let parent, _, _): parent == nil
        }
    }

    init(leaf: LeafNode?, hash: [UInt8] = []) {
        node = .leaf(leaf)
        level = 0
        occupied = leaf == nil ? 0 : 1
        resolutionCount = occupied
        self.hash = hash
    }

    init(_ parent: ParentNode?, _ left: Subtree, _ right: Subtree, hash: [UInt8] = []) {
        node = .parent(parent, left: left, right: right)
        level = left.level + 1
        occupied = left.occupied + right.occupied
        resolutionCount = parent.map { 1 + $0.unmergedLeaves.count } ?? left.resolutionCount + right.resolutionCount
        self.hash = hash
    }

    /// All blank, `level` high.
    static func blank(_ level: Int) -> Subtree {
        var tree = Subtree(leaf: nil)
        // The hashes differ by place, and are not computed here: one node may stand in all places of its level.
        for _ in 0..<level { tree = Subtree(nil, tree, tree) }
        return tree
    }

    // MARK: Reading

    /// The subtree of `level` that holds `leaf`; `self` starts at leaf 0 or the bits above are ignored.
    package func descend(to level: Int, towards leaf: LeafIndex) -> Subtree {
        var tree = self
        while tree.level > level {
            guard case .parent(_, let left, let right) = tree.node else { break }
            tree = leaf.isRight(at: tree.level) ? right : left
        }
        return tree
    }

    /// Children on the path to `leaf`, and beside it.
    func children(towards leaf: LeafIndex) -> (on: Subtree, beside: Subtree)? {
        guard case .parent(_, let left, let right) = node else { return nil }
        return leaf.isRight(at: level) ? (right, left) : (left, right)
    }

    package var parentNode: ParentNode? {
        if case .parent(let parent, _, _) = node { parent } else { nil }
    }

    /// The leftmost blank leaf below, as an offset from the first.
    var leftmostBlank: UInt32? {
        guard occupied < 1 << level else { return nil }
        var tree = self
        var offset: UInt32 = 0
        while case .parent(_, let left, let right) = tree.node {
            if left.occupied < 1 << left.level {
                tree = left
            } else {
                offset += 1 << UInt32(left.level)
                tree = right
            }
        }
        return offset
    }

    /// Occupied leaves below in order, with their indices; `first` is the first one's.
    func forEachLeaf<E: Error>(first: UInt32, _ body: (LeafIndex, LeafNode) throws(E) -> Void) throws(E) {
        guard occupied > 0 else { return }
        switch node {
        case .leaf(let leaf): if let leaf { try body(LeafIndex(rawValue: first), leaf) }
        case .parent(_, let left, let right):
            try left.forEachLeaf(first: first, body)
            try right.forEachLeaf(first: first + 1 << UInt32(left.level), body)
        }
    }

    /// The public keys of the resolution in order, without the leaves in `excluded` (ascending).
    func resolution(first: UInt32, excluding excluded: [LeafIndex], _ keys: inout [HPKEPublicKey], in root: Subtree) {
        guard resolutionCount > 0 else { return }
        switch node {
        case .leaf(let leaf):
            if let leaf, !excluded.containsAscending(LeafIndex(rawValue: first)) { keys.append(leaf.encryptionKey) }
        case .parent(let parent?, _, _):
            keys.append(parent.encryptionKey)
            for leaf in parent.unmergedLeaves where !excluded.containsAscending(leaf) {
                if case .leaf(let node?) = root.descend(to: 0, towards: leaf).node { keys.append(node.encryptionKey) }
            }
        case .parent(nil, let left, let right):
            left.resolution(first: first, excluding: excluded, &keys, in: root)
            right.resolution(first: first + 1 << UInt32(left.level), excluding: excluded, &keys, in: root)
        }
    }

    // MARK: Changing

    /// The same with `leaf` in place, its path transformed by `parent`.
    func replacing(
        _ index: LeafIndex,
        with leaf: LeafNode?,
        parents transform: (ParentNode, _ level: Int) -> ParentNode?
    ) -> Subtree {
        guard case .parent(let parent, let left, let right) = node else { return Subtree(leaf: leaf) }
        let changed = parent.flatMap { transform($0, level) }
        return if index.isRight(at: level) {
            Subtree(changed, left, right.replacing(index, with: leaf, parents: transform))
        } else {
            Subtree(changed, left.replacing(index, with: leaf, parents: transform), right)
        }
    }

    /// The same with `leaf` in place and `path` on its way, by level; levels without an entry become blank.
    func setting(_ index: LeafIndex, _ leaf: LeafNode, path: [ParentNode?]) -> Subtree {
        guard case .parent(_, let left, let right) = node else { return Subtree(leaf: leaf) }
        return if index.isRight(at: level) {
            Subtree(path[level], left, right.setting(index, leaf, path: path))
        } else {
            Subtree(path[level], left.setting(index, leaf, path: path), right)
        }
    }

    // MARK: Hashing

    /// The same with every tree hash below computed. What has one already is shared, not visited.
    func hashed(first: UInt32, _ suite: Suite) -> Subtree {
        guard hash.isEmpty else { return self }
        switch node {
        case .leaf(let leaf):
            return Subtree(leaf: leaf, hash: Self.leafHash(LeafIndex(rawValue: first), leaf, suite))
        case .parent(let parent, let left, let right):
            let left = left.hashed(first: first, suite)
            let right = right.hashed(first: first + 1 << UInt32(left.level), suite)
            return Subtree(parent, left, right, hash: Self.parentHash(parent, left.hash, right.hash, suite))
        }
    }

    // RFC 9420 §7.8
    private static func leafHash(_ index: LeafIndex, _ leaf: LeafNode?, _ suite: Suite) -> [UInt8] {
        var writer = WireWriter(capacity: 8 + (leaf?.encoded.count ?? 0))
        writer.write(UInt8(1))
        writer.write(index)
        writer.optional(leaf)
        return suite.hash.hash(writer.bytes)
    }

    private static func parentHash(
        _ parent: ParentNode?,
        _ left: [UInt8],
        _ right: [UInt8],
        _ suite: Suite
    ) -> [UInt8] {
        var writer = WireWriter(capacity: 256)
        writer.write(UInt8(2))
        writer.optional(parent)
        writer.vector(left)
        writer.vector(right)
        return suite.hash.hash(writer.bytes)
    }

    /// The tree hash as if the leaves in `excluded` (ascending) were blank and named by no unmerged list (RFC 9420 §7.9).
    func originalHash(first: UInt32, excluding excluded: [LeafIndex], _ suite: Suite) -> [UInt8] {
        let range = first..<first + 1 << UInt32(level)
        guard excluded.count(in: range) > 0 else { return hashed(first: first, suite).hash }
        switch node {
        case .leaf: return Self.leafHash(LeafIndex(rawValue: first), nil, suite)
        case .parent(let parent, let left, let right):
            let original = parent.map {
                ParentNode(
                    encryptionKey: $0.encryptionKey,
                    parentHash: $0.parentHash,
                    unmergedLeaves: $0.unmergedLeaves.filter { !excluded.containsAscending($0) }
                )
            }
            return Self.parentHash(
                original,
                left.originalHash(first: first, excluding: excluded, suite),
                right.originalHash(first: first + 1 << UInt32(left.level), excluding: excluded, suite),
                suite
            )
        }
    }
}

extension LeafIndex {
    /// Whether the way to this leaf turns right at a node of `level`.
    func isRight(at level: Int) -> Bool { level > 0 && rawValue >> UInt32(level - 1) & 1 == 1 }

    /// The first leaf of the node of `level` above this leaf.
    func first(at level: Int) -> UInt32 { level >= 32 ? 0 : (rawValue >> UInt32(level)) << UInt32(level) }

    /// The first leaf of that node's child which does not hold this leaf; `level` above 0.
    func firstBeside(at level: Int) -> UInt32 { ((rawValue >> UInt32(level - 1)) ^ 1) << UInt32(level - 1) }

    /// The level of the lowest node above both.
    package func commonLevel(with other: LeafIndex) -> Int { 32 - (rawValue ^ other.rawValue).leadingZeroBitCount }
}
