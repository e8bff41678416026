import Crypto
import FoundationEssentials

/// What two devices must have in common to speak: how they agree and how they ratchet.
public struct SessionProfile: Hashable, Sendable {
    public var agreement: AgreementProfile
    public var ratchet: RatchetProfile

    public init(agreement: AgreementProfile, ratchet: RatchetProfile) {
        self.agreement = agreement
        self.ratchet = ratchet
    }

    /// PQXDH with ML-KEM-768, encrypted headers, AES-256-GCM-SIV.
    ///
    /// - Parameter application: sets its keys apart from every other application's.
    public static func standard(
        _ application: String,
        kem: KEMAlgorithm? = .mlKEM768,
        encryptsHeaders: Bool = true
    ) -> SessionProfile {
        SessionProfile(
            agreement: .standard(application, kem: kem),
            ratchet: .standard(application, encryptsHeaders: encryptsHeaders)
        )
    }

    /// Four bytes by which a saved state is known to be of this profile.
    var mark: [UInt8] {
        var writer = ByteWriter()
        writer.append(counted: agreement.info)
        writer.append(byte: agreement.kem?.rawValue ?? 0)
        writer.append(byte: ratchet.header.rawValue)
        writer.append(flag: ratchet.encryptsHeaders)
        writer.append(counted: ratchet.root.mark)
        writer.append(counted: ratchet.chain.mark)
        writer.append(counted: ratchet.cipher.mark)
        return Array(SHA256.hash(data: writer.bytes).prefix(4))
    }
}

extension RootDerivation {
    fileprivate var mark: [UInt8] {
        switch self {
        case .oneStep(let info): [1] + info
        case .hkdf(let hash, let info): [2, hash.rawValue] + info
        }
    }
}

extension ChainDerivation {
    fileprivate var mark: [UInt8] {
        switch self {
        case .oneStep(let constant): return [1, constant]
        case .hmac(let message, let chain): return [2, message, chain]
        case .hkdf(let hash, let info, let constant):
            var writer = ByteWriter()
            writer.append(byte: 3)
            writer.append(byte: hash.rawValue)
            writer.append(counted: info)
            writer.append(counted: constant)
            return writer.bytes
        }
    }
}

extension MessageCipher {
    fileprivate var mark: [UInt8] {
        switch self {
        case .aes256GCMSIV: return [1]
        case .aes256GCM: return [2]
        case .chaCha20Poly1305: return [3]
        case .aes256CBC(let hash, let info, let tag):
            var writer = ByteWriter()
            writer.append(byte: 4)
            writer.append(byte: hash.rawValue)
            writer.append(counted: info)
            writer.append(byte: UInt8(truncatingIfNeeded: tag))
            return writer.bytes
        }
    }
}
