import Crypto
import FoundationEssentials

/// A Diffie-Hellman KEM of RFC 9180 §7.1.
package enum KeyEncapsulation: UInt16, Sendable, Hashable {
    case p256 = 0x0010
    case p384 = 0x0011
    case p521 = 0x0012
    case x25519 = 0x0020

    /// `Nsecret`, and the KDF inside the KEM.
    var hash: HashAlgorithm {
        switch self {
        case .p256, .x25519: .sha256
        case .p384: .sha384
        case .p521: .sha512
        }
    }

    /// `Nsk`.
    package var privateKeyByteCount: Int {
        switch self {
        case .p256, .x25519: 32
        case .p384: 48
        case .p521: 66
        }
    }

    /// `Npk`.
    package var publicKeyByteCount: Int { self == .x25519 ? 32 : 1 + 2 * privateKeyByteCount }

    var suiteID: [UInt8] { Array("KEM".utf8) + [UInt8(rawValue >> 8), UInt8(truncatingIfNeeded: rawValue)] }

    /// `DeriveKeyPair` of RFC 9180 §7.1.3.
    package func deriveKeyPair(_ material: Secret) throws(MLSError) -> HPKEPrivateKey {
        let labels = HPKELabels(suiteID: suiteID, hash: hash)
        let root = labels.extract(salt: Secret.zeros(0), "dkp_prk", material)
        if self == .x25519 {
            return try HPKEPrivateKey(self, labels.expand(root, "sk", [], privateKeyByteCount))
        }
        for counter in UInt8.min...UInt8.max {
            let candidate = labels.expand(root, "candidate", [counter], privateKeyByteCount)
            let masked = Secret(count: candidate.count) { bytes in
                candidate.withUnsafeBytes { bytes.copyMemory(from: $0) }
                if self == .p521 { bytes[0] &= 0x01 }
            }
            if let key = try? HPKEPrivateKey(self, masked) { return key }
        }
        throw MLSError(.cryptography, "no key pair can be derived")
    }

    package func generateKeyPair<Random: RandomNumberGenerator>(
        using random: inout Random
    ) throws(MLSError) -> HPKEPrivateKey {
        try deriveKeyPair(Secret(count: privateKeyByteCount, using: &random))
    }

    /// `ExtractAndExpand` of RFC 9180 §4.1.
    fileprivate func sharedSecret(_ dh: Secret, _ context: [UInt8]) -> Secret {
        let labels = HPKELabels(suiteID: suiteID, hash: hash)
        let root = labels.extract(salt: Secret.zeros(0), "eae_prk", dh)
        return labels.expand(root, "shared_secret", context, hash.byteCount)
    }

    /// `Encap`, or `AuthEncap` with a sender's key. The ephemeral key is the caller's, made for this once.
    func encapsulate(
        to recipient: HPKEPublicKey,
        ephemeral: HPKEPrivateKey,
        sender: HPKEPrivateKey? = nil
    ) throws(MLSError) -> Secret {
        let dh = try ephemeral.agree(with: recipient)
        guard let sender else {
            return sharedSecret(dh, ephemeral.publicKey.bytes + recipient.bytes)
        }
        let both = Secret(dh.bytes + (try sender.agree(with: recipient)).bytes)
        return sharedSecret(both, ephemeral.publicKey.bytes + recipient.bytes + sender.publicKey.bytes)
    }

    /// `Decap`, or `AuthDecap` with a sender's key.
    func decapsulate(
        _ encapsulated: [UInt8],
        with key: HPKEPrivateKey,
        sender: HPKEPublicKey? = nil
    ) throws(MLSError) -> Secret {
        let dh = try key.agree(with: HPKEPublicKey(encapsulated))
        guard let sender else { return sharedSecret(dh, encapsulated + key.publicKey.bytes) }
        let both = Secret(dh.bytes + (try key.agree(with: sender)).bytes)
        return sharedSecret(both, encapsulated + key.publicKey.bytes + sender.bytes)
    }
}

/// An HPKE public key as RFC 9180 serialises it: 32 bytes for X25519, an uncompressed point for a NIST curve.
public struct HPKEPublicKey: Hashable, Sendable, WireEncodable, WireDecodable {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    package init(from reader: inout WireReader) throws(MLSError) { bytes = try reader.vector() }
    package func encode(to writer: inout WireWriter) { writer.vector(bytes) }
}

/// An HPKE private key and its public key.
public struct HPKEPrivateKey: Sendable {
    private enum Key: Sendable {
        case p256(P256.KeyAgreement.PrivateKey)
        case p384(P384.KeyAgreement.PrivateKey)
        case p521(P521.KeyAgreement.PrivateKey)
        case x25519(Curve25519.KeyAgreement.PrivateKey)
    }

    private let key: Key
    public let publicKey: HPKEPublicKey

    /// - Throws: `cryptography` when the bytes are no scalar of the curve.
    package init(_ kem: KeyEncapsulation, _ secret: Secret) throws(MLSError) {
        // Some write a scalar without its leading zeros.
        let secret = kem == .x25519 ? secret : secret.padded(to: kem.privateKeyByteCount)
        do {
            (key, publicKey) = try secret.withUnsafeBytes { bytes in
                switch kem {
                case .p256:
                    let key = try P256.KeyAgreement.PrivateKey(rawRepresentation: bytes)
                    return (.p256(key), HPKEPublicKey(Array(key.publicKey.x963Representation)))
                case .p384:
                    let key = try P384.KeyAgreement.PrivateKey(rawRepresentation: bytes)
                    return (.p384(key), HPKEPublicKey(Array(key.publicKey.x963Representation)))
                case .p521:
                    let key = try P521.KeyAgreement.PrivateKey(rawRepresentation: bytes)
                    return (.p521(key), HPKEPublicKey(Array(key.publicKey.x963Representation)))
                case .x25519:
                    let key = try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: bytes)
                    return (.x25519(key), HPKEPublicKey(Array(key.publicKey.rawRepresentation)))
                }
            }
        } catch {
            throw MLSError(.cryptography, "these bytes are no HPKE private key")
        }
    }

    /// The serialised key (RFC 9180 §7.1.2).
    package var secret: Secret {
        switch key {
        case .p256(let key): Secret(key.rawRepresentation)
        case .p384(let key): Secret(key.rawRepresentation)
        case .p521(let key): Secret(key.rawRepresentation)
        case .x25519(let key): Secret(key.rawRepresentation)
        }
    }

    fileprivate func agree(with peer: HPKEPublicKey) throws(MLSError) -> Secret {
        do {
            let shared: SharedSecret =
                switch key {
                case .p256(let key):
                    try key.sharedSecretFromKeyAgreement(with: .init(x963Representation: peer.bytes))
                case .p384(let key):
                    try key.sharedSecretFromKeyAgreement(with: .init(x963Representation: peer.bytes))
                case .p521(let key):
                    try key.sharedSecretFromKeyAgreement(with: .init(x963Representation: peer.bytes))
                case .x25519(let key):
                    try key.sharedSecretFromKeyAgreement(with: .init(rawRepresentation: peer.bytes))
                }
            return shared.withUnsafeBytes { shared in Secret(count: shared.count) { $0.copyMemory(from: shared) } }
        } catch {
            throw MLSError(.cryptography, "an HPKE public key is not on its curve, or of small order")
        }
    }
}
