/// A multicast DNS message (RFC 1035 §4, RFC 6762 §18) as far as discovery needs it: questions, and records of any type as bytes.
///
/// ```
/// ID 2 | flags 2 | counts of questions, answers, authorities, additionals 2 each
/// question: name | type 2 | class 2           record: name | type 2 | class 2 | TTL 4 | length 2 | data
/// ```
struct DNSMessage: Hashable, Sendable {
    enum RecordType {
        static let ptr: UInt16 = 12
        static let txt: UInt16 = 16
        static let any: UInt16 = 255
    }

    struct Question: Hashable, Sendable {
        var name: DNSName
        var type: UInt16
    }

    struct Record: Hashable, Sendable {
        var name: DNSName
        var type: UInt16
        /// Seconds; 0 takes the record back.
        var timeToLive: UInt32
        /// Names inside are not compressed.
        var data: [UInt8]
        /// The name of a PTR record.
        var target: DNSName?
    }

    /// RFC 6762 §17.
    static let maximumLength = 9000
    static let maximumRecords = 256
    private static let internet: UInt16 = 1
    /// Unicast answers are welcome, or the record is the only one of its name.
    private static let topBit: UInt16 = 0x8000

    var isResponse = false
    var questions: [Question] = []
    /// Answers and additional records alike; discovery makes no difference.
    var records: [Record] = []

    init() {}

    /// - Throws: `malformed`, `limit`. What comes behind is not read.
    init(bytes: some Collection<UInt8>) throws(Libp2pError) {
        guard bytes.count <= DNSMessage.maximumLength else { throw Libp2pError(.limit, "a DNS message too long") }
        let message = Array(bytes)[...]
        var position = 0
        func number(_ count: Int) throws(Libp2pError) -> UInt64 {
            guard position + count <= message.count else { throw Libp2pError(.malformed, "a DNS message cut short") }
            defer { position += count }
            return message[position..<position + count].bigEndianValue
        }
        _ = try number(2)
        let flags = try number(2)
        // RFC 6762 §18.3, §18.11: other operations and errors are not for us.
        guard flags & 0x780f == 0 else { throw Libp2pError(.unsupported, "no standard query or answer") }
        isResponse = flags & 0x8000 != 0
        let counts = [try number(2), try number(2), try number(2), try number(2)]
        guard counts.reduce(0, +) <= UInt64(DNSMessage.maximumRecords) else {
            throw Libp2pError(.limit, "a DNS message of too many records")
        }
        for _ in 0..<counts[0] {
            let name = try DNSName(message, at: &position)
            let (type, kind) = (UInt16(try number(2)), UInt16(try number(2)) & ~DNSMessage.topBit)
            if kind == DNSMessage.internet || kind == DNSMessage.RecordType.any {
                questions.append(Question(name: name, type: type))
            }
        }
        for _ in 0..<counts.dropFirst().reduce(0, +) {
            let name = try DNSName(message, at: &position)
            let (type, kind) = (UInt16(try number(2)), UInt16(try number(2)) & ~DNSMessage.topBit)
            let (time, length) = (UInt32(try number(4)), Int(try number(2)))
            guard position + length <= message.count else { throw Libp2pError(.malformed, "a record cut short") }
            var target: DNSName?
            if type == RecordType.ptr {
                var inside = position
                target = try DNSName(message, at: &inside)
            }
            let data = Array(message[position..<position + length])
            position += length
            guard kind == DNSMessage.internet else { continue }
            records.append(Record(name: name, type: type, timeToLive: time, data: data, target: target))
        }
    }

    /// Not compressed.
    var bytes: [UInt8] {
        func number(_ value: Int) -> [UInt8] {
            [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
        }
        // An answer is authoritative (RFC 6762 §18.4).
        var out: [UInt8] = [0, 0] + (isResponse ? [0x84, 0] : [0, 0])
        out += number(questions.count) + number(records.count) + [0, 0, 0, 0]
        for question in questions { out += question.name.bytes + number(Int(question.type)) + [0, 1] }
        for record in records {
            out += record.name.bytes + number(Int(record.type)) + [0, 1]
            out += number(Int(record.timeToLive >> 16)) + number(Int(record.timeToLive & 0xffff))
            out += number(record.data.count) + record.data
        }
        return out
    }

    /// The strings of a TXT record (RFC 1035 §3.3.14).
    static func strings(_ data: [UInt8]) -> [ArraySlice<UInt8>] {
        var strings: [ArraySlice<UInt8>] = []
        var rest = data[...]
        while let length = rest.popFirst(), rest.count >= length {
            strings.append(rest.prefix(Int(length)))
            rest = rest.dropFirst(Int(length))
        }
        return strings
    }
}
