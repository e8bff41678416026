import Encoding

/// Bytes that came in and are not yet understood. Taking from the front costs no copy of the rest.
struct ByteQueue {
    private var bytes: [UInt8] = []
    private var head = 0

    var count: Int { bytes.count - head }
    var isEmpty: Bool { count == 0 }
    /// The unread bytes.
    var view: ArraySlice<UInt8> { bytes[head...] }

    mutating func append(_ new: some Collection<UInt8>) {
        if head > 0, head == bytes.count || head > 1 << 16 {
            bytes.removeFirst(head)
            head = 0
        }
        bytes.append(contentsOf: new)
    }

    mutating func drop(_ count: Int) { head += min(count, self.count) }

    /// - Returns: exactly `count` bytes, or nil when there are fewer.
    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard self.count >= count else { return nil }
        defer { head += count }
        return bytes[head..<head + count]
    }

    mutating func takeAll() -> ArraySlice<UInt8> { take(count) ?? [] }

    /// Takes one message that its length precedes as an unsigned varint.
    ///
    /// - Returns: nil while it is incomplete.
    /// - Throws: `limit` when the announced length is over `limit`, as soon as it is known; `malformed` for a broken varint.
    mutating func takeDelimited(limit: Int) throws(Libp2pError) -> ArraySlice<UInt8>? {
        guard let (length, prefix) = Varint.decode(view) else {
            // A varint of ours ends within nine bytes, or never.
            if count >= 9 || view.contains(where: { $0 < 0x80 }) { throw Libp2pError(.malformed, "broken length") }
            return nil
        }
        guard length <= UInt64(limit) else { throw Libp2pError(.limit, "message of \(length) bytes") }
        guard count >= prefix + Int(length) else { return nil }
        drop(prefix)
        return take(Int(length))
    }
}

extension Sequence<UInt8> {
    /// Big-endian.
    var bigEndianValue: UInt64 { reduce(0) { $0 << 8 | UInt64($1) } }
}

extension [UInt8] {
    /// The bytes behind their length as an unsigned varint.
    public var delimited: [UInt8] { Varint.encode(UInt64(count)) + self }
}
