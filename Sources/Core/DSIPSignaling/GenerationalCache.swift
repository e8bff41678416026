/// A bounded cache of two generations: when the young one is full it becomes the old one, and the old one is dropped.
/// What is used survives; lookup and insertion cost a dictionary access.
struct GenerationalCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let generation: Int
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]

    /// - Parameter capacity: the most values held.
    init(capacity: Int) { self.generation = max(1, capacity / 2) }

    var count: Int { young.count + old.count }

    mutating func value(for key: Key) -> Value? {
        if let value = young[key] { return value }
        guard let value = old.removeValue(forKey: key) else { return nil }
        insert(value, for: key)
        return value
    }

    mutating func insert(_ value: Value, for key: Key) {
        if young.count >= generation, young[key] == nil {
            old = young
            young = [:]
        }
        young[key] = value
    }
}

/// Bytes as a dictionary key. The hash samples them; equality does not.
struct ByteKey: Hashable, Sendable {
    let bytes: [UInt8]

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

    static func == (a: ByteKey, b: ByteKey) -> Bool {
        guard a.bytes.count == b.bytes.count else { return false }
        return a.bytes.withUnsafeBytes { a in
            b.bytes.withUnsafeBytes { b in
                var i = 0
                while i + 8 <= a.count {
                    if a.loadUnaligned(fromByteOffset: i, as: UInt64.self)
                        != b.loadUnaligned(fromByteOffset: i, as: UInt64.self)
                    {
                        return false
                    }
                    i += 8
                }
                while i < a.count {
                    if a[i] != b[i] { return false }
                    i += 1
                }
                return true
            }
        }
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(bytes.count)
        bytes.withUnsafeBytes { bytes in
            let third = bytes.count / 3
            for start in [third, 2 * third, bytes.count - 32] where start >= 0 && bytes.count >= 32 {
                let end = min(start + 32, bytes.count)
                hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            }
            if bytes.count < 32 { hasher.combine(bytes: bytes) }
        }
    }
}
