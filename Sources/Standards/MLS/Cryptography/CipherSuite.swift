/// A cipher suite by its number (RFC 9420 §17.1).
public struct CipherSuite: RawRepresentable, Hashable, Sendable, WireCode {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, which every implementation has.
    public static let x25519AES128 = CipherSuite(rawValue: 1)
    /// MLS_128_DHKEMP256_AES128GCM_SHA256_P256
    public static let p256AES128 = CipherSuite(rawValue: 2)
    /// MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
    public static let x25519ChaCha20 = CipherSuite(rawValue: 3)
    /// MLS_256_DHKEMP521_AES256GCM_SHA512_P521
    public static let p521AES256 = CipherSuite(rawValue: 5)
    /// MLS_256_DHKEMP384_AES256GCM_SHA384_P384
    public static let p384AES256 = CipherSuite(rawValue: 7)

    /// The suites supported here: all of RFC 9420 but 4 and 6, which need X448 and Ed448.
    public static let supported: [CipherSuite] = [
        .x25519AES128, .p256AES128, .x25519ChaCha20, .p521AES256, .p384AES256,
    ]
}

/// A supported suite's algorithms, and RFC 9420's labelled functions over them (§5.1, §5.2, §8).
package struct Suite: Sendable, Hashable {
    package let id: CipherSuite
    package let hash: HashAlgorithm
    package let aead: AEADAlgorithm
    package let signature: SignatureScheme
    package let hpke: HPKESuite

    package var kem: KeyEncapsulation { hpke.kem }

    /// - Throws: `unsupported`.
    package init(_ id: CipherSuite) throws(MLSError) {
        self.id = id
        let kem: KeyEncapsulation
        switch id.rawValue {
        case 1: (kem, aead, hash, signature) = (.x25519, .aes128GCM, .sha256, .ed25519)
        case 2: (kem, aead, hash, signature) = (.p256, .aes128GCM, .sha256, .ecdsaP256SHA256)
        case 3: (kem, aead, hash, signature) = (.x25519, .chaCha20Poly1305, .sha256, .ed25519)
        case 5: (kem, aead, hash, signature) = (.p521, .aes256GCM, .sha512, .ecdsaP521SHA512)
        case 7: (kem, aead, hash, signature) = (.p384, .aes256GCM, .sha384, .ecdsaP384SHA384)
        case 4, 6:
            throw MLSError(.unsupported, "cipher suite \(id.rawValue) needs X448 and Ed448, which are not to be had")
        default: throw MLSError(.unsupported, "cipher suite \(id.rawValue) is not known")
        }
        hpke = HPKESuite(kem, hash, aead)
    }

    // MARK: Derivation (RFC 9420 §8)

    private static let prefix = Array("MLS 1.0 ".utf8)

    package func expandWithLabel(
        _ secret: Secret,
        _ label: StaticString,
        _ context: [UInt8] = [],
        count: Int? = nil
    ) -> Secret {
        expandWithLabel(
            secret,
            UnsafeBufferPointer(start: label.utf8Start, count: label.utf8CodeUnitCount),
            context,
            count: count ?? hash.byteCount
        )
    }

    package func expandWithLabel(_ secret: Secret, _ label: [UInt8], _ context: [UInt8], count: Int) -> Secret {
        label.withUnsafeBufferPointer { expandWithLabel(secret, $0, context, count: count) }
    }

    private func expandWithLabel(
        _ secret: Secret,
        _ label: UnsafeBufferPointer<UInt8>,
        _ context: [UInt8],
        count: Int
    ) -> Secret {
        precondition(count <= 0xffff, "a derived secret has at most 65535 bytes")
        var info = WireWriter(capacity: 20 + label.count + context.count)
        info.write(UInt16(count))
        info.length(Self.prefix.count + label.count)
        info.write(Self.prefix)
        info.write(UnsafeRawBufferPointer(label))
        info.vector(context)
        return hash.expand(secret, info: info.bytes, count: count)
    }

    package func deriveSecret(_ secret: Secret, _ label: StaticString) -> Secret { expandWithLabel(secret, label) }

    /// `DeriveTreeSecret` of RFC 9420 §9.
    package func deriveTreeSecret(
        _ secret: Secret,
        _ label: StaticString,
        generation: UInt32,
        count: Int
    ) -> Secret {
        let context = [
            UInt8(generation >> 24), UInt8(truncatingIfNeeded: generation >> 16),
            UInt8(truncatingIfNeeded: generation >> 8), UInt8(truncatingIfNeeded: generation),
        ]
        return expandWithLabel(secret, label, context, count: count)
    }

    // MARK: References (RFC 9420 §5.2)

    package func refHash(_ label: [UInt8], _ value: [UInt8]) -> [UInt8] {
        var input = WireWriter(capacity: label.count + value.count + 8)
        input.vector(label)
        input.vector(value)
        return hash.hash(input.bytes)
    }

    // MARK: Signatures (RFC 9420 §5.1.2)

    /// `SignContent`; `body` writes `count` bytes of content. There is room for `reserved` bytes more.
    static func signContent(
        _ label: String,
        count: Int,
        reserving reserved: Int = 0,
        _ body: (inout WireWriter) -> Void
    ) -> WireWriter {
        let label = label.utf8
        var input = WireWriter(capacity: label.count + count + 16 + reserved)
        input.length(prefix.count + label.count)
        input.write(prefix)
        input.write(label)
        input.length(count)
        body(&input)
        return input
    }

    package func sign(_ key: SignaturePrivateKey, _ label: String, _ content: [UInt8]) throws(MLSError) -> [UInt8] {
        try sign(key, label, count: content.count) { $0.write(content) }
    }

    /// The same of content that `body` writes, `count` bytes.
    func sign(
        _ key: SignaturePrivateKey,
        _ label: String,
        count: Int,
        _ body: (inout WireWriter) -> Void
    ) throws(MLSError) -> [UInt8] {
        try key.sign(Self.signContent(label, count: count, body).bytes)
    }

    package func isValid(
        _ signed: [UInt8],
        by key: SignaturePublicKey,
        _ label: String,
        _ content: [UInt8]
    ) -> Bool {
        isValid(signed, by: key, label, count: content.count) { $0.write(content) }
    }

    /// The same of content that `body` writes, `count` bytes.
    func isValid(
        _ signed: [UInt8],
        by key: SignaturePublicKey,
        _ label: String,
        count: Int,
        _ body: (inout WireWriter) -> Void
    ) -> Bool {
        signature.isValid(signed, for: Self.signContent(label, count: count, body).bytes, by: key)
    }

    // MARK: Public key encryption (RFC 9420 §5.1.3)

    /// `info` of `EncryptWithLabel`, hashed once for all the recipients of one context.
    package func prepareEncryption(_ label: String, _ context: [UInt8]) -> HPKESuite.Preparation {
        var info = WireWriter(capacity: label.utf8.count + context.count + 16)
        info.length(Self.prefix.count + label.utf8.count)
        info.write(Self.prefix)
        info.write(Array(label.utf8))
        info.vector(context)
        return hpke.prepare(info: info.bytes)
    }

    package func encrypt<Random: RandomNumberGenerator>(
        _ plaintext: Secret,
        to key: HPKEPublicKey,
        _ preparation: HPKESuite.Preparation,
        using random: inout Random
    ) throws(MLSError) -> HPKECiphertext {
        let ephemeral = try kem.generateKeyPair(using: &random)
        var context = try hpke.setUpSender(to: key, preparation, ephemeral: ephemeral)
        let ciphertext = try plaintext.withUnsafeBytes { (bytes) throws(MLSError) in try context.seal(bytes) }
        return HPKECiphertext(kemOutput: ephemeral.publicKey.bytes, ciphertext: ciphertext)
    }

    package func decrypt(
        _ ciphertext: HPKECiphertext,
        with key: HPKEPrivateKey,
        _ preparation: HPKESuite.Preparation
    ) throws(MLSError) -> Secret {
        var context = try hpke.setUpRecipient(ciphertext.kemOutput, with: key, preparation)
        return Secret(try context.open(ciphertext.ciphertext))
    }
}
