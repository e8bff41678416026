import DSIPIdentity
import NIOCore
import NIOWebSocket

/// Writes whole WebSocket frames into one buffer (RFC 6455 §5.2), so that many messages leave in one TLS record.
///
/// ```
///  0               1               2               3
/// +-+-+-+-+-------+-+-------------+-------------------------------+
/// |F|R|R|R| opcode|M|   length    |  extended length (0, 2 or 8)  |
/// +-+-+-+-+-------+-+-------------+-------------------------------+
/// |  masking key (4, only when M)  |  payload                     |
/// ```
enum FrameWriter {
    /// Most a header can take.
    static let maximumHeader = 14

    /// - Parameter mask: a fresh random key on a client, nil on a server (RFC 6455 §5.1).
    static func append(
        _ opcode: WebSocketOpcode,
        _ payload: some Collection<UInt8>,
        mask: UInt32? = nil,
        to buffer: inout ByteBuffer
    ) {
        buffer.writeInteger(0x80 | UInt8(webSocketOpcode: opcode))
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        switch payload.count {
        case 0...125:
            buffer.writeInteger(maskBit | UInt8(payload.count))
        case 126...0xffff:
            buffer.writeInteger(maskBit | 126)
            buffer.writeInteger(UInt16(payload.count))
        default:
            buffer.writeInteger(maskBit | 127)
            buffer.writeInteger(UInt64(payload.count))
        }
        guard let mask else {
            buffer.writeBytes(payload)
            return
        }
        buffer.writeInteger(mask)
        let start = buffer.writerIndex
        buffer.writeBytes(payload)
        buffer.applyMask(mask, from: start)
    }

    /// How a message travels: what is COSE in a binary frame, JSON as text.
    static func opcode(of message: some Collection<UInt8>) -> WebSocketOpcode {
        message.first == WireForm.tag ? .binary : .text
    }

    static func append(close code: CloseCode, mask: UInt32? = nil, to buffer: inout ByteBuffer) {
        append(.connectionClose, [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xff)], mask: mask, to: &buffer)
    }
}

extension ByteBuffer {
    /// XORs everything written from `start` on with the key, eight bytes at a time (RFC 6455 §5.3).
    mutating func applyMask(_ mask: UInt32, from start: Int) {
        let word = UInt64(mask.bigEndian) | UInt64(mask.bigEndian) << 32
        let offset = start - readerIndex
        withUnsafeMutableReadableBytes {
            Masking.apply(word, to: UnsafeMutableRawBufferPointer(rebasing: $0[offset...]))
        }
    }
}
