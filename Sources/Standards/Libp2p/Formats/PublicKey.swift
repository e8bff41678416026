import Crypto
import CryptoExtras

/// A peer's identity key in any of the four types of the peer-id specification.
///
/// Ed25519, ECDSA P-256 and RSA (2048 to 8192 bits) signatures are verified. A secp256k1 key is read, gives its peer id and
/// is told apart by `canVerify`: a peer that authenticates with one is refused.
public struct PublicKey: Hashable, Sendable {
    public enum KeyType: UInt64, Sendable {
        case rsa = 0
        case ed25519 = 1
        case secp256k1 = 2
        case ecdsa = 3
    }

    public let type: KeyType
    /// The `Data` field: raw for Ed25519, a compressed point for secp256k1, DER `SubjectPublicKeyInfo` for RSA and ECDSA.
    public let data: [UInt8]

    /// - Throws: `malformed` for data that is no key of `type`.
    public init(type: KeyType, data: [UInt8]) throws(Libp2pError) {
        let valid =
            switch type {
            case .ed25519: data.count == 32
            case .secp256k1: data.count == 33 && (data[0] == 2 || data[0] == 3)
            case .ecdsa: data.count <= 256 && (try? P256.Signing.PublicKey(derRepresentation: data)) != nil
            case .rsa: data.count <= 1200 && (try? _RSA.Signing.PublicKey(derRepresentation: data)) != nil
            }
        guard valid else { throw Libp2pError(.malformed, "no \(type) key") }
        self.type = type
        self.data = data
    }

    private init(unchecked type: KeyType, _ data: [UInt8]) {
        self.type = type
        self.data = data
    }

    init(_ key: Curve25519.Signing.PublicKey) { self.init(unchecked: .ed25519, Array(key.rawRepresentation)) }

    /// Reads the protocol buffer form. Only the deterministic encoding is accepted, since a peer id is its hash.
    ///
    /// - Throws: `malformed`, or `unsupported` for an unknown key type.
    public init(protobuf bytes: some Collection<UInt8>) throws(Libp2pError) {
        var reader = ProtobufReader(Array(bytes))
        guard let first = try reader.next(), first.number == 1, let second = try reader.next(), second.number == 2
        else {
            throw Libp2pError(.malformed, "no public key")
        }
        guard let type = KeyType(rawValue: try first.varint()) else {
            throw Libp2pError(.unsupported, "unknown key type")
        }
        try self.init(type: type, data: Array(try second.bytes()))
        guard protobuf.elementsEqual(bytes) else { throw Libp2pError(.malformed, "public key in another encoding") }
    }

    public var protobuf: [UInt8] {
        var writer = ProtobufWriter()
        writer.varint(1, type.rawValue)
        writer.bytes(2, data)
        return writer.bytes
    }

    /// Whether signatures of this key can be verified here.
    public var canVerify: Bool { type != .secp256k1 }

    public func isValid(signature: some Collection<UInt8>, for message: [UInt8]) -> Bool {
        let signature = Array(signature)
        switch type {
        case .ed25519:
            guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: data) else { return false }
            return key.isValidSignature(signature, for: message)
        case .ecdsa:
            guard let key = try? P256.Signing.PublicKey(derRepresentation: data),
                let signature = try? P256.Signing.ECDSASignature(derRepresentation: signature)
            else { return false }
            return key.isValidSignature(signature, for: message)
        case .rsa:
            guard let key = try? _RSA.Signing.PublicKey(derRepresentation: data) else { return false }
            let signature = _RSA.Signing.RSASignature(rawRepresentation: signature)
            return key.isValidSignature(signature, for: SHA256.hash(data: message), padding: .insecurePKCS1v1_5)
        case .secp256k1: return false
        }
    }
}
