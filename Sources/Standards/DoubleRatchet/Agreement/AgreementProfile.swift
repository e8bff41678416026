/// What both ends of a key agreement must have in common (X3DH §2.1, PQXDH §2.1).
public struct AgreementProfile: Hashable, Sendable {
    /// EncodeEC: the key between two constants.
    public struct KeyEncoding: Hashable, Sendable {
        public var prefix: [UInt8]
        public var suffix: [UInt8]

        public init(prefix: [UInt8] = [5], suffix: [UInt8] = []) {
            self.prefix = prefix
            self.suffix = suffix
        }

        func encode(_ key: [UInt8]) -> [UInt8] { prefix + key + suffix }
    }

    public var hash: KDFHash
    /// Sets the application apart.
    public var info: [UInt8]
    public var encoding: KeyEncoding
    /// The parameter set of PQXDH; nil for X3DH.
    public var kem: KEMAlgorithm?

    public init(hash: KDFHash = .sha256, info: [UInt8], encoding: KeyEncoding = KeyEncoding(), kem: KEMAlgorithm? = nil)
    {
        self.hash = hash
        self.info = info
        self.encoding = encoding
        self.kem = kem
    }

    /// PQXDH with ML-KEM-768, its info as PQXDH §2.1 composes it.
    public static func standard(_ application: String, kem: KEMAlgorithm? = .mlKEM768) -> AgreementProfile {
        let names = [application, "CURVE25519", "SHA-256"] + (kem.map { [$0.name] } ?? [])
        return AgreementProfile(info: Array(names.joined(separator: "_").utf8), kem: kem)
    }

    /// KDF of X3DH §2.2: HKDF of 32 bytes 0xff and the secrets, salt zero.
    ///
    /// One derivation of 96 bytes: the secret itself is its first third, as if nothing more had been asked for.
    func derive(_ secrets: [Secret]) -> [Secret] {
        var material = [UInt8](repeating: 0xff, count: 32)
        material.reserveCapacity(32 * (secrets.count + 1))
        for secret in secrets { secret.withUnsafeBytes { material.append(contentsOf: $0) } }
        defer { material.withUnsafeMutableBytes { Secret.wipe($0) } }
        return material.withUnsafeBytes { hash.derive(salt: nil, material: $0, info: info, count: 3) }
    }

    /// AD of X3DH §3.3: both identities. An identity that is more than its agreement key is bound whole, and so is the KEM
    /// key, by its hash (PQXDH §3.3 allows both).
    func associatedData(
        initiator: IdentityKey,
        responder: IdentityKey,
        kemKey: [UInt8]?
    ) throws(RatchetError) -> [UInt8] {
        var data = encoding.encode(try initiator.agreementKey()) + encoding.encode(try responder.agreementKey())
        for case .separate(let signing, _) in [initiator, responder] { data += signing }
        if let kemKey { data += KEMAlgorithm.digest(kemKey) }
        return data
    }
}
