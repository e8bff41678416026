/// The addresses of a peer as it signed them (libp2p RFC 0003).
///
/// The domain and payload type are those that deployed implementations use, not the provisional ones of the RFC's text.
public struct PeerRecord: Hashable, Sendable {
    public static let maximumAddresses = 32

    public let peerID: PeerID
    /// Orders records of one peer; not a time to anyone but the peer.
    public let sequence: UInt64
    public let addresses: [Multiaddr]

    public init(peerID: PeerID, sequence: UInt64, addresses: [Multiaddr]) {
        self.peerID = peerID
        self.sequence = sequence
        self.addresses = Array(addresses.prefix(PeerRecord.maximumAddresses))
    }

    /// - Throws: `unauthentic` when the envelope does not verify, `wrongPeer` when it was signed by another peer than it names.
    public init(verifying envelope: SignedEnvelope) throws(Libp2pError) {
        let payload = try envelope.verified(type: PeerRecord.payloadType, domain: PeerRecord.domain)
        var reader = ProtobufReader(payload)
        var (id, sequence): (PeerID?, UInt64) = (nil, 0)
        var addresses: [Multiaddr] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: id = PeerID(bytes: try field.bytes())
            case 2: sequence = try field.varint()
            case 3:
                guard addresses.count < PeerRecord.maximumAddresses else { continue }
                var info = ProtobufReader(try field.bytes())
                while let part = try info.next() {
                    guard part.number == 1 else { continue }
                    // An address of a transport that is not known here is passed over.
                    if let address = try? Multiaddr(bytes: try part.bytes()) { addresses.append(address) }
                }
            default: break
            }
        }
        guard let id else { throw Libp2pError(.malformed, "record without a peer id") }
        guard id == PeerID(envelope.publicKey) else { throw Libp2pError(.wrongPeer, "record signed by another peer") }
        self.init(peerID: id, sequence: sequence, addresses: addresses)
    }

    /// Signs the record.
    public func envelope(signedBy key: IdentityKey) throws(Libp2pError) -> SignedEnvelope {
        var writer = ProtobufWriter()
        writer.bytes(1, peerID.bytes)
        writer.varint(2, sequence)
        for address in addresses {
            var info = ProtobufWriter()
            info.bytes(1, address.bytes)
            writer.bytes(3, info.bytes)
        }
        return try SignedEnvelope(
            signing: writer.bytes,
            type: PeerRecord.payloadType,
            domain: PeerRecord.domain,
            by: key
        )
    }

    private static let domain = "libp2p-peer-record"
    /// Multicodec libp2p-peer-record.
    private static let payloadType: [UInt8] = [0x03, 0x01]
}
