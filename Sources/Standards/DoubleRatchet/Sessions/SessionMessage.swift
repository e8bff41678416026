/// A message between two devices, as it travels.
///
/// ```
/// | version 1 (1) | kind 1 (1) | header | sealed |                 in a session both know
/// | version 1 (1) | kind 2 (1) | handshake | header | sealed |     until the responder answers
/// ```
/// The header has 40 bytes, encrypted 56. Sealed is one byte of content (0 message, 1 reset) and the text.
public struct SessionMessage: Hashable, Sendable {
    /// Present until the responder has answered.
    public var handshake: Handshake?
    /// Header and sealed text.
    public var ratcheted: [UInt8]

    /// - Throws: `malformed`.
    public init(_ bytes: [UInt8]) throws(RatchetError) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == 1 else { throw RatchetError(.malformed, "another version") }
        switch try reader.byte() {
        case 1: handshake = nil
        case 2: handshake = try Handshake(from: &reader)
        default: throw RatchetError(.malformed, "an unknown kind of message")
        }
        ratcheted = Array(reader.rest)
    }

    init(handshake: Handshake?, ratcheted: [UInt8]) {
        self.handshake = handshake
        self.ratcheted = ratcheted
    }

    public var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.append(byte: 1)
        writer.append(byte: handshake == nil ? 1 : 2)
        handshake?.write(to: &writer)
        writer.append(ratcheted)
        return writer.bytes
    }
}
