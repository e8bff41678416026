extension Group {
    /// Joins by external commit (RFC 9420 §12.4.3.2): with a GroupInfo that carries the group's external key, and nobody's help.
    ///
    /// The group that comes back is in the new epoch already; it is the members' once the delivery service accepted the commit,
    /// and is dropped when that took another.
    ///
    /// - Parameters:
    ///   - ratchetTree: when the GroupInfo does not carry it.
    ///   - isReplaced: which member the joiner was before, which the commit then removes; the validator is asked whether the
    ///     joiner is its successor.
    ///   - preSharedKeyIDs: external keys that join the schedule; they must be in `preSharedKeys`.
    /// - Returns: the group, and the commit for its members.
    /// - Throws: `join`, and what GroupInfo and tree break.
    public static func joining<Random: RandomNumberGenerator>(
        _ groupInfo: Unverified<GroupInfo>,
        as contents: LeafNode.Contents,
        signer: SignaturePrivateKey,
        ratchetTree: UnverifiedRatchetTree? = nil,
        replacing isReplaced: (Member) -> Bool = { _ in false },
        preSharedKeyIDs: [[UInt8]] = [],
        preSharedKeys: PreSharedKeys = PreSharedKeys(),
        authenticatedData: [UInt8] = [],
        configuration: GroupConfiguration = GroupConfiguration(),
        validator: some CredentialValidator,
        using random: inout Random
    ) throws(MLSError) -> (group: Group, commit: MLSMessage) {
        let suite = try Suite(groupInfo.value.context.cipherSuite)
        let (info, tree) = try groupInfo.verified(suite, ratchetTree, validator)
        guard let externalPub = try info.extensions.externalPub() else {
            throw MLSError(.join, "a GroupInfo has no external key")
        }
        let publicGroup = PublicGroup(suite, info, tree)
        let (kemOutput, initSecret) = try ExternalInit.send(to: externalPub, suite, using: &random)
        var list: [Proposal] = [.externalInit(kemOutput: kemOutput)]
        var replaced: LeafNode?
        tree.root.forEachLeaf(first: 0) { index, leaf in
            guard replaced == nil, isReplaced(Member(index: index, leafNode: leaf)) else { return }
            replaced = leaf
            list.append(.remove(index))
        }
        var keys: [(id: PreSharedKeyID, key: Secret)] = []
        for id in preSharedKeyIDs {
            guard let key = preSharedKeys[external: id] else {
                throw MLSError(.unknownPreSharedKey, "a pre-shared key is not known here")
            }
            let id = PreSharedKeyID(.external(id), nonce: random.bytes(suite.hash.byteCount))
            keys.append((id, key))
            list.append(.preSharedKey(id))
        }
        var provisional = try ProposalList(
            group: publicGroup,
            proposals: list.map { QueuedProposal(proposal: $0, sender: .newMemberCommit, reference: nil) },
            committer: nil,
            validator: validator,
            now: nil
        ).applied()

        // A leaf to hold the place; the path's own takes it over.
        let place = try LeafNode(
            contents,
            encryptionKey: try suite.kem.generateKeyPair(using: &random).publicKey,
            source: .update,
            place: nil,
            signedBy: signer,
            suite
        )
        let ownLeaf = try provisional.occupy(place)
        let fresh = try FreshPath(
            ownLeaf,
            contents,
            in: provisional.root,
            groupID: info.context.groupID,
            signedBy: signer,
            suite,
            using: &random
        )
        try fresh.leafNode.check(replacing: replaced, at: ownLeaf, of: info.context.groupID, suite, validator)
        try provisional.replacePath(
            of: ownLeaf,
            replacing: nil,
            with: fresh.leafNode,
            fresh.levels.map { fresh.privateKeys.parents[$0]!.publicKey },
            tree.index,
            validator
        )
        try provisional.checkUnderstanding()
        let pathContext = try publicGroup.pathContext(fresh.root, provisional.extensions)
        let path = try fresh.sealed(
            ownLeaf,
            in: provisional.root,
            excluding: [],
            pathContext,
            suite,
            using: &random
        )
        let content = FramedContent(
            groupID: info.context.groupID,
            epoch: info.context.epoch,
            sender: .newMemberCommit,
            authenticatedData: authenticatedData,
            body: .commit(Commit(items: list.map { .proposal($0) }, path: path))
        )
        let signed = try AuthenticatedContent.signed(.publicMessage, content, by: signer, info.context, suite)
        let transition = EpochTransition(
            signed,
            from: publicGroup,
            pathContext,
            initSecret: initSecret,
            commitSecret: fresh.commitSecret,
            preSharedKeys: keys
        )
        let message = MLSMessage(
            PublicMessage(unauthenticated: signed.with(confirmationTag: transition.confirmationTag))
        )
        var joined = publicGroup
        joined.context = transition.context
        joined.interimTranscriptHash = transition.interimTranscriptHash
        joined.confirmationTag = transition.confirmationTag
        joined.tree.accept(fresh.root, provisional.changes)
        var group = Group(
            joined,
            transition.secrets,
            ownLeaf: ownLeaf,
            fresh.privateKeys,
            signer,
            configuration,
            validator
        )
        group.preSharedKeys = preSharedKeys
        return (group, message)
    }
}
