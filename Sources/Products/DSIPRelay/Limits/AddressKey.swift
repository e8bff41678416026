import NIOCore

/// The address a limit counts by: a whole IPv4 address, or the /64 of an IPv6 one, since a /64 is what one subscriber is given.
struct AddressKey: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    init(_ address: SocketAddress?) {
        switch address {
        case .v4(let v4):
            self.high = 0
            self.low = UInt64(UInt32(bigEndian: v4.address.sin_addr.s_addr)) | 1 << 32
        case .v6(let v6):
            var raw = v6.address.sin6_addr
            let bytes = withUnsafeBytes(of: &raw) { Array($0) }
            // An IPv4-mapped address is that IPv4 address (RFC 4291 §2.5.5.2).
            if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 0xff, bytes[11] == 0xff {
                self.high = 0
                self.low = bytes[12...].reduce(0) { $0 << 8 | UInt64($1) } | 1 << 32
            } else {
                self.high = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
                self.low = 0
            }
        case .unixDomainSocket, nil:
            self.high = 0
            self.low = 0
        }
    }
}
