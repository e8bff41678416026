/// A client's offer to be added to a group (RFC 9420 §10), verified: its signatures hold, and it is of its cipher suite.
public struct KeyPackage: Sendable, Hashable, WireEncodable, WireDecodable {
    public let cipherSuite: CipherSuite
    public let initKey: HPKEPublicKey
    public let leafNode: LeafNode
    public let extensions: Extensions
    let version: ProtocolVersion
    private let signature: [UInt8]
    /// All of it, and how much of that is signed.
    public let encoded: [UInt8]
    private let signedCount: Int

    package init(from reader: inout WireReader) throws(MLSError) {
        let start = reader.position
        version = try ProtocolVersion(from: &reader)
        cipherSuite = try CipherSuite(from: &reader)
        initKey = try HPKEPublicKey(from: &reader)
        leafNode = try LeafNode(from: &reader)
        extensions = try Extensions(from: &reader)
        signedCount = reader.position - start
        signature = try reader.vector()
        encoded = reader.slice(from: start)
    }

    fileprivate init(
        _ suite: Suite,
        initKey: HPKEPublicKey,
        leafNode: LeafNode,
        extensions: Extensions,
        signedBy signer: SignaturePrivateKey
    ) throws(MLSError) {
        version = .mls10
        cipherSuite = suite.id
        self.initKey = initKey
        self.leafNode = leafNode
        self.extensions = extensions
        var writer = WireWriter(capacity: 512)
        writer.write(version)
        writer.write(cipherSuite)
        writer.write(initKey)
        writer.write(leafNode)
        writer.write(extensions)
        signedCount = writer.bytes.count
        signature = try suite.sign(signer, "KeyPackageTBS", writer.bytes)
        writer.vector(signature)
        encoded = writer.bytes
    }

    package func encode(to writer: inout WireWriter) { writer.write(encoded) }

    public static func == (a: KeyPackage, b: KeyPackage) -> Bool { a.encoded == b.encoded }
    public func hash(into hasher: inout Hasher) { hasher.combine(encoded) }

    /// `KeyPackageRef` (RFC 9420 §5.2).
    ///
    /// - Throws: `unsupported`.
    public func reference() throws(MLSError) -> [UInt8] { reference(try Suite(cipherSuite)) }

    package func reference(_ suite: Suite) -> [UInt8] {
        suite.refHash(Array("MLS 1.0 KeyPackage Reference".utf8), encoded)
    }

    fileprivate func hasValidSignature(_ suite: Suite) -> Bool {
        suite.isValid(signature, by: leafNode.signatureKey, "KeyPackageTBS", Array(encoded[..<signedCount]))
    }

    /// As a message of its own.
    public var message: MLSMessage { .keyPackage(Unverified(self)) }
}

extension Unverified<KeyPackage> {
    /// Verifies what can be said of a key package alone; whether it fits a group is judged when it is added.
    ///
    /// - Parameter now: Unix seconds.
    /// - Throws: `leafNode`, `signature`, `unsupported`, `credential`.
    public func verified(
        at now: UInt64,
        by validator: some CredentialValidator
    ) throws(MLSError) -> KeyPackage {
        let suite = try Suite(value.cipherSuite)
        try verify(suite, at: now, validator)
        return value
    }

    // RFC 9420 §10.1, and §7.3 for the leaf.
    func verify(_ suite: Suite, at now: UInt64?, _ validator: any CredentialValidator) throws(MLSError) {
        guard value.version == .mls10, value.cipherSuite == suite.id else {
            throw MLSError(.leafNode, "a key package is of another version or cipher suite")
        }
        guard !value.extensions.hasDuplicates else {
            throw MLSError(.leafNode, "a key package has an extension twice")
        }
        guard case .keyPackage(let lifetime) = value.leafNode.source else {
            throw MLSError(.leafNode, "a key package's leaf has another source")
        }
        if let now {
            guard lifetime.contains(now) else { throw MLSError(.leafNode, "a key package is not valid at this time") }
        }
        guard value.initKey != value.leafNode.encryptionKey else {
            throw MLSError(.leafNode, "a key package uses one key twice")
        }
        try value.leafNode.checkSelf(suite, validator)
        guard value.leafNode.hasValidSignature(at: nil, suite), value.hasValidSignature(suite) else {
            throw MLSError(.signature, "a key package's signature does not verify")
        }
    }
}

extension LeafNode {
    // RFC 9420 §7.3, the rules that need no group.
    func checkSelf(_ suite: Suite, _ validator: any CredentialValidator) throws(MLSError) {
        guard !extensions.hasDuplicates else { throw MLSError(.leafNode, "a leaf node has an extension twice") }
        guard capabilities.versions.contains(.mls10), capabilities.cipherSuites.contains(suite.id) else {
            throw MLSError(.leafNode, "a leaf node does not list the version and cipher suite it is used with")
        }
        guard capabilities.understands(credential.type) else {
            throw MLSError(.leafNode, "a leaf node does not list its own credential's type")
        }
        guard extensions.types.allSatisfy(capabilities.understands) else {
            throw MLSError(.leafNode, "a leaf node has an extension that it does not list")
        }
        guard encryptionKey.bytes.count == suite.kem.publicKeyByteCount else {
            throw MLSError(.leafNode, "a leaf node's encryption key is not of the cipher suite")
        }
        guard validator.accepts(credential, signatureKey: signatureKey, as: .member) else {
            throw MLSError(.credential, "the application refused a member's credential")
        }
    }
}

/// A key package and the private keys that belong to it. The client keeps it until a Welcome comes, or the key package expires.
public struct KeyPackageBundle: Sendable {
    public let keyPackage: KeyPackage
    let initKey: HPKEPrivateKey
    let encryptionKey: HPKEPrivateKey
    let signer: SignaturePrivateKey

    /// A fresh key package.
    ///
    /// - Parameters:
    ///   - signer: must be of the suite's scheme.
    ///   - extensions: of the key package, not of its leaf; those are in `contents`.
    /// - Throws: `unsupported`.
    public init<Random: RandomNumberGenerator>(
        _ cipherSuite: CipherSuite,
        _ contents: LeafNode.Contents,
        signer: SignaturePrivateKey,
        lifetime: Lifetime,
        extensions: Extensions = [],
        using random: inout Random
    ) throws(MLSError) {
        let suite = try Suite(cipherSuite)
        initKey = try suite.kem.generateKeyPair(using: &random)
        encryptionKey = try suite.kem.generateKeyPair(using: &random)
        self.signer = signer
        keyPackage = try KeyPackage(
            suite,
            initKey: initKey.publicKey,
            leafNode: LeafNode(
                contents,
                encryptionKey: encryptionKey.publicKey,
                source: .keyPackage(lifetime),
                place: nil,
                signedBy: signer,
                suite
            ),
            extensions: extensions,
            signedBy: signer
        )
    }

    package init(
        _ keyPackage: KeyPackage,
        initKey: HPKEPrivateKey,
        encryptionKey: HPKEPrivateKey,
        signer: SignaturePrivateKey
    ) throws(MLSError) {
        guard initKey.publicKey == keyPackage.initKey,
            encryptionKey.publicKey == keyPackage.leafNode.encryptionKey,
            signer.publicKey == keyPackage.leafNode.signatureKey
        else { throw MLSError(.usage, "private keys do not belong to the key package") }
        self.keyPackage = keyPackage
        self.initKey = initKey
        self.encryptionKey = encryptionKey
        self.signer = signer
    }

    /// For keeping until a Welcome comes. It holds private keys.
    public var saved: Secret {
        var writer = WireWriter(capacity: 512)
        writer.write(keyPackage)
        writer.vector(initKey.secret)
        writer.vector(encryptionKey.secret)
        writer.vector(signer.rawRepresentation)
        return Secret(writer.bytes)
    }

    /// - Throws: `malformed`, `cryptography`, `usage` when this is no saved bundle.
    public init(restoring saved: Secret) throws(MLSError) {
        var reader = WireReader(saved.bytes)
        let keyPackage = try KeyPackage(from: &reader)
        let suite = try Suite(keyPackage.cipherSuite)
        let initKey = try HPKEPrivateKey(suite.kem, Secret(try reader.vector()))
        let encryptionKey = try HPKEPrivateKey(suite.kem, Secret(try reader.vector()))
        let signer = try SignaturePrivateKey(suite.signature, Secret(try reader.vector()))
        try reader.finish()
        try self.init(keyPackage, initKey: initKey, encryptionKey: encryptionKey, signer: signer)
    }
}
