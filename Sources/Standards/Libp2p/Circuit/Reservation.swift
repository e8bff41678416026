/// A relay's promise to connect others to a peer, for a time.
///
/// ```
/// 1 expire: Unix seconds   2 addrs …   3 voucher: a signed envelope of { 1 relay   2 peer   3 expiration }
/// ```
public struct Reservation: Hashable, Sendable {
    public static let maximumAddresses = 16

    /// Unix milliseconds; whole seconds on the wire.
    public var expires: Int64
    /// Of the relay, with its peer id.
    public var addresses: [Multiaddr]
    /// The signed envelope.
    public var voucher: [UInt8]?

    init(expires: Int64, addresses: [Multiaddr], voucher: [UInt8]? = nil) {
        self.expires = expires
        self.addresses = Array(addresses.prefix(Reservation.maximumAddresses))
        self.voucher = voucher
    }

    init(bytes: ArraySlice<UInt8>) throws(Libp2pError) {
        self.init(expires: 0, addresses: [])
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            switch field.number {
            case 1: expires = Int64(clamping: min(try field.varint(), 1 << 50)) * 1000
            case 2:
                guard addresses.count < Reservation.maximumAddresses else { continue }
                if let address = try? Multiaddr(bytes: try field.bytes()) { addresses.append(address) }
            case 3: voucher = Array(try field.bytes())
            default: break
            }
        }
    }

    var bytes: [UInt8] {
        var writer = ProtobufWriter()
        writer.varint(1, UInt64(max(0, expires / 1000)))
        for address in addresses { writer.bytes(2, address.bytes) }
        if let voucher { writer.bytes(3, voucher) }
        return writer.bytes
    }

    // MARK: Voucher

    private static let domain = "libp2p-relay-rsvp"
    /// Multicodec libp2p-relay-rsvp.
    private static let payloadType: [UInt8] = [0x03, 0x02]

    /// Signs what the relay promises to `peer`.
    mutating func vouch(for peer: PeerID, by relay: IdentityKey) throws(Libp2pError) {
        var writer = ProtobufWriter()
        writer.bytes(1, relay.peerID.bytes)
        writer.bytes(2, peer.bytes)
        writer.varint(3, UInt64(max(0, expires / 1000)))
        voucher = try SignedEnvelope(
            signing: writer.bytes,
            type: Reservation.payloadType,
            domain: Reservation.domain,
            by: relay
        ).bytes
    }

    /// Whether the voucher is of this relay for this peer. A reservation without one counts all the same: vouchers are advisory.
    func isVouched(for peer: PeerID, by relay: PeerID) -> Bool {
        guard let voucher, let envelope = try? SignedEnvelope(bytes: voucher), PeerID(envelope.publicKey) == relay,
            let payload = try? envelope.verified(type: Reservation.payloadType, domain: Reservation.domain)
        else { return false }
        var reader = ProtobufReader(payload)
        var (signer, holder): (PeerID?, PeerID?)
        while let field = try? reader.next() {
            switch field.number {
            case 1: signer = (try? field.bytes()).flatMap { PeerID(bytes: $0) }
            case 2: holder = (try? field.bytes()).flatMap { PeerID(bytes: $0) }
            default: break
            }
        }
        return signer == relay && holder == peer
    }
}
