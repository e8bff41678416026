extension UnverifiedRatchetTree {
    /// Verifies the parent nodes alone: their unmerged leaves and their hashes.
    package func verifyParents(_ suite: Suite) throws(MLSError) {
        let root = hashed(suite)
        try root.verifyParents(first: 0, in: root, suite)
    }

    /// Verifies all that RFC 9420 §12.4.3.1 and §7.9.2 ask of a tree that is joined with.
    ///
    /// Lifetimes are not looked at: a member may have been added long ago (RFC 9420 §7.3).
    ///
    /// - Throws: `tree`, `leafNode`, `signature`, `credential`.
    package func verified(
        groupID: [UInt8],
        treeHash: [UInt8]?,
        _ suite: Suite,
        _ validator: any CredentialValidator
    ) throws(MLSError) -> RatchetTree {
        let root = self.root.hashed(first: 0, suite)
        if let treeHash {
            guard root.hash == treeHash else { throw MLSError(.tree, "a ratchet tree is not the one that was named") }
        }
        // The tree is as small as it can be (RFC 9420 §7.7).
        if case .parent(_, _, let right) = root.node {
            guard right.occupied > 0 else { throw MLSError(.tree, "a ratchet tree's right half is blank") }
        }
        try root.verifyParents(first: 0, in: root, suite)

        let index = TreeIndex()
        var changes = TreeIndex.Changes(index)
        try root.forEachLeaf(first: 0) { (at, leaf) throws(MLSError) in
            try leaf.checkSelf(suite, validator)
            guard leaf.hasValidSignature(at: .init(groupID: groupID, index: at), suite) else {
                throw MLSError(.signature, "a leaf node's signature does not verify")
            }
            try changes.add(leaf, to: index, validator)
        }
        try root.forEachParent { (parent) throws(MLSError) in try changes.add(parent.encryptionKey, to: index) }
        // RFC 9420 §7.3: everybody understands every credential in use.
        for type in changes.counts.credentialsInUse.keys where !changes.counts.allUnderstand(type) {
            throw MLSError(.leafNode, "a member's credential is of a type that not all members understand")
        }
        var verified = TreeIndex()
        verified.apply(changes)
        return RatchetTree(root: root, index: verified)
    }
}

extension Subtree {
    func forEachParent<E: Error>(_ body: (ParentNode) throws(E) -> Void) throws(E) {
        guard case .parent(let parent, let left, let right) = node else { return }
        if let parent { try body(parent) }
        try left.forEachParent(body)
        try right.forEachParent(body)
    }

    fileprivate func verifyParents(first: UInt32, in root: Subtree, _ suite: Suite) throws(MLSError) {
        guard case .parent(let parent, let left, let right) = node else { return }
        let middle = first + 1 << UInt32(left.level)
        if let parent {
            try verifyUnmerged(parent, first: first)
            // RFC 9420 §7.9.2: exactly one child, or what its resolution holds, names this node by its hash.
            guard
                parent.isNamed(by: left, first: first, beside: right, at: middle, in: root, suite)
                    || parent.isNamed(by: right, first: middle, beside: left, at: first, in: root, suite)
            else { throw MLSError(.tree, "a parent node is not parent-hash valid") }
        }
        try left.verifyParents(first: first, in: root, suite)
        try right.verifyParents(first: middle, in: root, suite)
    }

    // RFC 9420 §12.4.3.1, §7.1: unmerged leaves ascend, exist below, and are unmerged in all nodes between.
    private func verifyUnmerged(_ parent: ParentNode, first: UInt32) throws(MLSError) {
        var previous: LeafIndex?
        for leaf in parent.unmergedLeaves {
            guard previous.map({ $0 < leaf }) ?? true else {
                throw MLSError(.tree, "unmerged leaves are not in ascending order")
            }
            previous = leaf
            guard leaf.rawValue >= first, leaf.rawValue - first < 1 << UInt32(level) else {
                throw MLSError(.tree, "an unmerged leaf is not below its node")
            }
            var tree = self
            while let (on, _) = tree.children(towards: leaf) {
                if let between = on.parentNode, !between.unmergedLeaves.containsAscending(leaf) {
                    throw MLSError(.tree, "a leaf is unmerged in a node and merged in one below it")
                }
                tree = on
            }
            guard !tree.isBlank else { throw MLSError(.tree, "an unmerged leaf is blank") }
        }
    }
}

extension ParentNode {
    /// Whether this node is parent-hash valid with respect to a descendant under `child` (RFC 9420 §7.9.2).
    fileprivate func isNamed(
        by child: Subtree,
        first: UInt32,
        beside sibling: Subtree,
        at siblingFirst: UInt32,
        in root: Subtree,
        _ suite: Suite
    ) -> Bool {
        let range = first..<first + 1 << UInt32(child.level)
        // The resolution of the child is the descendant and this node's unmerged leaves below the child, no more.
        guard child.resolutionCount == unmergedLeaves.count(in: range) + 1 else { return false }
        guard let name = child.parentHash(besides: unmergedLeaves, first: first) else { return false }
        let siblingHash = sibling.originalHash(first: siblingFirst, excluding: unmergedLeaves, suite)
        return name == hashForChild(originalSiblingHash: siblingHash, suite)
    }
}

extension Subtree {
    /// The parent hash of the one node of the resolution that is not in `unmerged`, and unmerged are all the others.
    fileprivate func parentHash(besides unmerged: [LeafIndex], first: UInt32) -> [UInt8]? {
        var found: [UInt8]?
        var others = 0
        func visit(_ tree: Subtree, first: UInt32) {
            guard tree.resolutionCount > 0, others < 2 else { return }
            switch tree.node {
            case .leaf(let leaf?):
                guard !unmerged.containsAscending(LeafIndex(rawValue: first)) else { return }
                others += 1
                if case .commit(let parentHash) = leaf.source { found = parentHash }
            case .leaf(nil): break
            case .parent(let parent?, _, _):
                others += 1
                found = parent.parentHash
                if !parent.unmergedLeaves.allSatisfy(unmerged.containsAscending) { others = 2 }
            case .parent(nil, let left, let right):
                visit(left, first: first)
                visit(right, first: first + 1 << UInt32(left.level))
            }
        }
        visit(self, first: first)
        return others == 1 ? found : nil
    }
}
