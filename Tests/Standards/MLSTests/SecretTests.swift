import Support
import Testing

@testable import MLS

/// What RFC 9420 §9.2 says is deleted is looked for in all that a group would write down.
@Suite("Secrets")
struct SecretTests {
    private func holds(_ group: Group, _ secret: Secret) -> Bool {
        let (state, bytes) = (group.saved.bytes, secret.bytes)
        guard let first = bytes.first, bytes.count <= state.count else { return false }
        return state.indices.dropLast(bytes.count - 1).contains {
            state[$0] == first && state[$0..<$0 + bytes.count].elementsEqual(bytes)
        }
    }

    @Test("an epoch's init secret, keys and own path are gone in the next, its sender data only later")
    func epoch() throws {
        var room = try Room(["alice", "bob", "carol"])
        let old = room.groups["alice"]!
        #expect(holds(old, old.secrets.initSecret))
        #expect(holds(old, old.keys.leaf.secret))
        try room.commit(by: "alice")
        let new = room.groups["alice"]!
        for gone in [
            old.secrets.initSecret, old.secrets.exporter, old.secrets.confirmationKey, old.secrets.membershipKey,
            old.secrets.external, old.secrets.epochAuthenticator, old.keys.leaf.secret,
        ] { #expect(!holds(new, gone)) }
        for key in old.keys.parents.values { #expect(!holds(new, key.secret)) }
        #expect(holds(new, old.secrets.senderData))
        for _ in 0..<new.configuration.pastEpochs { try room.commit(by: "bob") }
        #expect(!holds(room.groups["alice"]!, old.secrets.senderData))
        #expect(holds(room.groups["alice"]!, old.secrets.resumptionPSK))
        for _ in 0..<new.configuration.resumptionKeys { try room.commit(by: "carol") }
        #expect(!holds(room.groups["alice"]!, old.secrets.resumptionPSK))
    }

    @Test("the root of the secret tree is gone once anybody has sent, and a message key once it was used")
    func messageKeys() throws {
        var room = try Room(["alice", "bob", "carol"])
        let bob = room.groups["bob"]!
        let suite = bob.suite
        var tree = bob.secretTree
        let aliceRatchet = try tree.ratchet(.application, of: LeafIndex(rawValue: 0), suite)
        var walk = aliceRatchet
        let keys = try (0..<3).map { _ in try walk.next(suite) }
        var messages: [MLSMessage] = []
        for index in 0..<3 { messages.append(try room.groups["alice"]!.protect([UInt8(index)], using: &room.random)) }
        // The sender forgets at once.
        for key in keys { #expect(!holds(room.groups["alice"]!, key.key)) }
        // A receiver keeps what was passed over, until it comes.
        try room.groups["bob"]!.process(messages[2], at: now)
        #expect(holds(room.groups["bob"]!, keys[0].key) && holds(room.groups["bob"]!, keys[1].key))
        #expect(!holds(room.groups["bob"]!, keys[2].key))
        try room.groups["bob"]!.process(messages[0], at: now)
        #expect(!holds(room.groups["bob"]!, keys[0].key))
        // The secret that gave them is gone as well.
        var first = aliceRatchet
        #expect(try room.groups["bob"]!.secretTree.ratchet(.application, of: .init(rawValue: 0), suite).generation == 3)
        _ = try first.next(suite)
    }

    @Test("secret tree nodes are deleted as their children are derived")
    func frontier() throws {
        let suite = try Suite(.x25519AES128)
        let root = Secret((0..<32).map { UInt8($0) })
        var tree = SecretTree(root, leafCount: 8)
        func holds(_ secret: Secret) -> Bool {
            var writer = WireWriter()
            tree.encode(to: &writer)
            let bytes = secret.bytes
            return writer.bytes.indices.dropLast(31).contains { writer.bytes[$0..<$0 + 32].elementsEqual(bytes) }
        }
        let left = suite.expandWithLabel(root, "tree", Array("left".utf8), count: 32)
        let right = suite.expandWithLabel(root, "tree", Array("right".utf8), count: 32)
        #expect(holds(root))
        _ = try tree.next(.application, of: LeafIndex(rawValue: 1), suite)
        #expect(!holds(root) && !holds(left) && holds(right))
        _ = try tree.next(.application, of: LeafIndex(rawValue: 7), suite)
        #expect(!holds(right))
        for leaf in 0..<8 { _ = try tree.next(.handshake, of: LeafIndex(rawValue: UInt32(leaf)), suite) }
    }

    @Test("bounds: too far ahead is refused, too many passed over are dropped, oldest first")
    func bounds() throws {
        let suite = try Suite(.x25519AES128)
        var tree = SecretTree(Secret(count: 32) { _ in }, leafCount: 2)
        let limits = SecretTree.Limits(forward: 10, kept: 3)
        let leaf = LeafIndex(rawValue: 0)
        #expect(code { _ = try tree.key(.application, of: leaf, at: 11, limits, suite) } == .secretConsumed)
        _ = try tree.key(.application, of: leaf, at: 10, limits, suite)
        for generation in [UInt32(0), 5, 6] {
            #expect(code { _ = try tree.key(.application, of: leaf, at: generation, limits, suite) } == .secretConsumed)
        }
        for generation in [UInt32(7), 9, 8] { _ = try tree.key(.application, of: leaf, at: generation, limits, suite) }
        #expect(code { _ = try tree.key(.application, of: leaf, at: 8, limits, suite) } == .secretConsumed)
    }

    @Test("a removed member's state has no secret of the group left but past messages' keys")
    func removed() throws {
        var room = try Room(["alice", "bob", "carol"])
        let before = room.groups["carol"]!
        try room.commit(CommitOptions([.remove(before.ownLeaf)]), by: "alice")
        let after = room.groups["carol"]!
        for gone in [before.secrets.initSecret, before.secrets.exporter, before.secrets.external] {
            #expect(!holds(after, gone))
        }
        let message = try room.groups["alice"]!.protect([1], using: &room.random)
        #expect(throws: MLSError.self) { try room.groups["carol"]!.process(message, at: now) }
    }

    @Test("a secret compares by its bytes and shows none of them")
    func description() {
        let secret = Secret([1, 2, 3])
        #expect(secret == Secret([1, 2, 3]) && secret != Secret([1, 2, 4]) && secret != Secret([1, 2]))
        #expect(Mirror(reflecting: secret).children.isEmpty)
        #expect(!"\(secret)".contains("1"))
    }
}
