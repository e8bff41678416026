import Crypto
import FoundationEssentials

/// Checks on Ed25519 public keys, and their X25519 twins.
enum EdwardsKey {
    /// Whether `key` is one that nobody should hold: a point of small order, under which signatures exist that need no
    /// private key, or a spelling that RFC 8032 §5.1.3 does not allow.
    ///
    /// Only bytes are compared, so that this can stand on the path of every key that is read.
    static func isDegenerate(_ key: [UInt8]) -> Bool {
        guard key.count == 32 else { return true }
        var y = key
        y[31] &= 0x7f
        if y[31] == 0x7f && y[0] >= 0xec && y[1..<31].allSatisfy({ $0 == 0xff }) {
            // y = p − 1 has order 2; y ≥ p is not canonical.
            return true
        }
        return smallOrder.contains(y)
    }

    /// The X25519 public key that the method did:key derives from an Ed25519 key: u = (1 + y) / (1 − y) (RFC 7748 §4.1).
    ///
    /// - Returns: nil for bytes that are no point of the curve, a point of small order, or a non-canonical spelling.
    static func keyAgreement(of key: [UInt8]) -> [UInt8]? {
        guard !isDegenerate(key), let y = FieldElement(canonical: key) else { return nil }
        // x² = (y² − 1) / (d y² + 1) has a solution exactly when (y² − 1)(d y² + 1) is a square.
        let square = y * y
        let numerator = square - .one
        let denominator = FieldElement.edwardsD * square + .one
        guard (numerator * denominator).isSquare else { return nil }
        return ((FieldElement.one + y) * (FieldElement.one - y).inverse).bytes
    }

    /// y of the points of order 1, 4 and 8, without the sign of x.
    private static let smallOrder: [[UInt8]] = [
        [1] + [UInt8](repeating: 0, count: 31),
        [UInt8](repeating: 0, count: 32),
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
    ]
}

extension SigningKey {
    /// The X25519 private key beside the one that `DIDKey.document(of:)` derives from the public key: the clamped first
    /// half of SHA-512 of the seed (RFC 8032 §5.1.5).
    public func keyAgreementKey() throws(IdentityError) -> Curve25519.KeyAgreement.PrivateKey {
        var scalar = withSeed { seed in Array(SHA512.hash(data: seed).prefix(32)) }
        defer { scalar.zeroize() }
        do {
            return try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: scalar)
        } catch {
            throw IdentityError(.signing, "no key agreement key can be derived from the signing key")
        }
    }
}
