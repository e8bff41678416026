/// What anyone who sees a group's handshakes knows of an epoch, verified.
struct PublicGroup: Sendable {
    let suite: Suite
    var context: GroupContext
    var tree: RatchetTree
    var interimTranscriptHash: [UInt8]
    var confirmationTag: [UInt8]

    init(
        suite: Suite,
        context: GroupContext,
        tree: RatchetTree,
        interimTranscriptHash: [UInt8],
        confirmationTag: [UInt8]
    ) {
        self.suite = suite
        self.context = context
        self.tree = tree
        self.interimTranscriptHash = interimTranscriptHash
        self.confirmationTag = confirmationTag
    }

    /// - Parameters:
    ///   - info: verified.
    ///   - tree: the one `info` is of.
    init(_ suite: Suite, _ info: GroupInfo, _ tree: RatchetTree) {
        self.init(
            suite: suite,
            context: info.context,
            tree: tree,
            interimTranscriptHash: MLS.interimTranscriptHash(
                after: info.context.confirmedTranscriptHash,
                confirmationTag: info.confirmationTag,
                suite
            ),
            confirmationTag: info.confirmationTag
        )
    }

    /// The key a framed content must be signed by (RFC 9420 §6.1).
    func signatureKey(of content: FramedContent) throws(MLSError) -> SignaturePublicKey {
        switch (content.sender, content.body) {
        case (.member(let index), _):
            guard let leaf = tree.root.leaf(at: index) else {
                throw MLSError(.authentication, "a message is from no member")
            }
            return leaf.signatureKey
        case (.external(let index), .proposal):
            guard let senders = try context.extensions.externalSenders(), Int(index) < senders.count else {
                throw MLSError(.authentication, "a message is from no external sender of the group")
            }
            return senders[Int(index)].signatureKey
        case (.newMemberProposal, .proposal(.add(let keyPackage))): return keyPackage.value.leafNode.signatureKey
        case (.newMemberCommit, .commit(let commit)):
            guard let path = commit.path else {
                throw MLSError(.commit, "an external commit has no path")
            }
            return path.leafNode.value.signatureKey
        case (.external, _), (.newMemberProposal, _), (.newMemberCommit, _):
            // RFC 9420 §6, §12.1.8: what each kind of sender may say.
            throw MLSError(.malformed, "a sender of this type may not send this content")
        }
    }
}

/// A proposal with who made it and, when it came by itself, its reference.
struct QueuedProposal: Sendable {
    let proposal: Proposal
    let sender: Sender
    let reference: [UInt8]?
}

/// A group after the proposals of a commit and before its path (RFC 9420 §12.3).
struct ProvisionalGroup: Sendable {
    struct Joiner: Sendable {
        let index: LeafIndex
        let keyPackage: KeyPackage
    }

    var root: Subtree
    var changes: TreeIndex.Changes
    var extensions: Extensions
    var joiners: [Joiner] = []
    var removed: [LeafIndex] = []
    var updated: [LeafIndex] = []
    var preSharedKeys: [PreSharedKeyID] = []
    var externalInit: [UInt8]?
    var reInit: ReInit?
    var custom: [CustomProposal] = []
    /// RFC 9420 §12.4
    var requiresPath: Bool

    var joinerIndices: [LeafIndex] { joiners.map(\.index).sorted() }
}

/// A proposal of a type the application defined, made true by a commit. Its meaning is the application's to carry out.
public struct CustomProposal: Sendable {
    public let type: ProposalType
    public let contents: [UInt8]
    public let sender: Sender
}
