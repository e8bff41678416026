/// A message of the DHT protocol, sent behind its length as a varint.
///
/// ```
/// 1 type   2 key   3 record { 1 key 2 value 5 timeReceived }   8 closerPeers …   9 providerPeers …
/// peer { 1 id 2 addrs … 3 connection }
/// ```
///
/// Decoding is bounded: over-long keys and values are errors, surplus peers and addresses are passed over, and so are peers whose id
/// means nothing.
public struct KademliaMessage: Hashable, Sendable {
    public enum Kind: UInt64, Sendable {
        case putValue = 0
        case getValue = 1
        case addProvider = 2
        case getProviders = 3
        case findNode = 4
        case ping = 5
    }

    /// Of a whole message, in bytes.
    public static let maximumLength = 256 << 10
    public static let maximumKey = 512
    public static let maximumValue = 64 << 10
    static let maximumPeers = 64

    public var kind: Kind
    public var key: [UInt8]
    /// The record's value; its key is always `key`.
    public var value: [UInt8]?
    public var closerPeers: [KademliaPeer]
    public var providerPeers: [KademliaPeer]

    public init(
        _ kind: Kind,
        key: [UInt8] = [],
        value: [UInt8]? = nil,
        closerPeers: [KademliaPeer] = [],
        providerPeers: [KademliaPeer] = []
    ) {
        self.kind = kind
        self.key = key
        self.value = value
        self.closerPeers = closerPeers
        self.providerPeers = providerPeers
    }

    /// - Throws: `malformed` also when a record is for another key than the message; `limit`; `unsupported` for an unknown type.
    public init(bytes: some Collection<UInt8>) throws(Libp2pError) {
        guard bytes.count <= KademliaMessage.maximumLength else { throw Libp2pError(.limit, "message too long") }
        var reader = ProtobufReader(Array(bytes))
        self.init(.putValue)
        var recordKey: [UInt8]?
        var hasRecord = false
        while let field = try reader.next() {
            switch field.number {
            case 1:
                guard let kind = Kind(rawValue: try field.varint()) else {
                    throw Libp2pError(.unsupported, "unknown message type")
                }
                self.kind = kind
            case 2: key = try KademliaMessage.bounded(field, KademliaMessage.maximumKey)
            case 3:
                hasRecord = true
                var record = ProtobufReader(try field.bytes())
                while let part = try record.next() {
                    if part.number == 1 { recordKey = try KademliaMessage.bounded(part, KademliaMessage.maximumKey) }
                    if part.number == 2 { value = try KademliaMessage.bounded(part, KademliaMessage.maximumValue) }
                }
            case 8: try KademliaMessage.append(field, to: &closerPeers)
            case 9: try KademliaMessage.append(field, to: &providerPeers)
            default: break
            }
        }
        // An answer may repeat the request's key in the record only.
        if key.isEmpty, let recordKey { key = recordKey }
        if hasRecord, value != nil, let recordKey, recordKey != key {
            throw Libp2pError(.malformed, "a record for another key")
        }
    }

    public var bytes: [UInt8] {
        var writer = ProtobufWriter()
        writer.varint(1, kind.rawValue)
        if !key.isEmpty { writer.bytes(2, key) }
        if let value {
            var record = ProtobufWriter()
            record.bytes(1, key)
            record.bytes(2, value)
            writer.bytes(3, record.bytes)
        }
        for peer in closerPeers { writer.bytes(8, KademliaMessage.encode(peer)) }
        for peer in providerPeers { writer.bytes(9, KademliaMessage.encode(peer)) }
        return writer.bytes
    }

    private static func bounded(_ field: ProtobufField, _ limit: Int) throws(Libp2pError) -> [UInt8] {
        let bytes = try field.bytes()
        guard bytes.count <= limit else { throw Libp2pError(.limit, "a key or value of \(bytes.count) bytes") }
        return Array(bytes)
    }

    private static func append(_ field: ProtobufField, to peers: inout [KademliaPeer]) throws(Libp2pError) {
        guard peers.count < maximumPeers else { return }
        var reader = ProtobufReader(try field.bytes())
        var id: PeerID?
        var addresses: [Multiaddr] = []
        while let part = try reader.next() {
            if part.number == 1 { id = PeerID(bytes: try part.bytes()) }
            if part.number == 2, addresses.count < KademliaPeer.maximumAddresses,
                let address = try? Multiaddr(bytes: try part.bytes())
            {
                addresses.append(address)
            }
        }
        guard let id else { return }
        // An address that ends in another peer's name is not this peer's.
        let own = addresses.compactMap { address in
            guard let named = address.peerID else { return Optional(address) }
            return named == id ? address.transport : nil
        }
        peers.append(KademliaPeer(id: id, addresses: own))
    }

    private static func encode(_ peer: KademliaPeer) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.bytes(1, peer.id.bytes)
        for address in peer.addresses { writer.bytes(2, address.bytes) }
        return writer.bytes
    }
}
