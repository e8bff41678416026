#if QUIC
import Glibc
import NIOCore

/// What the kernel's routing table says of a destination. Sends nothing.
public enum LocalRoute {
    /// The address of ours from which packets to `destination` leave now.
    ///
    /// - Returns: nil when no route leads there.
    public static func address(toward destination: SocketAddress) -> String? {
        let family: Int32 = destination.protocol == .inet ? AF_INET : AF_INET6
        let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard destination.withSockAddr({ connect(descriptor, $0, socklen_t($1)) }) == 0 else { return nil }
        var storage = sockaddr_storage()
        var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &count) }
        }
        guard result == 0 else { return nil }
        return withUnsafeBytes(of: &storage) { bytes in
            family == AF_INET
                ? SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self)).ipAddress
                : SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self)).ipAddress
        }
    }
}
#endif
