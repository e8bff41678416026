/// The twelve bytes before every Yamux frame.
///
/// ```
/// version 0 (8) | type (8) | flags (16) | stream (32) | length (32)        big-endian
/// ```
struct YamuxHeader: Hashable, Sendable {
    enum Kind: UInt8, Sendable {
        case data = 0
        case windowUpdate = 1
        case ping = 2
        case goAway = 3
    }

    struct Flags: OptionSet, Hashable, Sendable {
        let rawValue: UInt16
        static let synchronise = Flags(rawValue: 1)
        static let acknowledge = Flags(rawValue: 2)
        static let finish = Flags(rawValue: 4)
        static let reset = Flags(rawValue: 8)
    }

    static let length = 12

    let kind: Kind
    var flags: Flags = []
    var stream: UInt32 = 0
    /// Bytes that follow, credit that is granted, a ping's value, or why the session ends.
    var value: UInt32 = 0

    init(_ kind: Kind, _ flags: Flags = [], stream: UInt32 = 0, value: UInt32 = 0) {
        self.kind = kind
        self.flags = flags
        self.stream = stream
        self.value = value
    }

    /// - Throws: `protocolViolation` for another version, an unknown type, or a stream where there is none.
    init(bytes: ArraySlice<UInt8>) throws(Libp2pError) {
        let at = bytes.startIndex
        guard bytes.count == YamuxHeader.length, bytes[at] == 0, let kind = Kind(rawValue: bytes[at + 1]) else {
            throw Libp2pError(.protocolViolation, "no Yamux frame")
        }
        self.init(
            kind,
            Flags(rawValue: UInt16(bytes[at + 2..<at + 4].bigEndianValue)),
            stream: UInt32(bytes[at + 4..<at + 8].bigEndianValue),
            value: UInt32(bytes[at + 8..<at + 12].bigEndianValue)
        )
        let isSession = kind == .ping || kind == .goAway
        guard isSession == (stream == 0) else { throw Libp2pError(.protocolViolation, "frame of a wrong stream") }
    }

    func append(to out: inout [UInt8]) {
        out.append(0)
        out.append(kind.rawValue)
        out.append(UInt8(truncatingIfNeeded: flags.rawValue >> 8))
        out.append(UInt8(truncatingIfNeeded: flags.rawValue))
        for word in [stream, value] {
            for shift: UInt32 in [24, 16, 8, 0] { out.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
    }
}
