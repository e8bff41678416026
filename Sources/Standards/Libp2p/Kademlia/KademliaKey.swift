import Crypto

/// A point of the key space: SHA-256 of a peer id's bytes, or of a record's key. Distance is XOR.
public struct KademliaKey: Hashable, Sendable {
    let words: (UInt64, UInt64, UInt64, UInt64)

    public init(_ peer: PeerID) { self.init(hashing: peer.bytes) }

    /// - Parameter key: as it goes over the wire.
    public init(hashing key: [UInt8]) {
        self.words = SHA256.hash(data: key).withUnsafeBytes { bytes in
            func word(_ index: Int) -> UInt64 {
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
            }
            return (word(0), word(1), word(2), word(3))
        }
    }

    private init(_ words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

    public func distance(to other: KademliaKey) -> Distance {
        Distance(
            words: (
                words.0 ^ other.words.0, words.1 ^ other.words.1, words.2 ^ other.words.2, words.3 ^ other.words.3
            )
        )
    }

    public static func == (a: KademliaKey, b: KademliaKey) -> Bool { a.words == b.words }
    public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

    /// How far two keys are apart; smaller is nearer.
    public struct Distance: Comparable, Sendable {
        let words: (UInt64, UInt64, UInt64, UInt64)

        /// Bits that both keys share from the top: 0 to 256. The bucket's number.
        public var commonPrefix: Int {
            if words.0 != 0 { return words.0.leadingZeroBitCount }
            if words.1 != 0 { return 64 + words.1.leadingZeroBitCount }
            if words.2 != 0 { return 128 + words.2.leadingZeroBitCount }
            return 192 + words.3.leadingZeroBitCount
        }

        public static func == (a: Distance, b: Distance) -> Bool { a.words == b.words }
        public static func < (a: Distance, b: Distance) -> Bool { a.words < b.words }
    }
}
