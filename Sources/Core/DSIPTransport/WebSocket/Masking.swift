/// XOR with a masking key, eight bytes at a time (RFC 6455 §5.3). A key is passed twice over, in memory order.
enum Masking {
    /// Unmasks in place, or masks.
    ///
    /// - Returns: the bytes that result, all of them in one word by OR.
    @discardableResult
    static func apply(_ mask: UInt64, to bytes: UnsafeMutableRawBufferPointer) -> UInt64 {
        copy(UnsafeRawBufferPointer(bytes), to: bytes, mask)
    }

    /// The same from one place to another, which has at least as much room.
    @discardableResult
    static func copy(
        _ source: UnsafeRawBufferPointer,
        to target: UnsafeMutableRawBufferPointer,
        _ mask: UInt64
    ) -> UInt64 {
        precondition(target.count >= source.count)
        var seen: UInt64 = 0
        var i = 0
        while i + 8 <= source.count {
            let word = source.loadUnaligned(fromByteOffset: i, as: UInt64.self) ^ mask
            target.storeBytes(of: word, toByteOffset: i, as: UInt64.self)
            seen |= word
            i += 8
        }
        withUnsafeBytes(of: mask) { key in
            while i < source.count {
                let byte = source[i] ^ key[i & 7]
                target[i] = byte
                seen |= UInt64(byte)
                i += 1
            }
        }
        return seen
    }

    /// The key as it stands after so many bytes.
    static func turn(_ mask: UInt64, by count: Int) -> UInt64 {
        // In memory order byte i of the turned key is byte i + count of the key, which repeats.
        let shift = UInt64(count & 3) * 8
        guard shift > 0 else { return mask }
        let word = UInt64(littleEndian: mask)
        return UInt64(littleEndian: word >> shift | word << (64 - shift))
    }
}
