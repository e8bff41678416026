/// An epoch that a commit leads to, computed and not yet entered.
struct NextEpoch: Sendable {
    let context: GroupContext
    let root: Subtree
    let changes: TreeIndex.Changes
    let secrets: EpochSecrets
    let confirmationTag: [UInt8]
    let interimTranscriptHash: [UInt8]
    let keys: TreePrivateKeys
    let ownLeaf: LeafIndex
    let signer: SignaturePrivateKey
    let reInit: ReInit?
}

extension PublicGroup {
    /// The context whose encoding path secrets are sealed under: of the next epoch, with the transcript of this one
    /// (RFC 9420 §12.4.1).
    func pathContext(_ root: Subtree, _ extensions: Extensions) throws(MLSError) -> GroupContext {
        guard context.epoch < .max else { throw MLSError(.limit, "a group has no epochs left") }
        return GroupContext(
            cipherSuite: suite.id,
            groupID: context.groupID,
            epoch: context.epoch + 1,
            treeHash: root.hash,
            confirmedTranscriptHash: context.confirmedTranscriptHash,
            extensions: extensions
        )
    }
}

/// The way into the next epoch that sender and receivers share (RFC 9420 §8, §12.4).
struct EpochTransition {
    let context: GroupContext
    let joiner: JoinerSecret
    let pskSecret: Secret
    let secrets: EpochSecrets
    let confirmationTag: [UInt8]
    let interimTranscriptHash: [UInt8]

    init(
        _ signedCommit: AuthenticatedContent,
        from group: PublicGroup,
        _ pathContext: GroupContext,
        initSecret: Secret,
        commitSecret: Secret,
        preSharedKeys: [(id: PreSharedKeyID, key: Secret)]
    ) {
        let suite = group.suite
        let confirmed = signedCommit.confirmedTranscriptHash(after: group.interimTranscriptHash, suite)
        context = pathContext.with(confirmedTranscriptHash: confirmed)
        joiner = JoinerSecret(initSecret: initSecret, commitSecret: commitSecret, context, suite)
        pskSecret = preSharedKeySecret(preSharedKeys, suite)
        secrets = joiner.epochSecrets(pskSecret, context, suite)
        confirmationTag = secrets.confirmationTag(context, suite)
        interimTranscriptHash = MLS.interimTranscriptHash(
            after: confirmed,
            confirmationTag: confirmationTag,
            suite
        )
    }
}
