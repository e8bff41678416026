extension Group {
    /// Encrypts application data for the members (RFC 9420 §15).
    ///
    /// - Parameters:
    ///   - authenticatedData: travels in the clear, and is authenticated.
    /// - Throws: `inactive`; `usage` while proposals wait for a commit (RFC 9420 §12.4); `limit`.
    public mutating func protect<Random: RandomNumberGenerator>(
        _ data: [UInt8],
        authenticatedData: [UInt8] = [],
        using random: inout Random
    ) throws(MLSError) -> MLSMessage {
        try requireActive()
        // RFC 9420 §12.4: whoever has seen proposals commits before it sends application data.
        guard proposals.isEmpty else { throw MLSError(.usage, "proposals wait for a commit") }
        guard data.count <= 1 << 28, authenticatedData.count <= 1 << 28 else {
            throw MLSError(.limit, "application data is too large")
        }
        let step = max(1, configuration.paddingStep)
        return MLSMessage(
            try PrivateMessage(
                application: data,
                authenticatedData: authenticatedData,
                from: ownLeaf,
                signedBy: signer,
                in: context,
                try secretTree.next(.application, of: ownLeaf, suite),
                senderDataSecret: secrets.senderData,
                padding: (step - (data.count + 4) % step) % step,
                suite,
                using: &random
            )
        )
    }

    /// Signs a proposal and queues it for the next commit; the message goes to all other members.
    ///
    /// - Parameter now: Unix seconds.
    /// - Throws: `inactive`, `proposal`, `leafNode`, `limit`.
    public mutating func propose<Random: RandomNumberGenerator>(
        _ proposal: Proposal,
        authenticatedData: [UInt8] = [],
        at now: UInt64,
        using random: inout Random
    ) throws(MLSError) -> MLSMessage {
        try requireActive()
        try publicGroup.check(proposal, from: .member(ownLeaf), at: now, validator)
        let content = FramedContent(
            groupID: id,
            epoch: epoch,
            sender: .member(ownLeaf),
            authenticatedData: authenticatedData,
            body: .proposal(proposal)
        )
        let signed = try AuthenticatedContent.signed(handshakeFormat, content, by: signer, context, suite)
        let message = try frame(signed, using: &random)
        let reference = signed.proposalReference(suite)
        try proposals.insert(
            QueuedProposal(proposal: proposal, sender: content.sender, reference: reference),
            reference,
            limit: configuration.maximumProposals
        )
        return message
    }

    /// Proposes fresh keys for this member, for another to commit.
    ///
    /// - Parameters:
    ///   - contents: what the new leaf says; the same as before without it.
    ///   - signer: a new signature key, when it changes.
    public mutating func proposeUpdate<Random: RandomNumberGenerator>(
        _ contents: LeafNode.Contents? = nil,
        signer newSigner: SignaturePrivateKey? = nil,
        at now: UInt64,
        using random: inout Random
    ) throws(MLSError) -> MLSMessage {
        try requireActive()
        guard let old = publicGroup.tree.root.leaf(at: ownLeaf) else {
            throw MLSError(.inactive, "this member has no leaf")
        }
        let key = try suite.kem.generateKeyPair(using: &random)
        let leaf = try LeafNode(
            contents ?? old.contents,
            encryptionKey: key.publicKey,
            source: .update,
            place: .init(groupID: id, index: ownLeaf),
            signedBy: newSigner ?? signer,
            suite
        )
        let message = try propose(.update(Unverified(leaf)), at: now, using: &random)
        ownUpdates[key.publicKey] = OwnUpdate(encryptionKey: key, signer: newSigner ?? signer)
        return message
    }

    /// A proposal that an external pre-shared key join the schedule; its nonce is fresh.
    public func externalPreSharedKey<Random: RandomNumberGenerator>(
        _ id: [UInt8],
        using random: inout Random
    ) -> Proposal {
        .preSharedKey(PreSharedKeyID(.external(id), nonce: random.bytes(suite.hash.byteCount)))
    }

    /// A proposal that the resumption key of a past epoch join the schedule: of this group, or of another its members were in.
    public func resumptionPreSharedKey<Random: RandomNumberGenerator>(
        of groupID: [UInt8],
        epoch: UInt64,
        using random: inout Random
    ) -> Proposal {
        .preSharedKey(
            PreSharedKeyID(
                .resumption(.application, groupID: groupID, epoch: epoch),
                nonce: random.bytes(suite.hash.byteCount)
            )
        )
    }

    // MARK: Framing

    var handshakeFormat: WireFormat { configuration.encryptsHandshakes ? .privateMessage : .publicMessage }

    mutating func frame<Random: RandomNumberGenerator>(
        _ signed: AuthenticatedContent,
        using random: inout Random
    ) throws(MLSError) -> MLSMessage {
        guard signed.wireFormat == .privateMessage else {
            return MLSMessage(PublicMessage(signed, membershipKey: secrets.membershipKey, context, suite))
        }
        return MLSMessage(
            try PrivateMessage(
                signed,
                from: ownLeaf,
                try secretTree.next(.handshake, of: ownLeaf, suite),
                senderDataSecret: secrets.senderData,
                padding: 0,
                suite,
                using: &random
            )
        )
    }
}

/// Proposals by those who are no members (RFC 9420 §12.1.8).
public enum ExternalProposal {
    /// A proposal by an entry of the group's `external_senders`.
    ///
    /// - Parameters:
    ///   - context: of the group's present epoch, from a GroupInfo.
    ///   - sender: the entry's place in the list.
    /// - Throws: `unsupported`, `cryptography`.
    public static func message(
        _ proposal: Proposal,
        to context: GroupContext,
        as sender: UInt32,
        signedBy signer: SignaturePrivateKey
    ) throws(MLSError) -> MLSMessage {
        try message(
            proposal,
            groupID: context.groupID,
            epoch: context.epoch,
            context.cipherSuite,
            .external(sender),
            signer
        )
    }

    /// A client's proposal that it be added.
    public static func add(
        _ bundle: KeyPackageBundle,
        toGroup groupID: [UInt8],
        epoch: UInt64
    ) throws(MLSError) -> MLSMessage {
        try message(
            .add(Unverified(bundle.keyPackage)),
            groupID: groupID,
            epoch: epoch,
            bundle.keyPackage.cipherSuite,
            .newMemberProposal,
            bundle.signer
        )
    }

    private static func message(
        _ proposal: Proposal,
        groupID: [UInt8],
        epoch: UInt64,
        _ cipherSuite: CipherSuite,
        _ sender: Sender,
        _ signer: SignaturePrivateKey
    ) throws(MLSError) -> MLSMessage {
        let suite = try Suite(cipherSuite)
        let content = FramedContent(
            groupID: groupID,
            epoch: epoch,
            sender: sender,
            authenticatedData: [],
            body: .proposal(proposal)
        )
        let signed = try AuthenticatedContent.signed(.publicMessage, content, by: signer, nil, suite)
        return MLSMessage(PublicMessage(unauthenticated: signed))
    }
}

extension Proposal {
    /// To add the holder of a key package.
    public static func add(_ keyPackage: KeyPackage) -> Proposal { .add(Unverified(keyPackage)) }
}
