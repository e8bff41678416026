/// The way from one epoch's secrets to the next (RFC 9420 §8).
///
/// ```
/// init_secret[n-1] ─ Extract(commit_secret) ─ "joiner" ─► joiner_secret ─ Extract(psk_secret) ─┬─ "welcome" ─► welcome_secret
///                                                                                              └─ "epoch"   ─► epoch_secret
/// ```
package struct JoinerSecret: Sendable {
    package let secret: Secret

    package init(_ secret: Secret) { self.secret = secret }

    package init(initSecret: Secret, commitSecret: Secret, _ context: GroupContext, _ suite: Suite) {
        let extracted = suite.hash.extract(salt: initSecret, commitSecret)
        secret = suite.expandWithLabel(extracted, "joiner", context.encoded)
    }

    private func intermediate(_ pskSecret: Secret, _ suite: Suite) -> Secret {
        suite.hash.extract(salt: secret, pskSecret)
    }

    package func welcomeSecret(_ pskSecret: Secret, _ suite: Suite) -> Secret {
        suite.deriveSecret(intermediate(pskSecret, suite), "welcome")
    }

    package func epochSecrets(_ pskSecret: Secret, _ context: GroupContext, _ suite: Suite) -> EpochSecrets {
        EpochSecrets(
            epochSecret: suite.expandWithLabel(intermediate(pskSecret, suite), "epoch", context.encoded),
            suite
        )
    }
}

/// An epoch's secrets (RFC 9420 §8). The epoch secret itself, the joiner secret and the welcome secret are not kept.
package struct EpochSecrets: Sendable {
    package let senderData: Secret
    package let exporter: Secret
    package let external: Secret
    package let confirmationKey: Secret
    package let membershipKey: Secret
    package let resumptionPSK: Secret
    package let epochAuthenticator: Secret
    package let initSecret: Secret
    /// The root of the secret tree, which takes it: it is not kept here.
    package let encryption: Secret

    package init(epochSecret: Secret, _ suite: Suite) {
        senderData = suite.deriveSecret(epochSecret, "sender data")
        encryption = suite.deriveSecret(epochSecret, "encryption")
        exporter = suite.deriveSecret(epochSecret, "exporter")
        external = suite.deriveSecret(epochSecret, "external")
        confirmationKey = suite.deriveSecret(epochSecret, "confirm")
        membershipKey = suite.deriveSecret(epochSecret, "membership")
        resumptionPSK = suite.deriveSecret(epochSecret, "resumption")
        epochAuthenticator = suite.deriveSecret(epochSecret, "authentication")
        initSecret = suite.deriveSecret(epochSecret, "init")
    }

    private init(_ secrets: [Secret], encryption: Secret = .zeros(0)) {
        senderData = secrets[0]
        exporter = secrets[1]
        external = secrets[2]
        confirmationKey = secrets[3]
        membershipKey = secrets[4]
        resumptionPSK = secrets[5]
        epochAuthenticator = secrets[6]
        initSecret = secrets[7]
        self.encryption = encryption
    }

    private var kept: [Secret] {
        [senderData, exporter, external, confirmationKey, membershipKey, resumptionPSK, epochAuthenticator, initSecret]
    }

    /// The same without the root of the secret tree (RFC 9420 §9.2: it is deleted once the tree stands).
    func withoutEncryption() -> EpochSecrets { EpochSecrets(kept) }

    func with(encryption: Secret) -> EpochSecrets { EpochSecrets(kept, encryption: encryption) }

    func encode(to writer: inout WireWriter) {
        for secret in kept { writer.vector(secret) }
    }

    init(from reader: inout WireReader) throws(MLSError) {
        var secrets: [Secret] = []
        for _ in 0..<8 { secrets.append(Secret(try reader.vector())) }
        self.init(secrets)
    }

    /// The key pair others join with by external commit (RFC 9420 §8).
    package func externalKey(_ suite: Suite) throws(MLSError) -> HPKEPrivateKey {
        try suite.kem.deriveKeyPair(external)
    }

    /// `MLS-Exporter` (RFC 9420 §8.5).
    package func export(label: [UInt8], context: [UInt8], count: Int, _ suite: Suite) -> Secret {
        let derived = suite.expandWithLabel(exporter, label, [], count: suite.hash.byteCount)
        return suite.expandWithLabel(
            derived,
            Array("exported".utf8),
            suite.hash.hash(context),
            count: count
        )
    }

    package func confirmationTag(_ context: GroupContext, _ suite: Suite) -> [UInt8] {
        suite.hash.hmac(key: confirmationKey, context.confirmedTranscriptHash)
    }
}

/// RFC 9420 §8.2
package func interimTranscriptHash(after confirmed: [UInt8], confirmationTag: [UInt8], _ suite: Suite) -> [UInt8] {
    var writer = WireWriter(capacity: confirmed.count + confirmationTag.count + 2)
    writer.write(confirmed)
    writer.vector(confirmationTag)
    return suite.hash.hash(writer.bytes)
}

/// RFC 9420 §8.4
package func preSharedKeySecret(_ keys: [(id: PreSharedKeyID, key: Secret)], _ suite: Suite) -> Secret {
    let zeros = Secret.zeros(suite.hash.byteCount)
    var secret = zeros
    for (index, psk) in keys.enumerated() {
        let extracted = suite.hash.extract(salt: zeros, psk.key)
        var label = WireWriter(capacity: 64)
        label.write(psk.id)
        label.write(UInt16(index))
        label.write(UInt16(keys.count))
        let input = suite.expandWithLabel(extracted, "derived psk", label.bytes)
        secret = suite.hash.extract(salt: input, secret)
    }
    return secret
}
