import Crypto
import FoundationEssentials

/// Signatures with X25519 keys (XEdDSA, revision 1).
///
/// Verification converts the key and leaves the rest to Ed25519. Signing is done here, in time that depends on lengths alone.
public enum XEdDSA {
    /// Where the sign of the signer's Edwards point is.
    public enum SignBit: Sendable {
        /// It is zero, as XEdDSA has it: the signer negates its scalar when needed.
        case zero
        /// In the top bit of the signature, as older signers of the same family have it.
        case inSignature
    }

    /// - Parameters:
    ///   - privateKey: 32 bytes, an X25519 private key.
    ///   - random: gives the 64 bytes that make each signature its own.
    /// - Returns: 64 bytes.
    public static func sign(
        _ message: [UInt8],
        privateKey: [UInt8],
        using random: inout some RandomNumberGenerator
    ) -> [UInt8] {
        guard let secret = Secret(privateKey) else { preconditionFailure("a private key has 32 bytes") }
        return sign(message, secret, using: &random)
    }

    static func sign(_ message: [UInt8], _ privateKey: Secret, using random: inout some RandomNumberGenerator)
        -> [UInt8]
    {
        // XEdDSA §2.3, calculate_key_pair
        var scalar = clamped(privateKey)
        defer { scalar.withUnsafeMutableBytes { Secret.wipe($0) } }
        let point = EdwardsPoint.base(times: scalar).bytes
        let sign = UInt64(point[31] >> 7)
        let a = Scalar25519(reducing: scalar).negated(sign)
        let publicKey = point[..<31] + [point[31] & 0x7f]

        // XEdDSA §3.1
        var hash = SHA512()
        hash.update(data: [0xfe] + [UInt8](repeating: 0xff, count: 31))
        var secretBytes = a.bytes
        defer { secretBytes.withUnsafeMutableBytes { Secret.wipe($0) } }
        hash.update(data: secretBytes)
        hash.update(data: message)
        for _ in 0..<8 { withUnsafeBytes(of: random.next()) { hash.update(bufferPointer: $0) } }
        let r = Scalar25519(reducing: Array(hash.finalize()))
        let commitment = EdwardsPoint.base(times: r.bytes).bytes
        let h = Scalar25519(reducing: Array(SHA512.hash(data: commitment + publicKey + message)))
        return commitment + Scalar25519.multiply(h, a, adding: r).bytes
    }

    /// - Parameter publicKey: 32 bytes, an X25519 public key.
    public static func isValid(
        _ signature: [UInt8],
        for message: [UInt8],
        publicKey: [UInt8],
        signBit: SignBit = .zero
    ) -> Bool {
        guard signature.count == 64, publicKey.count == 32 else { return false }
        var signature = signature
        var sign: UInt8 = 0
        if signBit == .inSignature {
            sign = signature[63] & 0x80
            signature[63] &= 0x7f
        }
        guard let edwards = CurveConversion.ed25519(fromX25519: publicKey, sign: sign),
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: edwards)
        else { return false }
        // Decoding the points, the bound on s and the equation are those of RFC 8032 §5.1.7.
        return key.isValidSignature(signature, for: message)
    }

    private static func clamped(_ secret: Secret) -> [UInt8] {
        var scalar = secret.bytes
        scalar[0] &= 248
        scalar[31] = scalar[31] & 127 | 64
        return scalar
    }
}

/// One key on both curves: the birational map of RFC 7748 §4.1.
public enum CurveConversion {
    /// The X25519 public key of an Ed25519 public key.
    ///
    /// - Returns: nil when it is no point of the curve, or one of small order.
    public static func x25519(fromEd25519 publicKey: [UInt8]) -> [UInt8]? {
        guard let point = EdwardsPoint(publicKey), !point.hasSmallOrder else { return nil }
        return point.montgomeryU.bytes
    }

    /// The X25519 private key of an Ed25519 seed: the scalar of RFC 8032 §5.1.5.
    ///
    /// - Parameter seed: 32 bytes.
    public static func x25519(fromEd25519Seed seed: [UInt8]) -> [UInt8]? {
        Secret(seed).map { x25519(seed: $0).bytes }
    }

    static func x25519(seed: Secret) -> Secret {
        let digest = seed.withUnsafeBytes { seed in
            var hash = SHA512()
            hash.update(bufferPointer: seed)
            return hash.finalize()
        }
        return digest.withUnsafeBytes { digest in
            Secret { scalar in
                scalar.copyBytes(from: digest.prefix(32))
                scalar[0] &= 248
                scalar[31] = scalar[31] & 127 | 64
            }
        }
    }

    /// The Ed25519 public key with the given sign: y = (u - 1) / (u + 1) (XEdDSA §2.3, convert_mont).
    ///
    /// - Returns: nil when the key is not the least representative, or u is -1.
    static func ed25519(fromX25519 publicKey: [UInt8], sign: UInt8) -> [UInt8]? {
        let u = FieldElement(publicKey)
        guard u.bytes == publicKey else { return nil }
        let denominator = u + .one
        guard !denominator.isZero else { return nil }
        var bytes = ((u - .one) * denominator.inverse).bytes
        bytes[31] |= sign
        return bytes
    }
}
