import Encoding
import MLS

/// Kinds `welcome` and `passive-client`.
enum MLSGroups {
    /// A time at which the published key packages are valid; they all are valid for ever, or not looked at.
    private static let now: UInt64 = 1_700_000_000

    private static func keyPackage(_ vector: VectorReader) throws -> KeyPackage {
        guard case .keyPackage(let unverified) = try MLSMessage(decoding: vector.bytes("key_package")) else {
            throw VectorReader.Fault(description: "key_package is another message")
        }
        return unverified.value
    }

    private static func welcomeMessage(_ vector: VectorReader) throws -> Welcome {
        guard case .welcome(let welcome) = try MLSMessage(decoding: vector.bytes("welcome")) else {
            throw VectorReader.Fault(description: "welcome is another message")
        }
        return welcome
    }

    static func welcome(_ vector: VectorReader) throws {
        let suite = try vector.suite()
        let opened = try OpenedWelcome(
            welcomeMessage(vector),
            keyPackage(vector),
            initKey: HPKEPrivateKey(suite.kem, vector.secret("init_priv")),
            suite,
            PreSharedKeys(),
            nil
        )
        try expect(
            opened.info.hasValidSignature(by: SignaturePublicKey(vector.bytes("signer_pub")), suite),
            "the GroupInfo's signature"
        )
        let secrets = opened.joiner.epochSecrets(opened.pskSecret, opened.info.context, suite)
        try expect(
            opened.info.hasValidConfirmationTag(secrets.confirmationKey, suite),
            "the GroupInfo's confirmation tag"
        )
    }

    static func passiveClient(_ vector: VectorReader) throws {
        let suite = try vector.suite()
        let bundle = try KeyPackageBundle(
            keyPackage(vector),
            initKey: HPKEPrivateKey(suite.kem, vector.secret("init_priv")),
            encryptionKey: HPKEPrivateKey(suite.kem, vector.secret("encryption_priv")),
            signer: SignaturePrivateKey(suite.id, rawRepresentation: vector.secret("signature_priv"))
        )
        var preSharedKeys = PreSharedKeys()
        for psk in try vector.readers("external_psks") {
            preSharedKeys[external: try psk.bytes("psk_id")] = try psk.secret("psk")
        }
        var group = try Group(
            joining: welcomeMessage(vector),
            with: bundle,
            ratchetTree: vector.optionalBytes("ratchet_tree").map { try UnverifiedRatchetTree(decoding: $0) },
            preSharedKeys: preSharedKeys,
            validator: UncheckedCredentials()
        )
        try expect(
            group.epochAuthenticator,
            vector.bytes("initial_epoch_authenticator"),
            "the first epoch authenticator"
        )
        for (at, epoch) in try vector.readers("epochs").enumerated() {
            for proposal in try epoch.array("proposals") {
                try group.process(MLSMessage(decoding: VectorReader.bytes(proposal)), at: now)
            }
            try group.process(MLSMessage(decoding: epoch.bytes("commit")), at: now)
            try expect(group.epochAuthenticator, epoch.bytes("epoch_authenticator"), "epoch authenticator \(at)")
            // A client that is stopped and started again goes on.
            group = try Group(restoring: group.saved, validator: UncheckedCredentials())
        }
    }
}
