/// A commit and what goes with it.
public struct CommitBundle: Sendable {
    /// For all members of the present epoch.
    public let commit: MLSMessage
    /// For those whom the commit adds, when there are any.
    public let welcome: Welcome?
    /// Of the epoch that the commit leads to, when `CommitOptions.makesGroupInfo` asks for it: for publishing, once the commit is
    /// accepted.
    public let groupInfo: MLSMessage?
    public let summary: CommitSummary
}

/// What a commit holds besides the proposals that wait.
public struct CommitOptions: Sendable {
    /// Proposals made by the commit itself.
    public var proposals: [Proposal] = []
    /// Whether the proposals that came by themselves are taken in.
    public var includesQueued = true
    /// A path even where the RFC does not ask for one: it refreshes the committer's keys.
    public var forcesPath = true
    /// What the committer's new leaf says, when it changes.
    public var contents: LeafNode.Contents?
    /// A new signature key for the committer.
    public var signer: SignaturePrivateKey?
    /// Whether Welcome and GroupInfo carry the ratchet tree; without it, joiners need it from elsewhere.
    public var includesRatchetTree = true
    /// Whether a GroupInfo for external joiners is made with the commit; `Group.groupInfo` makes one later. With the tree in it,
    /// it costs what the whole tree costs to write.
    public var makesGroupInfo = false
    /// Further extensions of the GroupInfo.
    public var groupInfoExtensions: Extensions = []
    public var authenticatedData: [UInt8] = []

    public init(_ proposals: [Proposal] = []) { self.proposals = proposals }
}

extension Group {
    /// Makes a commit; the group stays where it is until `mergePendingCommit`, or until `process` is given the commit back.
    ///
    /// Proposals that wait and do not fit together are an error: leave them out, or the commit is not made.
    ///
    /// - Parameter now: Unix seconds.
    /// - Throws: `inactive`, `usage` when a commit is pending, and what the proposals break.
    public mutating func commit<Random: RandomNumberGenerator>(
        _ options: CommitOptions = CommitOptions(),
        at now: UInt64,
        using random: inout Random
    ) throws(MLSError) -> CommitBundle {
        try commit(options, founding: .none, at: now, using: &random)
    }

    mutating func commit<Random: RandomNumberGenerator>(
        _ options: CommitOptions,
        founding: ProposalList.Founding,
        at now: UInt64,
        using random: inout Random
    ) throws(MLSError) -> CommitBundle {
        try requireActive()
        guard pendingCommit == nil else { throw MLSError(.usage, "a commit is pending") }
        guard let old = publicGroup.tree.root.leaf(at: ownLeaf) else {
            throw MLSError(.inactive, "this member has no leaf")
        }
        let sender = Sender.member(ownLeaf)
        var list: [QueuedProposal] = options.includesQueued ? proposals.items : []
        var items: [Commit.Item] = list.map { .reference($0.reference ?? []) }
        for proposal in options.proposals {
            list.append(QueuedProposal(proposal: proposal, sender: sender, reference: nil))
            items.append(.proposal(proposal))
        }
        var provisional = try ProposalList(
            group: publicGroup,
            proposals: list,
            committer: ownLeaf,
            validator: validator,
            now: now,
            founding: founding
        ).applied()

        let newSigner = options.signer ?? signer
        var fresh: FreshPath?
        var path: UpdatePath?
        let isPathNeeded =
            provisional.requiresPath || options.forcesPath || options.contents != nil || options.signer != nil
        // RFC 9420 §12.4: a reInit ends the group; a path would be for nothing.
        if isPathNeeded && (provisional.requiresPath || provisional.reInit == nil) {
            let made = try FreshPath(
                ownLeaf,
                options.contents ?? old.contents,
                in: provisional.root,
                groupID: id,
                signedBy: newSigner,
                suite,
                using: &random
            )
            try made.leafNode.check(replacing: old, at: ownLeaf, of: id, suite, validator)
            try provisional.replacePath(
                of: ownLeaf,
                replacing: old,
                with: made.leafNode,
                made.levels.map { made.privateKeys.parents[$0]!.publicKey },
                publicGroup.tree.index,
                validator
            )
            fresh = made
        }
        try provisional.checkUnderstanding()
        let root = fresh?.root ?? provisional.root.hashed(first: 0, suite)
        let pathContext = try publicGroup.pathContext(root, provisional.extensions)
        if let fresh {
            path = try fresh.sealed(
                ownLeaf,
                in: provisional.root,
                excluding: provisional.joinerIndices,
                pathContext,
                suite,
                using: &random
            )
        }
        let content = FramedContent(
            groupID: id,
            epoch: epoch,
            sender: sender,
            authenticatedData: options.authenticatedData,
            body: .commit(Commit(items: items, path: path))
        )
        let signed = try AuthenticatedContent.signed(handshakeFormat, content, by: signer, context, suite)
        let transition = EpochTransition(
            signed,
            from: publicGroup,
            pathContext,
            initSecret: secrets.initSecret,
            commitSecret: fresh?.commitSecret ?? .zeros(suite.hash.byteCount),
            preSharedKeys: try self.keys(for: provisional.preSharedKeys)
        )
        let message = try frame(signed.with(confirmationTag: transition.confirmationTag), using: &random)

        var keys = fresh?.privateKeys ?? keys
        keys.prune(ownLeaf, in: root)
        let summary = CommitSummary(
            provisional,
            after: context,
            committer: sender,
            committerLeaf: ownLeaf,
            authenticatedData: options.authenticatedData
        )
        let next = NextEpoch(
            context: transition.context,
            root: root,
            changes: provisional.changes,
            secrets: transition.secrets,
            confirmationTag: transition.confirmationTag,
            interimTranscriptHash: transition.interimTranscriptHash,
            keys: keys,
            ownLeaf: ownLeaf,
            signer: fresh == nil ? signer : newSigner,
            reInit: provisional.reInit
        )
        var groupInfo: MLSMessage?
        if options.makesGroupInfo {
            groupInfo = .groupInfo(
                Unverified(
                    try Self.groupInfo(
                        of: transition.context,
                        root,
                        transition.secrets,
                        ownLeaf,
                        next.signer,
                        suite,
                        includesRatchetTree: options.includesRatchetTree,
                        includesExternalPub: true,
                        options.groupInfoExtensions
                    )
                )
            )
        }
        let welcome = try Self.welcome(
            provisional.joiners,
            info: try Self.groupInfo(
                of: transition.context,
                root,
                transition.secrets,
                ownLeaf,
                next.signer,
                suite,
                includesRatchetTree: options.includesRatchetTree,
                includesExternalPub: false,
                options.groupInfoExtensions
            ),
            transition,
            fresh,
            from: ownLeaf,
            provisional.preSharedKeys,
            suite,
            using: &random
        )
        pendingCommit = PendingCommit(
            next: next,
            messageHash: suite.hash.hash(message.encoded),
            summary: summary
        )
        return CommitBundle(
            commit: message,
            welcome: welcome,
            groupInfo: groupInfo,
            summary: summary
        )
    }

    /// Whether a commit was made and not yet merged or dropped.
    public var hasPendingCommit: Bool { pendingCommit != nil }

    /// Proposals that wait for a commit.
    public var queuedProposals: [ProposalSummary] {
        proposals.items.map {
            ProposalSummary(
                type: $0.proposal.type,
                sender: $0.sender,
                reference: $0.reference ?? [],
                proposal: $0.proposal
            )
        }
    }

    /// Enters the epoch of the pending commit: the delivery service accepted it.
    ///
    /// - Throws: `usage` when no commit is pending.
    @discardableResult
    public mutating func mergePendingCommit() throws(MLSError) -> CommitSummary {
        guard let pending = pendingCommit else { throw MLSError(.usage, "no commit is pending") }
        pendingCommit = nil
        enter(pending.next)
        return pending.summary
    }

    /// Drops the pending commit: another was accepted in its place. `process` does so by itself.
    public mutating func clearPendingCommit() { pendingCommit = nil }

    /// Drops the proposals that wait, for instance ones that do not fit together.
    public mutating func clearQueuedProposals() {
        proposals = ProposalQueue()
        ownUpdates = [:]
    }

    /// A commit of this member that came back is merged.
    mutating func mergeIfOwn(_ message: MLSMessage) throws(MLSError) -> CommitSummary? {
        guard let pendingCommit, message.claimedEpoch == epoch, message.claimedGroupID == id,
            suite.hash.hash(message.encoded) == pendingCommit.messageHash
        else { return nil }
        return try mergePendingCommit()
    }

    /// The group's present state, signed: for those who join by external commit, or with a Welcome from elsewhere.
    ///
    /// - Throws: `inactive`.
    public func groupInfo(
        includesRatchetTree: Bool = true,
        includesExternalPub: Bool = true,
        extensions: Extensions = []
    ) throws(MLSError) -> MLSMessage {
        try requireActive()
        return .groupInfo(
            Unverified(
                try Self.groupInfo(
                    of: context,
                    publicGroup.tree.root,
                    secrets,
                    ownLeaf,
                    signer,
                    suite,
                    includesRatchetTree: includesRatchetTree,
                    includesExternalPub: includesExternalPub,
                    extensions
                )
            )
        )
    }

    // RFC 9420 §12.4.3
    private static func groupInfo(
        of context: GroupContext,
        _ root: Subtree,
        _ secrets: EpochSecrets,
        _ ownLeaf: LeafIndex,
        _ signer: SignaturePrivateKey,
        _ suite: Suite,
        includesRatchetTree: Bool,
        includesExternalPub: Bool,
        _ extensions: Extensions
    ) throws(MLSError) -> GroupInfo {
        var extensions = extensions
        if includesRatchetTree { extensions[.ratchetTree] = root.encodedNodes }
        if includesExternalPub { extensions[.externalPub] = try secrets.externalKey(suite).publicKey.wire }
        return try GroupInfo(
            context,
            extensions,
            confirmationTag: secrets.confirmationTag(context, suite),
            signer: ownLeaf,
            signedBy: signer,
            suite
        )
    }

    // RFC 9420 §12.4.3.1
    private static func welcome<Random: RandomNumberGenerator>(
        _ joiners: [ProvisionalGroup.Joiner],
        info: @autoclosure () throws(MLSError) -> GroupInfo,
        _ transition: EpochTransition,
        _ fresh: FreshPath?,
        from ownLeaf: LeafIndex,
        _ preSharedKeys: [PreSharedKeyID],
        _ suite: Suite,
        using random: inout Random
    ) throws(MLSError) -> Welcome? {
        guard !joiners.isEmpty else { return nil }
        let welcomeSecret = transition.joiner.welcomeSecret(transition.pskSecret, suite)
        let encryptedInfo = try suite.aead.seal(
            try info().wire,
            key: suite.expandWithLabel(welcomeSecret, "key", count: suite.aead.keyByteCount),
            nonce: suite.expandWithLabel(welcomeSecret, "nonce", count: suite.aead.nonceByteCount),
            authenticating: []
        )
        let preparation = suite.prepareEncryption("Welcome", encryptedInfo)
        var secrets: [Welcome.EncryptedGroupSecrets] = []
        secrets.reserveCapacity(joiners.count)
        for joiner in joiners {
            let groupSecrets = GroupSecrets(
                joinerSecret: transition.joiner.secret,
                pathSecret: fresh?.secret(for: joiner.index, from: ownLeaf),
                preSharedKeys: preSharedKeys
            )
            secrets.append(
                Welcome.EncryptedGroupSecrets(
                    newMember: joiner.keyPackage.reference(suite),
                    secrets: try suite.encrypt(
                        Secret(groupSecrets.wire),
                        to: joiner.keyPackage.initKey,
                        preparation,
                        using: &random
                    )
                )
            )
        }
        return Welcome(cipherSuite: suite.id, secrets: secrets, encryptedGroupInfo: encryptedInfo)
    }
}
