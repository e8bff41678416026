/// A commit laid over the group it is for, with all checked that needs no secret (RFC 9420 §12.4.2). Members go on from it with
/// their keys; who only watches takes it as it is.
struct StagedCommit: Sendable {
    let provisional: ProvisionalGroup
    /// The committer's leaf, which for one who joins by the commit is new.
    let owner: LeafIndex
    let received: ReceivedPath?
    let confirmationTag: [UInt8]
    let summary: CommitSummary

    /// The tree of the next epoch, with its hashes.
    func root(_ suite: Suite) -> Subtree { received?.root ?? provisional.root.hashed(first: 0, suite) }
}

extension PublicGroup {
    // MARK: Framing

    // RFC 9420 §6, §6.2: a handshake of this group's present epoch; application data never travels in the clear.
    func checkFrame(of content: FramedContent) throws(MLSError) {
        guard content.groupID == context.groupID else { throw MLSError(.wrongEpoch, "a message is of another group") }
        guard content.epoch == context.epoch else {
            throw MLSError(.wrongEpoch, "a message is of epoch \(content.epoch)")
        }
        if case .application = content.body {
            throw MLSError(.malformed, "application data came as a public message")
        }
    }

    // RFC 9420 §6.1
    func checkSignature(of message: PublicMessage) throws(MLSError) -> AuthenticatedContent {
        let key = try signatureKey(of: message.content)
        guard message.unverified.hasValidSignature(by: key, context, suite) else {
            throw MLSError(.signature, "a message's signature does not verify")
        }
        return message.unverified
    }

    // MARK: Proposals

    // RFC 9420 §12.1: what a proposal must be by itself. Its fit with others is judged in the commit.
    func check(
        _ proposal: Proposal,
        from sender: Sender,
        at now: UInt64?,
        _ validator: any CredentialValidator
    ) throws(MLSError) {
        // RFC 9420 §12.1.8: who is no member may not update, and a joiner may only add itself.
        switch (sender, proposal) {
        case (.member, .externalInit), (.external, .externalInit), (.external, .update):
            throw MLSError(.proposal, "a proposal is from a sender who may not make it")
        case (.newMemberProposal, .add), (.member, _), (.external, _): break
        case (.newMemberProposal, _), (.newMemberCommit, _):
            throw MLSError(.proposal, "a proposal is from a sender who may not make it")
        }
        switch proposal {
        case .add(let keyPackage): try keyPackage.verify(suite, at: now, validator)
        case .update(let leaf):
            guard case .member(let index) = sender, let old = tree.root.leaf(at: index) else {
                throw MLSError(.proposal, "an update is from no member")
            }
            try leaf.value.check(replacing: old, at: index, of: context.groupID, suite, validator)
        case .remove(let index):
            guard tree.root.leaf(at: index) != nil else {
                throw MLSError(.proposal, "a remove is of no member")
            }
        case .preSharedKey(let id):
            guard id.nonce.count == suite.hash.byteCount else {
                throw MLSError(.proposal, "a pre-shared key's nonce is not as long as the hash")
            }
        case .reInit, .externalInit, .groupContextExtensions, .custom: break
        }
    }

    // MARK: Commits

    // RFC 9420 §12.4.2
    func stage(
        _ commit: Commit,
        _ content: AuthenticatedContent,
        _ queue: ProposalQueue,
        at now: UInt64,
        _ validator: any CredentialValidator
    ) throws(MLSError) -> StagedCommit {
        let framed = content.content
        guard let tag = content.auth.confirmationTag else {
            throw MLSError(.commit, "a commit has no confirmation tag")
        }
        var list: [QueuedProposal] = []
        list.reserveCapacity(commit.items.count)
        for item in commit.items {
            switch item {
            case .proposal(let proposal):
                list.append(QueuedProposal(proposal: proposal, sender: framed.sender, reference: nil))
            case .reference(let reference):
                guard let queued = queue[reference] else {
                    throw MLSError(.unknownProposal, "a commit names a proposal that is not known here")
                }
                list.append(queued)
            }
        }
        let committer: LeafIndex? = if case .member(let index) = framed.sender { index } else { nil }
        var provisional = try ProposalList(
            group: self,
            proposals: list,
            committer: committer,
            validator: validator,
            now: now
        ).applied()
        guard commit.path != nil || !provisional.requiresPath else {
            throw MLSError(.commit, "a commit has no path and needs one")
        }

        let owner: LeafIndex
        var received: ReceivedPath?
        if let path = commit.path {
            (owner, received) = try place(path, of: committer, on: &provisional, validator)
        } else if let committer {
            owner = committer
        } else {
            throw MLSError(.commit, "an external commit has no path")
        }
        try provisional.checkUnderstanding()
        let summary = CommitSummary(
            provisional,
            after: context,
            committer: framed.sender,
            committerLeaf: owner,
            authenticatedData: framed.authenticatedData
        )
        return StagedCommit(
            provisional: provisional,
            owner: owner,
            received: received,
            confirmationTag: tag,
            summary: summary
        )
    }

    /// Lays a received path over the provisional tree, with all that must hold before anything is decrypted.
    private func place(
        _ path: UpdatePath,
        of committer: LeafIndex?,
        on provisional: inout ProvisionalGroup,
        _ validator: any CredentialValidator
    ) throws(MLSError) -> (LeafIndex, ReceivedPath) {
        let leaf = path.leafNode.value
        let owner: LeafIndex
        var replaced: LeafNode?
        if let committer {
            owner = committer
            replaced = tree.root.leaf(at: committer)
        } else {
            owner = try provisional.occupy(leaf)
            // RFC 9420 §12.2: one who removes its old self and joins anew must be its successor.
            if let old = provisional.removed.first.flatMap(tree.root.leaf(at:)) { replaced = old }
        }
        try leaf.check(replacing: replaced, at: owner, of: context.groupID, suite, validator)
        let received = try ReceivedPath(path, of: owner, in: provisional.root, suite)
        try received.checkCounts(excluding: provisional.joinerIndices)
        try provisional.replacePath(
            of: owner,
            replacing: committer == nil ? nil : replaced,
            with: leaf,
            path.nodes.map(\.encryptionKey),
            tree.index,
            validator
        )
        return (owner, received)
    }
}
