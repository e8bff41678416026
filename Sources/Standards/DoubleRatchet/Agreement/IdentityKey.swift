import Crypto
import FoundationEssentials

/// The public identity of a device, in one of three forms.
///
/// ```
/// | kind (1) | key (32) |                 ed25519, x25519
/// | kind (1) | signing (32) | agreement (32) |     separate
/// ```
public enum IdentityKey: Hashable, Sendable {
    /// One Ed25519 key: it signs as itself and agrees through the birational map (RFC 7748 §4.1).
    case ed25519([UInt8])
    /// One X25519 key: it agrees as itself and signs with XEdDSA.
    case x25519([UInt8])
    /// Two keys. Whoever trusts one must have bound the other to it, in a DID document say.
    case separate(signing: [UInt8], agreement: [UInt8])

    /// The X25519 public key, 32 bytes.
    ///
    /// - Throws: `weakKey` when an Ed25519 key is no point, or one of small order.
    public func agreementKey() throws(RatchetError) -> [UInt8] {
        switch self {
        case .ed25519(let key):
            guard let converted = CurveConversion.x25519(fromEd25519: key) else {
                throw RatchetError(.weakKey, "the identity key is no usable point")
            }
            return converted
        case .x25519(let key), .separate(_, let key):
            guard key.count == 32 else { throw RatchetError(.weakKey, "a key of 32 bytes") }
            return key
        }
    }

    public func isValidSignature(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        switch self {
        case .ed25519(let key), .separate(let key, _):
            guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: key) else { return false }
            return key.isValidSignature(signature, for: message)
        case .x25519(let key):
            return XEdDSA.isValid(signature, for: message, publicKey: key)
        }
    }

    public var bytes: [UInt8] {
        switch self {
        case .ed25519(let key): [1] + key
        case .x25519(let key): [2] + key
        case .separate(let signing, let agreement): [3] + signing + agreement
        }
    }

    init(from reader: inout ByteReader) throws(RatchetError) {
        switch try reader.byte() {
        case 1: self = .ed25519(Array(try reader.bytes(32)))
        case 2: self = .x25519(Array(try reader.bytes(32)))
        case 3: self = .separate(signing: Array(try reader.bytes(32)), agreement: Array(try reader.bytes(32)))
        default: throw RatchetError(.malformed, "an unknown kind of identity key")
        }
    }
}

/// The private identity of this device.
public struct IdentityKeyPair: Sendable {
    private enum Signer: Sendable {
        case ed25519(Curve25519.Signing.PrivateKey)
        case xEdDSA(Secret)
    }

    public let publicKey: IdentityKey
    let agreement: AgreementKey
    private let signer: Signer

    /// From an Ed25519 seed of 32 bytes, the private key of RFC 8032.
    public init(ed25519Seed seed: [UInt8]) throws(RatchetError) {
        guard let secret = Secret(seed), let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            throw RatchetError(.malformed, "a seed of 32 bytes")
        }
        publicKey = .ed25519(Array(key.publicKey.rawRepresentation))
        agreement = AgreementKey(CurveConversion.x25519(seed: secret))
        signer = .ed25519(key)
    }

    /// From an X25519 private key of 32 bytes.
    public init(x25519 privateKey: [UInt8]) throws(RatchetError) {
        guard let secret = Secret(privateKey) else { throw RatchetError(.malformed, "a key of 32 bytes") }
        agreement = AgreementKey(secret)
        publicKey = .x25519(agreement.publicKey)
        signer = .xEdDSA(secret)
    }

    /// From an Ed25519 seed and an X25519 private key, 32 bytes each.
    public init(ed25519Seed seed: [UInt8], x25519 privateKey: [UInt8]) throws(RatchetError) {
        guard let secret = Secret(privateKey), seed.count == 32,
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed)
        else { throw RatchetError(.malformed, "keys of 32 bytes") }
        agreement = AgreementKey(secret)
        publicKey = .separate(signing: Array(key.publicKey.rawRepresentation), agreement: agreement.publicKey)
        signer = .ed25519(key)
    }

    /// A new Ed25519 identity.
    public init(using random: inout some RandomNumberGenerator) {
        do {
            try self.init(ed25519Seed: Secret(using: &random).bytes)
        } catch {
            preconditionFailure("a seed of 32 bytes")
        }
    }

    package func sign(_ message: [UInt8], using random: inout some RandomNumberGenerator) -> [UInt8] {
        switch signer {
        case .ed25519(let key):
            guard let signature = try? key.signature(for: message) else {
                preconditionFailure("Ed25519 signs anything")
            }
            return Array(signature)
        case .xEdDSA(let secret): return XEdDSA.sign(message, secret, using: &random)
        }
    }
}
