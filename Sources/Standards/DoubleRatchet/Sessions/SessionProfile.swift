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
        writer.append(counted: ratchet.rootInfo)
        writer.append(byte: ratchet.header.rawValue)
        writer.append(flag: ratchet.encryptsHeaders)
        return Array(SHA256.hash(data: writer.bytes).prefix(4))
    }
}
