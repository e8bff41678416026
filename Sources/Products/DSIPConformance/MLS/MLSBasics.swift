import Encoding
import MLS

/// Kinds `tree-math`, `crypto-basics` and `deserialization`.
enum MLSBasics {
    static func treeMath(_ vector: VectorReader) throws {
        let leaves = UInt32(try vector.int("n_leaves"))
        let nodes = TreeMath.nodeCount(leaves: leaves)
        try expect(Int(nodes), vector.int("n_nodes"), "n_nodes")
        try expect(Int(TreeMath.root(leaves: leaves)), vector.int("root"), "root")
        func compare(_ name: String, _ function: (UInt32) -> UInt32?) throws {
            let expected = try vector.array(name)
            try expect(expected.count, Int(nodes), "the length of \(name)")
            for (node, value) in expected.enumerated() {
                try expect(function(UInt32(node)).map(Int64.init), value.int, "\(name) of \(node)")
            }
        }
        try compare("left", TreeMath.left)
        try compare("right", TreeMath.right)
        try compare("parent") { TreeMath.parent($0, leaves: leaves) }
        try compare("sibling") { TreeMath.sibling($0, leaves: leaves) }
    }

    static func cryptoBasics(_ vector: VectorReader) throws {
        let suite = try vector.suite()

        let reference = try vector["ref_hash"]
        try expect(
            suite.refHash(Array(reference.string("label").utf8), reference.bytes("value")),
            reference.bytes("out"),
            "ref_hash"
        )
        let expand = try vector["expand_with_label"]
        try expect(
            suite.expandWithLabel(
                expand.secret("secret"),
                Array(expand.string("label").utf8),
                expand.bytes("context"),
                count: expand.int("length")
            ),
            expand.secret("out"),
            "expand_with_label"
        )
        let derive = try vector["derive_secret"]
        try expect(
            suite.expandWithLabel(
                derive.secret("secret"),
                Array(derive.string("label").utf8),
                [],
                count: suite.hash.byteCount
            ),
            derive.secret("out"),
            "derive_secret"
        )
        let tree = try vector["derive_tree_secret"]
        try expect(tree.string("label"), "DeriveTreeSecret", "the label")
        try expect(
            suite.deriveTreeSecret(
                tree.secret("secret"),
                "DeriveTreeSecret",
                generation: UInt32(tree.int("generation")),
                count: tree.int("length")
            ),
            tree.secret("out"),
            "derive_tree_secret"
        )
        let sign = try vector["sign_with_label"]
        let key = try SignaturePrivateKey(suite.id, rawRepresentation: sign.secret("priv"))
        try expect(key.publicKey.bytes, sign.bytes("pub"), "the signature public key")
        let label = try sign.string("label")
        for signature in [try sign.bytes("signature"), try suite.sign(key, label, try sign.bytes("content"))] {
            try expect(
                suite.isValid(signature, by: key.publicKey, label, try sign.bytes("content")),
                "sign_with_label"
            )
        }
        let encrypt = try vector["encrypt_with_label"]
        let recipient = try HPKEPrivateKey(suite.kem, encrypt.secret("priv"))
        try expect(recipient.publicKey.bytes, encrypt.bytes("pub"), "the encryption public key")
        let preparation = suite.prepareEncryption(try encrypt.string("label"), try encrypt.bytes("context"))
        let given = HPKECiphertext(
            kemOutput: try encrypt.bytes("kem_output"),
            ciphertext: try encrypt.bytes("ciphertext")
        )
        let plaintext = try encrypt.secret("plaintext")
        var random = VectorRandom()
        let made = try suite.encrypt(plaintext, to: recipient.publicKey, preparation, using: &random)
        for ciphertext in [given, made] {
            try expect(suite.decrypt(ciphertext, with: recipient, preparation), plaintext, "encrypt_with_label")
        }
    }

    static func deserialization(_ vector: VectorReader) throws {
        let header = try vector.bytes("vlbytes_header")
        var reader = WireReader(header)
        try expect(reader.length(), vector.int("length"), "the length")
        try reader.finish()
        var writer = WireWriter()
        writer.length(try vector.int("length"))
        try expect(writer.bytes, header, "the header")
    }
}
