import NIOWebSocket

/// What comes before the payload of a frame (RFC 6455 §5.2); the layout is drawn at `FrameWriter`.
struct FrameHeader {
    let opcode: WebSocketOpcode
    let isFinal: Bool
    let hasReservedBits: Bool
    let isMasked: Bool
    let length: UInt64
    /// Whether the length is written in the fewest bytes, as it must be, and below 2^63.
    let isMinimal: Bool
    /// The masking key twice over, in memory order; zero when there is none.
    let mask: UInt64

    /// - Returns: the header that `bytes` begin with and its size; nil when it is not whole yet.
    static func parse(_ bytes: UnsafeRawBufferPointer) -> (header: FrameHeader, size: Int)? {
        guard bytes.count >= 2 else { return nil }
        let isMasked = bytes[1] & 0x80 != 0
        let short = UInt64(bytes[1] & 0x7f)
        let extended = short == 126 ? 2 : short == 127 ? 8 : 0
        let size = 2 + extended + (isMasked ? 4 : 0)
        guard bytes.count >= size, let opcode = WebSocketOpcode(encodedWebSocketOpcode: bytes[0] & 0x0f) else {
            return nil
        }
        var length = short
        var isMinimal = true
        switch extended {
        case 2:
            length = UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            isMinimal = length > 125
        case 8:
            length = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            isMinimal = length > 0xffff && length >> 63 == 0
        default: break
        }
        var mask: UInt64 = 0
        if isMasked {
            let key = UInt64(bytes.loadUnaligned(fromByteOffset: size - 4, as: UInt32.self))
            mask = key | key << 32
        }
        let header = FrameHeader(
            opcode: opcode,
            isFinal: bytes[0] & 0x80 != 0,
            hasReservedBits: bytes[0] & 0x70 != 0,
            isMasked: isMasked,
            length: length,
            isMinimal: isMinimal,
            mask: mask
        )
        return (header, size)
    }
}
