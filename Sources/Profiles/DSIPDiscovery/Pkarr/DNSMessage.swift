/// The answers of a DNS message (RFC 1035 §4), read from a packet that anybody may have made.
///
/// ```
/// ID u16 | flags u16 | QDCOUNT u16 | ANCOUNT u16 | NSCOUNT u16 | ARCOUNT u16
/// question: name | type u16 | class u16
/// record:   name | type u16 | class u16 | ttl u32 | rdlength u16 | rdata
/// ```
///
/// The whole message is parsed and must end with its last record. A compression pointer leads strictly backwards, to before the stretch
/// it stands in, so that reading ends.
public struct DNSMessage: Sendable {
    public struct Record: Sendable {
        public let name: DNSName
        public let type: UInt16
        public let recordClass: UInt16
        /// Seconds.
        public let ttl: UInt32
        /// Where the data stand in `bytes` of the message.
        let data: Range<Int>
    }

    public enum RecordType {
        public static let txt: UInt16 = 16
    }

    /// IN.
    public static let internet: UInt16 = 1

    let bytes: [UInt8]
    public let answers: [Record]

    /// - Throws: `.malformed`.
    public init(_ bytes: [UInt8]) throws(DiscoveryError) {
        var reader = DNSReader(bytes)
        try reader.skip(4)
        let questions = Int(try reader.u16())
        let answerCount = Int(try reader.u16())
        let others = Int(try reader.u16()) + Int(try reader.u16())
        for _ in 0..<questions {
            _ = try reader.name()
            try reader.skip(4)
        }
        var answers: [Record] = []
        for index in 0..<answerCount + others {
            let record = try reader.record()
            if index < answerCount { answers.append(record) }
        }
        guard reader.isAtEnd else { throw DiscoveryError(.malformed, "bytes follow the last record") }
        self.bytes = bytes
        self.answers = answers
    }

    public func data(of record: Record) -> [UInt8] { Array(bytes[record.data]) }

    /// The answers of class IN and type TXT under `name`, in their order.
    public func texts(_ name: DNSName) -> [Record] {
        answers.filter {
            $0.type == RecordType.txt && $0.recordClass == DNSMessage.internet && $0.name == name
        }
    }

    /// The character-strings of a TXT record; they must fill its data exactly.
    ///
    /// - Throws: `.malformed`.
    public func strings(of record: Record) throws(DiscoveryError) -> [[UInt8]] {
        var strings: [[UInt8]] = []
        var at = record.data.lowerBound
        while at < record.data.upperBound {
            let end = at + 1 + Int(bytes[at])
            guard end <= record.data.upperBound else {
                throw DiscoveryError(.malformed, "a character-string is cut off")
            }
            strings.append(Array(bytes[at + 1..<end]))
            at = end
        }
        return strings
    }
}

/// A cursor over a DNS message.
struct DNSReader {
    let bytes: [UInt8]
    private(set) var position: Int

    init(_ bytes: [UInt8], at position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func skip(_ count: Int) throws(DiscoveryError) {
        guard count <= bytes.count - position else { throw DNSReader.truncated }
        position += count
    }

    mutating func u16() throws(DiscoveryError) -> UInt16 {
        try skip(2)
        return UInt16(bytes[position - 2]) << 8 | UInt16(bytes[position - 1])
    }

    mutating func record() throws(DiscoveryError) -> DNSMessage.Record {
        let name = try name()
        let (type, recordClass) = (try u16(), try u16())
        let ttl = UInt32(try u16()) << 16 | UInt32(try u16())
        let length = Int(try u16())
        try skip(length)
        return DNSMessage.Record(
            name: name,
            type: type,
            recordClass: recordClass,
            ttl: ttl,
            data: position - length..<position
        )
    }

    /// Reads a name and stands behind the bytes that it takes in place.
    mutating func name() throws(DiscoveryError) -> DNSName {
        var labels: [[UInt8]] = []
        var length = 1
        var (at, segment) = (position, position)
        var end: Int?
        while true {
            guard at < bytes.count else { throw DNSReader.truncated }
            let size = Int(bytes[at])
            switch size {
            case 0:
                position = end ?? at + 1
                return DNSName(unchecked: labels)
            case 1...63:
                guard at + 1 + size <= bytes.count else { throw DNSReader.truncated }
                length += 1 + size
                guard length <= DNSName.maximumLength else { throw DiscoveryError(.malformed, "a name is too long") }
                labels.append(Array(bytes[at + 1...at + size]))
                at += 1 + size
            case 0xc0...:
                guard at + 1 < bytes.count else { throw DNSReader.truncated }
                let target = (size & 0x3f) << 8 | Int(bytes[at + 1])
                guard target < segment else { throw DiscoveryError(.malformed, "a name points forward") }
                end = end ?? at + 2
                (at, segment) = (target, target)
            default: throw DiscoveryError(.malformed, "a label of a kind that there is not")
            }
        }
    }

    private static var truncated: DiscoveryError { DiscoveryError(.malformed, "the DNS message is cut off") }
}
