import Crypto
import FoundationEssentials

/// ML-KEM (FIPS 203), with its public keys encoded as PQXDH signs them: one byte for the set, then the key.
public enum KEMAlgorithm: UInt8, Hashable, Sendable {
    case mlKEM768 = 9
    case mlKEM1024 = 10

    var name: String { self == .mlKEM768 ? "ML-KEM-768" : "ML-KEM-1024" }
    public var publicKeySize: Int { self == .mlKEM768 ? 1184 : 1568 }
    public var ciphertextSize: Int { self == .mlKEM768 ? 1088 : 1568 }

    /// EncodeKEM.
    func encode(_ publicKey: [UInt8]) -> [UInt8] { [rawValue] + publicKey }

    static func digest(_ publicKey: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: publicKey)) }

    /// The randomness is the system's: the library offers no other.
    func encapsulate(to publicKey: [UInt8]) throws(RatchetError) -> (ciphertext: [UInt8], secret: Secret) {
        do {
            let result =
                switch self {
                case .mlKEM768: try MLKEM768.PublicKey(rawRepresentation: publicKey).encapsulate()
                case .mlKEM1024: try MLKEM1024.PublicKey(rawRepresentation: publicKey).encapsulate()
                }
            return (
                Array(result.encapsulated), result.sharedSecret.withUnsafeBytes { Secret(copying: $0) }
            )
        } catch {
            throw RatchetError(.weakKey, "not a KEM public key")
        }
    }
}

/// A private ML-KEM key: the seeds d and z of FIPS 203. One that was saved is expanded where it is used; a ring holds hundreds.
struct KEMKeyPair: Sendable {
    private struct Expanded: Sendable {
        enum Key: Sendable {
            case mlKEM768(MLKEM768.PrivateKey)
            case mlKEM1024(MLKEM1024.PrivateKey)
        }

        let publicKey: [UInt8]
        let key: Key
    }

    let kem: KEMAlgorithm
    let seed: (d: Secret, z: Secret)
    private var kept: Expanded?

    init(saved kem: KEMAlgorithm, d: Secret, z: Secret) {
        self.kem = kem
        seed = (d, z)
    }

    init(_ kem: KEMAlgorithm, d: Secret, z: Secret) {
        self.init(saved: kem, d: d, z: z)
        kept = expanded
    }

    private var expanded: Expanded {
        if let kept { return kept }
        var bytes = seed.d.bytes + seed.z.bytes
        defer { bytes.withUnsafeMutableBytes { Secret.wipe($0) } }
        do {
            switch kem {
            case .mlKEM768:
                let key = try MLKEM768.PrivateKey(seedRepresentation: bytes, publicKey: nil)
                return Expanded(publicKey: Array(key.publicKey.rawRepresentation), key: .mlKEM768(key))
            case .mlKEM1024:
                let key = try MLKEM1024.PrivateKey(seedRepresentation: bytes, publicKey: nil)
                return Expanded(publicKey: Array(key.publicKey.rawRepresentation), key: .mlKEM1024(key))
            }
        } catch {
            preconditionFailure("every seed of 64 bytes gives a key")
        }
    }

    var publicKey: [UInt8] { expanded.publicKey }

    init(_ kem: KEMAlgorithm, using random: inout some RandomNumberGenerator) {
        self.init(kem, d: Secret(using: &random), z: Secret(using: &random))
    }

    /// A ciphertext of the right size always gives a secret; a false one gives one nobody else has (FIPS 203 §6.3).
    func decapsulate(_ ciphertext: [UInt8]) throws(RatchetError) -> Secret {
        do {
            let secret =
                switch expanded.key {
                case .mlKEM768(let key): try key.decapsulate(ciphertext)
                case .mlKEM1024(let key): try key.decapsulate(ciphertext)
                }
            return secret.withUnsafeBytes { Secret(copying: $0) }
        } catch {
            throw RatchetError(.malformed, "not a KEM ciphertext")
        }
    }
}
