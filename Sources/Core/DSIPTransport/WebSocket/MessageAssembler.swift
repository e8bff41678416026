import Encoding
import NIOCore
import NIOWebSocket

/// Turns WebSocket frames into whole text messages and refuses everything `ws/1.0` does not know (DSIP §13.2, RFC 6455 §5).
///
/// Fragments are joined under the same 65,536-byte cap as a single frame, counted before they are copied. Between messages it
/// holds no buffer.
struct MessageAssembler {
    enum Role { case server, client }

    enum Outcome {
        case message([UInt8])
        /// Answer with a pong of the same payload.
        case ping([UInt8])
        case pong
        /// The peer closes; `code` is nil when it gave none.
        case close(code: UInt16?)
        case incomplete
        /// Close with this status.
        case violation(CloseCode)
    }

    private let role: Role
    private var partial: [UInt8] = []
    private var isInsideMessage = false

    init(_ role: Role) { self.role = role }

    mutating func receive(_ frame: WebSocketFrame) -> Outcome {
        // RFC 6455 §5.1: a client masks, a server does not. §5.2: no extension gave the reserved bits a meaning.
        guard (frame.maskKey != nil) == (role == .server), !frame.rsv1, !frame.rsv2, !frame.rsv3 else {
            return .violation(.protocolError)
        }
        switch frame.opcode {
        case .text:
            guard !isInsideMessage else { return .violation(.protocolError) }
            guard frame.length <= Binding.maximumEnvelopeBytes else { return .violation(.tooLarge) }
            if frame.fin { return MessageAssembler.message(frame.payload) }
            isInsideMessage = true
            partial = frame.payload
            return .incomplete
        case .continuation:
            guard isInsideMessage else { return .violation(.protocolError) }
            guard partial.count + frame.length <= Binding.maximumEnvelopeBytes else {
                partial = []
                return .violation(.tooLarge)
            }
            partial += frame.payload
            guard frame.fin else { return .incomplete }
            isInsideMessage = false
            defer { partial = [] }
            return MessageAssembler.message(partial)
        case .binary: return .violation(.unsupportedData)
        case .ping: return .ping(frame.payload)
        case .pong: return .pong
        case .connectionClose: return MessageAssembler.close(frame.payload)
        default: return .violation(.protocolError)
        }
    }

    /// RFC 6455 §8.1: text that is not UTF-8 fails the connection.
    private static func message(_ text: [UInt8]) -> Outcome {
        if text.isASCII || UTF8Check.firstInvalid(in: text) == nil { return .message(text) }
        return .violation(.notUTF8)
    }

    /// RFC 6455 §5.5.1: nothing, or a status in network order and a reason in UTF-8.
    private static func close(_ payload: [UInt8]) -> Outcome {
        guard !payload.isEmpty else { return .close(code: nil) }
        guard payload.count >= 2 else { return .violation(.protocolError) }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        guard CloseCode.isSendable(code) else { return .violation(.protocolError) }
        guard UTF8Check.firstInvalid(in: Array(payload.dropFirst(2))) == nil else { return .violation(.notUTF8) }
        return .close(code: code)
    }
}

extension WebSocketFrame {
    /// The unmasked payload in storage of its own, so that the read buffer it came in is free at once.
    fileprivate var payload: [UInt8] {
        var bytes = Array(buffer: data)
        if let maskKey {
            let word = Masking.word(maskKey)
            bytes.withUnsafeMutableBytes { Masking.apply(word, to: $0) }
        }
        return bytes
    }
}

extension [UInt8] {
    fileprivate var isASCII: Bool {
        withUnsafeBytes { bytes in
            var seen: UInt64 = 0
            var i = 0
            while i + 8 <= bytes.count {
                seen |= bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self)
                i += 8
            }
            while i < bytes.count {
                seen |= UInt64(bytes[i])
                i += 1
            }
            return seen & 0x8080_8080_8080_8080 == 0
        }
    }
}
