extension Group {
    // RFC 9420 §12.4.2
    mutating func apply(
        _ commit: Commit,
        _ content: AuthenticatedContent,
        at now: UInt64,
        _ review: (CommitSummary) -> Bool
    ) throws(MLSError) -> CommitSummary {
        if case .member(ownLeaf) = content.content.sender {
            throw MLSError(.commit, "a commit of this member came back that is not pending")
        }
        let staged = try publicGroup.stage(commit, content, proposals, at: now, validator)
        let (provisional, received, summary) = (staged.provisional, staged.received, staged.summary)
        guard !provisional.removed.contains(ownLeaf) else {
            // The new epoch's secrets are not for this member; all it can check is the committer's signature.
            guard review(summary) else { throw MLSError(.commit, "the application refused a commit") }
            leave()
            return summary
        }

        let root = staged.root(suite)
        let pathContext = try publicGroup.pathContext(root, provisional.extensions)
        var keys = keys
        var signer = signer
        if provisional.updated.contains(ownLeaf) {
            guard let leaf = root.leaf(at: ownLeaf), let own = ownUpdates[leaf.encryptionKey] else {
                throw MLSError(.commit, "a commit applies an update of this member that it did not make")
            }
            keys.leaf = own.encryptionKey
            signer = own.signer
        }
        keys.prune(ownLeaf, in: provisional.root)
        var commitSecret = Secret.zeros(suite.hash.byteCount)
        if let received {
            (keys, commitSecret) = try received.open(
                ownLeaf,
                keys,
                excluding: provisional.joinerIndices,
                pathContext,
                suite
            )
        }
        var initSecret = secrets.initSecret
        if let kemOutput = provisional.externalInit {
            initSecret = try ExternalInit.receive(kemOutput, secrets.externalKey(suite), suite)
        }
        let transition = EpochTransition(
            content,
            from: publicGroup,
            pathContext,
            initSecret: initSecret,
            commitSecret: commitSecret,
            preSharedKeys: try self.keys(for: provisional.preSharedKeys)
        )
        guard constantTimeEqual(transition.confirmationTag, staged.confirmationTag) else {
            throw MLSError(.authentication, "a commit's confirmation tag does not authenticate")
        }
        guard review(summary) else { throw MLSError(.commit, "the application refused a commit") }
        enter(
            NextEpoch(
                context: transition.context,
                root: root,
                changes: provisional.changes,
                secrets: transition.secrets,
                confirmationTag: transition.confirmationTag,
                interimTranscriptHash: transition.interimTranscriptHash,
                keys: keys,
                ownLeaf: ownLeaf,
                signer: signer,
                reInit: provisional.reInit
            )
        )
        return summary
    }

    /// Forgets what only a member may know; the past epochs' messages can still be read.
    private mutating func leave() {
        status = .removed
        let gone = Secret.zeros(suite.hash.byteCount)
        secrets = EpochSecrets(epochSecret: gone, suite).withoutEncryption()
        keys.parents = [:]
        proposals = ProposalQueue()
        ownUpdates = [:]
        pendingCommit = nil
    }
}

extension ProvisionalGroup {
    /// Exchanges a committer's keys in the index for its new path's; the keys must be new to the tree (RFC 9420 §12.4.2).
    mutating func replacePath(
        of owner: LeafIndex,
        replacing old: LeafNode?,
        with leaf: LeafNode,
        _ keys: [HPKEPublicKey],
        _ index: TreeIndex,
        _ validator: any CredentialValidator
    ) throws(MLSError) {
        // New keys are compared with the old ones of the path too: taking out comes after.
        for key in keys { try changes.add(key, to: index) }
        if let old { changes.remove(old, validator) }
        var tree = root
        while let (on, _) = tree.children(towards: owner) {
            if let parent = tree.parentNode { changes.remove(parent) }
            tree = on
        }
        try changes.add(leaf, to: index, validator)
    }
}

/// How an external joiner and the members come to one init secret (RFC 9420 §8.3).
enum ExternalInit {
    private static let label = Array("MLS 1.0 external init secret".utf8)

    static func send<Random: RandomNumberGenerator>(
        to key: HPKEPublicKey,
        _ suite: Suite,
        using random: inout Random
    ) throws(MLSError) -> (kemOutput: [UInt8], initSecret: Secret) {
        let ephemeral = try suite.kem.generateKeyPair(using: &random)
        let context = try suite.hpke.setUpSender(to: key, suite.hpke.prepare(info: []), ephemeral: ephemeral)
        return (ephemeral.publicKey.bytes, context.export(label, count: suite.hash.byteCount))
    }

    static func receive(_ kemOutput: [UInt8], _ key: HPKEPrivateKey, _ suite: Suite) throws(MLSError) -> Secret {
        try suite.hpke.setUpRecipient(kemOutput, with: key, suite.hpke.prepare(info: []))
            .export(label, count: suite.hash.byteCount)
    }
}
