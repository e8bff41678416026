/// Reads untrusted bytes front to back; integers are big-endian.
struct ByteReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }
    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func bytes(_ count: Int) throws(RatchetError) -> ArraySlice<UInt8> {
        guard count >= 0, rest.count >= count else { throw RatchetError(.malformed, "too short") }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func byte() throws(RatchetError) -> UInt8 {
        guard let byte = rest.popFirst() else { throw RatchetError(.malformed, "too short") }
        return byte
    }

    mutating func flag() throws(RatchetError) -> Bool {
        switch try byte() {
        case 0: return false
        case 1: return true
        default: throw RatchetError(.malformed, "neither yes nor no")
        }
    }

    mutating func uint32() throws(RatchetError) -> UInt32 { try bytes(4).reduce(0) { $0 << 8 | UInt32($1) } }
    mutating func uint64() throws(RatchetError) -> UInt64 { try bytes(8).reduce(0) { $0 << 8 | UInt64($1) } }
    mutating func int64() throws(RatchetError) -> Int64 { Int64(bitPattern: try uint64()) }

    /// A length of four bytes and that many bytes.
    mutating func counted(atMost limit: Int) throws(RatchetError) -> [UInt8] {
        let count = Int(try uint32())
        guard count <= limit else { throw RatchetError(.malformed, "longer than \(limit) bytes") }
        return Array(try bytes(count))
    }

    mutating func secret() throws(RatchetError) -> Secret {
        guard let secret = Secret(try bytes(Secret.count)) else { throw RatchetError(.malformed, "too short") }
        return secret
    }

    /// How many elements follow.
    mutating func count(atMost limit: Int) throws(RatchetError) -> Int {
        let count = Int(try uint32())
        guard count <= limit else { throw RatchetError(.malformed, "more than \(limit) elements") }
        return count
    }

    mutating func optional<T>(_ read: (inout ByteReader) throws(RatchetError) -> T) throws(RatchetError) -> T? {
        try flag() ? try read(&self) : nil
    }

    func end() throws(RatchetError) {
        guard rest.isEmpty else { throw RatchetError(.malformed, "bytes are left over") }
    }
}

/// The other direction.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ more: some Collection<UInt8>) { bytes.append(contentsOf: more) }
    mutating func append(byte: UInt8) { bytes.append(byte) }
    mutating func append(flag: Bool) { bytes.append(flag ? 1 : 0) }
    mutating func append(_ value: UInt32) {
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }
    mutating func append(_ value: UInt64) {
        append(UInt32(truncatingIfNeeded: value >> 32))
        append(UInt32(truncatingIfNeeded: value))
    }
    mutating func append(_ value: Int64) { append(UInt64(bitPattern: value)) }
    mutating func append(count: Int) { append(UInt32(count)) }
    mutating func append(counted more: some Collection<UInt8>) {
        append(count: more.count)
        append(more)
    }
    mutating func append(_ secret: Secret) { secret.withUnsafeBytes { bytes.append(contentsOf: $0) } }
    mutating func append<T>(optional value: T?, _ write: (inout ByteWriter, T) -> Void) {
        append(flag: value != nil)
        if let value { write(&self, value) }
    }
}
