import Glibc
import NIOCore

/// What the kernel's routing table says of a destination. Sends nothing.
enum LocalRoute {
    /// The address of ours from which packets to `destination` leave now.
    ///
    /// - Returns: nil when no route leads there.
    static func address(toward destination: SocketAddress) -> String? {
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

/// Notices when packets to a relay begin to leave by another address: the device has gone from one network to the next.
///
/// A device between two networks has no address, and there is nothing to do until it has one again.
struct RouteMemory: Hashable, Sendable {
    private var address: String?
    private var isAway = false

    init(_ address: String?) {
        self.address = address
        isAway = address == nil
    }

    /// - Parameter now: the address of ours from which packets leave now; nil when no route leads there.
    /// - Returns: whether what was built on the old way has to be built anew.
    mutating func sees(_ now: String?) -> Bool {
        guard let now else {
            isAway = true
            return false
        }
        defer { (address, isAway) = (now, false) }
        // The same address on the same network again: connections have outlived the gap, or tell us that they have not.
        return now != address
    }
}
