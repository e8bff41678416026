import DoubleRatchet
import Support

extension PreKeyRing {
    /// A ring with an identity of its own.
    init(_ profile: SessionProfile, oneTime: Int = 20, using random: inout SeededRandom) {
        self.init(
            identity: IdentityKeyPair(using: &random),
            profile: profile.agreement,
            at: 0,
            using: &random
        )
        replenish(to: oneTime, using: &random)
    }
}

/// One side of a conversation between two devices.
struct Side: ~Copyable {
    var preKeys: PreKeyRing
    var other: Correspondent

    init(_ profile: SessionProfile, using random: inout SeededRandom) {
        preKeys = PreKeyRing(profile, using: &random)
        other = Correspondent(identity: preKeys.identity, profile: profile)
    }

    mutating func begin(_ bundle: PreKeyBundle, using random: inout SeededRandom) throws {
        try other.begin(
            with: "device",
            bundle.verified(as: nil, profile: other.profile.agreement),
            using: &random
        )
    }

    mutating func say(_ text: String, using random: inout SeededRandom) throws -> [UInt8] {
        try other.encrypt(text.utf8, to: "device", using: &random)
    }

    mutating func hear(_ message: [UInt8]) throws -> Correspondent.Received {
        try other.decrypt(message, from: "device", preKeys: &preKeys)
    }

    mutating func text(_ message: [UInt8]) throws -> String? {
        guard case .message(let bytes) = try hear(message).content else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Saved and restored.
    mutating func restart() throws {
        let identity = preKeys.identity
        preKeys = try PreKeyRing(restoring: preKeys.save(), identity: identity, profile: preKeys.profile)
        other = try Correspondent(restoring: other.save(), identity: identity, profile: other.profile)
    }
}

let profiles: [SessionProfile] = [
    .standard("test"),
    .standard("test", kem: nil, encryptsHeaders: false),
    .standard("test", kem: .mlKEM1024, encryptsHeaders: false),
    SessionProfile(
        agreement: AgreementProfile(hash: .sha512, info: Array("test x3dh".utf8)),
        ratchet: RatchetProfile(
            root: .hkdf(.sha512, info: Array("root".utf8)),
            chain: .hkdf(.sha512, info: [1], constant: [2]),
            cipher: .aes256CBC(.sha256, info: [3], tag: 32),
            header: .wide
        )
    ),
]

func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}
