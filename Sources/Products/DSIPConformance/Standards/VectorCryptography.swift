import Crypto
import CryptoExtras
import Encoding
import FoundationEssentials

/// The primitives that JOSE and COSE vectors call for, as far as the cryptography library has them.
enum VectorCryptography {
    /// The algorithm that a JOSE header or a COSE example calls `name`.
    static func algorithm(_ name: String) throws -> COSEAlgorithm {
        guard let algorithm = names[name] else { throw Unimplemented("the algorithm \(name)") }
        return algorithm
    }

    private static let names: [String: COSEAlgorithm] = [
        "ES256": .es256, "ES384": .es384, "ES512": .es512, "EdDSA": .edDSA, "PS256": .ps256, "PS384": .ps384,
        "PS512": .ps512, "RS256": .rs256, "RS384": .rs384, "RS512": .rs512, "HS256/64": .hs256Truncated64,
        "HS256": .hs256, "HS384": .hs384, "HS512": .hs512, "A128GCM": .a128GCM, "A192GCM": .a192GCM,
        "A256GCM": .a256GCM, "ChaCha-Poly1305": .chaCha20Poly1305, "direct": .direct,
    ]

    // MARK: Signatures and tags

    static func isValid(
        _ signature: [UInt8],
        for message: [UInt8],
        by key: JWK,
        _ algorithm: COSEAlgorithm
    ) throws -> Bool {
        switch (algorithm, key.material) {
        case (.hs256Truncated64, _), (.hs256, _), (.hs384, _), (.hs512, _):
            let tag = try authenticate(message, by: key, algorithm)
            // Test data; a product compares in constant time.
            return tag == signature
        case (.edDSA, .octetKeyPair(.ed25519, let x, _)), (.ed25519, .octetKeyPair(.ed25519, let x, _)):
            return try Curve25519.Signing.PublicKey(rawRepresentation: x).isValidSignature(signature, for: message)
        case (.es256, .ellipticCurve), (.es384, .ellipticCurve), (.es512, .ellipticCurve),
            (.ps256, .rsa), (.ps384, .rsa), (.ps512, .rsa), (.rs256, .rsa), (.rs384, .rsa), (.rs512, .rsa):
            switch algorithm {
            case .es256, .ps256, .rs256: return try isValid(signature, SHA256.hash(data: message), key, algorithm)
            case .es384, .ps384, .rs384: return try isValid(signature, SHA384.hash(data: message), key, algorithm)
            default: return try isValid(signature, SHA512.hash(data: message), key, algorithm)
            }
        default: throw Unimplemented("\(algorithm) with this key")
        }
    }

    private static func isValid(
        _ signature: [UInt8],
        _ digest: some Digest,
        _ key: JWK,
        _ algorithm: COSEAlgorithm
    ) throws -> Bool {
        switch key.material {
        // In COSE the algorithm fixes the hash, and the key alone the curve (RFC 9053 §2.1).
        case .ellipticCurve(.p256, let x, let y, _):
            guard let parsed = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return try P256.Signing.PublicKey(x963Representation: [4] + x + y).isValidSignature(parsed, for: digest)
        case .ellipticCurve(.p384, let x, let y, _):
            guard let parsed = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return try P384.Signing.PublicKey(x963Representation: [4] + x + y).isValidSignature(parsed, for: digest)
        case .ellipticCurve(.p521, let x, let y, _):
            guard let parsed = try? P521.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return try P521.Signing.PublicKey(x963Representation: [4] + x + y).isValidSignature(parsed, for: digest)
        case .rsa(let modulus, let exponent, _):
            let padding: _RSA.Signing.Padding =
                [.ps256, .ps384, .ps512].contains(algorithm) ? .PSS : .insecurePKCS1v1_5
            let signature = _RSA.Signing.RSASignature(rawRepresentation: signature)
            return try _RSA.Signing.PublicKey(n: modulus, e: exponent)
                .isValidSignature(signature, for: digest, padding: padding)
        default: throw Unimplemented("\(algorithm) with this key")
        }
    }

    static func authenticate(_ message: [UInt8], by key: JWK, _ algorithm: COSEAlgorithm) throws -> [UInt8] {
        guard case .symmetric(let bytes) = key.material else { throw VectorFault("the key is not symmetric") }
        let key = SymmetricKey(data: bytes)
        switch algorithm {
        case .hs256Truncated64:
            return Array(HMAC<SHA256>.authenticationCode(for: message, using: key).prefix(8))
        case .hs256: return Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
        case .hs384: return Array(HMAC<SHA384>.authenticationCode(for: message, using: key))
        case .hs512: return Array(HMAC<SHA512>.authenticationCode(for: message, using: key))
        default: throw Unimplemented("\(algorithm) as a MAC")
        }
    }

    /// The signature or tag that everybody arrives at; nil for algorithms that draw random numbers.
    static func reproduce(_ message: [UInt8], by key: JWK, _ algorithm: COSEAlgorithm) throws -> [UInt8]? {
        switch (algorithm, key.material) {
        case (.edDSA, .octetKeyPair(.ed25519, _, let secret?)):
            return Array(try Curve25519.Signing.PrivateKey(rawRepresentation: secret).signature(for: message))
        case (.hs256Truncated64, _), (.hs256, _), (.hs384, _), (.hs512, _):
            return try authenticate(message, by: key, algorithm)
        default: return nil
        }
    }

    // MARK: Encryption

    /// - Returns: nil when the tag is wrong.
    static func open(
        _ sealed: [UInt8],
        nonce: [UInt8],
        associatedData: [UInt8],
        key: JWK,
        _ algorithm: COSEAlgorithm
    ) throws -> [UInt8]? {
        guard case .symmetric(let bytes) = key.material else { throw VectorFault("the key is not symmetric") }
        guard sealed.count >= 16 else { return nil }
        let key = SymmetricKey(data: bytes)
        let (ciphertext, tag) = (sealed.dropLast(16), sealed.suffix(16))
        switch algorithm {
        case .a128GCM, .a192GCM, .a256GCM:
            let box = try AES.GCM.SealedBox(nonce: .init(data: nonce), ciphertext: ciphertext, tag: tag)
            return (try? AES.GCM.open(box, using: key, authenticating: associatedData)).map { Array($0) }
        case .chaCha20Poly1305:
            let box = try ChaChaPoly.SealedBox(nonce: .init(data: nonce), ciphertext: ciphertext, tag: tag)
            return (try? ChaChaPoly.open(box, using: key, authenticating: associatedData)).map { Array($0) }
        default: throw Unimplemented("\(algorithm) as a cipher")
        }
    }
}
