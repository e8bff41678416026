/// The effect of one proposal on a tree, and no group around them: what published vectors of tree operations check.
package enum ProposalEffect {
    package static func apply(
        _ proposal: Proposal,
        from sender: LeafIndex,
        to root: Subtree,
        _ suite: Suite
    ) throws(MLSError) -> Subtree {
        let validator = UncheckedCredentials()
        let index = try TreeIndex(of: root, validator)
        var group = ProvisionalGroup(
            root: root,
            changes: TreeIndex.Changes(index),
            extensions: [],
            requiresPath: false
        )
        switch proposal {
        case .add(let keyPackage):
            try keyPackage.verify(suite, at: nil, validator)
            _ = try group.occupy(keyPackage.value.leafNode)
        case .update(let leaf): group.root = root.replacing(sender, with: leaf.value) { _, _ in nil }
        case .remove(let removed):
            guard root.leaf(at: removed) != nil else { throw MLSError(.proposal, "a remove is of no member") }
            group.root = root.replacing(removed, with: nil) { _, _ in nil }.truncated
        case .preSharedKey, .reInit, .externalInit, .groupContextExtensions, .custom: break
        }
        return group.root.hashed(first: 0, suite)
    }
}
