extension Group {
    /// The whole state: what `init(restoring:)` continues from, at any step. It holds every secret of the group that is still
    /// needed, and none that is not; keep it as a secret.
    public var saved: Secret {
        var writer = WireWriter(capacity: 4096 + memberCount * 256)
        writer.write(Self.format)
        publicGroup.encode(to: &writer)
        secrets.encode(to: &writer)
        secretTree.encode(to: &writer)
        writer.write(ownLeaf)
        keys.encode(to: &writer)
        writer.vector(signer.rawRepresentation)
        configuration.encode(to: &writer)
        preSharedKeys.encode(to: &writer)
        status.encode(to: &writer)
        writer.write(proposals)
        writer.nested { writer in
            for update in ownUpdates.values {
                writer.vector(update.encryptionKey.secret)
                writer.vector(update.signer.rawRepresentation)
            }
        }
        writer.nested { writer in
            for past in pastEpochs {
                writer.write(past.context)
                writer.write(past.root.encodedNodes)
                writer.vector(past.senderData)
                past.secretTree.encode(to: &writer)
            }
        }
        writer.nested { writer in
            for (epoch, key) in resumptionKeys {
                writer.write(epoch)
                writer.vector(key)
            }
        }
        writer.optional(pendingCommit) { writer, pending in pending.encode(to: &writer) }
        return Secret(writer.bytes)
    }

    private static let format: UInt16 = 1

    /// Continues from a saved state, which is this program's own and is trusted; bytes that are none are refused.
    ///
    /// - Throws: `malformed`, `unsupported`, `cryptography`, `limit`.
    public init(restoring saved: Secret, validator: some CredentialValidator) throws(MLSError) {
        var reader = WireReader(saved.bytes)
        guard try reader.uint16() == Self.format else { throw MLSError(.malformed, "this is no saved group") }
        publicGroup = try PublicGroup(from: &reader, validator)
        let suite = publicGroup.suite
        secrets = try EpochSecrets(from: &reader)
        secretTree = try SecretTree(from: &reader)
        ownLeaf = try LeafIndex(from: &reader)
        keys = try TreePrivateKeys(from: &reader, suite)
        signer = try SignaturePrivateKey(suite.signature, Secret(try reader.vector()))
        configuration = try GroupConfiguration(from: &reader)
        preSharedKeys = try PreSharedKeys(from: &reader)
        status = try Status(from: &reader)
        self.validator = validator
        proposals = try ProposalQueue(from: &reader)
        var part = try reader.nested()
        while !part.isAtEnd {
            let key = try HPKEPrivateKey(suite.kem, Secret(try part.vector()))
            let signer = try SignaturePrivateKey(suite.signature, Secret(try part.vector()))
            ownUpdates[key.publicKey] = OwnUpdate(encryptionKey: key, signer: signer)
        }
        part = try reader.nested()
        while !part.isAtEnd {
            pastEpochs.append(
                PastEpoch(
                    context: try GroupContext(from: &part),
                    root: try Subtree(saved: &part, suite),
                    senderData: Secret(try part.vector()),
                    secretTree: try SecretTree(from: &part)
                )
            )
        }
        part = try reader.nested()
        while !part.isAtEnd { resumptionKeys.append((try part.uint64(), Secret(try part.vector()))) }
        let index = publicGroup.tree.index
        pendingCommit = try reader.optional { (reader: inout WireReader) throws(MLSError) in
            try PendingCommit(from: &reader, suite, replacing: index, validator)
        }
        try reader.finish()
    }
}

extension PublicGroup {
    func encode(to writer: inout WireWriter) {
        writer.write(context)
        writer.vector(interimTranscriptHash)
        writer.vector(confirmationTag)
        writer.write(tree.root.encodedNodes)
    }

    init(from reader: inout WireReader, _ validator: some CredentialValidator) throws(MLSError) {
        context = try GroupContext(from: &reader)
        suite = try Suite(context.cipherSuite)
        interimTranscriptHash = try reader.vector()
        confirmationTag = try reader.vector()
        let root = try Subtree(saved: &reader, suite)
        tree = try RatchetTree(root: root, index: TreeIndex(of: root, validator))
    }
}

extension ProposalQueue: WireEncodable, WireDecodable {
    package func encode(to writer: inout WireWriter) {
        writer.nested { writer in
            for item in items {
                writer.write(item.proposal)
                writer.write(item.sender)
                writer.vector(item.reference ?? [])
            }
        }
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        self.init()
        var part = try reader.nested()
        while !part.isAtEnd {
            let proposal = try Proposal(from: &part)
            let sender = try Sender(from: &part)
            let reference = try part.vector()
            try insert(
                QueuedProposal(proposal: proposal, sender: sender, reference: reference),
                reference,
                limit: .max
            )
        }
    }
}

extension Subtree {
    /// One of this program's own; it was verified before it was saved.
    convenience init(saved reader: inout WireReader, _ suite: Suite) throws(MLSError) {
        var writer = WireWriter()
        writer.vector(try reader.vector())
        let root = try UnverifiedRatchetTree(decoding: writer.bytes).root.hashed(first: 0, suite)
        switch root.node {
        case .leaf(let leaf): self.init(leaf: leaf, hash: root.hash)
        case .parent(let parent, let left, let right): self.init(parent, left, right, hash: root.hash)
        }
    }
}

extension TreePrivateKeys {
    fileprivate func encode(to writer: inout WireWriter) {
        writer.vector(leaf.secret)
        writer.nested { writer in
            for (level, key) in parents {
                writer.write(UInt8(level))
                writer.vector(key.secret)
            }
        }
    }

    fileprivate init(from reader: inout WireReader, _ suite: Suite) throws(MLSError) {
        leaf = try HPKEPrivateKey(suite.kem, Secret(try reader.vector()))
        var part = try reader.nested()
        while !part.isAtEnd {
            let level = Int(try part.uint8())
            parents[level] = try HPKEPrivateKey(suite.kem, Secret(try part.vector()))
        }
    }
}

extension GroupConfiguration: WireEncodable, WireDecodable {
    package func encode(to writer: inout WireWriter) {
        writer.write(UInt32(clamping: pastEpochs))
        writer.write(UInt32(clamping: resumptionKeys))
        writer.write(maximumForwardGenerations)
        writer.write(UInt32(clamping: maximumSkippedKeys))
        writer.write(UInt32(clamping: maximumProposals))
        writer.write(UInt32(clamping: paddingStep))
        writer.write(UInt8(encryptsHandshakes ? 1 : 0))
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        pastEpochs = Int(try reader.uint32())
        resumptionKeys = Int(try reader.uint32())
        maximumForwardGenerations = try reader.uint32()
        maximumSkippedKeys = Int(try reader.uint32())
        maximumProposals = Int(try reader.uint32())
        paddingStep = Int(try reader.uint32())
        encryptsHandshakes = try reader.uint8() == 1
    }
}

extension Group.Status: WireEncodable, WireDecodable {
    package func encode(to writer: inout WireWriter) {
        switch self {
        case .active: writer.write(UInt8(0))
        case .removed: writer.write(UInt8(1))
        case .reInitialised(let reInit):
            writer.write(UInt8(2))
            writer.write(reInit)
        }
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        switch try reader.uint8() {
        case 0: self = .active
        case 1: self = .removed
        case 2: self = .reInitialised(try ReInit(from: &reader))
        default: throw MLSError(.malformed, "this is no saved group")
        }
    }
}

extension Group.PendingCommit {
    fileprivate func encode(to writer: inout WireWriter) {
        writer.vector(messageHash)
        writer.write(next.context)
        writer.write(next.root.encodedNodes)
        next.secrets.encode(to: &writer)
        writer.vector(next.secrets.encryption)
        writer.vector(next.confirmationTag)
        writer.vector(next.interimTranscriptHash)
        next.keys.encode(to: &writer)
        writer.write(next.ownLeaf)
        writer.vector(next.signer.rawRepresentation)
        writer.optional(next.reInit)
        summary.encode(to: &writer)
    }

    fileprivate init(
        from reader: inout WireReader,
        _ suite: Suite,
        replacing index: TreeIndex,
        _ validator: any CredentialValidator
    ) throws(MLSError) {
        messageHash = try reader.vector()
        let context = try GroupContext(from: &reader)
        let root = try Subtree(saved: &reader, suite)
        let secrets = try EpochSecrets(from: &reader).with(encryption: Secret(try reader.vector()))
        next = NextEpoch(
            context: context,
            root: root,
            changes: TreeIndex.Changes(from: index, to: try TreeIndex(of: root, validator)),
            secrets: secrets,
            confirmationTag: try reader.vector(),
            interimTranscriptHash: try reader.vector(),
            keys: try TreePrivateKeys(from: &reader, suite),
            ownLeaf: try LeafIndex(from: &reader),
            signer: try SignaturePrivateKey(suite.signature, Secret(try reader.vector())),
            reInit: try reader.optional { (reader: inout WireReader) throws(MLSError) in try ReInit(from: &reader) }
        )
        summary = try CommitSummary(from: &reader)
    }
}

extension CommitSummary: WireEncodable, WireDecodable {
    package func encode(to writer: inout WireWriter) {
        writer.write(epoch)
        writer.write(committer)
        writer.write(committerLeaf)
        writer.list(added)
        writer.list(removed)
        writer.list(updated)
        writer.optional(extensions)
        writer.optional(reInit)
        writer.nested { writer in
            for proposal in custom {
                writer.write(proposal.type)
                writer.vector(proposal.contents)
                writer.write(proposal.sender)
            }
        }
        writer.write(UInt32(clamping: preSharedKeyCount))
        writer.vector(authenticatedData)
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        epoch = try reader.uint64()
        committer = try Sender(from: &reader)
        committerLeaf = try LeafIndex(from: &reader)
        added = try reader.list(of: LeafIndex.self)
        removed = try reader.list(of: LeafIndex.self)
        updated = try reader.list(of: LeafIndex.self)
        extensions = try reader.optional { (reader: inout WireReader) throws(MLSError) in try Extensions(from: &reader)
        }
        reInit = try reader.optional { (reader: inout WireReader) throws(MLSError) in try ReInit(from: &reader) }
        custom = try reader.list { (reader: inout WireReader) throws(MLSError) in
            CustomProposal(
                type: try ProposalType(from: &reader),
                contents: try reader.vector(),
                sender: try Sender(from: &reader)
            )
        }
        preSharedKeyCount = Int(try reader.uint32())
        authenticatedData = try reader.vector()
    }
}
