import Crypto

/// A bounded cache of two generations: when the young one is full it becomes the old one, and the old one is dropped.
/// What is used survives; lookup and insertion cost a dictionary access.
struct GenerationalCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        let value: Value
        let weight: Int
    }

    private let generation: Int
    private var young: [Key: Entry] = [:]
    private var old: [Key: Entry] = [:]
    private var youngWeight = 0

    /// - Parameter capacity: what the weights of all values held may add up to.
    init(capacity: Int) { self.generation = max(1, capacity / 2) }

    var count: Int { young.count + old.count }

    mutating func value(for key: Key) -> Value? {
        if let entry = young[key] { return entry.value }
        guard let entry = old.removeValue(forKey: key) else { return nil }
        insert(entry.value, for: key, weight: entry.weight)
        return entry.value
    }

    /// - Parameter weight: of key and value. What outweighs a generation alone is not kept.
    mutating func insert(_ value: Value, for key: Key, weight: Int = 1) {
        guard weight <= generation else { return }
        if let replaced = young.removeValue(forKey: key) { youngWeight -= replaced.weight }
        if youngWeight + weight > generation {
            old = young
            young = [:]
            youngWeight = 0
        }
        young[key] = Entry(value: value, weight: weight)
        youngWeight += weight
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

/// A SHA-256 digest as a dictionary key, for what is too large to keep as one.
struct DigestKey: Hashable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    init(_ bytes: [UInt8]) {
        words = SHA256.hash(data: bytes).withUnsafeBytes { $0.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self) }
    }

    static func == (a: DigestKey, b: DigestKey) -> Bool { a.words == b.words }

    /// A part tells as much as the whole: every bit depends on all that was hashed.
    func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}
