#if QUIC
import CNgtcp2
import Glibc
import NIOCore

/// From which of our addresses to which of the peer's a packet goes (RFC 9000 §9).
struct NetworkPath: Hashable, Sendable {
    var local: SocketAddress
    var remote: SocketAddress

    /// `body` may use the pointer only while it runs; the library copies the addresses.
    func withPath<Result>(_ body: (UnsafePointer<ngtcp2_path>) -> Result) -> Result {
        local.withSockAddr { local, localCount in
            remote.withSockAddr { remote, remoteCount in
                var path = ngtcp2_path(
                    local: ngtcp2_addr(addr: UnsafeMutablePointer(mutating: local), addrlen: socklen_t(localCount)),
                    remote: ngtcp2_addr(addr: UnsafeMutablePointer(mutating: remote), addrlen: socklen_t(remoteCount)),
                    user_data: nil
                )
                return withUnsafePointer(to: &path, body)
            }
        }
    }
}

extension NetworkPath {
    /// - Returns: nil when an address is missing or of another family.
    init?(_ path: ngtcp2_path) {
        guard let local = SocketAddress(path.local), let remote = SocketAddress(path.remote) else { return nil }
        self.init(local: local, remote: remote)
    }
}

// The parts of a `sockaddr` are read by their place, which the kernel fixes: family and port in bytes 0 to 3, then the address, at 4
// in IPv4 and at 8 in IPv6.
extension SocketAddress {
    fileprivate init?(_ address: ngtcp2_addr) {
        guard let base = address.addr else { return nil }
        let bytes = UnsafeRawPointer(base)
        switch Int(address.addrlen) {
        case MemoryLayout<sockaddr_in>.size: self.init(bytes.loadUnaligned(as: sockaddr_in.self))
        case MemoryLayout<sockaddr_in6>.size: self.init(bytes.loadUnaligned(as: sockaddr_in6.self))
        default: return nil
        }
    }

    /// Whether `address` holds the same family, address and port, without making a value of it.
    func isSame(as address: ngtcp2_addr) -> Bool {
        guard let other = address.addr else { return false }
        return withSockAddr { own, count in
            guard count == Int(address.addrlen) else { return false }
            let isFour = count == MemoryLayout<sockaddr_in>.size
            return memcmp(own, other, isFour ? 8 : 4) == 0
                && (isFour || memcmp(UnsafeRawPointer(own) + 8, UnsafeRawPointer(other) + 8, 16) == 0)
        }
    }
}
#endif
