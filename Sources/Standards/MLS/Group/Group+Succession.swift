extension Group {
    /// The group that a re-initialised one goes on as (RFC 9420 §11.2). One former member makes it, for all others.
    ///
    /// - Parameters:
    ///   - keyPackages: fresh ones of the other members, of the new suite.
    ///   - signer: of the new suite's scheme; the present one without it.
    /// - Returns: the new group, in epoch 1, and what the others join with.
    /// - Throws: `usage` when this group was not re-initialised.
    public func successor<Random: RandomNumberGenerator>(
        adding keyPackages: [KeyPackage],
        _ contents: LeafNode.Contents,
        signer: SignaturePrivateKey,
        validator: some CredentialValidator,
        at now: UInt64,
        using random: inout Random
    ) throws(MLSError) -> (group: Group, welcome: Welcome?) {
        guard case .reInitialised(let reInit) = status else {
            throw MLSError(.usage, "the group was not re-initialised")
        }
        return try found(
            .reInit,
            reInit.groupID,
            reInit.cipherSuite,
            reInit.extensions,
            adding: keyPackages,
            contents,
            signer,
            validator,
            at: now,
            using: &random
        )
    }

    /// A group of some of this one's members, bound to it by its resumption key (RFC 9420 §11.3).
    ///
    /// - Parameters:
    ///   - id: of the new group.
    ///   - keyPackages: fresh ones of those members.
    public func branch<Random: RandomNumberGenerator>(
        _ id: [UInt8],
        adding keyPackages: [KeyPackage],
        extensions: Extensions = [],
        at now: UInt64,
        using random: inout Random
    ) throws(MLSError) -> (group: Group, welcome: Welcome?) {
        try requireActive()
        guard let leaf = publicGroup.tree.root.leaf(at: ownLeaf) else {
            throw MLSError(.inactive, "this member has no leaf")
        }
        return try found(
            .branch,
            id,
            cipherSuite,
            extensions,
            adding: keyPackages,
            leaf.contents,
            signer,
            validator,
            at: now,
            using: &random
        )
    }

    private func found<Random: RandomNumberGenerator>(
        _ usage: PreSharedKeyID.Usage,
        _ id: [UInt8],
        _ cipherSuite: CipherSuite,
        _ extensions: Extensions,
        adding keyPackages: [KeyPackage],
        _ contents: LeafNode.Contents,
        _ signer: SignaturePrivateKey,
        _ validator: some CredentialValidator,
        at now: UInt64,
        using random: inout Random
    ) throws(MLSError) -> (group: Group, welcome: Welcome?) {
        var group = try Group(
            creating: id,
            cipherSuite,
            contents,
            signer: signer,
            extensions: extensions,
            configuration: configuration,
            validator: validator,
            at: now,
            using: &random
        )
        group.preSharedKeys = preSharedKeys
        group.preSharedKeys[resumption: self.id, epoch] = secrets.resumptionPSK
        let key = PreSharedKeyID(
            .resumption(usage, groupID: self.id, epoch: epoch),
            nonce: random.bytes(group.suite.hash.byteCount)
        )
        var options = CommitOptions(keyPackages.map { .add($0) } + [.preSharedKey(key)])
        options.includesQueued = false
        let bundle = try group.commit(options, founding: usage == .reInit ? .reInit : .branch, at: now, using: &random)
        try group.mergePendingCommit()
        return (group, bundle.welcome)
    }
}
