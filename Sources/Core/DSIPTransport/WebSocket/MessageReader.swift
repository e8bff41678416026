import Encoding
import NIOCore
import NIOWebSocket

/// Reads the bytes of a WebSocket connection as whole text messages and control frames, and refuses everything that `ws/1.0` does
/// not know (DSIP §13.2, RFC 6455 §5).
///
/// A frame is judged by its header, before its payload is waited for; fragments are joined under the same 65,536-byte cap as a
/// single frame. A payload is unmasked while it is copied into storage of its own, so that the buffer it came in is free at once.
/// What is held grows with what arrived, not with what was announced; between messages nothing is held.
///
/// ```swift
/// while let event = reader.next(&buffer) { … }     // the buffer is empty afterwards
/// ```
struct MessageReader {
    enum Role { case server, client }

    enum Event {
        case message([UInt8])
        /// A fragment that ends no message.
        case fragment
        /// Answer with a pong of the same payload.
        case ping([UInt8])
        case pong
        /// The peer closes; `code` is nil when it gave none.
        case close(code: UInt16?)
        /// Close with this status, and read no further.
        case violation(CloseCode)
    }

    private let role: Role
    /// Whether a subprotocol was agreed on that has binary messages.
    private let takesBinary: Bool
    /// The beginning of a header that did not come whole.
    private var stub: [UInt8] = []
    /// The frame whose payload is coming.
    private var frame: FrameHeader?
    private var payload: [UInt8] = []
    /// All bytes of the payload so far, as one word of lanes.
    private var seen: UInt64 = 0
    /// What fragments amount to so far; nil outside a message.
    private var message: [UInt8]?
    private var messageSeen: UInt64 = 0
    private var messageIsBinary = false

    init(_ role: Role, takesBinary: Bool = false) {
        self.role = role
        self.takesBinary = takesBinary
    }

    /// Takes the next event from `input`; nil when all of it has been read.
    mutating func next(_ input: inout ByteBuffer) -> Event? {
        if frame == nil {
            guard let header = nextHeader(&input) else { return nil }
            if let code = refusal(of: header) { return .violation(code) }
            frame = header
        }
        guard let header = frame, take(header, from: &input) else { return nil }
        frame = nil
        let bytes = payload
        payload = []
        return event(header, bytes)
    }

    // MARK: Header

    private mutating func nextHeader(_ input: inout ByteBuffer) -> FrameHeader? {
        if stub.isEmpty, let (header, size) = input.withUnsafeReadableBytes(FrameHeader.parse) {
            input.moveReaderIndex(forwardBy: size)
            return header
        }
        while let byte: UInt8 = input.readInteger() {
            stub.append(byte)
            if let (header, _) = stub.withUnsafeBytes(FrameHeader.parse) {
                stub = []
                return header
            }
        }
        return nil
    }

    private func refusal(of header: FrameHeader) -> CloseCode? {
        // RFC 6455 §5.1: a client masks, a server does not. §5.2: no extension gave the reserved bits a meaning.
        guard header.isMasked == (role == .server), !header.hasReservedBits, header.isMinimal else {
            return .protocolError
        }
        switch header.opcode {
        case .text,
            .binary where takesBinary:
            guard message == nil else { return .protocolError }
            return header.length <= UInt64(Binding.maximumEnvelopeBytes) ? nil : .tooLarge
        case .continuation:
            guard let message else { return .protocolError }
            return header.length <= UInt64(Binding.maximumEnvelopeBytes - message.count) ? nil : .tooLarge
        case .binary: return .unsupportedData
        // RFC 6455 §5.5: not fragmented, 125 bytes at most.
        case .ping, .pong, .connectionClose: return header.isFinal && header.length <= 125 ? nil : .protocolError
        default: return .protocolError
        }
    }

    // MARK: Payload

    /// Moves what has come of the payload from `input`. - Returns: whether it is whole.
    private mutating func take(_ header: FrameHeader, from input: inout ByteBuffer) -> Bool {
        // No more than 65,536, or it would have been refused.
        let length = Int(header.length)
        let count = min(length - payload.count, input.readableBytes)
        let mask = header.mask
        if count == length {
            (payload, seen) = input.withUnsafeReadableBytes { source in
                var seen: UInt64 = 0
                let bytes = [UInt8](unsafeUninitializedCapacity: count) { out, initialized in
                    seen = Masking.copy(
                        UnsafeRawBufferPointer(rebasing: source[..<count]),
                        to: UnsafeMutableRawBufferPointer(out),
                        mask
                    )
                    initialized = count
                }
                return (bytes, seen)
            }
        } else if count > 0 {
            if payload.isEmpty { seen = 0 }
            let start = payload.count
            input.withUnsafeReadableBytes { payload.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            // The key goes on where the part before left it.
            let turned = Masking.turn(mask, by: start)
            seen |= payload.withUnsafeMutableBytes {
                Masking.apply(turned, to: UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
            }
        }
        input.moveReaderIndex(forwardBy: count)
        return payload.count == length
    }

    private mutating func event(_ header: FrameHeader, _ bytes: [UInt8]) -> Event {
        switch header.opcode {
        case .text where header.isFinal: return MessageReader.message(bytes, seen)
        case .binary where header.isFinal: return .message(bytes)
        case .text, .binary:
            message = bytes
            messageSeen = seen
            messageIsBinary = header.opcode == .binary
            return .fragment
        case .continuation:
            message?.append(contentsOf: bytes)
            messageSeen |= seen
            guard header.isFinal, let whole = message else { return .fragment }
            message = nil
            return messageIsBinary ? .message(whole) : MessageReader.message(whole, messageSeen)
        case .ping: return .ping(bytes)
        case .pong: return .pong
        case .connectionClose: return MessageReader.close(bytes)
        default: return .violation(.protocolError)
        }
    }

    /// RFC 6455 §8.1: text that is not UTF-8 fails the connection.
    private static func message(_ text: [UInt8], _ seen: UInt64) -> Event {
        let isASCII = seen & 0x8080_8080_8080_8080 == 0
        return isASCII || UTF8Check.firstInvalid(in: text) == nil ? .message(text) : .violation(.notUTF8)
    }

    /// RFC 6455 §5.5.1: nothing, or a status in network order and a reason in UTF-8.
    private static func close(_ payload: [UInt8]) -> Event {
        guard !payload.isEmpty else { return .close(code: nil) }
        guard payload.count >= 2 else { return .violation(.protocolError) }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        guard CloseCode.isSendable(code) else { return .violation(.protocolError) }
        guard UTF8Check.firstInvalid(in: Array(payload.dropFirst(2))) == nil else { return .violation(.notUTF8) }
        return .close(code: code)
    }
}
