/// The members of an epoch and the keys of the tree over them (RFC 9420 §7), verified.
package struct RatchetTree: Sendable {
    /// 2^20 leaves; a tree above this is refused.
    static let maximumLevel = 20

    private(set) package var root: Subtree
    private(set) var index: TreeIndex

    /// The tree of a group of one.
    init(_ leaf: LeafNode, _ suite: Suite, _ validator: any CredentialValidator) throws(MLSError) {
        root = Subtree(leaf: leaf).hashed(first: 0, suite)
        index = TreeIndex()
        var changes = TreeIndex.Changes(index)
        try changes.add(leaf, to: index, validator)
        index.apply(changes)
    }

    init(root: Subtree, index: TreeIndex) {
        self.root = root
        self.index = index
    }

    package var hash: [UInt8] { root.hash }

    /// Takes over what a commit made of this tree.
    mutating func accept(_ root: Subtree, _ changes: TreeIndex.Changes) {
        self.root = root
        index.apply(changes)
    }
}

extension Subtree {
    /// Leaves of the full tree.
    var leafCount: Int { 1 << level }

    package func leaf(at index: LeafIndex) -> LeafNode? {
        guard Int(index.rawValue) < leafCount, case .leaf(let leaf) = descend(to: 0, towards: index).node else {
            return nil
        }
        return leaf
    }

    /// Levels of the filtered direct path of `leaf` (RFC 9420 §4.1.2): those whose copath child has someone to tell.
    func filteredPath(of leaf: LeafIndex) -> [Int] {
        var levels: [Int] = []
        var tree = self
        while let (on, beside) = tree.children(towards: leaf) {
            if beside.resolutionCount > 0 { levels.append(tree.level) }
            tree = on
        }
        return levels.reversed()
    }

    /// Its encoding in a `ratchet_tree` extension (RFC 9420 §12.4.3.3): in order, without the blanks at the end.
    var encodedNodes: [UInt8] {
        var writer = WireWriter(capacity: occupied * 256)
        var pendingBlanks = 0
        writer.nested { writer in encodeNodes(to: &writer, &pendingBlanks) }
        return writer.bytes
    }

    private func encodeNodes(to writer: inout WireWriter, _ pendingBlanks: inout Int) {
        func put(_ body: ((inout WireWriter) -> Void)?) {
            guard let body else {
                pendingBlanks += 1
                return
            }
            for _ in 0..<pendingBlanks { writer.write(UInt8(0)) }
            pendingBlanks = 0
            writer.write(UInt8(1))
            body(&writer)
        }
        switch node {
        case .leaf(let leaf):
            put(
                leaf.map { leaf in
                    { writer in
                        writer.write(UInt8(1))
                        writer.write(leaf)
                    }
                }
            )
        case .parent(let parent, let left, let right):
            left.encodeNodes(to: &writer, &pendingBlanks)
            put(
                parent.map { parent in
                    { writer in
                        writer.write(UInt8(2))
                        writer.write(parent)
                    }
                }
            )
            right.encodeNodes(to: &writer, &pendingBlanks)
        }
    }
}

/// A ratchet tree as it came (RFC 9420 §12.4.3.3). Joining verifies it.
public struct UnverifiedRatchetTree: Sendable {
    package let root: Subtree

    /// Decodes the contents of a `ratchet_tree` extension.
    ///
    /// - Throws: `malformed`; `limit` above 2^20 leaves.
    public init(decoding bytes: [UInt8]) throws(MLSError) {
        var reader = WireReader(bytes)
        let nodes = try reader.list { (reader: inout WireReader) throws(MLSError) in
            try reader.optional { (reader: inout WireReader) throws(MLSError) in try EncodedNode(from: &reader) }
        }
        try reader.finish()
        // RFC 9420 §12.4.3.3: the last node is no blank.
        guard case .some(.some) = nodes.last else { throw MLSError(.tree, "a ratchet tree ends with a blank node") }
        let leaves = (nodes.count + 1) / 2
        let level = leaves <= 1 ? 0 : Int.bitWidth - (leaves - 1).leadingZeroBitCount
        guard level <= RatchetTree.maximumLevel else { throw MLSError(.limit, "a ratchet tree is too large") }
        for (index, node) in nodes.enumerated() {
            switch node {
            case .leaf: guard index & 1 == 0 else { throw MLSError(.tree, "a leaf node stands where a parent must") }
            case .parent: guard index & 1 == 1 else { throw MLSError(.tree, "a parent node stands where a leaf must") }
            case nil: break
            }
        }
        root = Self.build(nodes, level, first: 0)
    }

    package init(_ root: Subtree) { self.root = root }

    /// With its tree hashes, and nothing else verified.
    package func hashed(_ suite: Suite) -> Subtree { root.hashed(first: 0, suite) }

    /// Its encoding.
    public var encoded: [UInt8] { root.encodedNodes }

    private static func build(_ nodes: [EncodedNode?], _ level: Int, first: Int) -> Subtree {
        guard 2 * first < nodes.count else { return .blank(level) }
        if level == 0 {
            if case .leaf(let leaf) = nodes[2 * first] { return Subtree(leaf: leaf) }
            return Subtree(leaf: nil)
        }
        let at = 2 * first + (1 << level) - 1
        let left = build(nodes, level - 1, first: first)
        let right = build(nodes, level - 1, first: first + 1 << (level - 1))
        if at < nodes.count, case .parent(let parent) = nodes[at] { return Subtree(parent, left, right) }
        return Subtree(nil, left, right)
    }

    private enum EncodedNode {
        case leaf(LeafNode)
        case parent(ParentNode)

        init(from reader: inout WireReader) throws(MLSError) {
            switch try reader.uint8() {
            case 1: self = .leaf(try LeafNode(from: &reader))
            case 2: self = .parent(try ParentNode(from: &reader))
            default: throw MLSError(.malformed, "a node is neither leaf nor parent")
            }
        }
    }
}
