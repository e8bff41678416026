/// Key and nonce of one message; used once and forgotten (RFC 9420 §9.1).
package struct MessageKey: Sendable {
    package let generation: UInt32
    package let key: Secret
    package let nonce: Secret

    /// The nonce that is used: its first four bytes are masked, so that two copies of one member's state that send at once do
    /// not use one nonce twice (RFC 9420 §6.3.1).
    func nonce(guardedBy reuseGuard: UInt32) -> Secret {
        Secret(count: nonce.count) { bytes in
            nonce.withUnsafeBytes { bytes.copyMemory(from: $0) }
            for index in 0..<4 { bytes[index] ^= UInt8(truncatingIfNeeded: reuseGuard >> (24 - 8 * index)) }
        }
    }
}

/// The ratchet of one sender and one kind of content (RFC 9420 §9.1): each generation's secret gives a key, a nonce and the next
/// generation's secret, and is then gone.
package struct SenderRatchet: Sendable {
    private var secret: Secret
    /// The generation that `secret` is of.
    private(set) package var generation: UInt32 = 0
    /// Keys of generations that were passed over and may still come, oldest first.
    private var skipped: [MessageKey] = []

    init(_ secret: Secret) { self.secret = secret }

    package mutating func next(_ suite: Suite) throws(MLSError) -> MessageKey {
        guard generation < .max else { throw MLSError(.limit, "a sender has no generations left in this epoch") }
        // `DeriveTreeSecret` (RFC 9420 §9) three times, from one secret.
        let derived = withUnsafeBytes(of: generation.bigEndian) { suite.cipherSecrets(secret, $0, isChain: true) }
        guard let next = derived.next else { throw MLSError(.limit, "a sender's chain has ended") }
        defer { generation += 1 }
        secret = next
        return MessageKey(generation: generation, key: derived.key, nonce: derived.nonce)
    }

    /// The key of `wanted`; those passed over are kept, as many as `limits` allows.
    ///
    /// - Throws: `secretConsumed` when it was used before, was dropped, or lies too far ahead.
    package mutating func key(
        at wanted: UInt32,
        _ limits: SecretTree.Limits,
        _ suite: Suite
    ) throws(MLSError) -> MessageKey {
        if wanted < generation {
            guard let at = skipped.firstIndex(where: { $0.generation == wanted }) else {
                throw MLSError(.secretConsumed, "generation \(wanted) was used before, or is no longer kept")
            }
            return skipped.remove(at: at)
        }
        guard wanted - generation <= limits.forward else {
            throw MLSError(.secretConsumed, "generation \(wanted) is too far ahead of \(generation)")
        }
        while generation < wanted { skipped.append(try next(suite)) }
        if skipped.count > limits.kept { skipped.removeFirst(skipped.count - limits.kept) }
        return try next(suite)
    }

    func encode(to writer: inout WireWriter) {
        writer.vector(secret)
        writer.write(generation)
        writer.nested { writer in
            for key in skipped {
                writer.write(key.generation)
                writer.vector(key.key)
                writer.vector(key.nonce)
            }
        }
    }

    init(from reader: inout WireReader) throws(MLSError) {
        secret = Secret(try reader.vector())
        generation = try reader.uint32()
        skipped = try reader.list { (reader: inout WireReader) throws(MLSError) in
            MessageKey(
                generation: try reader.uint32(),
                key: Secret(try reader.vector()),
                nonce: Secret(try reader.vector())
            )
        }
    }
}

/// The tree of an epoch's encryption secrets (RFC 9420 §9). A node's secret is deleted when its children's are derived, a leaf's
/// when its two ratchets are: only the frontier is held, and a sender never heard of costs nothing.
package struct SecretTree: Sendable {
    /// How far a receiver follows a sender who runs ahead, and how many keys of late messages it keeps.
    package struct Limits: Hashable, Sendable {
        package var forward: UInt32
        package var kept: Int

        package init(forward: UInt32 = 1000, kept: Int = 1000) {
            self.forward = forward
            self.kept = kept
        }
    }

    package enum Kind: Sendable { case handshake, application }

    private struct Ratchets: Sendable {
        var handshake: SenderRatchet
        var application: SenderRatchet
    }

    /// A node by its level above the leaves and its place in that level.
    private struct Node: Hashable, Sendable {
        let level: UInt8
        let index: UInt32
    }

    private let leafCount: UInt32
    private var frontier: [Node: Secret]
    private var ratchets: [LeafIndex: Ratchets] = [:]

    /// - Parameter leafCount: leaves of the full tree, a power of two.
    package init(_ encryptionSecret: Secret, leafCount: Int) {
        self.leafCount = UInt32(leafCount)
        frontier = [Node(level: UInt8(leafCount.trailingZeroBitCount), index: 0): encryptionSecret]
    }

    /// Own next key for sending.
    package mutating func next(_ kind: Kind, of leaf: LeafIndex, _ suite: Suite) throws(MLSError) -> MessageKey {
        try derive(leaf, suite)
        switch kind {
        case .handshake: return try ratchets[leaf]!.handshake.next(suite)
        case .application: return try ratchets[leaf]!.application.next(suite)
        }
    }

    /// The ratchet to open a message with; the caller advances it and puts it back once the message proved good, so that a forged
    /// message changes nothing.
    mutating func ratchet(_ kind: Kind, of leaf: LeafIndex, _ suite: Suite) throws(MLSError) -> SenderRatchet {
        try derive(leaf, suite)
        switch kind {
        case .handshake: return ratchets[leaf]!.handshake
        case .application: return ratchets[leaf]!.application
        }
    }

    mutating func put(_ ratchet: SenderRatchet, _ kind: Kind, of leaf: LeafIndex) {
        switch kind {
        case .handshake: ratchets[leaf]?.handshake = ratchet
        case .application: ratchets[leaf]?.application = ratchet
        }
    }

    package mutating func key(
        _ kind: Kind,
        of leaf: LeafIndex,
        at generation: UInt32,
        _ limits: Limits,
        _ suite: Suite
    ) throws(MLSError) -> MessageKey {
        var ratchet = try ratchet(kind, of: leaf, suite)
        let key = try ratchet.key(at: generation, limits, suite)
        put(ratchet, kind, of: leaf)
        return key
    }

    // RFC 9420 §9, §9.2: derive down to the leaf, deleting on the way.
    private mutating func derive(_ leaf: LeafIndex, _ suite: Suite) throws(MLSError) {
        guard ratchets[leaf] == nil else { return }
        guard leaf.rawValue < leafCount else { throw MLSError(.malformed, "a sender is outside the tree") }
        var node = Node(level: 0, index: leaf.rawValue)
        while frontier[node] == nil {
            guard node.level < 31 else { throw MLSError(.secretConsumed, "no secret leads to this sender") }
            node = Node(level: node.level + 1, index: node.index >> 1)
        }
        guard var secret = frontier.removeValue(forKey: node) else { return }
        while node.level > 0 {
            let left = suite.expandWithLabel(secret, "tree", Array("left".utf8), count: suite.hash.byteCount)
            let right = suite.expandWithLabel(secret, "tree", Array("right".utf8), count: suite.hash.byteCount)
            let level = node.level - 1
            if (leaf.rawValue >> UInt32(level)) & 1 == 0 {
                frontier[Node(level: level, index: node.index << 1 | 1)] = right
                node = Node(level: level, index: node.index << 1)
                secret = left
            } else {
                frontier[Node(level: level, index: node.index << 1)] = left
                node = Node(level: level, index: node.index << 1 | 1)
                secret = right
            }
        }
        ratchets[leaf] = Ratchets(
            handshake: SenderRatchet(suite.deriveSecret(secret, "handshake")),
            application: SenderRatchet(suite.deriveSecret(secret, "application"))
        )
    }

    func encode(to writer: inout WireWriter) {
        writer.write(leafCount)
        writer.nested { writer in
            for (node, secret) in frontier {
                writer.write(node.level)
                writer.write(node.index)
                writer.vector(secret)
            }
        }
        writer.nested { writer in
            for (leaf, ratchets) in ratchets {
                writer.write(leaf)
                ratchets.handshake.encode(to: &writer)
                ratchets.application.encode(to: &writer)
            }
        }
    }

    init(from reader: inout WireReader) throws(MLSError) {
        leafCount = try reader.uint32()
        frontier = [:]
        var nodes = try reader.nested()
        while !nodes.isAtEnd {
            let node = Node(level: try nodes.uint8(), index: try nodes.uint32())
            guard node.level < 32 else { throw MLSError(.malformed, "a saved node is too high") }
            frontier[node] = Secret(try nodes.vector())
        }
        var leaves = try reader.nested()
        while !leaves.isAtEnd {
            let leaf = try LeafIndex(from: &leaves)
            ratchets[leaf] = Ratchets(
                handshake: try SenderRatchet(from: &leaves),
                application: try SenderRatchet(from: &leaves)
            )
        }
    }
}
