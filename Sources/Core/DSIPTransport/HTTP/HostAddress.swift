import NIOCore

/// An IP address as bytes: 4 or 16, network order.
package struct HostAddress: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// - Parameter bytes: 4 or 16.
    init(bytes: [UInt8]) { self.bytes = bytes }

    /// The literal that a socket address is made from; IPv6 without brackets.
    package var description: String {
        (try? SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: 0))?.ipAddress ?? "?"
    }

    /// - Returns: nil unless `text` is a literal address, IPv6 with or without brackets.
    init?(_ text: String) {
        let bare = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
        guard let address = try? SocketAddress(ipAddress: bare, port: 0) else { return nil }
        self.init(address)
    }

    /// - Returns: nil for a socket address that is no IP address.
    package init?(_ address: SocketAddress) {
        // RFC 3493 §3.3 and POSIX <netinet/in.h>: family, port, address; IPv6 has its flow label before the address.
        let place: Range<Int>
        switch address {
        case .v4: place = 4..<8
        case .v6: place = 8..<24
        case .unixDomainSocket: return nil
        }
        self.bytes = address.withSockAddr { pointer, size in
            Array(UnsafeRawBufferPointer(start: pointer, count: size)[place])
        }
    }
}
