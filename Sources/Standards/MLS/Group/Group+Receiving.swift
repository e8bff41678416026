/// Application data with who said it, proven.
public struct ApplicationMessage: Sendable {
    public let sender: LeafIndex
    public let epoch: UInt64
    public let data: [UInt8]
    /// What the sender authenticated and did not encrypt.
    public let authenticatedData: [UInt8]
}

/// A proposal that waits for a commit.
public struct ProposalSummary: Sendable {
    public let type: ProposalType
    public let sender: Sender
    /// What a commit names it by.
    public let reference: [UInt8]
    public let proposal: Proposal
}

/// What a commit changed.
public struct CommitSummary: Sendable {
    /// Of the epoch that it led to.
    public let epoch: UInt64
    public let committer: Sender
    /// The committer's leaf, which for one who joined by the commit is new.
    public let committerLeaf: LeafIndex
    public let added: [LeafIndex]
    public let removed: [LeafIndex]
    public let updated: [LeafIndex]
    /// The context's extensions, when the commit changed them.
    public let extensions: Extensions?
    public let reInit: ReInit?
    public let custom: [CustomProposal]
    public let preSharedKeyCount: Int
    public let authenticatedData: [UInt8]

    /// - Parameters:
    ///   - group: as the commit's proposals left it.
    ///   - context: of the epoch that the commit ends.
    init(
        _ group: ProvisionalGroup,
        after context: GroupContext,
        committer: Sender,
        committerLeaf: LeafIndex,
        authenticatedData: [UInt8]
    ) {
        epoch = context.epoch + 1
        self.committer = committer
        self.committerLeaf = committerLeaf
        added = group.joiners.map(\.index)
        removed = group.removed
        updated = group.updated
        extensions = group.extensions == context.extensions ? nil : group.extensions
        reInit = group.reInit
        custom = group.custom
        preSharedKeyCount = group.preSharedKeys.count
        self.authenticatedData = authenticatedData
    }
}

/// What became of a message.
public enum Received: Sendable {
    case application(ApplicationMessage)
    case proposal(ProposalSummary)
    /// The group is in the next epoch, or this member was removed.
    case commit(CommitSummary)
}

extension Group {
    /// Takes in a message of this group.
    ///
    /// - Parameters:
    ///   - now: Unix seconds.
    ///   - accept: may refuse a proposal before it is queued; the RFC's rules are checked whatever it says.
    ///   - review: may refuse a commit that is valid, before it is entered.
    /// - Throws: any code; the group is then unchanged.
    @discardableResult
    public mutating func process(
        _ message: MLSMessage,
        at now: UInt64,
        accept: (ProposalSummary) -> Bool = { _ in true },
        review: (CommitSummary) -> Bool = { _ in true }
    ) throws(MLSError) -> Received {
        switch message {
        case .publicMessage(let frame):
            if let summary = try mergeIfOwn(message) { return .commit(summary) }
            let content = try verify(frame.value.message)
            return try process(content, at: now, accept, review)
        case .privateMessage(let frame):
            if let summary = try mergeIfOwn(message) { return .commit(summary) }
            return try process(frame.value.message, at: now, accept, review)
        case .welcome, .groupInfo, .keyPackage:
            throw MLSError(.usage, "this message is not for members of a group")
        }
    }

    // MARK: Public messages

    private func verify(_ message: PublicMessage) throws(MLSError) -> AuthenticatedContent {
        let content = message.content
        try publicGroup.checkFrame(of: content)
        if case .member = content.sender {
            guard message.hasValidMembershipTag(secrets.membershipKey, context, suite) else {
                throw MLSError(.authentication, "a membership tag does not authenticate")
            }
        }
        return try publicGroup.checkSignature(of: message)
    }

    // MARK: Private messages (RFC 9420 §6.3)

    private mutating func process(
        _ message: PrivateMessage,
        at now: UInt64,
        _ accept: (ProposalSummary) -> Bool,
        _ review: (CommitSummary) -> Bool
    ) throws(MLSError) -> Received {
        guard message.groupID == id else { throw MLSError(.wrongEpoch, "a message is of another group") }
        guard message.epoch == epoch else { return try processPast(message) }
        let (content, sender, ratchet) = try Self.open(
            message,
            context,
            publicGroup.tree.root,
            secrets.senderData,
            &secretTree,
            configuration.ratchetLimits,
            suite
        )
        let kind: SecretTree.Kind = message.contentType == .application ? .application : .handshake
        if case .application(let data) = content.content.body {
            secretTree.put(ratchet, kind, of: sender)
            return .application(
                ApplicationMessage(
                    sender: sender,
                    epoch: message.epoch,
                    data: data,
                    authenticatedData: message.authenticatedData
                )
            )
        }
        let received = try process(content, at: now, accept, review)
        // A commit has gone to the next epoch; its key went with the last one's secret tree, or is consumed there.
        if case .commit = received {
            if let last = pastEpochs.indices.last { pastEpochs[last].secretTree.put(ratchet, kind, of: sender) }
        } else {
            secretTree.put(ratchet, kind, of: sender)
        }
        return received
    }

    private mutating func processPast(_ message: PrivateMessage) throws(MLSError) -> Received {
        guard let at = pastEpochs.lastIndex(where: { $0.context.epoch == message.epoch }) else {
            throw MLSError(.wrongEpoch, "a message is of epoch \(message.epoch), which is not held")
        }
        guard message.contentType == .application else {
            throw MLSError(.wrongEpoch, "a handshake is of a past epoch")
        }
        let (content, sender, ratchet) = try Self.open(
            message,
            pastEpochs[at].context,
            pastEpochs[at].root,
            pastEpochs[at].senderData,
            &pastEpochs[at].secretTree,
            configuration.ratchetLimits,
            suite
        )
        guard case .application(let data) = content.content.body else {
            throw MLSError(.malformed, "a content is not what its message says")
        }
        pastEpochs[at].secretTree.put(ratchet, .application, of: sender)
        return .application(
            ApplicationMessage(
                sender: sender,
                epoch: message.epoch,
                data: data,
                authenticatedData: message.authenticatedData
            )
        )
    }

    /// Decrypts and verifies; the ratchet comes back advanced and is put in place by the caller once the message proved good.
    private static func open(
        _ message: PrivateMessage,
        _ context: GroupContext,
        _ root: Subtree,
        _ senderDataSecret: Secret,
        _ tree: inout SecretTree,
        _ limits: SecretTree.Limits,
        _ suite: Suite
    ) throws(MLSError) -> (AuthenticatedContent, LeafIndex, SenderRatchet) {
        let senderData = try message.openSenderData(senderDataSecret, suite)
        guard let leaf = root.leaf(at: senderData.leafIndex) else {
            throw MLSError(.authentication, "a message is from no member")
        }
        let kind: SecretTree.Kind = message.contentType == .application ? .application : .handshake
        var ratchet = try tree.ratchet(kind, of: senderData.leafIndex, suite)
        let key = try ratchet.key(at: senderData.generation, limits, suite)
        let content = try message.openContent(senderData, key, suite)
        guard content.hasValidSignature(by: leaf.signatureKey, context, suite) else {
            throw MLSError(.signature, "a message's signature does not verify")
        }
        return (content, senderData.leafIndex, ratchet)
    }

    // MARK: Handshakes

    private mutating func process(
        _ content: AuthenticatedContent,
        at now: UInt64,
        _ accept: (ProposalSummary) -> Bool,
        _ review: (CommitSummary) -> Bool
    ) throws(MLSError) -> Received {
        try requireActive()
        switch content.content.body {
        case .application: throw MLSError(.malformed, "a content is not what its message says")
        case .proposal(let proposal):
            return .proposal(try queue(proposal, content, at: now, accept))
        case .commit(let commit):
            return .commit(try apply(commit, content, at: now, review))
        }
    }

    private mutating func queue(
        _ proposal: Proposal,
        _ content: AuthenticatedContent,
        at now: UInt64,
        _ accept: (ProposalSummary) -> Bool
    ) throws(MLSError) -> ProposalSummary {
        try publicGroup.check(proposal, from: content.content.sender, at: now, validator)
        let reference = content.proposalReference(suite)
        let summary = ProposalSummary(
            type: proposal.type,
            sender: content.content.sender,
            reference: reference,
            proposal: proposal
        )
        guard accept(summary) else { throw MLSError(.proposal, "the application refused a proposal") }
        try proposals.insert(
            QueuedProposal(proposal: proposal, sender: content.content.sender, reference: reference),
            reference,
            limit: configuration.maximumProposals
        )
        return summary
    }
}
