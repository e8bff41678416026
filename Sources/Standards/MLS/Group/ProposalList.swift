/// The proposals of one commit: judged together (RFC 9420 §12.2), then applied in the order of §12.3.
struct ProposalList {
    /// Why a resumption key of usage reInit or branch may be named: only in the first commit of the group it founds.
    enum Founding { case none, reInit, branch }

    let group: PublicGroup
    let proposals: [QueuedProposal]
    /// The committer, when it is a member.
    let committer: LeafIndex?
    let validator: any CredentialValidator
    /// Unix seconds, for the lifetimes of key packages; nil when they are not looked at.
    let now: UInt64?
    var founding = Founding.none

    func applied() throws(MLSError) -> ProvisionalGroup {
        if committer == nil { try checkExternal() } else { try checkRegular() }
        try checkPreSharedKeys()

        var result = ProvisionalGroup(
            root: group.tree.root,
            changes: TreeIndex.Changes(group.tree.index),
            extensions: group.context.extensions,
            requiresPath: proposals.isEmpty || proposals.contains { $0.proposal.requiresPath }
        )
        // RFC 9420 §12.3: the context's extensions first, then updates, removes, adds.
        for case .groupContextExtensions(let extensions) in proposals.lazy.map(\.proposal) {
            try check(extensions)
            result.extensions = extensions
        }
        try applyUpdatesAndRemoves(&result)
        try applyAdds(&result)
        for item in proposals {
            switch item.proposal {
            case .preSharedKey(let id): result.preSharedKeys.append(id)
            case .externalInit(let kemOutput): result.externalInit = kemOutput
            case .reInit(let reInit): result.reInit = reInit
            case .custom(let type, let contents):
                result.custom.append(CustomProposal(type: type, contents: contents, sender: item.sender))
            case .add, .update, .remove, .groupContextExtensions: break
            }
        }
        // RFC 9420 §12.2: every member who processes the commit understands its proposals.
        for item in proposals where !result.changes.counts.allUnderstand(item.proposal.type) {
            throw MLSError(.proposal, "a proposal's type is not understood by all members")
        }
        return result
    }

    // MARK: Lists (RFC 9420 §12.2)

    private func checkRegular() throws(MLSError) {
        var touched: Set<LeafIndex> = []
        var contextChanges = 0
        for item in proposals {
            switch item.proposal {
            case .update:
                guard case .member(let sender) = item.sender else {
                    throw MLSError(.proposal, "an update is from no member")
                }
                guard sender != committer else { throw MLSError(.proposal, "a committer commits its own update") }
                guard touched.insert(sender).inserted else {
                    throw MLSError(.proposal, "a leaf is updated or removed twice")
                }
            case .remove(let index):
                guard index != committer else { throw MLSError(.proposal, "a committer removes itself") }
                guard touched.insert(index).inserted else {
                    throw MLSError(.proposal, "a leaf is updated or removed twice")
                }
            case .groupContextExtensions: contextChanges += 1
            case .reInit(let reInit):
                guard proposals.count == 1 else { throw MLSError(.proposal, "a reInit is not alone") }
                // RFC 9420 §12.1.5
                guard reInit.version.rawValue >= group.context.version.rawValue else {
                    throw MLSError(.proposal, "a reInit goes back to an older version")
                }
            case .externalInit: throw MLSError(.proposal, "a member commits an externalInit")
            case .add, .preSharedKey, .custom: break
            }
        }
        guard contextChanges <= 1 else { throw MLSError(.proposal, "the context's extensions are changed twice") }
    }

    // RFC 9420 §12.2, §12.4.3.2
    private func checkExternal() throws(MLSError) {
        var externalInits = 0
        var removes = 0
        for item in proposals {
            guard item.reference == nil else {
                throw MLSError(.proposal, "an external commit names a proposal by reference")
            }
            switch item.proposal {
            case .externalInit: externalInits += 1
            case .remove: removes += 1
            case .preSharedKey: break
            case .add, .update, .reInit, .groupContextExtensions, .custom:
                throw MLSError(.proposal, "an external commit has a proposal of a type that it may not have")
            }
        }
        guard externalInits == 1 else { throw MLSError(.proposal, "an external commit has not one externalInit") }
        guard removes <= 1 else { throw MLSError(.proposal, "an external commit removes more than one member") }
    }

    // RFC 9420 §8.4, §12.1.4, §12.2
    private func checkPreSharedKeys() throws(MLSError) {
        var seen: Set<PreSharedKeyID> = []
        for case .preSharedKey(let id) in proposals.lazy.map(\.proposal) {
            guard id.nonce.count == group.suite.hash.byteCount else {
                throw MLSError(.proposal, "a pre-shared key's nonce is not as long as the hash")
            }
            guard seen.insert(id).inserted else { throw MLSError(.proposal, "a pre-shared key is named twice") }
            guard case .resumption(let usage, _, _) = id.key else { continue }
            switch (usage, founding) {
            case (.application, _), (.reInit, .reInit), (.branch, .branch): break
            case (.reInit, _), (.branch, _):
                throw MLSError(.proposal, "a resumption key of this usage belongs into a group's first commit")
            }
        }
    }

    // RFC 9420 §12.1.7, §13.4: the extensions are well formed. Whether all members understand them is judged at the end.
    private func check(_ extensions: Extensions) throws(MLSError) {
        guard !extensions.hasDuplicates else { throw MLSError(.proposal, "a context's extension is there twice") }
        _ = try extensions.requiredCapabilities()
        for sender in try extensions.externalSenders() ?? [] {
            guard validator.accepts(sender.credential, signatureKey: sender.signatureKey, as: .externalSender) else {
                throw MLSError(.credential, "the application refused an external sender's credential")
            }
        }
    }

    // MARK: Application (RFC 9420 §12.3)

    private func applyUpdatesAndRemoves(_ result: inout ProvisionalGroup) throws(MLSError) {
        var updates: [(index: LeafIndex, leaf: LeafNode)] = []
        for item in proposals {
            switch item.proposal {
            case .update(let leaf):
                guard case .member(let index) = item.sender, let old = group.tree.root.leaf(at: index) else {
                    throw MLSError(.proposal, "an update is from no member")
                }
                try leaf.value.check(replacing: old, at: index, of: group.context.groupID, group.suite, validator)
                guard case .update = leaf.value.source else {
                    throw MLSError(.leafNode, "an update's leaf has another source")
                }
                updates.append((index, leaf.value))
                result.vacate(index, of: old, validator)
            case .remove(let index):
                guard let old = group.tree.root.leaf(at: index) else {
                    throw MLSError(.proposal, "a remove is of no member")
                }
                result.removed.append(index)
                result.vacate(index, of: old, validator)
            case .add, .preSharedKey, .reInit, .externalInit, .groupContextExtensions, .custom: continue
            }
        }
        for (index, leaf) in updates {
            try result.changes.add(leaf, to: group.tree.index, validator)
            result.root = result.root.replacing(index, with: leaf) { _, _ in nil }
            result.updated.append(index)
        }
        for index in result.removed {
            result.root = result.root.replacing(index, with: nil) { _, _ in nil }
        }
        if !result.removed.isEmpty { result.root = result.root.truncated }
    }

    private func applyAdds(_ result: inout ProvisionalGroup) throws(MLSError) {
        for case .add(let unverified) in proposals.lazy.map(\.proposal) {
            try unverified.verify(group.suite, at: now, validator)
            let keyPackage = unverified.value
            try result.changes.add(keyPackage.leafNode, to: group.tree.index, validator)
            let index = try result.occupy(keyPackage.leafNode)
            result.joiners.append(.init(index: index, keyPackage: keyPackage))
        }
    }
}

extension ProvisionalGroup {
    /// Takes a leaf's keys, and those of the nodes above that its change will blank, out of the index.
    mutating func vacate(_ index: LeafIndex, of leaf: LeafNode, _ validator: any CredentialValidator) {
        changes.remove(leaf, validator)
        var tree = root
        while let (on, _) = tree.children(towards: index) {
            if let parent = tree.parentNode { changes.remove(parent) }
            tree = on
        }
        // Blank at once, so that another leaf's change does not take out the same nodes again.
        root = root.replacing(index, with: leaf) { _, _ in nil }
    }

    /// Puts a leaf into the leftmost blank place, making the tree twice as wide when there is none (RFC 9420 §7.7).
    mutating func occupy(_ leaf: LeafNode) throws(MLSError) -> LeafIndex {
        if root.leftmostBlank == nil {
            guard root.level < RatchetTree.maximumLevel else { throw MLSError(.limit, "the group is full") }
            root = Subtree(nil, root, .blank(root.level))
        }
        let index = LeafIndex(rawValue: root.leftmostBlank ?? 0)
        root = root.replacing(index, with: leaf) { parent, _ in parent.adding(index) }
        return index
    }

    // RFC 9420 §7.3, §11.1, §12.1.7, §13.4: what all members must understand, all do.
    func checkUnderstanding() throws(MLSError) {
        let counts = changes.counts
        for type in counts.credentialsInUse.keys where !counts.allUnderstand(type) {
            throw MLSError(.leafNode, "a credential would be of a type that not all members understand")
        }
        for type in extensions.types where !counts.allUnderstand(type) {
            throw MLSError(.proposal, "the context would have an extension that not all members understand")
        }
        if let required = try extensions.requiredCapabilities() {
            guard required.extensions.allSatisfy(counts.allUnderstand),
                required.proposals.allSatisfy(counts.allUnderstand),
                required.credentials.allSatisfy(counts.allUnderstand)
            else { throw MLSError(.leafNode, "a member would lack a required capability") }
        }
    }
}

extension Subtree {
    /// Without right halves that are blank (RFC 9420 §7.7).
    var truncated: Subtree {
        var tree = self
        while case .parent(_, let left, let right) = tree.node, right.occupied == 0 { tree = left }
        return tree
    }
}

extension LeafNode {
    // RFC 9420 §7.3, §12.1.2: a leaf that takes another's place.
    func check(
        replacing old: LeafNode?,
        at index: LeafIndex,
        of groupID: [UInt8],
        _ suite: Suite,
        _ validator: any CredentialValidator
    ) throws(MLSError) {
        try checkSelf(suite, validator)
        guard hasValidSignature(at: .init(groupID: groupID, index: index), suite) else {
            throw MLSError(.signature, "a leaf node's signature does not verify")
        }
        guard let old else { return }
        guard encryptionKey != old.encryptionKey else {
            throw MLSError(.leafNode, "a leaf node keeps its encryption key")
        }
        guard validator.isSuccessor(credential, of: old.credential) else {
            throw MLSError(.credential, "the application refused a credential as another's successor")
        }
    }
}
