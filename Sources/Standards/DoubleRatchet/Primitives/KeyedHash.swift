import Crypto
import FoundationEssentials

/// HMAC with the key already hashed in (RFC 2104 §4): a chain step asks two questions of one key and pays for the key once.
struct KeyedHash<H: HashFunction> {
    private var inner = H()
    private var outer = H()

    /// - Parameter key: at most a block of the hash.
    @inline(__always)
    init(key: UnsafeRawBufferPointer) {
        precondition(key.count <= H.blockByteCount)
        withUnsafeTemporaryAllocation(byteCount: H.blockByteCount, alignment: 8) { pad in
            for i in key.count..<H.blockByteCount { pad[i] = 0x36 }
            for i in 0..<key.count { pad[i] = key[i] ^ 0x36 }
            inner.update(bufferPointer: UnsafeRawBufferPointer(pad))
            for i in 0..<H.blockByteCount { pad[i] ^= 0x36 ^ 0x5c }
            outer.update(bufferPointer: UnsafeRawBufferPointer(pad))
            Secret.wipe(pad)
        }
    }

    @inline(__always)
    func authenticate(_ body: (inout H) -> Void) -> H.Digest {
        var (inner, outer) = (inner, outer)
        body(&inner)
        inner.finalize().withUnsafeBytes { outer.update(bufferPointer: $0) }
        return outer.finalize()
    }

    @inline(__always)
    func authenticate(_ bytes: [UInt8]) -> H.Digest {
        authenticate { hash in bytes.withUnsafeBytes { hash.update(bufferPointer: $0) } }
    }
}

extension HashFunction {
    @inline(__always)
    mutating func update(byte: UInt8) {
        withUnsafeBytes(of: byte) { update(bufferPointer: $0) }
    }
}
