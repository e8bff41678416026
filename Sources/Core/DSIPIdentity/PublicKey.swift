import Crypto
import Encoding
import FoundationEssentials

/// A key that signatures are verified with.
public enum PublicKey: Sendable {
    case ed25519(Curve25519.Signing.PublicKey)
    /// Verified only where policy allows ES256 (DSIP §10.2).
    case p256(P256.Signing.PublicKey)

    /// The `Multikey` spelling: multibase base58btc over the multicodec-prefixed key.
    public var multibase: String {
        switch self {
        case .ed25519(let key): Multibase.encode(Multicodec.ed25519Public.prefixed(key.rawRepresentation))
        case .p256(let key): Multibase.encode(Multicodec.p256Public.prefixed(key.compressedRepresentation))
        }
    }

    /// - Returns: nil for text that is no multibase, a codec that signs nothing, or bytes that are no key to be trusted.
    public init?(multibase text: some StringProtocol) {
        guard let bytes = Multibase.decode(text), let (codec, body) = Multicodec.split(bytes) else { return nil }
        switch codec {
        case .ed25519Public:
            self.init(ed25519: Array(body))
        case .p256Public:
            guard body.count == 33, let key = try? P256.Signing.PublicKey(compressedRepresentation: body) else {
                return nil
            }
            self = .p256(key)
        case .x25519Public, .secp256k1Public: return nil
        }
    }

    /// An Ed25519 key from its 32 bytes.
    ///
    /// - Returns: nil for another length, for points of small order (anyone can sign under them) and for non-canonical
    ///   spellings.
    public init?(ed25519 bytes: [UInt8]) {
        guard !EdwardsKey.isDegenerate(bytes), let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes)
        else {
            return nil
        }
        self = .ed25519(key)
    }

    /// The JOSE algorithm that this key verifies (RFC 8037, RFC 7518).
    public var algorithm: SignatureAlgorithm {
        switch self {
        case .ed25519: .edDSA
        case .p256: .es256
        }
    }

    public func isValidSignature(_ signature: [UInt8], for message: [UInt8]) -> Bool {
        switch self {
        case .ed25519(let key): return key.isValidSignature(signature, for: message)
        case .p256(let key):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: message)
        }
    }
}

extension PublicKey: Hashable {
    public static func == (a: PublicKey, b: PublicKey) -> Bool {
        switch (a, b) {
        case (.ed25519(let a), .ed25519(let b)): a.rawRepresentation == b.rawRepresentation
        case (.p256(let a), .p256(let b)): a.rawRepresentation == b.rawRepresentation
        case (.ed25519, .p256), (.p256, .ed25519): false
        }
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(multibase) }
}

/// The signature algorithms of DSIP §10.2; there are no others.
public enum SignatureAlgorithm: String, Sendable {
    case edDSA = "EdDSA"
    case es256 = "ES256"
}
