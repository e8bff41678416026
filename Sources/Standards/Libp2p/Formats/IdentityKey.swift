import Crypto

/// A host's own Ed25519 key: it signs Noise static keys, peer records and envelopes.
public struct IdentityKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey
    public let publicKey: PublicKey
    public let peerID: PeerID

    /// A fresh key from the system's generator.
    public init() { self.init(Curve25519.Signing.PrivateKey()) }

    /// - Parameter seed: the 32 bytes of RFC 8032 §5.1.5.
    public init(seed: some Collection<UInt8>) throws(Libp2pError) {
        guard seed.count == 32, let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: Array(seed)) else {
            throw Libp2pError(.malformed, "an Ed25519 seed has 32 bytes")
        }
        self.init(key)
    }

    /// Reads the protocol buffer form: seed and public key, or the older form with the public key twice.
    ///
    /// - Throws: `malformed`; `unsupported` for other key types, which are not made here.
    public init(protobuf bytes: [UInt8]) throws(Libp2pError) {
        var reader = ProtobufReader(bytes)
        guard let first = try reader.next(), first.number == 1, let second = try reader.next(), second.number == 2,
            try reader.next() == nil
        else { throw Libp2pError(.malformed, "no private key") }
        guard try first.varint() == PublicKey.KeyType.ed25519.rawValue else {
            throw Libp2pError(.unsupported, "only Ed25519 private keys are used")
        }
        let data = Array(try second.bytes())
        guard data.count == 64 || data.count == 96, data[32..<64].elementsEqual(data.suffix(32)) else {
            throw Libp2pError(.malformed, "private key of another length, or its public keys differ")
        }
        try self.init(seed: data.prefix(32))
        guard publicKey.data.elementsEqual(data.suffix(32)) else {
            throw Libp2pError(.malformed, "the public key is of another private key")
        }
    }

    private init(_ key: Curve25519.Signing.PrivateKey) {
        self.key = key
        self.publicKey = PublicKey(key.publicKey)
        self.peerID = PeerID(publicKey)
    }

    /// Secret: seed and public key behind their type.
    public var protobuf: [UInt8] {
        var writer = ProtobufWriter()
        writer.varint(1, PublicKey.KeyType.ed25519.rawValue)
        writer.bytes(2, Array(key.rawRepresentation) + publicKey.data)
        return writer.bytes
    }

    public func sign(_ message: [UInt8]) throws(Libp2pError) -> [UInt8] {
        do { return Array(try key.signature(for: message)) } catch {
            throw Libp2pError(.unsupported, "signing failed")
        }
    }
}
