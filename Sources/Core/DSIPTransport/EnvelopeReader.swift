import NIOCore

/// Reads the envelopes of a `quic/1.0` stream: each behind its length (docs/quic.md).
///
/// ```
/// +----------------------------------------+------------------+
/// |  length: a QUIC integer, 1 to 65,536   |  envelope        |   and so on
/// +----------------------------------------+------------------+
/// ```
///
/// What is held grows with what arrived, not with what was announced; between envelopes nothing is held.
package struct EnvelopeReader {
    package enum Event {
        case message([UInt8])
        /// Close with this code, and read no further.
        case violation(CloseCode)
    }

    /// The beginning of a length that did not come whole.
    private var stub: [UInt8] = []
    /// Length of the envelope that is coming; nil between envelopes.
    private var expected: Int?
    private var envelope: [UInt8] = []

    package init() {}

    /// Takes the next event from `input`; nil when all of it has been read.
    package mutating func next(_ input: inout ByteBuffer) -> Event? {
        if expected == nil {
            guard let length = nextLength(&input) else { return nil }
            guard length > 0 else { return .violation(.protocolError) }
            guard length <= UInt64(Binding.maximumEnvelopeBytes) else { return .violation(.tooLarge) }
            expected = Int(length)
        }
        guard let expected else { return nil }
        let missing = expected - envelope.count
        guard let bytes = input.readBytes(length: min(missing, input.readableBytes)) else { return nil }
        if envelope.isEmpty { envelope = bytes } else { envelope += bytes }
        guard envelope.count == expected else { return nil }
        self.expected = nil
        defer { envelope = [] }
        return .message(envelope)
    }

    /// RFC 9000 §16: the two high bits of the first byte tell how many there are.
    private mutating func nextLength(_ input: inout ByteBuffer) -> UInt64? {
        while let byte = input.readInteger(as: UInt8.self) {
            stub.append(byte)
            let count = 1 << Int(stub[0] >> 6)
            guard stub.count == count else { continue }
            defer { stub = [] }
            return stub.dropFirst().reduce(UInt64(stub[0] & 0x3f)) { $0 << 8 | UInt64($1) }
        }
        return nil
    }

    /// Most a length in front of an envelope takes.
    static let maximumHeader = 4

    package static func append(_ envelope: some Collection<UInt8>, to buffer: inout ByteBuffer) {
        switch envelope.count {
        case ..<0x40: buffer.writeInteger(UInt8(envelope.count))
        case ..<0x4000: buffer.writeInteger(UInt16(envelope.count) | 0x4000)
        default: buffer.writeInteger(UInt32(envelope.count) | 0x8000_0000)
        }
        buffer.writeBytes(envelope)
    }
}
