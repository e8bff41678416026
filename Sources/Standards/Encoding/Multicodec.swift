/// Unsigned LEB128 as the multiformats project restricts it: at most nine bytes, minimal encoding only.
public enum Varint {
    public static func encode(_ value: UInt64) -> [UInt8] {
        var value = value
        var out: [UInt8] = []
        while value >= 0x80 {
            out.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        out.append(UInt8(value))
        return out
    }

    /// - Returns: the value and how many bytes it took, or nil when truncated, over nine bytes, or not minimal.
    public static func decode(_ bytes: some Collection<UInt8>) -> (value: UInt64, length: Int)? {
        var value: UInt64 = 0
        var length = 0
        for byte in bytes.prefix(9) {
            value |= UInt64(byte & 0x7f) << UInt64(7 * length)
            length += 1
            if byte & 0x80 == 0 {
                if byte == 0 && length > 1 { return nil }
                return (value, length)
            }
        }
        return nil
    }
}

/// The multicodec keys that DSIP reads (multiformats table).
public enum Multicodec: UInt64, Sendable {
    case ed25519Public = 0xed
    case x25519Public = 0xec
    case p256Public = 0x1200
    case secp256k1Public = 0xe7

    /// The codec's varint followed by `bytes`.
    public func prefixed(_ bytes: some Collection<UInt8>) -> [UInt8] { Varint.encode(rawValue) + bytes }

    public static func split(_ bytes: [UInt8]) -> (codec: Multicodec, body: ArraySlice<UInt8>)? {
        guard let (value, length) = Varint.decode(bytes), let codec = Multicodec(rawValue: value) else { return nil }
        return (codec, bytes[length...])
    }
}
