/// A received STUN message: the bytes as they came, with an index of the attributes in them. RFC 8489 §5
///
///      0                   1                   2                   3
///      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |0 0|     STUN Message Type     |         Message Length        |
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |                    Magic Cookie = 0x2112A442                  |
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |                     Transaction ID (96 bits)                  |
///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
///     |  Attribute type               |  Length without padding       |   repeated, each padded to 4 bytes
///     |  Value …                                                      |
///
/// Keeping the bytes is what lets integrity and fingerprint be checked over exactly what was sent. Messages of RFC 3489, which
/// have no magic cookie, are not read. To make one, use ``STUNWriter``.
public struct STUNMessage: Hashable, Sendable {
    public let bytes: [UInt8]
    public let type: STUNMessageType
    /// In order of appearance. Those that follow an integrity attribute and are to be ignored are left out.
    public let attributes: [Attribute]

    /// One attribute: its type and where its value lies in ``STUNMessage/bytes``.
    public struct Attribute: Hashable, Sendable {
        public let type: STUNAttributeType
        public let range: Range<Int>
        /// Where the attribute's own header starts.
        var start: Int { range.lowerBound - 4 }
    }

    public static let headerLength = 20
    public static let magicCookie: UInt32 = 0x2112_A442
    /// An honest message has a dozen attributes; a longer list is refused.
    public static let maximumAttributes = 128

    /// Reads one datagram, or one framed message of a stream. Throws `badMessage` or `tooLarge`.
    public init(_ bytes: [UInt8]) throws(WebRTCError) {
        guard bytes.count >= Self.headerLength, bytes.count.isMultiple(of: 4), bytes[0] & 0xC0 == 0,
            bytes.bigEndian32(4) == Self.magicCookie, Int(bytes.bigEndian16(2)) == bytes.count - Self.headerLength
        else { throw WebRTCError(.badMessage, "not a STUN header") }
        self.bytes = bytes
        type = STUNMessageType(rawValue: bytes.bigEndian16(0))
        attributes = try Self.index(bytes)
    }

    /// 12 bytes.
    public var transactionID: ArraySlice<UInt8> { bytes[8..<20] }

    /// The value of the first attribute of that type; later ones of the same type count for nothing. RFC 8489 §14
    public func value(_ type: STUNAttributeType) -> ArraySlice<UInt8>? {
        first(type).map { bytes[$0.range] }
    }

    func first(_ type: STUNAttributeType) -> Attribute? { attributes.first { $0.type == type } }

    private static func index(_ bytes: [UInt8]) throws(WebRTCError) -> [Attribute] {
        var attributes: [Attribute] = []
        var at = headerLength
        // RFC 8489 §14.5–§14.7: after MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT count, after
        // MESSAGE-INTEGRITY-SHA256 only FINGERPRINT, and FINGERPRINT is last.
        var allowed: Set<STUNAttributeType>?
        while at < bytes.count {
            guard at + 4 <= bytes.count else { throw WebRTCError(.badMessage, "attribute header cut short") }
            let type = STUNAttributeType(rawValue: bytes.bigEndian16(at))
            let start = at + 4
            let length = Int(bytes.bigEndian16(at + 2))
            at = start + (length + 3) & ~3
            guard at <= bytes.count else { throw WebRTCError(.badMessage, "attribute value cut short") }
            guard type != .fingerprint || at == bytes.count else {
                throw WebRTCError(.badMessage, "FINGERPRINT is not last")
            }
            if let allowed, !allowed.contains(type) { continue }
            guard attributes.count < maximumAttributes else { throw WebRTCError(.tooLarge, "more than 128 attributes") }
            attributes.append(Attribute(type: type, range: start..<start + length))
            switch type {
            case .messageIntegrity: allowed = [.messageIntegritySHA256, .fingerprint]
            case .messageIntegritySHA256: allowed = [.fingerprint]
            default: break
            }
        }
        return attributes
    }
}

/// Class and method, interleaved in the first two bytes. RFC 8489 §5
///
///      0 0 M11 M10 M9 M8 M7 C1 M6 M5 M4 C0 M3 M2 M1 M0
public struct STUNMessageType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue & 0x3FFF }

    public init(_ kind: Class, _ method: Method) {
        let m = method.rawValue & 0x0FFF
        rawValue = (m & 0x000F) | (m & 0x0070) << 1 | (m & 0x0F80) << 2 | kind.rawValue
    }

    public enum Class: UInt16, Hashable, Sendable {
        case request = 0x0000
        case indication = 0x0010
        case success = 0x0100
        case error = 0x0110
    }

    public struct Method: RawRepresentable, Hashable, Sendable {
        /// 0 to 0xFFF.
        public let rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }
        public static let binding = Method(rawValue: 0x001)
    }

    public var kind: Class {
        switch (rawValue & 0x0100 != 0, rawValue & 0x0010 != 0) {
        case (false, false): .request
        case (false, true): .indication
        case (true, false): .success
        case (true, true): .error
        }
    }

    public var method: Method {
        Method(rawValue: (rawValue & 0x000F) | (rawValue & 0x00E0) >> 1 | (rawValue & 0x3E00) >> 2)
    }
}

extension [UInt8] {
    func bigEndian16(_ at: Int) -> UInt16 { UInt16(self[at]) << 8 | UInt16(self[at + 1]) }
    func bigEndian32(_ at: Int) -> UInt32 { UInt32(bigEndian16(at)) << 16 | UInt32(bigEndian16(at + 2)) }

    mutating func append(bigEndian value: UInt16) { self += [UInt8(value >> 8), UInt8(value & 0xFF)] }
    mutating func append(bigEndian value: UInt32) {
        append(bigEndian: UInt16(value >> 16))
        append(bigEndian: UInt16(value & 0xFFFF))
    }
}
