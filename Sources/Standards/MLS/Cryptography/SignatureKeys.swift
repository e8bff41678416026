import Crypto
import FoundationEssentials

/// The signature scheme of a cipher suite (RFC 9420 §17.1).
package enum SignatureScheme: UInt16, Sendable, Hashable {
    case ecdsaP256SHA256 = 0x0403
    case ecdsaP384SHA384 = 0x0503
    case ecdsaP521SHA512 = 0x0603
    case ed25519 = 0x0807

    var privateKeyByteCount: Int {
        switch self {
        case .ed25519, .ecdsaP256SHA256: 32
        case .ecdsaP384SHA384: 48
        case .ecdsaP521SHA512: 66
        }
    }

    /// Whether `signature` over `content` is by `key`. A key or signature of another form is simply not valid.
    func isValid(_ signature: [UInt8], for content: [UInt8], by key: SignaturePublicKey) -> Bool {
        switch self {
        case .ed25519:
            guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: key.bytes) else { return false }
            return signature.withUnsafeBytes { signature in
                content.withUnsafeBytes { key.isValidSignature(signature, for: $0) }
            }
        case .ecdsaP256SHA256:
            guard let key = try? P256.Signing.PublicKey(x963Representation: key.bytes),
                let signature = try? P256.Signing.ECDSASignature(derRepresentation: signature)
            else { return false }
            return key.isValidSignature(signature, for: content)
        case .ecdsaP384SHA384:
            guard let key = try? P384.Signing.PublicKey(x963Representation: key.bytes),
                let signature = try? P384.Signing.ECDSASignature(derRepresentation: signature)
            else { return false }
            return key.isValidSignature(signature, for: content)
        case .ecdsaP521SHA512:
            guard let key = try? P521.Signing.PublicKey(x963Representation: key.bytes),
                let signature = try? P521.Signing.ECDSASignature(derRepresentation: signature)
            else { return false }
            return key.isValidSignature(signature, for: content)
        }
    }
}

/// A signature public key: 32 bytes for Ed25519, an uncompressed point for ECDSA.
public struct SignaturePublicKey: Hashable, Sendable, WireEncodable, WireDecodable {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    package init(from reader: inout WireReader) throws(MLSError) { bytes = try reader.vector() }
    package func encode(to writer: inout WireWriter) { writer.vector(bytes) }
}

/// A signature private key of a cipher suite's scheme.
///
/// Ed25519 signs deterministically. ECDSA draws its nonces inside swift-crypto, the one place where randomness is not injected.
public struct SignaturePrivateKey: Sendable {
    private enum Key: Sendable {
        case ed25519(Curve25519.Signing.PrivateKey)
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
    }

    private let key: Key
    public let publicKey: SignaturePublicKey

    /// A key from its bytes: Ed25519's seed, or ECDSA's scalar in big-endian order.
    ///
    /// - Throws: `unsupported` for a suite not supported here, `cryptography` when the bytes are no key.
    public init(_ suite: CipherSuite, rawRepresentation secret: Secret) throws(MLSError) {
        try self.init(try Suite(suite).signature, secret)
    }

    package init(_ scheme: SignatureScheme, _ secret: Secret) throws(MLSError) {
        // Some write a scalar without its leading zeros.
        let secret = secret.padded(to: scheme.privateKeyByteCount)
        do {
            (key, publicKey) = try secret.withUnsafeBytes { bytes in
                switch scheme {
                case .ed25519:
                    let key = try Curve25519.Signing.PrivateKey(rawRepresentation: bytes)
                    return (.ed25519(key), SignaturePublicKey(Array(key.publicKey.rawRepresentation)))
                case .ecdsaP256SHA256:
                    let key = try P256.Signing.PrivateKey(rawRepresentation: bytes)
                    return (.p256(key), SignaturePublicKey(Array(key.publicKey.x963Representation)))
                case .ecdsaP384SHA384:
                    let key = try P384.Signing.PrivateKey(rawRepresentation: bytes)
                    return (.p384(key), SignaturePublicKey(Array(key.publicKey.x963Representation)))
                case .ecdsaP521SHA512:
                    let key = try P521.Signing.PrivateKey(rawRepresentation: bytes)
                    return (.p521(key), SignaturePublicKey(Array(key.publicKey.x963Representation)))
                }
            }
        } catch {
            throw MLSError(.cryptography, "these bytes are no signature private key")
        }
    }

    /// A fresh key.
    ///
    /// - Throws: `unsupported` for a suite not supported here.
    public init<Random: RandomNumberGenerator>(_ suite: CipherSuite, using random: inout Random) throws(MLSError) {
        let scheme = try Suite(suite).signature
        let count = scheme.privateKeyByteCount
        // A scalar above the curve's order is drawn again; P-521's top byte holds one bit.
        for _ in 0..<128 {
            let drawn = Secret(count: count, using: &random)
            let masked = Secret(count: count) { bytes in
                drawn.withUnsafeBytes { bytes.copyMemory(from: $0) }
                if scheme == .ecdsaP521SHA512 { bytes[0] &= 0x01 }
            }
            if let key = try? SignaturePrivateKey(scheme, masked) {
                self = key
                return
            }
        }
        throw MLSError(.cryptography, "the random source gives no key")
    }

    /// The bytes that `init(_:rawRepresentation:)` takes.
    public var rawRepresentation: Secret {
        switch key {
        case .ed25519(let key): Secret(key.rawRepresentation)
        case .p256(let key): Secret(key.rawRepresentation)
        case .p384(let key): Secret(key.rawRepresentation)
        case .p521(let key): Secret(key.rawRepresentation)
        }
    }

    func sign(_ content: [UInt8]) throws(MLSError) -> [UInt8] {
        do {
            switch key {
            case .ed25519(let key): return Array(try content.withUnsafeBytes { try key.signature(for: $0) })
            case .p256(let key): return Array(try key.signature(for: content).derRepresentation)
            case .p384(let key): return Array(try key.signature(for: content).derRepresentation)
            case .p521(let key): return Array(try key.signature(for: content).derRepresentation)
            }
        } catch {
            throw MLSError(.cryptography, "the content cannot be signed")
        }
    }
}
