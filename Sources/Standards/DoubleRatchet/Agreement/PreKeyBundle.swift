/// What a device publishes so that others can speak to it while it is away (X3DH §3.2, PQXDH §3.2). Untrusted until verified.
///
/// ```
/// | version 1 (1) | identity (33 or 65) | id (4) | signed prekey (32) | signature (64) |
/// | 0, or 1 | id (4) | one-time prekey (32) |
/// | 0, or 1 | id (4) | ML-KEM set (1) | last resort (1) | KEM prekey | signature (64) |        integers big-endian
/// ```
public struct PreKeyBundle: Hashable, Sendable {
    public struct SignedPreKey: Hashable, Sendable {
        public var id: UInt32
        /// 32 bytes.
        public var key: [UInt8]
        /// 64 bytes.
        public var signature: [UInt8]

        public init(id: UInt32, key: [UInt8], signature: [UInt8]) {
            (self.id, self.key, self.signature) = (id, key, signature)
        }
    }

    public struct OneTimePreKey: Hashable, Sendable {
        public var id: UInt32
        /// 32 bytes.
        public var key: [UInt8]

        public init(id: UInt32, key: [UInt8]) { (self.id, self.key) = (id, key) }
    }

    public struct KEMPreKey: Hashable, Sendable {
        public var id: UInt32
        public var kem: KEMAlgorithm
        /// Whether it is given to more than one initiator.
        public var isLastResort: Bool
        public var key: [UInt8]
        /// 64 bytes.
        public var signature: [UInt8]
    }

    public var identity: IdentityKey
    public var signed: SignedPreKey
    public var oneTime: OneTimePreKey?
    public var kem: KEMPreKey?

    public init(identity: IdentityKey, signed: SignedPreKey, oneTime: OneTimePreKey? = nil, kem: KEMPreKey? = nil) {
        (self.identity, self.signed, self.oneTime, self.kem) = (identity, signed, oneTime, kem)
    }

    public var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.append(byte: 1)
        writer.append(identity.bytes)
        writer.append(signed.id)
        writer.append(signed.key)
        writer.append(signed.signature)
        writer.append(optional: oneTime) { writer, oneTime in
            writer.append(oneTime.id)
            writer.append(oneTime.key)
        }
        writer.append(optional: kem) { writer, kem in
            writer.append(kem.id)
            writer.append(byte: kem.kem.rawValue)
            writer.append(flag: kem.isLastResort)
            writer.append(kem.key)
            writer.append(kem.signature)
        }
        return writer.bytes
    }

    /// - Throws: `malformed`.
    public init(_ bytes: [UInt8]) throws(RatchetError) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == 1 else { throw RatchetError(.malformed, "another version") }
        identity = try IdentityKey(from: &reader)
        signed = SignedPreKey(
            id: try reader.uint32(),
            key: Array(try reader.bytes(32)),
            signature: Array(try reader.bytes(64))
        )
        oneTime = try reader.optional { (reader) throws(RatchetError) in
            OneTimePreKey(id: try reader.uint32(), key: Array(try reader.bytes(32)))
        }
        kem = try reader.optional { (reader) throws(RatchetError) in
            let id = try reader.uint32()
            guard let kem = KEMAlgorithm(rawValue: try reader.byte()) else {
                throw RatchetError(.malformed, "an unknown KEM")
            }
            return KEMPreKey(
                id: id,
                kem: kem,
                isLastResort: try reader.flag(),
                key: Array(try reader.bytes(kem.publicKeySize)),
                signature: Array(try reader.bytes(64))
            )
        }
        try reader.end()
    }

    /// Checks the signatures, and that the bundle has what the profile demands.
    ///
    /// - Parameter identity: the key the owner is known by: from a DID document, or remembered. Nil takes the bundle's word
    ///   for it, and leaves authentication to a safety number.
    public func verified(
        as identity: IdentityKey?,
        profile: AgreementProfile
    ) throws(RatchetError) -> VerifiedPreKeyBundle {
        if let identity, identity != self.identity {
            throw RatchetError(.identityChanged, "the bundle is of another identity")
        }
        // X3DH §3.3: abort when the signature does not verify.
        guard self.identity.isValidSignature(signed.signature, for: profile.encoding.encode(signed.key)) else {
            throw RatchetError(.invalidSignature, "the signed prekey's signature does not verify")
        }
        if let set = profile.kem {
            guard let kem, kem.kem == set else { throw RatchetError(.profileMismatch, "no prekey of \(set.name)") }
            guard self.identity.isValidSignature(kem.signature, for: set.encode(kem.key)) else {
                throw RatchetError(.invalidSignature, "the KEM prekey's signature does not verify")
            }
        }
        _ = try self.identity.agreementKey()
        return VerifiedPreKeyBundle(bundle: self, profile: profile)
    }
}

/// A bundle whose signatures verify under the identity it names, or the one that was expected.
public struct VerifiedPreKeyBundle: Hashable, Sendable {
    public let bundle: PreKeyBundle
    let profile: AgreementProfile

    fileprivate init(bundle: PreKeyBundle, profile: AgreementProfile) {
        self.bundle = bundle
        self.profile = profile
    }
}
