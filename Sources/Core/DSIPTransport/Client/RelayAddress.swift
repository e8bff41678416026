/// Where a relay is dialled: the parts of a `wss` URL (DSIP §13.2). Plain `ws` is never accepted.
public struct RelayAddress: Hashable, Sendable, CustomStringConvertible {
    /// A DNS name or an address literal, IPv6 without brackets.
    public let host: String
    public let port: Int
    /// Path and query, as sent in the request line.
    public let target: String

    public init(host: String, port: Int = 443, target: String = Binding.defaultPath) {
        self.host = host
        self.port = port
        self.target = target
    }

    /// - Throws: `.address` for another scheme, no host, a bad port, user information or a fragment.
    public init(_ url: String) throws(TransportError) {
        guard url.utf8.count <= 2048, url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw TransportError(.address, "a relay address is a URL of at most 2048 printable characters")
        }
        guard url.prefix(6).lowercased() == "wss://" else {
            throw TransportError(.address, "a relay address begins with wss://; unencrypted connections are not made")
        }
        let rest = url.dropFirst(6)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let target = rest.dropFirst(authority.count)
        guard !authority.contains("@"), !target.contains("#") else {
            throw TransportError(.address, "a relay address has no user name and no fragment")
        }
        let (host, port) = try RelayAddress.split(authority)
        self.init(host: host, port: port, target: target.first == "/" ? String(target) : "/" + target)
    }

    private static func split(_ authority: Substring) throws(TransportError) -> (String, Int) {
        let host: Substring
        let tail: Substring
        if authority.first == "[" {
            host = authority.dropFirst().prefix { $0 != "]" }
            tail = authority.dropFirst(host.count + 2)
            guard authority.count >= host.count + 2, HostAddress(String(host))?.bytes.count == 16 else {
                throw TransportError(.address, "the address in brackets is no IPv6 address")
            }
        } else {
            host = authority.prefix { $0 != ":" }
            tail = authority.dropFirst(host.count)
        }
        guard !host.isEmpty, host.utf8.count <= 253 else { throw TransportError(.address, "no host is named") }
        if tail.isEmpty { return (String(host), 443) }
        guard tail.first == ":", let port = UInt16(tail.dropFirst()), port > 0 else {
            throw TransportError(.address, "the port is a number from 1 to 65535")
        }
        return (String(host), Int(port))
    }

    /// Whether the host is an address rather than a name; then TLS authenticates the address.
    var isLiteral: Bool { HostAddress(host) != nil }

    /// The value of the `Host` header (RFC 9110 §7.2).
    var hostHeader: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == 443 ? name : "\(name):\(port)"
    }

    public var description: String { "wss://\(hostHeader)\(target)" }
}
