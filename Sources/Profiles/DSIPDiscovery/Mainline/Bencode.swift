/// A bencoded value (BEP 3), as the DHT of BitTorrent speaks it.
///
/// Read strictly: one value and nothing behind it, integers without leading zeros, keys each once and in order of their bytes.
public indirect enum Bencode: Hashable, Sendable {
    case integer(Int64)
    case bytes([UInt8])
    case list([Bencode])
    case dictionary([(key: [UInt8], value: Bencode)])

    /// Values inside each other.
    static let maximumDepth = 8

    /// - Throws: `.malformed`.
    public init(_ bytes: [UInt8]) throws(DiscoveryError) {
        var reader = Reader(bytes: bytes)
        self = try reader.value(0)
        guard reader.at == bytes.count else { throw Reader.fault("bytes follow the value") }
    }

    /// A dictionary, its keys put in order; nil values are left out.
    public static func object(_ members: [(String, Bencode?)]) -> Bencode {
        .dictionary(
            members.compactMap { name, value in value.map { (key: Array(name.utf8), value: $0) } }
                .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        )
    }

    public static func text(_ text: String) -> Bencode { .bytes(Array(text.utf8)) }

    public subscript(_ name: String) -> Bencode? {
        guard case .dictionary(let members) = self else { return nil }
        return members.first { $0.key.elementsEqual(name.utf8) }?.value
    }

    public var bytes: [UInt8]? { if case .bytes(let bytes) = self { bytes } else { nil } }
    public var integer: Int64? { if case .integer(let integer) = self { integer } else { nil } }

    public var encoded: [UInt8] {
        var out: [UInt8] = []
        write(into: &out)
        return out
    }

    private func write(into out: inout [UInt8]) {
        func string(_ bytes: [UInt8], _ out: inout [UInt8]) { out += Array("\(bytes.count):".utf8) + bytes }
        switch self {
        case .integer(let integer): out += Array("i\(integer)e".utf8)
        case .bytes(let bytes): string(bytes, &out)
        case .list(let values):
            out.append(UInt8(ascii: "l"))
            for value in values { value.write(into: &out) }
            out.append(UInt8(ascii: "e"))
        case .dictionary(let members):
            out.append(UInt8(ascii: "d"))
            for (key, value) in members {
                string(key, &out)
                value.write(into: &out)
            }
            out.append(UInt8(ascii: "e"))
        }
    }

    public static func == (a: Bencode, b: Bencode) -> Bool { a.encoded == b.encoded }
    public func hash(into hasher: inout Hasher) { hasher.combine(encoded) }

    private struct Reader {
        let bytes: [UInt8]
        var at = 0

        static func fault(_ detail: String) -> DiscoveryError { DiscoveryError(.malformed, detail) }

        mutating func next() throws(DiscoveryError) -> UInt8 {
            guard at < bytes.count else { throw Self.fault("the value is cut off") }
            at += 1
            return bytes[at - 1]
        }

        func isEnd() -> Bool { at < bytes.count && bytes[at] == UInt8(ascii: "e") }

        mutating func value(_ depth: Int) throws(DiscoveryError) -> Bencode {
            guard depth < Bencode.maximumDepth else { throw Self.fault("values stand too deep") }
            switch try next() {
            case UInt8(ascii: "i"): return .integer(try integer(until: UInt8(ascii: "e")))
            case UInt8(ascii: "l"):
                var values: [Bencode] = []
                while !isEnd() { values.append(try value(depth + 1)) }
                at += 1
                return .list(values)
            case UInt8(ascii: "d"):
                var members: [(key: [UInt8], value: Bencode)] = []
                while !isEnd() {
                    let key = try string()
                    guard members.last.map({ $0.key.lexicographicallyPrecedes(key) }) ?? true else {
                        throw Self.fault("keys are not in order")
                    }
                    members.append((key, try value(depth + 1)))
                }
                at += 1
                return .dictionary(members)
            default:
                at -= 1
                return .bytes(try string())
            }
        }

        mutating func string() throws(DiscoveryError) -> [UInt8] {
            let length = try integer(until: UInt8(ascii: ":"))
            guard length >= 0, length <= bytes.count - at else { throw Self.fault("the string is cut off") }
            defer { at += Int(length) }
            return Array(bytes[at..<at + Int(length)])
        }

        /// Decimal, at most 18 digits.
        private mutating func integer(until end: UInt8) throws(DiscoveryError) -> Int64 {
            var (magnitude, digits, isNegative): (Int64, Int, Bool) = (0, 0, false)
            while true {
                let byte = try next()
                if byte == end { break }
                if byte == UInt8(ascii: "-"), digits == 0, !isNegative {
                    isNegative = true
                    continue
                }
                guard byte &- 0x30 < 10, digits < 18, digits == 0 || magnitude > 0 else {
                    throw Self.fault("a number is malformed")
                }
                magnitude = magnitude * 10 + Int64(byte - 0x30)
                digits += 1
            }
            guard digits > 0, !(isNegative && magnitude == 0) else { throw Self.fault("a number is malformed") }
            return isNegative ? -magnitude : magnitude
        }
    }
}
