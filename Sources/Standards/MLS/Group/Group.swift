/// One member's view of a group (RFC 9420 §11, §12): the machine that all messages of the group pass.
///
/// It is a value. Bytes, time (Unix seconds) and randomness are passed in; nothing here reads a clock, draws a random byte or
/// opens a socket. A call that throws leaves it as it was, and `saved` writes it down whole at any step.
///
/// ```
/// create / join(Welcome) / external commit ──► active ──┬─ protect, propose, commit ─► messages to send
///                                                        ├─ process(message) ─► data, proposals, the next epoch
///                                                        └─ removed, or re-initialised: reads its past, sends no more
/// ```
///
/// What is refused: messages of other groups; handshakes of any epoch but the present; application messages older than
/// `GroupConfiguration.pastEpochs`; anything that breaks a rule of RFC 9420 §7, §11 or §12 (docs/mls.md lists them).
public struct Group: Sendable {
    public enum Status: Hashable, Sendable {
        case active
        /// A commit removed this member.
        case removed
        /// A commit ended the group in favour of another (RFC 9420 §11.2).
        case reInitialised(ReInit)
    }

    public var configuration: GroupConfiguration
    /// Keys that proposals may name.
    public var preSharedKeys = PreSharedKeys()
    public internal(set) var status = Status.active
    let validator: any CredentialValidator
    var publicGroup: PublicGroup
    var secrets: EpochSecrets
    var secretTree: SecretTree
    public internal(set) var ownLeaf: LeafIndex
    var keys: TreePrivateKeys
    var signer: SignaturePrivateKey
    var proposals = ProposalQueue()
    /// Own updates proposed in this epoch, by the new leaf's encryption key.
    var ownUpdates: [HPKEPublicKey: OwnUpdate] = [:]
    var pendingCommit: PendingCommit?
    /// Latest last.
    var pastEpochs: [PastEpoch] = []
    /// Of this group's epochs, latest last; the present one's is in `secrets`.
    var resumptionKeys: [(epoch: UInt64, key: Secret)] = []

    struct OwnUpdate: Sendable {
        let encryptionKey: HPKEPrivateKey
        let signer: SignaturePrivateKey
    }

    /// A commit that was sent and not yet accepted by the delivery service.
    struct PendingCommit: Sendable {
        let next: NextEpoch
        /// Of the message, to know it by when it comes back.
        let messageHash: [UInt8]
        let summary: CommitSummary
    }

    /// What late application messages are opened with.
    struct PastEpoch: Sendable {
        let context: GroupContext
        let root: Subtree
        let senderData: Secret
        var secretTree: SecretTree
    }

    var suite: Suite { publicGroup.suite }

    init(
        _ publicGroup: PublicGroup,
        _ secrets: EpochSecrets,
        ownLeaf: LeafIndex,
        _ keys: TreePrivateKeys,
        _ signer: SignaturePrivateKey,
        _ configuration: GroupConfiguration,
        _ validator: any CredentialValidator
    ) {
        self.publicGroup = publicGroup
        self.secrets = secrets.withoutEncryption()
        secretTree = SecretTree(secrets.encryption, leafCount: publicGroup.tree.root.leafCount)
        self.ownLeaf = ownLeaf
        self.keys = keys
        self.signer = signer
        self.configuration = configuration
        self.validator = validator
    }

    /// A group of one, in epoch 0 (RFC 9420 §11).
    ///
    /// - Parameters:
    ///   - id: unlike any other group's that a member may be in; random bytes will do.
    ///   - signer: must be of the suite's scheme.
    ///   - extensions: of the group's context; the creator must list their types.
    ///   - now: Unix seconds.
    /// - Throws: `unsupported`, `leafNode`, `credential`, `proposal`.
    public init<Random: RandomNumberGenerator>(
        creating id: [UInt8],
        _ cipherSuite: CipherSuite,
        _ contents: LeafNode.Contents,
        signer: SignaturePrivateKey,
        extensions: Extensions = [],
        configuration: GroupConfiguration = GroupConfiguration(),
        validator: some CredentialValidator,
        at now: UInt64,
        using random: inout Random
    ) throws(MLSError) {
        let suite = try Suite(cipherSuite)
        let key = try suite.kem.generateKeyPair(using: &random)
        let leaf = try LeafNode(
            contents,
            encryptionKey: key.publicKey,
            source: .keyPackage(Lifetime(from: now)),
            place: nil,
            signedBy: signer,
            suite
        )
        try leaf.checkSelf(suite, validator)
        let tree = try RatchetTree(leaf, suite, validator)
        guard !extensions.hasDuplicates else { throw MLSError(.proposal, "a context's extension is there twice") }
        try ProvisionalGroup(
            root: tree.root,
            changes: TreeIndex.Changes(tree.index),
            extensions: extensions,
            requiresPath: false
        ).checkUnderstanding()
        let context = GroupContext(
            cipherSuite: cipherSuite,
            groupID: id,
            epoch: 0,
            treeHash: tree.hash,
            confirmedTranscriptHash: [],
            extensions: extensions
        )
        // The first epoch's secret is random, its confirmation tag over an empty transcript.
        let secrets = EpochSecrets(epochSecret: Secret(count: suite.hash.byteCount, using: &random), suite)
        let tag = secrets.confirmationTag(context, suite)
        self.init(
            PublicGroup(
                suite: suite,
                context: context,
                tree: tree,
                interimTranscriptHash: interimTranscriptHash(after: [], confirmationTag: tag, suite),
                confirmationTag: tag
            ),
            secrets,
            ownLeaf: LeafIndex(rawValue: 0),
            TreePrivateKeys(leaf: key),
            signer,
            configuration,
            validator
        )
    }
}

// MARK: What is known

extension Group {
    public var id: [UInt8] { publicGroup.context.groupID }
    public var epoch: UInt64 { publicGroup.context.epoch }
    public var cipherSuite: CipherSuite { suite.id }
    public var context: GroupContext { publicGroup.context }
    public var extensions: Extensions { publicGroup.context.extensions }

    public struct Member: Sendable {
        public let index: LeafIndex
        public let leafNode: LeafNode
        public var credential: Credential { leafNode.credential }
    }

    public var memberCount: Int { publicGroup.tree.root.occupied }

    /// All members in the order of their leaves. It walks the tree.
    public var members: [Member] {
        var members: [Member] = []
        members.reserveCapacity(memberCount)
        publicGroup.tree.root.forEachLeaf(first: 0) { members.append(Member(index: $0, leafNode: $1)) }
        return members
    }

    public func member(at index: LeafIndex) -> Member? {
        publicGroup.tree.root.leaf(at: index).map { Member(index: index, leafNode: $0) }
    }

    /// The same for all members of an epoch, and for nobody else (RFC 9420 §8.7); empty once this member was removed.
    public var epochAuthenticator: [UInt8] { status == .removed ? [] : secrets.epochAuthenticator.bytes }

    /// A secret for other uses, the same for all members of the epoch (RFC 9420 §8.5).
    ///
    /// - Parameter count: at most 255 hashes.
    /// - Throws: `usage` for a longer one, `inactive` once this member was removed.
    public func export(label: String, context: [UInt8] = [], count: Int) throws(MLSError) -> Secret {
        guard status != .removed else { throw MLSError(.inactive, "this member was removed from the group") }
        guard (0...255 * suite.hash.byteCount).contains(count) else {
            throw MLSError(.usage, "an exported secret has at most 255 hashes")
        }
        return secrets.export(label: Array(label.utf8), context: context, count: count, suite)
    }

    /// The resumption key of the present or a past epoch that is still kept (RFC 9420 §8.6).
    public func resumptionKey(of epoch: UInt64) -> Secret? {
        if epoch == self.epoch { return status == .removed ? nil : secrets.resumptionPSK }
        return resumptionKeys.last { $0.epoch == epoch }?.key
    }

    /// The tree as a `ratchet_tree` extension carries it, for those who join with a GroupInfo that has none.
    public var ratchetTree: UnverifiedRatchetTree { UnverifiedRatchetTree(publicGroup.tree.root) }

    func requireActive() throws(MLSError) {
        switch status {
        case .active: break
        case .removed: throw MLSError(.inactive, "this member was removed from the group")
        case .reInitialised: throw MLSError(.inactive, "the group was re-initialised")
        }
    }

    /// Finds the keys that a commit or Welcome names, in its order.
    func keys(for ids: [PreSharedKeyID]) throws(MLSError) -> [(id: PreSharedKeyID, key: Secret)] {
        var found: [(id: PreSharedKeyID, key: Secret)] = []
        for id in ids {
            var key = preSharedKeys.key(for: id)
            if key == nil, case .resumption(_, self.id, let epoch) = id.key { key = resumptionKey(of: epoch) }
            guard let key else { throw MLSError(.unknownPreSharedKey, "a pre-shared key is not known here") }
            found.append((id, key))
        }
        return found
    }

    /// Enters the next epoch and forgets what the last one's secrets can be forgotten of (RFC 9420 §9.2).
    mutating func enter(_ next: NextEpoch) {
        let past = PastEpoch(
            context: publicGroup.context,
            root: publicGroup.tree.root,
            senderData: secrets.senderData,
            secretTree: secretTree
        )
        pastEpochs.append(past)
        if pastEpochs.count > configuration.pastEpochs {
            pastEpochs.removeFirst(pastEpochs.count - max(0, configuration.pastEpochs))
        }
        resumptionKeys.append((epoch, secrets.resumptionPSK))
        if resumptionKeys.count > configuration.resumptionKeys {
            resumptionKeys.removeFirst(resumptionKeys.count - max(0, configuration.resumptionKeys))
        }
        publicGroup.context = next.context
        publicGroup.interimTranscriptHash = next.interimTranscriptHash
        publicGroup.confirmationTag = next.confirmationTag
        publicGroup.tree.accept(next.root, next.changes)
        secretTree = SecretTree(next.secrets.encryption, leafCount: next.root.leafCount)
        secrets = next.secrets.withoutEncryption()
        keys = next.keys
        ownLeaf = next.ownLeaf
        signer = next.signer
        proposals = ProposalQueue()
        ownUpdates = [:]
        pendingCommit = nil
        if let reInit = next.reInit { status = .reInitialised(reInit) }
    }
}

/// Proposals that came by themselves in this epoch and wait for a commit.
struct ProposalQueue: Sendable {
    private(set) var items: [QueuedProposal] = []
    private var positions: [[UInt8]: Int] = [:]

    var isEmpty: Bool { items.isEmpty }

    subscript(reference: [UInt8]) -> QueuedProposal? { positions[reference].map { items[$0] } }

    /// One that is there already is not put twice.
    mutating func insert(_ item: QueuedProposal, _ reference: [UInt8], limit: Int) throws(MLSError) {
        guard positions[reference] == nil else { return }
        guard items.count < limit else { throw MLSError(.limit, "too many proposals wait for a commit") }
        positions[reference] = items.count
        items.append(item)
    }
}
