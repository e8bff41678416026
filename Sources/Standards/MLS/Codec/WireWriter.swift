/// Writes the TLS presentation language of RFC 9420 §2.1.
package struct WireWriter {
    private(set) package var bytes: [UInt8] = []

    package init(capacity: Int = 0) {
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    package mutating func write(_ value: UInt8) { bytes.append(value) }

    package mutating func write(_ value: UInt16) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func write(_ value: UInt32) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    package mutating func write(_ value: UInt64) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Bytes without a length.
    package mutating func write(_ raw: [UInt8]) { bytes.append(contentsOf: raw) }
    mutating func write(_ text: String.UTF8View) { bytes.append(contentsOf: text) }
    package mutating func write(_ raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }

    package mutating func write(_ value: some WireEncodable) { value.encode(to: &self) }

    /// The variable-size length of RFC 9420 §2.1.2.
    package mutating func length(_ count: Int) {
        precondition(count < 1 << 30, "a vector holds fewer than 2^30 bytes")
        if count < 1 << 6 {
            write(UInt8(count))
        } else if count < 1 << 14 {
            write(UInt16(count) | 0x4000)
        } else {
            write(UInt32(count) | 0x8000_0000)
        }
    }

    /// Bytes of a vector of `count` bytes with its length.
    static func vectorByteCount(_ count: Int) -> Int { count + (count < 1 << 6 ? 1 : count < 1 << 14 ? 2 : 4) }

    mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    mutating func removeLast(_ count: Int) { bytes.removeLast(count) }

    /// `opaque value<V>`.
    package mutating func vector(_ value: [UInt8]) {
        length(value.count)
        bytes.append(contentsOf: value)
    }

    package mutating func vector(_ secret: Secret) {
        length(secret.count)
        secret.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    /// A vector whose contents `body` writes.
    package mutating func nested(_ body: (inout WireWriter) -> Void) {
        let start = bytes.count
        bytes.append(0)
        body(&self)
        let count = bytes.count - start - 1
        guard count >= 1 << 6 else {
            bytes[start] = UInt8(count)
            return
        }
        var prefix = WireWriter()
        prefix.length(count)
        bytes.replaceSubrange(start...start, with: prefix.bytes)
    }

    /// `T values<V>`.
    package mutating func list(_ values: some Sequence<some WireEncodable>) {
        nested { writer in
            for value in values { value.encode(to: &writer) }
        }
    }

    /// `optional<T>`.
    package mutating func optional<T>(_ value: T?, _ body: (inout WireWriter, T) -> Void) {
        guard let value else { return write(UInt8(0)) }
        write(UInt8(1))
        body(&self, value)
    }

    package mutating func optional(_ value: (some WireEncodable)?) {
        optional(value) { writer, value in value.encode(to: &writer) }
    }
}

/// A structure of RFC 9420 that can be written as bytes.
package protocol WireEncodable {
    func encode(to writer: inout WireWriter)
}

extension WireEncodable {
    /// The structure's encoding.
    package var wire: [UInt8] {
        var writer = WireWriter(capacity: 128)
        encode(to: &writer)
        return writer.bytes
    }
}
