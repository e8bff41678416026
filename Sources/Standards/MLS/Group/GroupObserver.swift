/// A group as one who is no member sees it, such as a delivery service that admits only commits which members will accept.
///
/// It begins with a GroupInfo and its tree, and follows the group by the handshakes that travel as public messages. It refuses what a
/// member refuses, as far as that can be seen without the group's secrets: what it cannot check are membership tags, confirmation
/// tags, sealed path secrets and pre-shared keys (docs/mls.md, rules 8, 23, 53 and 54). A message is judged by `observe`, which
/// changes nothing; the owner then lets it pass with `enter` or `queue`, or drops it.
///
/// ```
/// var observer = try GroupObserver(groupInfo, validator: validator)
/// if case .commit(let commit) = try observer.observe(message, at: now) {
///     // look at commit.added, commit.removed, commit.committer, …
///     try observer.enter(commit)
/// }
/// ```
public struct GroupObserver: Sendable {
    /// Proposals held for the next commit.
    public var maximumProposals: Int
    /// After a reInit no more is admitted (RFC 9420 §11.2).
    public private(set) var reInit: ReInit?
    private let validator: any CredentialValidator
    private var group: PublicGroup
    private var proposals = ProposalQueue()

    /// - Parameters:
    ///   - ratchetTree: when the GroupInfo does not carry it.
    /// - Throws: `unsupported`, and what GroupInfo and tree break.
    public init(
        _ groupInfo: Unverified<GroupInfo>,
        ratchetTree: UnverifiedRatchetTree? = nil,
        maximumProposals: Int = 256,
        validator: some CredentialValidator
    ) throws(MLSError) {
        let suite = try Suite(groupInfo.value.context.cipherSuite)
        let (info, tree) = try groupInfo.verified(suite, ratchetTree, validator)
        self.maximumProposals = maximumProposals
        self.validator = validator
        group = PublicGroup(suite, info, tree)
    }

    public var id: [UInt8] { group.context.groupID }
    public var epoch: UInt64 { group.context.epoch }
    public var cipherSuite: CipherSuite { group.suite.id }
    public var context: GroupContext { group.context }
    public var extensions: Extensions { group.context.extensions }
    public var memberCount: Int { group.tree.root.occupied }

    /// All members in the order of their leaves. It walks the tree.
    public var members: [Group.Member] {
        var members: [Group.Member] = []
        members.reserveCapacity(memberCount)
        group.tree.root.forEachLeaf(first: 0) { members.append(Group.Member(index: $0, leafNode: $1)) }
        return members
    }

    public func member(at index: LeafIndex) -> Group.Member? {
        group.tree.root.leaf(at: index).map { Group.Member(index: index, leafNode: $0) }
    }

    /// The tree as a `ratchet_tree` extension carries it.
    public var ratchetTree: UnverifiedRatchetTree { UnverifiedRatchetTree(group.tree.root) }

    // MARK: Judging

    /// Judges a handshake of the present epoch. Nothing changes.
    ///
    /// - Parameter now: Unix seconds, for the lifetimes of key packages that are added.
    /// - Throws: what a member throws for it; `usage` for what is no public message, `inactive` after a reInit.
    public func observe(_ message: MLSMessage, at now: UInt64) throws(MLSError) -> Observed {
        guard case .publicMessage(let frame) = message else {
            throw MLSError(.usage, "only public messages can be followed from outside")
        }
        let message = frame.value.message
        try group.checkFrame(of: message.content)
        let content = try group.checkSignature(of: message)
        guard reInit == nil else { throw MLSError(.inactive, "the group was re-initialised") }
        let sender = content.content.sender
        switch content.content.body {
        case .application: throw MLSError(.malformed, "application data came as a public message")
        case .proposal(let proposal):
            try group.check(proposal, from: sender, at: now, validator)
            let member: Group.Member? = if case .member(let index) = sender { self.member(at: index) } else { nil }
            let summary = ProposalSummary(
                type: proposal.type,
                sender: sender,
                reference: content.proposalReference(group.suite),
                proposal: proposal
            )
            return .proposal(ObservedProposal(summary: summary, proposer: member, epoch: epoch))
        case .commit(let commit):
            let staged = try group.stage(commit, content, proposals, at: now, validator)
            return .commit(try observed(staged, content))
        }
    }

    private func observed(
        _ staged: StagedCommit,
        _ content: AuthenticatedContent
    ) throws(MLSError) -> ObservedCommit {
        let suite = group.suite
        let root = staged.root(suite)
        let confirmed = content.confirmedTranscriptHash(after: group.interimTranscriptHash, suite)
        let context = try group.pathContext(root, staged.provisional.extensions).with(
            confirmedTranscriptHash: confirmed
        )
        guard let committer = root.leaf(at: staged.owner) else {
            throw MLSError(.commit, "a commit leaves its committer no leaf")
        }
        var updated: [Group.Member] = []
        for index in staged.summary.updated {
            if let leaf = root.leaf(at: index) { updated.append(Group.Member(index: index, leafNode: leaf)) }
        }
        return ObservedCommit(
            summary: staged.summary,
            isExternal: content.content.sender == .newMemberCommit,
            committer: Group.Member(index: staged.owner, leafNode: committer),
            previous: content.content.sender == .newMemberCommit ? nil : member(at: staged.owner),
            added: staged.provisional.joiners.map {
                Group.Member(index: $0.index, leafNode: $0.keyPackage.leafNode)
            },
            removed: staged.summary.removed.compactMap(member(at:)),
            updated: updated,
            context: context,
            root: root,
            changes: staged.provisional.changes,
            confirmationTag: staged.confirmationTag,
            interimTranscriptHash: interimTranscriptHash(
                after: confirmed,
                confirmationTag: staged.confirmationTag,
                suite
            )
        )
    }

    /// Whether a GroupInfo is one of this epoch, signed by a member: what a joiner may be handed.
    ///
    /// - Throws: `wrong-epoch` for another epoch or group, `join` when it is not of this state of the group, `signature`.
    public func check(_ groupInfo: Unverified<GroupInfo>) throws(MLSError) {
        let info = groupInfo.value
        guard info.context.groupID == id, info.context.epoch == epoch else {
            throw MLSError(.wrongEpoch, "a GroupInfo is of another epoch")
        }
        guard info.context == group.context, info.confirmationTag == group.confirmationTag,
            !info.extensions.hasDuplicates
        else { throw MLSError(.join, "a GroupInfo is not of this group's state") }
        guard let signer = group.tree.root.leaf(at: info.signer) else {
            throw MLSError(.join, "a GroupInfo is signed by no member")
        }
        guard info.hasValidSignature(by: signer.signatureKey, group.suite) else {
            throw MLSError(.signature, "a GroupInfo's signature does not verify")
        }
        if let tree = info.extensions[.ratchetTree] {
            guard tree == ratchetTree.encoded else { throw MLSError(.tree, "a ratchet tree is not the group's") }
        }
    }

    // MARK: Following

    /// Goes to the epoch that the commit leads to; proposals that waited are gone.
    ///
    /// - Throws: `usage` unless the commit was observed in this epoch of this group.
    public mutating func enter(_ commit: ObservedCommit) throws(MLSError) {
        guard commit.context.groupID == id, epoch < .max, commit.context.epoch == epoch + 1 else {
            throw MLSError(.usage, "a commit was observed in another epoch")
        }
        group.context = commit.context
        group.interimTranscriptHash = commit.interimTranscriptHash
        group.confirmationTag = commit.confirmationTag
        group.tree.accept(commit.root, commit.changes)
        proposals = ProposalQueue()
        reInit = commit.summary.reInit
    }

    /// Keeps a proposal for the commit that names it.
    ///
    /// - Throws: `usage` unless it was observed in this epoch, `limit` when too many wait.
    public mutating func queue(_ proposal: ObservedProposal) throws(MLSError) {
        guard proposal.epoch == epoch else { throw MLSError(.usage, "a proposal was observed in another epoch") }
        let summary = proposal.summary
        try proposals.insert(
            QueuedProposal(proposal: summary.proposal, sender: summary.sender, reference: summary.reference),
            summary.reference,
            limit: maximumProposals
        )
    }

    // MARK: Saving

    private static let format: UInt16 = 0x4f01

    /// The whole state. It holds nothing secret.
    public var saved: [UInt8] {
        var writer = WireWriter(capacity: 1024 + memberCount * 256)
        writer.write(Self.format)
        group.encode(to: &writer)
        writer.write(UInt32(clamping: maximumProposals))
        writer.optional(reInit)
        writer.write(proposals)
        return writer.bytes
    }

    /// Continues from a saved state, which is this program's own and is trusted; bytes that are none are refused.
    ///
    /// - Throws: `malformed`, `unsupported`, `limit`.
    public init(restoring saved: [UInt8], validator: some CredentialValidator) throws(MLSError) {
        var reader = WireReader(saved)
        guard try reader.uint16() == Self.format else { throw MLSError(.malformed, "this is no saved observer") }
        group = try PublicGroup(from: &reader, validator)
        maximumProposals = Int(try reader.uint32())
        reInit = try reader.optional { (reader: inout WireReader) throws(MLSError) in try ReInit(from: &reader) }
        self.validator = validator
        proposals = try ProposalQueue(from: &reader)
        try reader.finish()
    }
}

/// What a handshake would do.
public enum Observed: Sendable {
    case proposal(ObservedProposal)
    case commit(ObservedCommit)
}

/// A proposal that holds by itself.
public struct ObservedProposal: Sendable {
    public let summary: ProposalSummary
    /// Nil when it is from outside.
    public let proposer: Group.Member?
    let epoch: UInt64
}

/// A commit that is valid as far as it can be seen from outside, and the epoch it leads to.
public struct ObservedCommit: Sendable {
    public let summary: CommitSummary
    /// It joins its sender (RFC 9420 §12.4.3.2).
    public let isExternal: Bool
    /// With its new leaf.
    public let committer: Group.Member
    /// The committer's leaf before, which is the same when the commit has no path; nil when it joins.
    public let previous: Group.Member?
    /// With their leaves, and where these come to stand.
    public let added: [Group.Member]
    /// As they stood before.
    public let removed: [Group.Member]
    /// With their new leaves, the committer's apart.
    public let updated: [Group.Member]
    /// Of the epoch that it leads to.
    public let context: GroupContext
    let root: Subtree
    let changes: TreeIndex.Changes
    let confirmationTag: [UInt8]
    let interimTranscriptHash: [UInt8]
}
