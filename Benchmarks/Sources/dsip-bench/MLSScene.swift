import MLS

/// A group as it is when all have been there for a while: every node that the committer seals to has keys. Only those members are
/// played who are needed for it.
struct MLSScene {
    static let now: UInt64 = 1_760_000_000

    var random = SystemRandomNumberGenerator()
    /// At leaf 0.
    var committer: Group
    /// In the other half of the tree.
    var far: Group
    /// At leaf 1.
    var near: Group
    /// Above a leaf.
    let levels: Int

    /// - Parameter isFresh: all are added by one commit without a path, and nobody has committed since.
    init(_ count: Int, isFresh: Bool = false) throws {
        levels = Int.bitWidth - (count - 1).leadingZeroBitCount
        let suite = CipherSuite.x25519AES128
        committer = try Group(
            creating: [1],
            suite,
            Self.contents(0),
            signer: SignaturePrivateKey(suite, using: &random),
            validator: UncheckedCredentials(),
            at: Self.now,
            using: &random
        )
        let bundles = try (1..<count).map(Self.bundle)
        var options = CommitOptions(bundles.map { .add($0.keyPackage) })
        options.forcesPath = false
        let welcome = try committer.commit(options, at: Self.now, using: &random).welcome
        try committer.mergePendingCommit()
        guard let welcome else { throw BenchmarkError("no Welcome was made") }
        func joined(_ leaf: Int) throws -> Group {
            try Group(joining: welcome, with: bundles[leaf - 1], validator: UncheckedCredentials())
        }
        // One under each node beside the committer's way to the root: 1, 2, 4, …
        var members = try (0..<(isFresh ? 1 : levels)).map { try joined(1 << $0) }
        for index in members.indices where !isFresh {
            let commit = try members[index].commit(at: Self.now, using: &random).commit
            try members[index].mergePendingCommit()
            try committer.process(commit, at: Self.now)
            for other in members.indices where other != index { try members[other].process(commit, at: Self.now) }
        }
        near = members[0]
        far = members[members.count - 1]
    }

    /// Commits that follow on each other.
    mutating func commits(_ count: Int) throws -> [MLSMessage] {
        try (0..<count).map { _ in
            let made = try committer.commit(at: Self.now, using: &random)
            try committer.mergePendingCommit()
            return made.commit
        }
    }

    static func contents(_ id: Int) -> LeafNode.Contents {
        LeafNode.Contents(credential: .basic(identity: Array("member \(id)".utf8)))
    }

    static func bundle(_ id: Int) throws -> KeyPackageBundle {
        var random = SystemRandomNumberGenerator()
        return try KeyPackageBundle(
            .x25519AES128,
            contents(id),
            signer: SignaturePrivateKey(.x25519AES128, using: &random),
            lifetime: Lifetime(from: now),
            using: &random
        )
    }
}
