import Crypto
import FoundationEssentials

/// HMAC (RFC 2104) under one key that is asked more than once: the key's blocks are hashed once and their states copied.
struct KeyedHash<H: HashFunction> {
    private var inner: H
    private var outer: H

    /// - Parameter key: no longer than the hash's block.
    @inline(__always)
    init(key: UnsafeRawBufferPointer) {
        precondition(key.count <= H.blockByteCount)
        (inner, outer) = withUnsafeTemporaryAllocation(byteCount: H.blockByteCount, alignment: 8) { pad in
            pad.initializeMemory(as: UInt8.self, repeating: 0)
            pad.copyMemory(from: key)
            let words = pad.bindMemory(to: UInt64.self)
            var (inner, outer) = (H(), H())
            for index in words.indices { words[index] ^= 0x3636_3636_3636_3636 }
            inner.update(bufferPointer: UnsafeRawBufferPointer(pad))
            for index in words.indices { words[index] ^= 0x3636_3636_3636_3636 ^ 0x5c5c_5c5c_5c5c_5c5c }
            outer.update(bufferPointer: UnsafeRawBufferPointer(pad))
            Secret.wipe(pad)
            return (inner, outer)
        }
    }

    /// Leaves the key as it was, for the next question.
    @inline(__always)
    func authenticate(_ message: UnsafeRawBufferPointer) -> H.Digest {
        var copy = self
        return copy.authenticateLast(message)
    }

    /// The last question: it takes the keyed states themselves, which saves copying and wiping two.
    @inline(__always)
    mutating func authenticateLast(_ message: UnsafeRawBufferPointer) -> H.Digest {
        inner.update(bufferPointer: message)
        inner.finalize().withUnsafeBytes { outer.update(bufferPointer: $0) }
        return outer.finalize()
    }
}

/// Key and nonce of one encryption and, in a chain, the secret after them.
struct CipherSecrets: Sendable {
    let key: Secret
    let nonce: Secret
    let next: Secret?
}

extension Suite {
    /// `ExpandWithLabel` (RFC 9420 §8) of one secret and one context to "key", "nonce" and, when a chain goes on, "secret".
    ///
    /// - Parameter context: shorter than 2^14 bytes.
    func cipherSecrets(_ secret: Secret, _ context: UnsafeRawBufferPointer, isChain: Bool) -> CipherSecrets {
        switch hash {
        case .sha256: cipherSecrets(SHA256.self, secret, context, isChain)
        case .sha384: cipherSecrets(SHA384.self, secret, context, isChain)
        case .sha512: cipherSecrets(SHA512.self, secret, context, isChain)
        }
    }

    @inline(__always)
    private func cipherSecrets<H: HashFunction>(
        _: H.Type,
        _ secret: Secret,
        _ context: UnsafeRawBufferPointer,
        _ isChain: Bool
    ) -> CipherSecrets {
        var keyed = secret.withUnsafeBytes { KeyedHash<H>(key: $0) }
        return withUnsafeTemporaryAllocation(byteCount: 24 + context.count, alignment: 8) { info in
            let key = Self.info("MLS 1.0 key", context, count: aead.keyByteCount, info)
            let first = Self.secret(keyed.authenticate(key), aead.keyByteCount)
            let nonce = Self.info("MLS 1.0 nonce", context, count: aead.nonceByteCount, info)
            guard isChain else {
                let second = Self.secret(keyed.authenticateLast(nonce), aead.nonceByteCount)
                return CipherSecrets(key: first, nonce: second, next: nil)
            }
            let second = Self.secret(keyed.authenticate(nonce), aead.nonceByteCount)
            let next = Self.info("MLS 1.0 secret", context, count: hash.byteCount, info)
            return CipherSecrets(
                key: first,
                nonce: second,
                next: Self.secret(keyed.authenticateLast(next), hash.byteCount)
            )
        }
    }

    /// `KDFLabel`, and HKDF's counter of the first block.
    @inline(__always)
    private static func info(
        _ label: StaticString,
        _ context: UnsafeRawBufferPointer,
        count: Int,
        _ output: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        precondition(context.count < 1 << 14)
        let size = label.utf8CodeUnitCount
        output[0] = 0
        output[1] = UInt8(count)
        output[2] = UInt8(size)
        var at = 3
        UnsafeMutableRawBufferPointer(rebasing: output[at...])
            .copyMemory(from: UnsafeRawBufferPointer(start: label.utf8Start, count: size))
        at += size
        if context.count >= 1 << 6 {
            output[at] = UInt8(context.count >> 8) | 0x40
            at += 1
        }
        output[at] = UInt8(truncatingIfNeeded: context.count)
        at += 1
        UnsafeMutableRawBufferPointer(rebasing: output[at...]).copyMemory(from: context)
        at += context.count
        output[at] = 1
        return UnsafeRawBufferPointer(rebasing: output[...at])
    }

    @inline(__always)
    private static func secret(_ digest: some Digest, _ count: Int) -> Secret {
        digest.withUnsafeBytes { digest in
            Secret(copying: UnsafeRawBufferPointer(rebasing: digest[..<count]))
        }
    }
}
