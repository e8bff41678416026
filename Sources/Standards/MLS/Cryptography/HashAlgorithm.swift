import Crypto
import FoundationEssentials

/// The hash of a cipher suite, with HMAC (RFC 2104) and HKDF (RFC 5869) chained by hand over it: a key schedule is many short
/// HMACs, and each must cost little more than its compressions.
package enum HashAlgorithm: UInt16, Sendable, Hashable {
    // The values are HPKE's KDF identifiers (RFC 9180 §7.2).
    case sha256 = 1
    case sha384 = 2
    case sha512 = 3

    /// `Nh`.
    package var byteCount: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// The hash of the parts in order.
    package func hash(_ parts: [UInt8]...) -> [UInt8] {
        switch self {
        case .sha256: Self.hash(SHA256.self, parts)
        case .sha384: Self.hash(SHA384.self, parts)
        case .sha512: Self.hash(SHA512.self, parts)
        }
    }

    private static func hash<H: HashFunction>(_: H.Type, _ parts: [[UInt8]]) -> [UInt8] {
        var hasher = H()
        for part in parts { part.withUnsafeBytes { hasher.update(bufferPointer: $0) } }
        return hasher.finalize().withUnsafeBytes { Array($0) }
    }

    package func hmac(key: Secret, _ message: [UInt8]) -> [UInt8] {
        key.withUnsafeBytes { key in
            [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, initialized in
                message.withUnsafeBytes {
                    hmac(key: key, $0, suffix: nil, into: UnsafeMutableRawBufferPointer(buffer))
                }
                initialized = byteCount
            }
        }
    }

    /// RFC 5869 §2.2.
    package func extract(salt: UnsafeRawBufferPointer, _ material: UnsafeRawBufferPointer) -> Secret {
        Secret(count: byteCount) { hmac(key: salt, material, suffix: nil, into: $0) }
    }

    package func extract(salt: Secret, _ material: Secret) -> Secret {
        salt.withUnsafeBytes { salt in material.withUnsafeBytes { extract(salt: salt, $0) } }
    }

    /// RFC 5869 §2.3.
    package func expand(_ key: Secret, info: [UInt8], count: Int) -> Secret {
        precondition(count <= 255 * byteCount, "HKDF gives at most 255 blocks")
        let size = byteCount
        return key.withUnsafeBytes { key in
            info.withUnsafeBytes { info in
                if count <= size {
                    // The common case: one block, written in place or cut from one.
                    if count == size { return Secret(count: count) { hmac(key: key, info, suffix: 1, into: $0) } }
                    return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { block in
                        let block = UnsafeMutableRawBufferPointer(rebasing: block[..<size])
                        hmac(key: key, info, suffix: 1, into: block)
                        defer { Secret.wipe(block) }
                        return Secret(count: count) {
                            $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: block[..<count]))
                        }
                    }
                }
                return Secret(count: count) { output in
                    var previous = Secret.zeros(0)
                    var offset = 0
                    var counter: UInt8 = 1
                    while offset < count {
                        let input = Secret(count: previous.count + info.count) { input in
                            previous.withUnsafeBytes { input.copyMemory(from: $0) }
                            UnsafeMutableRawBufferPointer(rebasing: input[previous.count...]).copyMemory(from: info)
                        }
                        previous = Secret(count: size) { block in
                            input.withUnsafeBytes { hmac(key: key, $0, suffix: counter, into: block) }
                        }
                        let taken = min(size, count - offset)
                        previous.withUnsafeBytes {
                            UnsafeMutableRawBufferPointer(rebasing: output[offset...])
                                .copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<taken]))
                        }
                        offset += taken
                        counter &+= 1
                    }
                }
            }
        }
    }

    /// HMAC of `message` and one more byte, if there is one.
    func hmac(
        key: UnsafeRawBufferPointer,
        _ message: UnsafeRawBufferPointer,
        suffix: UInt8?,
        into output: UnsafeMutableRawBufferPointer
    ) {
        switch self {
        case .sha256: Self.hmac(SHA256.self, key, message, suffix, output)
        case .sha384: Self.hmac(SHA384.self, key, message, suffix, output)
        case .sha512: Self.hmac(SHA512.self, key, message, suffix, output)
        }
    }

    @inline(__always)
    private static func hmac<H: HashFunction>(
        _: H.Type,
        _ key: UnsafeRawBufferPointer,
        _ message: UnsafeRawBufferPointer,
        _ suffix: UInt8?,
        _ output: UnsafeMutableRawBufferPointer
    ) {
        let block = H.blockByteCount
        // Each call into the hash costs more than the compression of a block: a short message goes in with its pad at once.
        let isShort = message.count <= 512
        let size = block + max(isShort ? message.count + 1 : 0, H.Digest.byteCount)
        withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { input in
            let pad = UnsafeMutableRawBufferPointer(rebasing: input[..<block])
            let rest = UnsafeMutableRawBufferPointer(rebasing: input[block...])
            pad.initializeMemory(as: UInt8.self, repeating: 0)
            if key.count > block {
                H.hash(bufferPointer: key).withUnsafeBytes { pad.copyMemory(from: $0) }
            } else {
                pad.copyMemory(from: key)
            }
            xor(pad, 0x3636_3636_3636_3636)
            var inner = H()
            if isShort {
                rest.copyMemory(from: message)
                if let suffix { rest[message.count] = suffix }
                let count = block + message.count + (suffix == nil ? 0 : 1)
                inner.update(bufferPointer: UnsafeRawBufferPointer(rebasing: input[..<count]))
            } else {
                inner.update(bufferPointer: UnsafeRawBufferPointer(pad))
                inner.update(bufferPointer: message)
                if var suffix { withUnsafeBytes(of: &suffix) { inner.update(bufferPointer: $0) } }
            }
            xor(pad, 0x3636_3636_3636_3636 ^ 0x5c5c_5c5c_5c5c_5c5c)
            inner.finalize().withUnsafeBytes { rest.copyMemory(from: $0) }
            var outer = H()
            outer.update(bufferPointer: UnsafeRawBufferPointer(rebasing: input[..<(block + H.Digest.byteCount)]))
            outer.finalize().withUnsafeBytes { output.copyMemory(from: $0) }
            Secret.wipe(input)
        }
    }

    @inline(__always)
    private static func xor(_ pad: UnsafeMutableRawBufferPointer, _ mask: UInt64) {
        let words = pad.bindMemory(to: UInt64.self)
        for index in words.indices { words[index] ^= mask }
    }
}

extension HashFunction {
    fileprivate static func hash(bufferPointer: UnsafeRawBufferPointer) -> Digest {
        var hasher = Self()
        hasher.update(bufferPointer: bufferPointer)
        return hasher.finalize()
    }
}
