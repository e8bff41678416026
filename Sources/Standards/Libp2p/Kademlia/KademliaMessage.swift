/// A message of the DHT protocol, sent behind its length as a varint.
///
/// ```
/// 1 type   2 key   3 record { 1 key 2 value 5 timeReceived }   8 closerPeers …   9 providerPeers …
/// peer { 1 id 2 addrs … 3 connection }
/// ```
///
/// Decoding is bounded: over-long keys and values are errors, surplus peers and addresses are passed over, and so is what is no peer.
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
    public var providerPeers: [KademliaPeer]
    var closer: PeerList

    /// Read when they are asked for.
    public var closerPeers: [KademliaPeer] {
        get { closer.peers }
        set { closer = PeerList(newValue) }
    }

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
        self.closer = PeerList(closerPeers)
        self.providerPeers = providerPeers
    }

    /// - Throws: `malformed` also when a record is for another key than the message; `limit`; `unsupported` for an unknown type.
    public init(bytes: some Collection<UInt8>) throws(Libp2pError) {
        guard bytes.count <= KademliaMessage.maximumLength else { throw Libp2pError(.limit, "message too long") }
        var reader = ProtobufReader(Array(bytes))
        self.init(.putValue)
        var recordKey: [UInt8]?
        var hasRecord = false
        var named: [ArraySlice<UInt8>] = []
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
            case 8: if named.count < KademliaMessage.maximumPeers { named.append(try field.bytes()) }
            case 9:
                guard providerPeers.count < KademliaMessage.maximumPeers else { continue }
                if let peer = KademliaPeer(wire: try field.bytes()) { providerPeers.append(peer) }
            default: break
            }
        }
        closer = PeerList(written: named)
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
        closer.write(8, to: &writer)
        for peer in providerPeers { writer.bytes(9, peer.wire) }
        return writer.bytes
    }

    private static func bounded(_ field: ProtobufField, _ limit: Int) throws(Libp2pError) -> [UInt8] {
        let bytes = try field.bytes()
        guard bytes.count <= limit else { throw Libp2pError(.limit, "a key or value of \(bytes.count) bytes") }
        return Array(bytes)
    }
}
