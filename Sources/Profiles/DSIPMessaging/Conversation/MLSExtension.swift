/// One extension of MLS as it is written: `uint16 type ‖ length ‖ data`, the length as a QUIC-style variable integer in its
/// shortest form (RFC 9420 §2.1.2).
///
/// ```
///  0      2          2+n                2+n+length
/// +------+----------+------------------+
/// | type | length n |       data       |      n is 1, 2 or 4 bytes
/// +------+----------+------------------+
/// ```
public struct MLSExtension: Hashable, Sendable {
    public var type: UInt16
    public var data: [UInt8]

    public init(type: UInt16, data: [UInt8]) {
        self.type = type
        self.data = data
    }

    /// - Precondition: the data is shorter than 2^30 bytes.
    public var bytes: [UInt8] {
        var bytes = [UInt8(type >> 8), UInt8(truncatingIfNeeded: type)]
        switch data.count {
        case 0..<0x40: bytes.append(UInt8(data.count))
        case 0x40..<0x4000: bytes += [0x40 | UInt8(data.count >> 8), UInt8(truncatingIfNeeded: data.count)]
        case 0x4000..<0x4000_0000:
            bytes += [0x80 | UInt8(data.count >> 24)]
            bytes += [16, 8, 0].map { UInt8(truncatingIfNeeded: data.count >> $0) }
        default: preconditionFailure("an extension of more than 2^30 bytes")
        }
        return bytes + data
    }

    /// - Throws: `mls-truncated`, `mls-length-invalid`, `mls-length-non-minimal` or `mls-trailing-bytes`.
    public init(decoding bytes: [UInt8]) throws(MessagingError) {
        guard bytes.count >= 3 else { throw MessagingError(.mlsTruncated, "no room for type and length") }
        let width: Int
        switch bytes[2] >> 6 {
        case 0: width = 1
        case 1: width = 2
        case 2: width = 4
        default: throw MessagingError(.mlsLengthInvalid, "a length of eight bytes does not exist in MLS")
        }
        guard bytes.count >= 2 + width else { throw MessagingError(.mlsTruncated, "the length is cut off") }
        var length = Int(bytes[2] & 0x3f)
        for byte in bytes[3..<(2 + width)] { length = length << 8 | Int(byte) }
        guard width == 1 || length >= (width == 2 ? 0x40 : 0x4000) else {
            throw MessagingError(.mlsLengthNonMinimal, "the length could be written shorter")
        }
        guard bytes.count >= 2 + width + length else { throw MessagingError(.mlsTruncated, "the data is cut off") }
        guard bytes.count == 2 + width + length else {
            throw MessagingError(.mlsTrailingBytes, "bytes follow the extension")
        }
        self.init(type: UInt16(bytes[0]) << 8 | UInt16(bytes[1]), data: Array(bytes[(2 + width)...]))
    }
}
