/// An inner node that has keys (RFC 9420 §7.1).
package struct ParentNode: Hashable, Sendable, WireEncodable, WireDecodable {
    package let encryptionKey: HPKEPublicKey
    package let parentHash: [UInt8]
    /// Leaves below that do not know this node's private key, in ascending order.
    package let unmergedLeaves: [LeafIndex]

    init(encryptionKey: HPKEPublicKey, parentHash: [UInt8], unmergedLeaves: [LeafIndex] = []) {
        self.encryptionKey = encryptionKey
        self.parentHash = parentHash
        self.unmergedLeaves = unmergedLeaves
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        encryptionKey = try HPKEPublicKey(from: &reader)
        parentHash = try reader.vector()
        unmergedLeaves = try reader.list(of: LeafIndex.self)
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(encryptionKey)
        writer.vector(parentHash)
        writer.list(unmergedLeaves)
    }

    func adding(_ leaf: LeafIndex) -> ParentNode {
        var leaves = unmergedLeaves
        leaves.insert(leaf, at: leaves.firstPosition(of: leaf))
        return ParentNode(encryptionKey: encryptionKey, parentHash: parentHash, unmergedLeaves: leaves)
    }

    /// RFC 9420 §7.9: `ParentHashInput` of this node for the child whose sibling has `siblingHash`.
    func hashForChild(originalSiblingHash siblingHash: [UInt8], _ suite: Suite) -> [UInt8] {
        var writer = WireWriter(capacity: 200)
        writer.write(encryptionKey)
        writer.vector(parentHash)
        writer.vector(siblingHash)
        return suite.hash.hash(writer.bytes)
    }
}

extension [LeafIndex] {
    /// In an ascending list, where the first leaf not before `leaf` stands.
    func firstPosition(of leaf: LeafIndex) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < leaf { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// In an ascending list, how many lie in `range`.
    func count(in range: Range<UInt32>) -> Int {
        firstPosition(of: LeafIndex(rawValue: range.upperBound))
            - firstPosition(of: LeafIndex(rawValue: range.lowerBound))
    }

    func containsAscending(_ leaf: LeafIndex) -> Bool {
        let at = firstPosition(of: leaf)
        return at < count && self[at] == leaf
    }
}
