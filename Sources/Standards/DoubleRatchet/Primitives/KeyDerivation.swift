import Crypto
import FoundationEssentials

/// The hash under a derivation.
public enum KDFHash: UInt8, Hashable, Sendable {
    case sha256 = 1
    case sha512 = 2

    var digestSize: Int { self == .sha256 ? 32 : 64 }

    /// HKDF (RFC 5869) in pieces of 32 bytes; the output of a shorter derivation is the beginning of a longer one.
    ///
    /// - Parameters:
    ///   - salt: nil for as many zeros as the hash is long.
    ///   - count: how many keys of 32 bytes.
    func derive(salt: Secret?, material: UnsafeRawBufferPointer, info: [UInt8], count: Int) -> [Secret] {
        switch self {
        case .sha256: Self.derive(SHA256.self, salt: salt, material: material, info: info, count: count)
        case .sha512: Self.derive(SHA512.self, salt: salt, material: material, info: info, count: count)
        }
    }

    private static func derive<H: HashFunction>(
        _: H.Type,
        salt: Secret?,
        material: UnsafeRawBufferPointer,
        info: [UInt8],
        count: Int
    ) -> [Secret] {
        // A key of HMAC is filled up with zeros, so 32 of them do for 64 too.
        let extracted = (salt ?? .zero).withUnsafeBytes { salt in
            KeyedHash<H>(key: salt).authenticate { $0.update(bufferPointer: material) }
        }
        let expander = extracted.withUnsafeBytes { KeyedHash<H>(key: $0) }
        let perBlock = H.Digest.byteCount / Secret.count
        var keys: [Secret] = []
        keys.reserveCapacity(count + perBlock - 1)
        var previous: H.Digest?
        for index in 1...((count + perBlock - 1) / perBlock) {
            let block = expander.authenticate { hash in
                previous?.withUnsafeBytes { hash.update(bufferPointer: $0) }
                info.withUnsafeBytes { hash.update(bufferPointer: $0) }
                hash.update(byte: UInt8(index))
            }
            block.withUnsafeBytes { bytes in
                for part in 0..<perBlock where keys.count < count {
                    let start = part * Secret.count
                    keys.append(Secret(copying: UnsafeRawBufferPointer(rebasing: bytes[start..<start + Secret.count])))
                }
            }
            previous = block
        }
        return keys
    }
}

/// How a chain key gives the key of a message and the next chain key (Double Ratchet §5.2, KDF_CK).
public enum ChainDerivation: Hashable, Sendable {
    /// Two HMAC-SHA-256 of one byte each under the chain key.
    case hmac(message: UInt8, chain: UInt8)
    /// HKDF of a constant with the chain key as salt; the first half is the next chain key.
    case hkdf(KDFHash, info: [UInt8], constant: [UInt8])

    package func step(_ chain: Secret) -> (message: Secret, chain: Secret) {
        switch self {
        case .hmac(let message, let next):
            let keyed = chain.withUnsafeBytes { KeyedHash<SHA256>(key: $0) }
            let first = keyed.authenticate { $0.update(byte: message) }
            let second = keyed.authenticate { $0.update(byte: next) }
            return (
                first.withUnsafeBytes { Secret(copying: $0) }, second.withUnsafeBytes { Secret(copying: $0) }
            )
        case .hkdf(let hash, let info, let constant):
            let keys = constant.withUnsafeBytes { hash.derive(salt: chain, material: $0, info: info, count: 2) }
            return (keys[1], keys[0])
        }
    }
}
