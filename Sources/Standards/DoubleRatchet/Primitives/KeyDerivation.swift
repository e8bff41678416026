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
            var extractor = KeyedHash<H>(key: salt)
            return extractor.authenticateLast { $0.update(bufferPointer: material) }
        }
        var expander = extracted.withUnsafeBytes { KeyedHash<H>(key: $0) }
        let perBlock = H.Digest.byteCount / Secret.count
        var keys: [Secret] = []
        keys.reserveCapacity(count + perBlock - 1)
        var previous: H.Digest?
        let blocks = (count + perBlock - 1) / perBlock
        for index in 1...blocks {
            func update(_ hash: inout H) {
                previous?.withUnsafeBytes { hash.update(bufferPointer: $0) }
                info.withUnsafeBytes { hash.update(bufferPointer: $0) }
                hash.update(byte: UInt8(index))
            }
            let block = index < blocks ? expander.authenticate(update) : expander.authenticateLast(update)
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

/// How a root key and an agreement give the next root key, a chain key and a header key (Double Ratchet §5.2, KDF_RK).
public enum RootDerivation: Hashable, Sendable {
    /// SHA-512 of a counter in four bytes, the agreement, the root key and `info`: the one-step derivation of NIST SP 800-56C §4.1, whose
    /// fixed information begins with the root key. The first hash gives root key and chain key, the second the header key.
    ///
    /// With at most 43 bytes of `info` each hash is one call of the compression function.
    case oneStep(info: [UInt8])
    /// HKDF of the agreement with the root key as salt: what the specification recommends.
    case hkdf(KDFHash, info: [UInt8])

    /// - Parameter count: how many keys of 32 bytes, at most 4.
    func step(_ root: Secret, _ agreed: Secret, count: Int) -> [Secret] {
        switch self {
        case .hkdf(let hash, let info):
            agreed.withUnsafeBytes { hash.derive(salt: root, material: $0, info: info, count: count) }
        case .oneStep(let info):
            withUnsafeTemporaryAllocation(byteCount: 4 + 2 * Secret.count + info.count, alignment: 8) { input in
                defer { Secret.wipe(input) }
                agreed.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: input[4...]).copyMemory(from: $0) }
                root.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(rebasing: input[(4 + Secret.count)...]).copyMemory(from: $0)
                }
                UnsafeMutableRawBufferPointer(rebasing: input[(4 + 2 * Secret.count)...]).copyBytes(from: info)
                var keys: [Secret] = []
                keys.reserveCapacity(count)
                for counter in 1...UInt32((count + 1) / 2) {
                    input.storeBytes(of: counter.bigEndian, as: UInt32.self)
                    var hash = SHA512()
                    hash.update(bufferPointer: UnsafeRawBufferPointer(input))
                    hash.finalize().withUnsafeBytes { digest in
                        keys.append(Secret(copying: UnsafeRawBufferPointer(rebasing: digest[..<Secret.count])))
                        guard keys.count < count else { return }
                        keys.append(Secret(copying: UnsafeRawBufferPointer(rebasing: digest[Secret.count...])))
                    }
                }
                return keys
            }
        }
    }
}

/// How a chain key gives the key of a message and the next chain key (Double Ratchet §5.2, KDF_CK).
public enum ChainDerivation: Hashable, Sendable {
    /// SHA-512 of the number 1 in four bytes, the chain key and one byte: the one-step derivation of NIST SP 800-56C §4.1. The
    /// first half is the next chain key, the second the message's.
    ///
    /// The input has a fixed length and fills one block, so one call of the compression function gives both keys, and there is
    /// nothing to extend. That its output is random to whoever lacks the key is what RFC 8032 §5.1.5 asks of it too.
    case oneStep(constant: UInt8)
    /// Two HMAC-SHA-256 of one byte each under the chain key.
    case hmac(message: UInt8, chain: UInt8)
    /// HKDF of a constant with the chain key as salt; the first half is the next chain key.
    case hkdf(KDFHash, info: [UInt8], constant: [UInt8])

    package func step(_ chain: Secret) -> (message: Secret, chain: Secret) {
        switch self {
        case .oneStep(let constant):
            let digest = withUnsafeTemporaryAllocation(byteCount: 5 + Secret.count, alignment: 8) { input in
                defer { Secret.wipe(input) }
                input.storeBytes(of: UInt32(1).bigEndian, as: UInt32.self)
                chain.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: input[4...]).copyMemory(from: $0) }
                input[4 + Secret.count] = constant
                var hash = SHA512()
                hash.update(bufferPointer: UnsafeRawBufferPointer(input))
                return hash.finalize()
            }
            return digest.withUnsafeBytes { keys in
                (
                    Secret(copying: UnsafeRawBufferPointer(rebasing: keys[Secret.count...])),
                    Secret(copying: UnsafeRawBufferPointer(rebasing: keys[..<Secret.count]))
                )
            }
        case .hmac(let message, let next):
            var keyed = chain.withUnsafeBytes { KeyedHash<SHA256>(key: $0) }
            let first = keyed.authenticate { $0.update(byte: message) }
            let second = keyed.authenticateLast { $0.update(byte: next) }
            return (
                first.withUnsafeBytes { Secret(copying: $0) }, second.withUnsafeBytes { Secret(copying: $0) }
            )
        case .hkdf(let hash, let info, let constant):
            let keys = constant.withUnsafeBytes { hash.derive(salt: chain, material: $0, info: info, count: 2) }
            return (keys[1], keys[0])
        }
    }
}
