extension Unverified<GroupInfo> {
    /// Verifies a GroupInfo with its tree: signature, tree, and that they speak of one group (RFC 9420 §12.4.3.1).
    ///
    /// - Parameter ratchetTree: when the GroupInfo does not carry it.
    func verified(
        _ suite: Suite,
        _ ratchetTree: UnverifiedRatchetTree?,
        _ validator: any CredentialValidator
    ) throws(MLSError) -> (info: GroupInfo, tree: RatchetTree) {
        let context = value.context
        guard context.version == .mls10, context.cipherSuite == suite.id else {
            throw MLSError(.join, "a GroupInfo is of another version or cipher suite")
        }
        guard !value.extensions.hasDuplicates, !context.extensions.hasDuplicates else {
            throw MLSError(.join, "a GroupInfo has an extension twice")
        }
        let unverifiedTree: UnverifiedRatchetTree
        if let data = value.extensions[.ratchetTree] {
            unverifiedTree = try UnverifiedRatchetTree(decoding: data)
        } else if let ratchetTree {
            unverifiedTree = ratchetTree
        } else {
            throw MLSError(.join, "a GroupInfo has no ratchet tree, and none was given")
        }
        // The signature first: it is cheap, and the tree is not.
        guard let signer = unverifiedTree.root.leaf(at: value.signer) else {
            throw MLSError(.join, "a GroupInfo is signed by no member")
        }
        guard value.hasValidSignature(by: signer.signatureKey, suite) else {
            throw MLSError(.signature, "a GroupInfo's signature does not verify")
        }
        let tree = try unverifiedTree.verified(
            groupID: context.groupID,
            treeHash: context.treeHash,
            suite,
            validator
        )
        // RFC 9420 §7.3, §11.1, §13.4
        try ProvisionalGroup(
            root: tree.root,
            changes: TreeIndex.Changes(tree.index),
            extensions: context.extensions,
            requiresPath: false
        ).checkUnderstanding()
        return (value, tree)
    }
}

extension Group {
    /// Joins with a Welcome (RFC 9420 §12.4.3.1).
    ///
    /// - Parameters:
    ///   - bundle: the key package that the Welcome answers, and its private keys. Forget it afterwards, unless it is a last resort.
    ///   - ratchetTree: when the Welcome does not carry it.
    ///   - preSharedKeys: those it may name.
    ///   - predecessor: the group that this one takes the place of, or is a branch of; its keys are taken from it.
    /// - Throws: `join` when it is not for `bundle`, and what it breaks.
    public init(
        joining welcome: Welcome,
        with bundle: KeyPackageBundle,
        ratchetTree: UnverifiedRatchetTree? = nil,
        preSharedKeys: PreSharedKeys = PreSharedKeys(),
        predecessor: Group? = nil,
        configuration: GroupConfiguration = GroupConfiguration(),
        validator: some CredentialValidator
    ) throws(MLSError) {
        guard welcome.cipherSuite == bundle.keyPackage.cipherSuite else {
            throw MLSError(.join, "a Welcome is of another cipher suite than the key package")
        }
        let suite = try Suite(welcome.cipherSuite)
        let opened = try OpenedWelcome(
            welcome,
            bundle.keyPackage,
            initKey: bundle.initKey,
            suite,
            preSharedKeys,
            predecessor
        )
        let (info, tree) = try Unverified(opened.info).verified(suite, ratchetTree, validator)

        var ownLeaf: LeafIndex?
        tree.root.forEachLeaf(first: 0) { index, leaf in
            if ownLeaf == nil, leaf == bundle.keyPackage.leafNode { ownLeaf = index }
        }
        guard let ownLeaf else { throw MLSError(.join, "the key package's leaf is not in the tree") }
        var keys = TreePrivateKeys(leaf: bundle.encryptionKey)
        if let pathSecret = opened.secrets.pathSecret {
            guard ownLeaf != info.signer else { throw MLSError(.join, "a GroupInfo is signed by the joiner") }
            let level = ownLeaf.commonLevel(with: info.signer)
            let levels = (1...max(1, tree.root.level)).filter {
                tree.root.descend(to: $0, towards: ownLeaf).parentNode != nil
            }
            guard levels.contains(level) else {
                throw MLSError(.join, "a path secret is for a node that is blank")
            }
            _ = try keys.insert(pathSecret, from: level, levels, of: ownLeaf, in: tree.root, suite)
        }
        let secrets = opened.joiner.epochSecrets(opened.pskSecret, info.context, suite)
        guard info.hasValidConfirmationTag(secrets.confirmationKey, suite) else {
            throw MLSError(.authentication, "a GroupInfo's confirmation tag does not authenticate")
        }
        if let founding = opened.founding {
            try founding.check(info.context, tree.root, predecessor)
        }
        self.init(
            PublicGroup(suite, info, tree),
            secrets,
            ownLeaf: ownLeaf,
            keys,
            bundle.signer,
            configuration,
            validator
        )
        self.preSharedKeys = preSharedKeys
    }
}

/// A Welcome decrypted, its GroupInfo not yet verified.
package struct OpenedWelcome {
    package let info: GroupInfo
    let secrets: GroupSecrets
    package let joiner: JoinerSecret
    package let pskSecret: Secret
    let founding: Founding?

    package init(
        _ welcome: Welcome,
        _ keyPackage: KeyPackage,
        initKey: HPKEPrivateKey,
        _ suite: Suite,
        _ preSharedKeys: PreSharedKeys,
        _ predecessor: Group?
    ) throws(MLSError) {
        let reference = keyPackage.reference(suite)
        guard let entry = welcome.secrets.first(where: { $0.newMember == reference }) else {
            throw MLSError(.join, "a Welcome is not for this key package")
        }
        let opened = try suite.decrypt(
            entry.secrets,
            with: initKey,
            suite.prepareEncryption("Welcome", welcome.encryptedGroupInfo)
        )
        secrets = try GroupSecrets(wire: opened.bytes)
        founding = try Founding(secrets.preSharedKeys)
        var keys: [(id: PreSharedKeyID, key: Secret)] = []
        for id in secrets.preSharedKeys {
            guard id.nonce.count == suite.hash.byteCount else {
                throw MLSError(.join, "a pre-shared key's nonce is not as long as the hash")
            }
            var key = preSharedKeys.key(for: id)
            if key == nil, case .resumption(_, let groupID, let epoch) = id.key, let predecessor,
                predecessor.id == groupID
            {
                key = predecessor.resumptionKey(of: epoch)
            }
            guard let key else { throw MLSError(.unknownPreSharedKey, "a pre-shared key is not known here") }
            keys.append((id, key))
        }
        pskSecret = preSharedKeySecret(keys, suite)
        joiner = JoinerSecret(secrets.joinerSecret)
        let welcomeSecret = joiner.welcomeSecret(pskSecret, suite)
        let encoded = try suite.aead.open(
            welcome.encryptedGroupInfo,
            key: suite.expandWithLabel(welcomeSecret, "key", count: suite.aead.keyByteCount),
            nonce: suite.expandWithLabel(welcomeSecret, "nonce", count: suite.aead.nonceByteCount),
            authenticating: []
        )
        info = try GroupInfo(wire: Array(encoded))
    }
}

/// A group that takes the place of another, or branches off it (RFC 9420 §11.2, §11.3).
struct Founding {
    let usage: PreSharedKeyID.Usage
    let groupID: [UInt8]
    let epoch: UInt64

    /// nil when no such key is named.
    init?(_ ids: [PreSharedKeyID]) throws(MLSError) {
        var found: Founding?
        for id in ids {
            guard case .resumption(let usage, let groupID, let epoch) = id.key, usage != .application else { continue }
            // RFC 9420 §12.4.3.1: it is the only one.
            guard found == nil else { throw MLSError(.join, "two resumption keys found one group") }
            found = Founding(usage: usage, groupID: groupID, epoch: epoch)
        }
        guard let found else { return nil }
        self = found
    }

    private init(usage: PreSharedKeyID.Usage, groupID: [UInt8], epoch: UInt64) {
        self.usage = usage
        self.groupID = groupID
        self.epoch = epoch
    }

    func check(_ context: GroupContext, _ root: Subtree, _ predecessor: Group?) throws(MLSError) {
        // RFC 9420 §11.2, §11.3: the new group is in its first epoch.
        guard context.epoch == 1 else { throw MLSError(.join, "a group that another founds is not in epoch 1") }
        guard let predecessor, predecessor.id == groupID else {
            throw MLSError(.join, "the group that founds this one is not known here")
        }
        switch usage {
        case .reInit:
            guard case .reInitialised(let reInit) = predecessor.status, predecessor.epoch == epoch else {
                throw MLSError(.join, "the group that founds this one was not re-initialised")
            }
            guard reInit.groupID == context.groupID, reInit.version == context.version,
                reInit.cipherSuite == context.cipherSuite, reInit.extensions == context.extensions
            else { throw MLSError(.join, "a group is not what its re-initialisation said") }
        case .branch:
            guard context.version == predecessor.context.version, context.cipherSuite == predecessor.cipherSuite else {
                throw MLSError(.join, "a branch is of another version or cipher suite")
            }
            // RFC 9420 §11.3: every member of the branch is one of the group.
            var members: Set<[UInt8]> = []
            predecessor.publicGroup.tree.root.forEachLeaf(first: 0) { members.insert($1.credential.wire) }
            var isSubset = true
            root.forEachLeaf(first: 0) { if !members.contains($1.credential.wire) { isSubset = false } }
            guard isSubset else { throw MLSError(.join, "a branch has a member that the group has not") }
        case .application: break
        }
    }
}
