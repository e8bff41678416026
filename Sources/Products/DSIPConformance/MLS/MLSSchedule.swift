import Encoding
import MLS

/// Kinds `key-schedule`, `psk_secret`, `transcript-hashes` and `secret-tree`.
enum MLSSchedule {
    static func keySchedule(_ vector: VectorReader) throws {
        let suite = try vector.suite()
        var initSecret = try vector.secret("initial_init_secret")
        for (epoch, step) in try vector.readers("epochs").enumerated() {
            let context = GroupContext(
                cipherSuite: suite.id,
                groupID: try vector.bytes("group_id"),
                epoch: UInt64(epoch),
                treeHash: try step.bytes("tree_hash"),
                confirmedTranscriptHash: try step.bytes("confirmed_transcript_hash"),
                extensions: []
            )
            try expect(context.wire, step.bytes("group_context"), "group_context")
            let joiner = JoinerSecret(
                initSecret: initSecret,
                commitSecret: try step.secret("commit_secret"),
                context,
                suite
            )
            try expect(joiner.secret, step.secret("joiner_secret"), "joiner_secret")
            let psk = try step.secret("psk_secret")
            try expect(joiner.welcomeSecret(psk, suite), step.secret("welcome_secret"), "welcome_secret")
            let secrets = joiner.epochSecrets(psk, context, suite)
            for (secret, name) in [
                (secrets.initSecret, "init_secret"), (secrets.senderData, "sender_data_secret"),
                (secrets.encryption, "encryption_secret"), (secrets.exporter, "exporter_secret"),
                (secrets.epochAuthenticator, "epoch_authenticator"), (secrets.external, "external_secret"),
                (secrets.confirmationKey, "confirmation_key"), (secrets.membershipKey, "membership_key"),
                (secrets.resumptionPSK, "resumption_psk"),
            ] {
                try expect(secret, step.secret(name), "\(name) of epoch \(epoch)")
            }
            try expect(secrets.externalKey(suite).publicKey.bytes, step.bytes("external_pub"), "external_pub")
            let exporter = try step["exporter"]
            try expect(
                secrets.export(
                    label: Array(exporter.string("label").utf8),
                    context: exporter.bytes("context"),
                    count: exporter.int("length"),
                    suite
                ),
                exporter.secret("secret"),
                "the exported secret of epoch \(epoch)"
            )
            initSecret = secrets.initSecret
        }
    }

    static func preSharedKeys(_ vector: VectorReader) throws {
        let keys = try vector.readers("psks").map { psk in
            (
                id: PreSharedKeyID(.external(try psk.bytes("psk_id")), nonce: try psk.bytes("psk_nonce")),
                key: try psk.secret("psk")
            )
        }
        try expect(preSharedKeySecret(keys, vector.suite()), vector.secret("psk_secret"), "psk_secret")
    }

    static func transcriptHashes(_ vector: VectorReader) throws {
        let suite = try vector.suite()
        let content = try AuthenticatedContent(wire: try vector.bytes("authenticated_content"))
        let confirmed = content.confirmedTranscriptHash(
            after: try vector.bytes("interim_transcript_hash_before"),
            suite
        )
        try expect(confirmed, vector.bytes("confirmed_transcript_hash_after"), "confirmed_transcript_hash_after")
        guard let tag = content.auth.confirmationTag else { throw VectorReader.Fault(description: "no tag") }
        try expect(suite.hash.hmac(key: vector.secret("confirmation_key"), confirmed), tag, "the confirmation tag")
        try expect(
            interimTranscriptHash(after: confirmed, confirmationTag: tag, suite),
            vector.bytes("interim_transcript_hash_after"),
            "interim_transcript_hash_after"
        )
    }

    static func secretTree(_ vector: VectorReader) throws {
        let suite = try vector.suite()
        let sender = try vector["sender_data"]
        let senderKey = SenderDataKey(try sender.secret("sender_data_secret"), try sender.bytes("ciphertext"), suite)
        try expect(senderKey.key, sender.secret("key"), "the sender data key")
        try expect(senderKey.nonce, sender.secret("nonce"), "the sender data nonce")

        let leaves = try vector.array("leaves")
        var tree = SecretTree(try vector.secret("encryption_secret"), leafCount: leaves.count)
        let limits = SecretTree.Limits(forward: 100_000, kept: 10)
        for (index, generations) in leaves.enumerated() {
            let leaf = LeafIndex(rawValue: UInt32(index))
            for step in (generations.array ?? []).map(VectorReader.init) {
                let generation = UInt32(try step.int("generation"))
                for (kind, name) in [(SecretTree.Kind.handshake, "handshake"), (.application, "application")] {
                    let key = try tree.key(kind, of: leaf, at: generation, limits, suite)
                    try expect(key.key, step.secret("\(name)_key"), "\(name) key \(generation) of leaf \(index)")
                    try expect(key.nonce, step.secret("\(name)_nonce"), "\(name) nonce \(generation) of leaf \(index)")
                }
            }
        }
    }
}
