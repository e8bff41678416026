import Encoding
import MLS

/// Kinds `message-protection` and `messages`.
enum MLSFraming {
    static func protection(_ vector: VectorReader) throws {
        let suite = try vector.suite()
        let context = GroupContext(
            cipherSuite: suite.id,
            groupID: try vector.bytes("group_id"),
            epoch: UInt64(try vector.int("epoch")),
            treeHash: try vector.bytes("tree_hash"),
            confirmedTranscriptHash: try vector.bytes("confirmed_transcript_hash"),
            extensions: []
        )
        let key = try SignaturePrivateKey(suite.id, rawRepresentation: vector.secret("signature_priv"))
        try expect(key.publicKey.bytes, vector.bytes("signature_pub"), "signature_pub")
        let protection = MessageProtection(
            suite: suite,
            context: context,
            membershipKey: try vector.secret("membership_key"),
            senderDataSecret: try vector.secret("sender_data_secret"),
            encryptionSecret: try vector.secret("encryption_secret"),
            leafCount: 2
        )
        let sender = LeafIndex(rawValue: 1)

        func check(_ name: String, _ message: [UInt8], _ expected: [UInt8]) throws {
            let content = try protection.open(try MLSMessage(decoding: message), key: key.publicKey)
            try expect(content.body, expected, name)
            try expect(content.sender, .member(sender), "the sender of \(name)")
        }
        for (name, kind) in [("proposal", FramedKind.proposal), ("commit", .commit), ("application", .application)] {
            let body = try vector.bytes(name)
            try check("\(name)_priv", vector.bytes("\(name)_priv"), body)
            if kind != .application { try check("\(name)_pub", vector.bytes("\(name)_pub"), body) }
            var random = VectorRandom()
            for isPrivate in kind == .application ? [true] : [true, false] {
                let made = try protection.protect(kind, body, from: sender, key, isPrivate: isPrivate, using: &random)
                try check("our own \(name)", made.encoded, body)
            }
        }
    }

    static func messages(_ vector: VectorReader) throws {
        func message(_ name: String) throws {
            let bytes = try vector.bytes(name)
            try expect(MLSMessage(decoding: bytes).encoded, bytes, name)
        }
        func structure<T: WireDecodable & WireEncodable>(_ name: String, _: T.Type) throws {
            let bytes = try vector.bytes(name)
            try expect(T(wire: bytes).wire, bytes, name)
        }
        /// A proposal's contents without its type.
        func proposal(_ name: String, _ type: UInt16) throws {
            let bytes = [UInt8(0), UInt8(type)] + (try vector.bytes(name))
            try expect(Proposal(wire: bytes).wire, bytes, name)
        }
        for name in [
            "mls_welcome", "mls_group_info", "mls_key_package", "public_message_application",
            "public_message_proposal", "public_message_commit", "private_message",
        ] { try message(name) }
        let tree = try vector.bytes("ratchet_tree")
        try expect(UnverifiedRatchetTree(decoding: tree).encoded, tree, "ratchet_tree")
        try structure("group_secrets", GroupSecrets.self)
        try structure("commit", Commit.self)
        try proposal("add_proposal", 1)
        try proposal("update_proposal", 2)
        try proposal("remove_proposal", 3)
        try proposal("pre_shared_key_proposal", 4)
        try proposal("re_init_proposal", 5)
        try proposal("external_init_proposal", 6)
        try proposal("group_context_extensions_proposal", 7)
    }
}
