/// Reads the TLS presentation language of RFC 9420 §2.1 from bytes that a peer chose. Every read is bounded; nothing traps.
package struct WireReader {
    /// What is read from. Readers of parts share it.
    let bytes: [UInt8]
    private(set) package var position: Int
    let end: Int

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
        self.position = 0
        self.end = bytes.count
    }

    private init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        self.position = range.lowerBound
        self.end = range.upperBound
    }

    package var isAtEnd: Bool { position == end }

    @inline(__always)
    private mutating func take(_ count: Int) throws(MLSError) -> Int {
        guard count <= end - position else { throw MLSError(.malformed, "the input ends early") }
        defer { position += count }
        return position
    }

    package mutating func uint8() throws(MLSError) -> UInt8 {
        bytes[try take(1)]
    }

    package mutating func uint16() throws(MLSError) -> UInt16 {
        let at = try take(2)
        return UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
    }

    package mutating func uint32() throws(MLSError) -> UInt32 {
        let at = try take(4)
        return UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8
            | UInt32(bytes[at + 3])
    }

    package mutating func uint64() throws(MLSError) -> UInt64 {
        let high = try uint32()
        return UInt64(high) << 32 | UInt64(try uint32())
    }

    /// A length of 1, 2 or 4 bytes, in the fewest that hold it (RFC 9420 §2.1.2).
    package mutating func length() throws(MLSError) -> Int {
        let first = try uint8()
        switch first >> 6 {
        case 0: return Int(first)
        case 1:
            let value = Int(first & 0x3f) << 8 | Int(try uint8())
            guard value >= 1 << 6 else { throw MLSError(.malformed, "a length is longer than it need be") }
            return value
        case 2:
            var value = Int(first & 0x3f)
            for _ in 0..<3 { value = value << 8 | Int(try uint8()) }
            guard value >= 1 << 14 else { throw MLSError(.malformed, "a length is longer than it need be") }
            return value
        default: throw MLSError(.malformed, "a length has the prefix 11")
        }
    }

    /// `opaque value<V>`.
    package mutating func vector() throws(MLSError) -> [UInt8] {
        let count = try length()
        let at = try take(count)
        return Array(bytes[at..<at + count])
    }

    /// `opaque value[count]`.
    package mutating func fixed(_ count: Int) throws(MLSError) -> [UInt8] {
        let at = try take(count)
        return Array(bytes[at..<at + count])
    }

    /// A reader of the contents of a vector, which is passed over here.
    package mutating func nested() throws(MLSError) -> WireReader {
        let count = try length()
        let at = try take(count)
        return WireReader(bytes, at..<at + count)
    }

    /// `T values<V>`.
    package mutating func list<T>(
        _ element: (inout WireReader) throws(MLSError) -> T
    ) throws(MLSError) -> [T] {
        var inner = try nested()
        var values: [T] = []
        while !inner.isAtEnd { values.append(try element(&inner)) }
        return values
    }

    package mutating func list<T: WireDecodable>(of type: T.Type) throws(MLSError) -> [T] {
        try list { (reader: inout WireReader) throws(MLSError) in try T(from: &reader) }
    }

    /// `optional<T>` (RFC 9420 §2.1.1).
    package mutating func optional<T>(
        _ element: (inout WireReader) throws(MLSError) -> T
    ) throws(MLSError) -> T? {
        switch try uint8() {
        case 0: return nil
        case 1: return try element(&self)
        default: throw MLSError(.malformed, "an optional value is neither absent nor present")
        }
    }

    /// The bytes from `start` to where the reader stands.
    func slice(from start: Int) -> [UInt8] { Array(bytes[start..<position]) }

    /// What is left, to the end.
    mutating func rest() -> [UInt8] {
        defer { position = end }
        return Array(bytes[position..<end])
    }

    package func finish() throws(MLSError) {
        guard isAtEnd else { throw MLSError(.malformed, "\(end - position) bytes too many") }
    }
}

/// A structure of RFC 9420 that can be read from bytes.
package protocol WireDecodable {
    init(from reader: inout WireReader) throws(MLSError)
}

extension WireDecodable {
    /// Decodes all of `bytes`.
    package init(wire bytes: [UInt8]) throws(MLSError) {
        var reader = WireReader(bytes)
        try self.init(from: &reader)
        try reader.finish()
    }
}
