/// The array numbering of a complete binary tree (RFC 9420 §4.1.1, appendix C): leaves are even, a node of level k ends in k ones.
package enum TreeMath {
    package static func nodeCount(leaves: UInt32) -> UInt32 { leaves == 0 ? 0 : 2 * (leaves - 1) + 1 }

    package static func level(_ node: UInt32) -> Int { (~node).trailingZeroBitCount }

    package static func root(leaves: UInt32) -> UInt32 {
        let count = nodeCount(leaves: leaves)
        return count == 0 ? 0 : (UInt32(1) << UInt32(31 - count.leadingZeroBitCount)) - 1
    }

    package static func left(_ node: UInt32) -> UInt32? {
        let level = level(node)
        return level == 0 ? nil : node ^ (1 << UInt32(level - 1))
    }

    package static func right(_ node: UInt32) -> UInt32? {
        let level = level(node)
        return level == 0 ? nil : node ^ (3 << UInt32(level - 1))
    }

    package static func parent(_ node: UInt32, leaves: UInt32) -> UInt32? {
        guard node != root(leaves: leaves) else { return nil }
        let level = UInt32(level(node))
        return (node | 1 << level) & ~(1 << (level + 1))
    }

    package static func sibling(_ node: UInt32, leaves: UInt32) -> UInt32? {
        guard let parent = parent(node, leaves: leaves) else { return nil }
        return node < parent ? right(parent) : left(parent)
    }
}
