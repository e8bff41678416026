import Crypto
import FoundationEssentials

/// A controller key on paper: 24 words of BIP-39 that carry 256 bits and a checksum of 8.
///
/// The key is derived so that the words alone give back the identity, in any program that follows the same three steps:
///
/// 1. words → 32 bytes of entropy, as BIP-39 has it (its PBKDF2 seed and passphrase are not used);
/// 2. seed = HKDF-SHA256(key material: entropy, no salt, info: `dsip controller ed25519`, 32 bytes) (RFC 5869);
/// 3. the Ed25519 private key of that seed (RFC 8032 §5.1.5); its `did:key` is the identity.
///
/// The phrase is never described: printing one prints no word.
public struct RecoveryPhrase: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
    public static let wordCount = 24

    /// 16 to 32 bytes; 32 for a controller key.
    let entropy: [UInt8]

    /// A new phrase from the system's generator.
    public static func generate() -> RecoveryPhrase {
        var generator = SystemRandomNumberGenerator()
        return generate(using: &generator)
    }

    public static func generate(using generator: inout some RandomNumberGenerator) -> RecoveryPhrase {
        RecoveryPhrase(entropy: (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })!
    }

    /// - Returns: nil unless `entropy` has 16, 20, 24, 28 or 32 bytes.
    init?(entropy: [UInt8]) {
        guard (16...32).contains(entropy.count), entropy.count.isMultiple(of: 4) else { return nil }
        self.entropy = entropy
    }

    /// Reads words separated by any space, in any case.
    ///
    /// - Throws: `.malformed`: how many words were expected, which word (by its number, never the word) is not in the
    ///   list, or that the checksum does not fit.
    public init(_ text: String) throws(IdentityError) {
        let words = text.lowercased().split(whereSeparator: \.isWhitespace).prefix(64)
        guard (12...24).contains(words.count), words.count.isMultiple(of: 3) else {
            throw IdentityError(
                .malformed,
                "a recovery phrase has \(RecoveryPhrase.wordCount) words; \(words.count) were given"
            )
        }
        var bits: [Bool] = []
        for (i, word) in words.enumerated() {
            guard let index = RecoveryWords.index[String(word)] else {
                throw IdentityError(.malformed, "word \(i + 1) of the recovery phrase is not in the list of words")
            }
            for bit in (0..<11).reversed() { bits.append(index >> bit & 1 == 1) }
        }
        let checksumBits = words.count / 3
        let entropy = RecoveryPhrase.pack(bits.dropLast(checksumBits))
        guard Array(bits.suffix(checksumBits)) == RecoveryPhrase.checksum(of: entropy) else {
            throw IdentityError(.malformed, "the words do not fit together: one is wrong, or two have changed places")
        }
        self.entropy = entropy
    }

    /// The words, to be shown to their owner and to nobody else.
    public var words: [String] {
        var bits: [Bool] = []
        for byte in entropy { for bit in (0..<8).reversed() { bits.append(byte >> UInt8(bit) & 1 == 1) } }
        bits += RecoveryPhrase.checksum(of: entropy)
        return stride(from: 0, to: bits.count, by: 11).map { start in
            RecoveryWords.all[bits[start..<start + 11].reduce(0) { $0 << 1 | ($1 ? 1 : 0) }]
        }
    }

    /// The controller key of the phrase.
    ///
    /// - Throws: `.malformed` for a phrase of fewer than 24 words.
    public func controllerKey() throws(IdentityError) -> Curve25519.Signing.PrivateKey {
        guard entropy.count == 32 else {
            throw IdentityError(.malformed, "an identity's recovery phrase has \(RecoveryPhrase.wordCount) words")
        }
        let seed = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: entropy),
            info: Array("dsip controller ed25519".utf8),
            outputByteCount: 32
        )
        do {
            return try seed.withUnsafeBytes { try Curve25519.Signing.PrivateKey(rawRepresentation: $0) }
        } catch {
            throw IdentityError(.signing, "no key can be derived from the recovery phrase")
        }
    }

    public var description: String { "RecoveryPhrase(\(entropy.count * 3 / 4) words)" }
    public var debugDescription: String { description }

    private static func checksum(of entropy: [UInt8]) -> [Bool] {
        let digest = Array(SHA256.hash(data: entropy))
        return (0..<entropy.count / 4).map { digest[$0 / 8] >> UInt8(7 - $0 % 8) & 1 == 1 }
    }

    private static func pack(_ bits: some Collection<Bool>) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: bits.count / 8)
        for (i, bit) in bits.enumerated() where bit { bytes[i / 8] |= 0x80 >> UInt8(i % 8) }
        return bytes
    }
}

extension RecoveryPhrase: CustomReflectable {
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
