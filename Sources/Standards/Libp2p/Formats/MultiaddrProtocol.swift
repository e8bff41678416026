import Encoding

/// The protocols of the multiaddr table that are read here, with the shape of their values.
public enum MultiaddrProtocol: UInt64, Sendable, CaseIterable {
    case ip4 = 4
    case tcp = 6
    case dccp = 33
    case ip6 = 41
    case ip6zone = 42
    case ipcidr = 43
    case dns = 53
    case dns4 = 54
    case dns6 = 55
    case dnsaddr = 56
    case sctp = 132
    case udp = 273
    case webrtcDirect = 280
    case webrtc = 281
    case p2pCircuit = 290
    case udt = 301
    case utp = 302
    case unix = 400
    case p2p = 421
    case https = 443
    case tls = 448
    case sni = 449
    case noise = 454
    case quic = 460
    case quicV1 = 461
    case webtransport = 465
    case certhash = 466
    case ws = 477
    case wss = 478
    case http = 480
    case memory = 777

    enum Shape {
        case none
        /// So many bytes.
        case fixed(Int)
        /// A varint length, then the value.
        case variable
    }

    var shape: Shape {
        switch self {
        case .ip4: .fixed(4)
        case .ip6: .fixed(16)
        case .ipcidr: .fixed(1)
        case .tcp, .udp, .dccp, .sctp: .fixed(2)
        case .memory: .fixed(8)
        case .ip6zone, .dns, .dns4, .dns6, .dnsaddr, .unix, .p2p, .sni, .certhash: .variable
        case .webrtcDirect, .webrtc, .p2pCircuit, .udt, .utp, .https, .tls, .noise, .quic, .quicV1, .webtransport, .ws,
            .wss, .http:
            .none
        }
    }

    public var name: String {
        switch self {
        case .webrtcDirect: "webrtc-direct"
        case .p2pCircuit: "p2p-circuit"
        case .quicV1: "quic-v1"
        default: "\(self)"
        }
    }

    /// `ipfs` is the old name of `p2p`.
    static let byName: [String: MultiaddrProtocol] = {
        var table = Dictionary(uniqueKeysWithValues: allCases.map { ($0.name, $0) })
        table["ipfs"] = .p2p
        return table
    }()

    /// The text of a value that `isValid`.
    func text(of value: [UInt8]) -> String {
        switch self {
        case .ip4, .ip6: IPAddress(bytes: value)?.description ?? ""
        case .ipcidr, .tcp, .udp, .dccp, .sctp, .memory: "\(value.bigEndianValue)"
        case .p2p: Base58.encode(value)
        case .certhash: "u" + Base64URL.encode(value)
        default: String(decoding: value, as: UTF8.self)
        }
    }

    func value(of text: Substring) -> [UInt8]? {
        switch self {
        case .ip4, .ip6: return IPAddress(text)?.bytes
        case .ipcidr: return IPAddress.decimal(text.utf8, maximum: 128).map { [UInt8($0)] }
        case .tcp, .udp, .dccp, .sctp:
            return IPAddress.decimal(text.utf8, maximum: 65_535).map { [UInt8($0 >> 8), UInt8($0 & 255)] }
        case .memory:
            guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = UInt64(text) else { return nil }
            return (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * $0)) }
        case .p2p: return PeerID(text)?.bytes
        case .certhash: return Multibase.decode(text)
        default: return Array(text.utf8)
        }
    }

    /// Whether a value of the right length means something.
    func isValid(_ value: [UInt8]) -> Bool {
        switch self {
        case .ip4: value.count == 4
        case .ip6: value.count == 16
        case .ipcidr: value.count == 1 && value[0] <= 128
        case .p2p: PeerID(bytes: value) != nil
        case .certhash: (try? Multihash(bytes: value)) != nil
        case .dns, .dns4, .dns6, .dnsaddr, .sni: value.count <= 255 && MultiaddrProtocol.isHostname(value)
        case .ip6zone: !value.isEmpty && !value.contains(UInt8(ascii: "/")) && isText(value)
        case .unix: value.count > 1 && value.first == UInt8(ascii: "/") && isText(value)
        default: true
        }
    }

    private func isText(_ value: [UInt8]) -> Bool {
        String(validating: value, as: UTF8.self) != nil && value.allSatisfy { $0 > 0x20 && $0 != 0x7f }
    }

    private static func isHostname(_ value: [UInt8]) -> Bool {
        !value.isEmpty
            && value.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: $0 >= 0x80
                }
            } && String(validating: value, as: UTF8.self) != nil
    }
}
