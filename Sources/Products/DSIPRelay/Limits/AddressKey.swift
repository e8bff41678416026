import NIOCore

/// The address a limit counts by: a whole IPv4 address, or the /64 of an IPv6 one, since a /64 is what one subscriber is given.
struct AddressKey: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    init(_ address: SocketAddress?) {
        switch address {
        // struct sockaddr_in and sockaddr_in6: the address at byte 4 and byte 8, in network order.
        case .v4(let v4): self.init(withUnsafeBytes(of: v4.address) { Array($0[4..<8]) })
        case .v6(let v6): self.init(withUnsafeBytes(of: v6.address) { Array($0[8..<24]) })
        case .unixDomainSocket, nil: self.init([])
        }
    }

    /// - Parameter bytes: 4 or 16 in network order; anything else is an unknown address, and all of those are one.
    init(_ bytes: [UInt8]) {
        func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4:
            self.high = 0
            self.low = number(bytes[...]) | 1 << 32
        // An IPv4-mapped address is that IPv4 address (RFC 4291 §2.5.5.2).
        case 16 where bytes[..<10].allSatisfy({ $0 == 0 }) && bytes[10] == 0xff && bytes[11] == 0xff:
            self.high = 0
            self.low = number(bytes[12...]) | 1 << 32
        case 16:
            self.high = number(bytes[..<8])
            self.low = 0
        default:
            self.high = 0
            self.low = 0
        }
    }
}
