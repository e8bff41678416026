import Encoding

/// A self-describing network address: `/ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…`.
///
/// Both forms are read strictly: a protocol outside `MultiaddrProtocol`, a value that means nothing or a number in a second
/// spelling is refused. Text in lower case, `ipfs` for `p2p` and CIDs for peer ids are read; one form is written.
public struct Multiaddr: Hashable, Sendable, CustomStringConvertible {
    public struct Component: Hashable, Sendable {
        public let `protocol`: MultiaddrProtocol
        /// As on the wire, without a length.
        public let value: [UInt8]
    }

    /// The longest binary form that is read, and the longest text.
    public static let maximumLength = 1024
    public static let maximumComponents = 16

    public let components: [Component]

    private init(_ components: [Component]) { self.components = components }

    public init(_ text: some StringProtocol) throws(Libp2pError) {
        guard text.utf8.count <= Multiaddr.maximumLength else { throw Libp2pError(.limit, "address too long") }
        let text = String(text)
        guard text.utf8.first == UInt8(ascii: "/") else { throw Libp2pError(.malformed, "address without a leading /") }
        var rest = text.dropFirst()[...]
        var components: [Component] = []
        func next() -> Substring? {
            guard !rest.isEmpty else { return nil }
            let part = rest.prefix { $0 != "/" }
            rest = rest.dropFirst(part.count + 1)
            return part
        }
        // An address does not end with a separator.
        guard text.utf8.last != UInt8(ascii: "/") else { throw Libp2pError(.malformed, "address with an empty part") }
        while let name = next() {
            guard let kind = MultiaddrProtocol.byName[String(name)] else {
                throw Libp2pError(.unsupported, "an address protocol that is not known here")
            }
            var value: [UInt8] = []
            if kind == .unix {
                value = Array("/".utf8) + Array(rest.utf8)
                rest = ""
            } else if case .none = kind.shape {
            } else {
                guard let part = next(), let parsed = kind.value(of: part) else {
                    throw Libp2pError(.malformed, "\(kind.name) without its value")
                }
                value = parsed
            }
            try Multiaddr.append(kind, value, to: &components)
        }
        self.components = components
        guard bytes.count <= Multiaddr.maximumLength else { throw Libp2pError(.limit, "address too long") }
    }

    public init(bytes: some Collection<UInt8>) throws(Libp2pError) {
        guard bytes.count <= Multiaddr.maximumLength else { throw Libp2pError(.limit, "address too long") }
        // What nearly every address is: 4 and an IPv4 address, 6 and a port.
        if bytes.count == 8, case let bytes = Array(bytes), bytes[0] == 4, bytes[5] == 6 {
            self.components = [
                Component(protocol: .ip4, value: Array(bytes[1..<5])),
                Component(protocol: .tcp, value: Array(bytes[6...])),
            ]
            return
        }
        var rest = Array(bytes)[...]
        func varint() throws(Libp2pError) -> UInt64 {
            guard let (value, length) = Varint.decode(rest) else { throw Libp2pError(.malformed, "address cut short") }
            rest = rest.dropFirst(length)
            return value
        }
        var components: [Component] = []
        guard !rest.isEmpty else { throw Libp2pError(.malformed, "empty address") }
        while !rest.isEmpty {
            guard let kind = MultiaddrProtocol(rawValue: try varint()) else {
                throw Libp2pError(.unsupported, "an address protocol that is not known here")
            }
            let length: UInt64 =
                switch kind.shape {
                case .none: 0
                case .fixed(let count): UInt64(count)
                case .variable: try varint()
                }
            guard length <= UInt64(rest.count) else { throw Libp2pError(.malformed, "address cut short") }
            try Multiaddr.append(kind, Array(rest.prefix(Int(length))), to: &components)
            rest = rest.dropFirst(Int(length))
        }
        self.components = components
    }

    private static func append(
        _ kind: MultiaddrProtocol,
        _ value: [UInt8],
        to components: inout [Component]
    ) throws(Libp2pError) {
        guard kind.isValid(value) else { throw Libp2pError(.malformed, "\(kind.name) with a value that means nothing") }
        guard components.count < maximumComponents else { throw Libp2pError(.limit, "address with too many parts") }
        components.append(Component(protocol: kind, value: value))
    }

    /// `/ip4/…/tcp/…` or `/ip6/…/tcp/…`.
    public init(_ address: IPAddress, tcp port: UInt16) {
        self.init([
            Component(protocol: address.isV4 ? .ip4 : .ip6, value: address.bytes),
            Component(protocol: .tcp, value: [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]),
        ])
    }

    public var bytes: [UInt8] {
        var out: [UInt8] = []
        for component in components {
            out += Varint.encode(component.protocol.rawValue)
            if case .variable = component.protocol.shape { out += Varint.encode(UInt64(component.value.count)) }
            out += component.value
        }
        return out
    }

    public var description: String {
        var text = ""
        for component in components {
            text += "/" + component.protocol.name
            switch component.protocol.shape {
            case .none: break
            // A path brings its own leading separator.
            case _ where component.protocol == .unix: text += String(decoding: component.value, as: UTF8.self)
            default: text += "/" + component.protocol.text(of: component.value)
            }
        }
        return text
    }
}

extension Multiaddr {
    /// The address of the first component, when it is an IP address.
    public var ipAddress: IPAddress? {
        guard let first = components.first, first.protocol == .ip4 || first.protocol == .ip6 else { return nil }
        return IPAddress(bytes: first.value)
    }

    /// The peer at the end, when it is named.
    public var peerID: PeerID? {
        guard let last = components.last, last.protocol == .p2p else { return nil }
        return PeerID(bytes: last.value)
    }

    /// The address without the peer at its end.
    public var transport: Multiaddr { peerID == nil ? self : Multiaddr(Array(components.dropLast())) }

    /// The address with `peer` at its end.
    public func naming(_ peer: PeerID) -> Multiaddr {
        Multiaddr(transport.components + [Component(protocol: .p2p, value: peer.bytes)])
    }

    /// Host and port of a plain TCP address: an IP address or DNS name, `tcp`, and nothing behind it but the peer.
    public var tcpEndpoint: (host: String, port: UInt16)? {
        let parts = transport.components
        guard parts.count == 2, parts[1].protocol == .tcp else { return nil }
        switch parts[0].protocol {
        case .ip4, .ip6, .dns, .dns4, .dns6:
            return (parts[0].protocol.text(of: parts[0].value), UInt16(parts[1].value.bigEndianValue))
        default: return nil
        }
    }

    /// The relay of a circuit address: `/ip4/…/tcp/…/p2p/RELAY/p2p-circuit`, with or without a peer behind; nil for any other, and for
    /// a relay behind a relay.
    public var circuitRelay: Multiaddr? {
        let parts = transport.components
        guard parts.last?.protocol == .p2pCircuit else { return nil }
        let relay = Multiaddr(Array(parts.dropLast()))
        return relay.peerID != nil && relay.tcpEndpoint != nil ? relay : nil
    }

    public var isCircuit: Bool { components.contains { $0.protocol == .p2pCircuit } }

    /// The address of whoever is behind this relay.
    public var throughCircuit: Multiaddr { Multiaddr(components + [Component(protocol: .p2pCircuit, value: [])]) }
}
