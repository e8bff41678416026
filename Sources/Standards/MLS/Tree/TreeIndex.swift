/// What the rules ask of all members at once, kept as it changes, so that no rule walks the tree: which keys are in use, and how
/// many members understand what (RFC 9420 §7.3, §12.2, §12.4.2).
struct TreeIndex: Sendable {
    fileprivate var encryptionKeys: Set<HPKEPublicKey> = []
    fileprivate var signatureKeys: Set<SignaturePublicKey> = []
    fileprivate var clients: Set<[UInt8]> = []
    fileprivate var counts = Counts()

    /// Small tables, copied freely.
    struct Counts: Sendable {
        var members = 0
        var credentialsInUse: [CredentialType: Int] = [:]
        var credentials: [CredentialType: Int] = [:]
        var extensions: [ExtensionType: Int] = [:]
        var proposals: [ProposalType: Int] = [:]

        mutating func add(_ leaf: LeafNode, _ step: Int) {
            members += step
            Self.add(leaf.credential.type, step, &credentialsInUse)
            for type in Set(leaf.capabilities.credentials) { Self.add(type, step, &credentials) }
            for type in Set(leaf.capabilities.extensions) { Self.add(type, step, &extensions) }
            for type in Set(leaf.capabilities.proposals) { Self.add(type, step, &proposals) }
        }

        private static func add<Key>(_ key: Key, _ step: Int, _ table: inout [Key: Int]) {
            let count = table[key, default: 0] + step
            table[key] = count == 0 ? nil : count
        }

        func allUnderstand(_ type: ExtensionType) -> Bool { type.isDefault || extensions[type] == members }
        func allUnderstand(_ type: ProposalType) -> Bool { type.isDefault || proposals[type] == members }
        func allUnderstand(_ type: CredentialType) -> Bool { credentials[type] == members }
    }

    /// Of a tree that was verified before.
    init(of root: Subtree, _ validator: any CredentialValidator) throws(MLSError) {
        var changes = Changes(self)
        try root.forEachLeaf(first: 0) { (_, leaf) throws(MLSError) in try changes.add(leaf, to: self, validator) }
        try root.forEachParent { (parent) throws(MLSError) in try changes.add(parent.encryptionKey, to: self) }
        apply(changes)
    }

    init() {}

    mutating func apply(_ changes: Changes) {
        encryptionKeys.subtract(changes.encryptionKeys.removed)
        encryptionKeys.formUnion(changes.encryptionKeys.added)
        signatureKeys.subtract(changes.signatureKeys.removed)
        signatureKeys.formUnion(changes.signatureKeys.added)
        clients.subtract(changes.clients.removed)
        clients.formUnion(changes.clients.added)
        counts = changes.counts
    }

    /// What one commit changes, held beside the index until the commit is accepted.
    struct Changes: Sendable {
        fileprivate var encryptionKeys = SetChanges<HPKEPublicKey>()
        fileprivate var signatureKeys = SetChanges<SignaturePublicKey>()
        fileprivate var clients = SetChanges<[UInt8]>()
        private(set) var counts: Counts

        init(_ index: TreeIndex) { counts = index.counts }

        /// What makes `new` of `old`.
        init(from old: TreeIndex, to new: TreeIndex) {
            encryptionKeys = SetChanges(from: old.encryptionKeys, to: new.encryptionKeys)
            signatureKeys = SetChanges(from: old.signatureKeys, to: new.signatureKeys)
            clients = SetChanges(from: old.clients, to: new.clients)
            counts = new.counts
        }

        mutating func remove(_ leaf: LeafNode, _ validator: any CredentialValidator) {
            encryptionKeys.remove(leaf.encryptionKey)
            signatureKeys.remove(leaf.signatureKey)
            if let client = validator.client(of: leaf.credential) { clients.remove(client) }
            counts.add(leaf, -1)
        }

        mutating func remove(_ parent: ParentNode) { encryptionKeys.remove(parent.encryptionKey) }

        // RFC 9420 §7.3: keys are unique among members; §12.2: so are clients.
        mutating func add(
            _ leaf: LeafNode,
            to index: TreeIndex,
            _ validator: any CredentialValidator
        ) throws(MLSError) {
            guard encryptionKeys.add(leaf.encryptionKey, to: index.encryptionKeys) else {
                throw MLSError(.leafNode, "a leaf's encryption key is in use in the group")
            }
            guard signatureKeys.add(leaf.signatureKey, to: index.signatureKeys) else {
                throw MLSError(.leafNode, "a leaf's signature key is in use in the group")
            }
            if let client = validator.client(of: leaf.credential) {
                guard clients.add(client, to: index.clients) else {
                    throw MLSError(.leafNode, "a client would be a member twice")
                }
            }
            counts.add(leaf, 1)
        }

        // RFC 9420 §12.4.2, §12.4.3.1: a node's key is nowhere else in the tree.
        mutating func add(_ key: HPKEPublicKey, to index: TreeIndex) throws(MLSError) {
            guard encryptionKeys.add(key, to: index.encryptionKeys) else {
                throw MLSError(.tree, "a node's encryption key is in use in the tree")
            }
        }
    }
}

private struct SetChanges<Element: Hashable & Sendable>: Sendable {
    var added: Set<Element> = []
    var removed: Set<Element> = []

    init() {}

    init(from old: Set<Element>, to new: Set<Element>) {
        added = new.subtracting(old)
        removed = old.subtracting(new)
    }

    mutating func remove(_ element: Element) {
        if added.remove(element) == nil { removed.insert(element) }
    }

    /// - Returns: whether the element was not there.
    mutating func add(_ element: Element, to base: Set<Element>) -> Bool {
        if removed.remove(element) != nil { return true }
        return !base.contains(element) && added.insert(element).inserted
    }
}
