/// One field of a protocol buffer message, as it stands on the wire.
struct ProtobufField {
    enum Value {
        case varint(UInt64)
        case bytes(ArraySlice<UInt8>)
        case fixed64(UInt64)
        case fixed32(UInt32)
    }

    let number: UInt64
    let value: Value

    /// - Throws: `malformed` when the field is not length-delimited.
    func bytes() throws(Libp2pError) -> ArraySlice<UInt8> {
        guard case .bytes(let bytes) = value else { throw wrongType }
        return bytes
    }

    /// - Throws: `malformed` when the field is not UTF-8 text of at most `limit` bytes.
    func text(limit: Int) throws(Libp2pError) -> String {
        let bytes = try bytes()
        guard bytes.count <= limit else { throw Libp2pError(.limit, "text of field \(number) is too long") }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Libp2pError(.malformed, "text of field \(number) is no UTF-8")
        }
        return text
    }

    func varint() throws(Libp2pError) -> UInt64 {
        guard case .varint(let value) = value else { throw wrongType }
        return value
    }

    func fixed64() throws(Libp2pError) -> UInt64 {
        guard case .fixed64(let value) = value else { throw wrongType }
        return value
    }

    private var wrongType: Libp2pError { Libp2pError(.malformed, "field \(number) has another wire type") }
}

/// Reads the fields of a message in their order; nothing is copied. What it does not know is left to the caller to pass over.
///
/// ```
/// tag varint: field number << 3 | wire type      0 varint   1 eight bytes   2 length varint, bytes   5 four bytes
/// ```
struct ProtobufReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.rest = bytes }
    init(_ bytes: [UInt8]) { self.rest = bytes[...] }

    mutating func next() throws(Libp2pError) -> ProtobufField? {
        guard !rest.isEmpty else { return nil }
        let tag = try varint()
        let number = tag >> 3
        guard number > 0, number < 1 << 29 else { throw Libp2pError(.malformed, "field number out of range") }
        switch tag & 7 {
        case 0: return ProtobufField(number: number, value: .varint(try varint()))
        case 1: return ProtobufField(number: number, value: .fixed64(littleEndian(try take(8))))
        case 2:
            let length = try varint()
            guard length <= UInt64(rest.count) else { throw Libp2pError(.malformed, "field ends outside the message") }
            return ProtobufField(number: number, value: .bytes(try take(Int(length))))
        case 5:
            return ProtobufField(number: number, value: .fixed32(UInt32(littleEndian(try take(4)))))
        default: throw Libp2pError(.malformed, "unknown wire type")
        }
    }

    /// A protocol buffer varint: up to ten bytes, not necessarily minimal.
    private mutating func varint() throws(Libp2pError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            guard let byte = rest.popFirst() else { throw Libp2pError(.malformed, "message ends inside a number") }
            if shift == 63, byte > 1 { break }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw Libp2pError(.malformed, "number over 64 bits")
    }

    private mutating func take(_ count: Int) throws(Libp2pError) -> ArraySlice<UInt8> {
        guard rest.count >= count else { throw Libp2pError(.malformed, "field ends outside the message") }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private func littleEndian(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// Writes fields in the order of the calls.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func varint(_ number: UInt64, _ value: UInt64) {
        append(number << 3)
        append(value)
    }

    mutating func fixed64(_ number: UInt64, _ value: UInt64) {
        append(number << 3 | 1)
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func bytes(_ number: UInt64, _ value: some Collection<UInt8>) {
        append(number << 3 | 2)
        append(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    mutating func text(_ number: UInt64, _ value: String) { bytes(number, value.utf8) }

    private mutating func append(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }
}
