import NIOCore
import NIOWebSocket

/// How envelopes lie in the bytes of a connection, and how its end is told: what the two bindings do differently.
enum Framing {
    /// `ws/1.0`: text frames, pings and close frames (DSIP §13.2).
    case webSocket
    /// `quic/1.0`: one stream of envelopes behind their lengths. The transport beneath keeps itself alive, and closes with the code
    /// once what was written has arrived (DSIP §13.4, docs/quic.md).
    case stream(farewell: @Sendable (CloseCode) -> Void)

    /// Whether silence is ours to notice.
    var asksForLife: Bool {
        switch self {
        case .webSocket: true
        case .stream: false
        }
    }

    /// The binding's name (DSIP §13).
    var binding: String {
        switch self {
        case .webSocket: Binding.identifier
        case .stream: QUICBinding.identifier
        }
    }

    /// - Parameter takesBinary: whether a subprotocol was agreed on that has binary messages.
    func reader(_ role: MessageReader.Role, takesBinary: Bool = false) -> FrameReader {
        switch self {
        case .webSocket: FrameReader(webSocket: MessageReader(role, takesBinary: takesBinary), stream: nil)
        case .stream: FrameReader(webSocket: nil, stream: EnvelopeReader())
        }
    }

    /// - Parameter mask: a fresh random key on a WebSocket's client (RFC 6455 §5.1).
    func append(_ envelope: some Collection<UInt8>, mask: UInt32? = nil, to buffer: inout ByteBuffer) {
        switch self {
        case .webSocket: FrameWriter.append(FrameWriter.opcode(of: envelope), envelope, mask: mask, to: &buffer)
        case .stream: EnvelopeReader.append(envelope, to: &buffer)
        }
    }
}

/// Reads whichever of the framings a connection has.
struct FrameReader {
    fileprivate var webSocket: MessageReader?
    fileprivate var stream: EnvelopeReader?

    /// Takes the next event from `input`; nil when all of it has been read.
    mutating func next(_ input: inout ByteBuffer) -> MessageReader.Event? {
        if webSocket != nil { return webSocket?.next(&input) }
        switch stream?.next(&input) {
        case .message(let envelope): return .message(envelope)
        case .violation(let code): return .violation(code)
        case nil: return nil
        }
    }
}
