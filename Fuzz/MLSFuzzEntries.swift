import MLS

/// What members, would-be members and delivery services send, and what a group wrote down of itself.
let mlsFuzzEntries: [FuzzEntry] = {
    guard let seeds = try? MLSFuzzSeeds() else { return [] }
    return [
        FuzzEntry("mls-message", seeds: seeds.messages) { bytes in
            guard let message = try? MLSMessage(decoding: bytes) else { return }
            precondition(message.encoded == bytes, "an MLS message changed when read and written")
            var bob = seeds.bob
            _ = try? bob.process(message, at: seeds.now)
        },
        FuzzEntry("mls-key-package", seeds: [seeds.offer.keyPackage.encoded]) { bytes in
            guard let keyPackage = try? Unverified<KeyPackage>(decoding: bytes) else { return }
            _ = try? keyPackage.verified(at: seeds.now, by: UncheckedCredentials())
        },
        FuzzEntry("mls-ratchet-tree", seeds: [seeds.bob.ratchetTree.encoded]) { bytes in
            guard let tree = try? UnverifiedRatchetTree(decoding: bytes) else { return }
            precondition(tree.encoded == bytes, "a ratchet tree changed when read and written")
            _ = try? Group(
                joining: seeds.welcomeWithoutTree,
                with: seeds.offer,
                ratchetTree: tree,
                validator: UncheckedCredentials()
            )
        },
        FuzzEntry("mls-group-info", seeds: [seeds.groupInfo]) { bytes in
            guard let info = try? Unverified<GroupInfo>(decoding: bytes) else { return }
            var random = SystemRandomNumberGenerator()
            _ = try? Group.joining(
                info,
                as: seeds.contents,
                signer: seeds.signer,
                validator: UncheckedCredentials(),
                using: &random
            )
        },
        FuzzEntry("mls-welcome", seeds: [seeds.welcomeWithoutTree.message.encoded]) { bytes in
            guard case .welcome(let welcome) = try? MLSMessage(decoding: bytes) else { return }
            _ = try? Group(
                joining: welcome,
                with: seeds.offer,
                ratchetTree: seeds.bob.ratchetTree,
                validator: UncheckedCredentials()
            )
        },
        FuzzEntry("mls-saved-group", seeds: [seeds.bob.saved.bytes]) { bytes in
            guard var group = try? Group(restoring: Secret(bytes), validator: UncheckedCredentials()) else { return }
            var random = SystemRandomNumberGenerator()
            _ = try? group.protect([1], using: &random)
            _ = try? group.commit(at: seeds.now, using: &random)
            for message in seeds.messages {
                if let message = try? MLSMessage(decoding: message) { _ = try? group.process(message, at: seeds.now) }
            }
        },
    ]
}()

/// A small group with messages of every kind to its member bob.
private struct MLSFuzzSeeds: Sendable {
    let now: UInt64 = 1_760_000_000
    let bob: Group
    let offer: KeyPackageBundle
    let welcomeWithoutTree: Welcome
    let messages: [[UInt8]]
    let groupInfo: [UInt8]
    let contents = LeafNode.Contents(credential: .basic(identity: [1]))
    let signer: SignaturePrivateKey

    init() throws {
        var random = SystemRandomNumberGenerator()
        let (now, contents) = (now, contents)
        func bundle() throws -> KeyPackageBundle {
            var random = SystemRandomNumberGenerator()
            return try KeyPackageBundle(
                .x25519AES128,
                contents,
                signer: SignaturePrivateKey(.x25519AES128, using: &random),
                lifetime: Lifetime(from: now),
                using: &random
            )
        }
        signer = try SignaturePrivateKey(.x25519AES128, using: &random)
        var alice = try Group(
            creating: [1],
            .x25519AES128,
            contents,
            signer: SignaturePrivateKey(.x25519AES128, using: &random),
            validator: UncheckedCredentials(),
            at: now,
            using: &random
        )
        let own = try bundle()
        var options = CommitOptions([.add(own.keyPackage), .add(try bundle().keyPackage)])
        options.includesRatchetTree = false
        let made = try alice.commit(options, at: now, using: &random)
        try alice.mergePendingCommit()
        guard let welcome = made.welcome, case .groupInfo(let info) = try alice.groupInfo() else {
            throw MLSError(.usage, "nobody was added")
        }
        offer = own
        welcomeWithoutTree = welcome
        groupInfo = info.encoded
        bob = try Group(
            joining: welcome,
            with: own,
            ratchetTree: alice.ratchetTree,
            validator: UncheckedCredentials()
        )
        var messages = [try alice.protect([1, 2, 3], using: &random).encoded, own.keyPackage.message.encoded]
        messages.append(try alice.commit(at: now, using: &random).commit.encoded)
        alice.clearPendingCommit()
        alice.configuration.encryptsHandshakes = false
        messages.append(try alice.commit(at: now, using: &random).commit.encoded)
        alice.clearPendingCommit()
        messages.append(try alice.proposeUpdate(at: now, using: &random).encoded)
        self.messages = messages
    }
}
