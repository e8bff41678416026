/// `/libp2p/autonat/1.0.0`: a peer asks others to dial it back.
///
/// ```
/// 1 type: 0 DIAL, 1 DIAL_RESPONSE   2 dial { 1 peer { 1 id   2 addrs … } }   3 response { 1 status   2 text   3 addr }
/// ```
package enum AutoNATMessage: Hashable, Sendable {
    static let protocolID = "/libp2p/autonat/1.0.0"
    /// Of a message, in bytes.
    static let maximumLength = 8 << 10
    static let maximumAddresses = 16

    package enum Status: UInt64, Hashable, Sendable {
        case ok = 0
        case dialError = 100
        case dialRefused = 101
        case badRequest = 200
        case internalError = 300
    }

    case dial(PeerID, [Multiaddr])
    case response(Status, Multiaddr?)

    package init(bytes: [UInt8]) throws(Libp2pError) {
        var reader = ProtobufReader(bytes)
        var type: UInt64?
        var (peer, addresses, status, address): (PeerID?, [Multiaddr], UInt64, Multiaddr?) = (nil, [], 0, nil)
        while let field = try reader.next() {
            switch field.number {
            case 1: type = try field.varint()
            case 2:
                var dial = ProtobufReader(try field.bytes())
                while let part = try dial.next() {
                    guard part.number == 1 else { continue }
                    var info = ProtobufReader(try part.bytes())
                    while let part = try info.next() {
                        if part.number == 1 { peer = PeerID(bytes: try part.bytes()) }
                        guard part.number == 2, addresses.count < AutoNATMessage.maximumAddresses else { continue }
                        if let address = try? Multiaddr(bytes: try part.bytes()) { addresses.append(address) }
                    }
                }
            case 3:
                var response = ProtobufReader(try field.bytes())
                while let part = try response.next() {
                    if part.number == 1 { status = try part.varint() }
                    if part.number == 3 { address = try? Multiaddr(bytes: try part.bytes()) }
                }
            default: break
            }
        }
        switch (type, peer) {
        case (0, let peer?): self = .dial(peer, addresses)
        case (1, _): self = .response(Status(rawValue: status) ?? .internalError, address)
        default: throw Libp2pError(.malformed, "no AutoNAT message")
        }
    }

    package var bytes: [UInt8] {
        var (writer, inner) = (ProtobufWriter(), ProtobufWriter())
        switch self {
        case .dial(let peer, let addresses):
            var info = ProtobufWriter()
            info.bytes(1, peer.bytes)
            for address in addresses.prefix(AutoNATMessage.maximumAddresses) { info.bytes(2, address.bytes) }
            inner.bytes(1, info.bytes)
            writer.varint(1, 0)
            writer.bytes(2, inner.bytes)
        case .response(let status, let address):
            inner.varint(1, status.rawValue)
            if let address { inner.bytes(3, address.bytes) }
            writer.varint(1, 1)
            writer.bytes(3, inner.bytes)
        }
        return writer.bytes
    }
}
