#if QUIC
import CNgtcp2

/// A connection ID as a key: up to 20 bytes (RFC 9000 §5.1).
struct ConnectionID: Hashable, Sendable {
    /// Length of the ids we give out. Fixed, for a short header does not tell it.
    static let length = 16

    private var first: UInt64 = 0
    private var second: UInt64 = 0
    private var third: UInt32 = 0
    private var count: UInt8

    init(_ bytes: UnsafeRawBufferPointer) {
        count = UInt8(min(bytes.count, Int(NGTCP2_MAX_CIDLEN)))
        for (index, byte) in bytes.prefix(Int(count)).enumerated() {
            switch index {
            case 0..<8: first = first << 8 | UInt64(byte)
            case 8..<16: second = second << 8 | UInt64(byte)
            default: third = third << 8 | UInt32(byte)
            }
        }
    }

    init(_ id: ngtcp2_cid) {
        self = withUnsafeBytes(of: id.data) { ConnectionID(UnsafeRawBufferPointer(rebasing: $0.prefix(id.datalen))) }
    }

    /// A fresh id of ours.
    static func random() -> ngtcp2_cid {
        var id = ngtcp2_cid()
        fill(&id, length: length)
        return id
    }

    static func fill(_ id: inout ngtcp2_cid, length: Int) {
        id.datalen = length
        withUnsafeMutableBytes(of: &id.data) {
            Randomness.fill(UnsafeMutableRawBufferPointer(rebasing: $0.prefix(length)))
        }
    }
}

enum Randomness {
    static func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        let result = gnutls_rnd(GNUTLS_RND_RANDOM, base, bytes.count)
        precondition(result == 0, "the system gives no random bytes")
    }

    static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { fill($0) }
        return bytes
    }
}
#endif
