/// The header of a message (Double Ratchet §3.5).
///
/// ```
/// compact  | ratchet key (32) | previous count (4) | number (4) |      big-endian
/// wide     | ratchet key (32) | number (8) | previous count (8) |
/// ```
public struct RatchetHeader: Hashable, Sendable {
    /// The sender's public X25519 key, 32 bytes.
    public var ratchetKey: [UInt8]
    /// How many messages the sender's previous chain had.
    public var previousCount: UInt32
    /// Which message of its chain this is, from 0.
    public var number: UInt32

    public init(ratchetKey: [UInt8], previousCount: UInt32, number: UInt32) {
        precondition(ratchetKey.count == 32, "a ratchet key has 32 bytes")
        self.ratchetKey = ratchetKey
        self.previousCount = previousCount
        self.number = number
    }

    /// - Throws: `malformed` unless `bytes` is exactly one header.
    public init(_ bytes: ArraySlice<UInt8>, layout: RatchetProfile.HeaderLayout) throws(RatchetError) {
        var reader = ByteReader(bytes)
        ratchetKey = Array(try reader.bytes(32))
        switch layout {
        case .compact:
            previousCount = try reader.uint32()
            number = try reader.uint32()
        case .wide:
            let (n, pn) = (try reader.uint64(), try reader.uint64())
            guard let number = UInt32(exactly: n), let previous = UInt32(exactly: pn) else {
                throw RatchetError(.malformed, "a count beyond 32 bits")
            }
            (self.number, previousCount) = (number, previous)
        }
        try reader.end()
    }

    public func bytes(_ layout: RatchetProfile.HeaderLayout) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(layout.size)
        bytes.append(contentsOf: ratchetKey)
        func append(_ value: UInt32) {
            for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
        }
        switch layout {
        case .compact:
            append(previousCount)
            append(number)
        case .wide:
            append(0)
            append(number)
            append(0)
            append(previousCount)
        }
        return bytes
    }
}
