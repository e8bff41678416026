/// Framing and unframing with the secrets of one epoch and no group around them: what published vectors of message protection
/// check. Nothing here knows members; the caller says whose key a signature must be by.
package struct MessageProtection: Sendable {
    private let suite: Suite
    private let context: GroupContext
    private let membershipKey: Secret
    private let senderDataSecret: Secret
    private let tree: SecretTree

    package init(
        suite: Suite,
        context: GroupContext,
        membershipKey: Secret,
        senderDataSecret: Secret,
        encryptionSecret: Secret,
        leafCount: Int
    ) {
        self.suite = suite
        self.context = context
        self.membershipKey = membershipKey
        self.senderDataSecret = senderDataSecret
        tree = SecretTree(encryptionSecret, leafCount: leafCount)
    }

    package func protect<Random: RandomNumberGenerator>(
        _ kind: FramedKind,
        _ body: [UInt8],
        from sender: LeafIndex,
        _ signer: SignaturePrivateKey,
        isPrivate: Bool,
        using random: inout Random
    ) throws(MLSError) -> MLSMessage {
        let framed: FramedContent.Body =
            switch kind {
            case .application: .application(body)
            case .proposal: .proposal(try Proposal(wire: body))
            case .commit: .commit(try Commit(wire: body))
            }
        let content = FramedContent(
            groupID: context.groupID,
            epoch: context.epoch,
            sender: .member(sender),
            authenticatedData: [],
            body: framed
        )
        var signed = try AuthenticatedContent.signed(
            isPrivate ? .privateMessage : .publicMessage,
            content,
            by: signer,
            context,
            suite
        )
        if kind == .commit { signed = signed.with(confirmationTag: random.bytes(suite.hash.byteCount)) }
        guard isPrivate else {
            return MLSMessage(PublicMessage(signed, membershipKey: membershipKey, context, suite))
        }
        var tree = tree
        let key = try tree.next(kind == .application ? .application : .handshake, of: sender, suite)
        return MLSMessage(
            try PrivateMessage(
                signed,
                from: sender,
                key,
                senderDataSecret: senderDataSecret,
                padding: 0,
                suite,
                using: &random
            )
        )
    }

    package func open(
        _ message: MLSMessage,
        key: SignaturePublicKey
    ) throws(MLSError) -> (sender: Sender, body: [UInt8]) {
        let content: AuthenticatedContent
        switch message {
        case .publicMessage(let frame):
            guard frame.value.message.hasValidMembershipTag(membershipKey, context, suite) else {
                throw MLSError(.authentication, "a membership tag does not authenticate")
            }
            content = frame.value.message.unverified
        case .privateMessage(let frame):
            let message = frame.value.message
            let senderData = try message.openSenderData(senderDataSecret, suite)
            var tree = tree
            let messageKey = try tree.key(
                message.contentType == .application ? .application : .handshake,
                of: senderData.leafIndex,
                at: senderData.generation,
                SecretTree.Limits(),
                suite
            )
            content = try message.openContent(senderData, messageKey, suite)
        case .welcome, .groupInfo, .keyPackage: throw MLSError(.usage, "this message is not framed")
        }
        guard content.hasValidSignature(by: key, context, suite) else {
            throw MLSError(.signature, "a message's signature does not verify")
        }
        switch content.content.body {
        case .application(let data): return (content.content.sender, data)
        case .proposal(let proposal): return (content.content.sender, proposal.wire)
        case .commit(let commit): return (content.content.sender, commit.wire)
        }
    }
}

package enum FramedKind: Sendable { case application, proposal, commit }
