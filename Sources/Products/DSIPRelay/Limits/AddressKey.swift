import NIOCore

/// The address a limit counts by: a whole IPv4 address, or the /64 of an IPv6 one, since a /64 is what one subscriber is given.
struct AddressKey: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    init(_ address: SocketAddress?) {
        switch address {
        case .v4(let v4):
            // struct sockaddr_in: family, port, address; the address in network order at byte 4.
            self.high = 0
            self.low = withUnsafeBytes(of: v4.address) { AddressKey.number($0[4..<8]) } | 1 << 32
        case .v6(let v6):
            // struct sockaddr_in6: family, port, flow, address at byte 8.
            let bytes = withUnsafeBytes(of: v6.address) { Array($0[8..<24]) }
            // An IPv4-mapped address is that IPv4 address (RFC 4291 §2.5.5.2).
            if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 0xff, bytes[11] == 0xff {
                self.high = 0
                self.low = AddressKey.number(bytes[12...]) | 1 << 32
            } else {
                self.high = AddressKey.number(bytes[..<8])
                self.low = 0
            }
        case .unixDomainSocket, nil:
            self.high = 0
            self.low = 0
        }
    }

    private static func number(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}
