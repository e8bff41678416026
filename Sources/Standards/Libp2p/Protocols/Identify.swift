/// `/ipfs/id/1.0.0`: what a peer says about itself, sent behind its length as a varint; `/ipfs/id/push/1.0.0` sends it unasked.
///
/// ```
/// 1 publicKey   2 listenAddrs …   3 protocols …   4 observedAddr   5 protocolVersion   6 agentVersion   8 signedPeerRecord
/// ```
///
/// Nothing in it is believed: the key is held against the connection's peer, addresses are hints until a dial succeeds, and a signed
/// record counts only when it verifies and names that peer.
public struct Identify: Hashable, Sendable {
    public static let protocolID = "/ipfs/id/1.0.0"
    public static let pushProtocolID = "/ipfs/id/push/1.0.0"
    /// Of a message, in bytes.
    public static let maximumLength = 64 << 10
    static let maximumAddresses = 64
    static let maximumProtocols = 256

    public var publicKey: PublicKey?
    public var listenAddresses: [Multiaddr] = []
    /// What inbound streams may ask this peer for.
    public var protocols: [String] = []
    /// Where the peer sees us.
    public var observedAddress: Multiaddr?
    public var protocolVersion: String?
    public var agentVersion: String?
    /// The envelope of a signed peer record, not verified.
    public var signedPeerRecord: [UInt8]?

    public init() {}

    /// - Throws: `malformed` or `limit`; an address that is not known here is passed over.
    public init(bytes: some Collection<UInt8>) throws(Libp2pError) {
        guard bytes.count <= Identify.maximumLength else { throw Libp2pError(.limit, "identify message too long") }
        var reader = ProtobufReader(Array(bytes))
        while let field = try reader.next() {
            switch field.number {
            case 1: publicKey = try PublicKey(protobuf: try field.bytes())
            case 2:
                guard listenAddresses.count < Identify.maximumAddresses else { continue }
                if let address = try? Multiaddr(bytes: try field.bytes()) { listenAddresses.append(address) }
            case 3:
                guard protocols.count < Identify.maximumProtocols else { continue }
                protocols.append(try field.text(limit: Multistream.maximumMessage))
            case 4: observedAddress = try? Multiaddr(bytes: try field.bytes())
            case 5: protocolVersion = try field.text(limit: 256)
            case 6: agentVersion = try field.text(limit: 256)
            case 8: signedPeerRecord = Array(try field.bytes())
            default: break
            }
        }
    }

    public var bytes: [UInt8] {
        var writer = ProtobufWriter()
        if let publicKey { writer.bytes(1, publicKey.protobuf) }
        for address in listenAddresses { writer.bytes(2, address.bytes) }
        for name in protocols { writer.text(3, name) }
        if let observedAddress { writer.bytes(4, observedAddress.bytes) }
        if let protocolVersion { writer.text(5, protocolVersion) }
        if let agentVersion { writer.text(6, agentVersion) }
        if let signedPeerRecord { writer.bytes(8, signedPeerRecord) }
        return writer.bytes
    }

    /// The addresses that can be dialled, those that the peer signed first.
    ///
    /// - Throws: `wrongPeer` when the message carries the key, or a record, of another peer than `peer`; `unauthentic` when the
    ///   record does not verify.
    public func addresses(of peer: PeerID) throws(Libp2pError) -> [Multiaddr] {
        if let publicKey, PeerID(publicKey) != peer { throw Libp2pError(.wrongPeer, "identify with another key") }
        var addresses = listenAddresses
        if let signedPeerRecord {
            let record = try PeerRecord(verifying: SignedEnvelope(bytes: signedPeerRecord))
            guard record.peerID == peer else { throw Libp2pError(.wrongPeer, "a record of another peer") }
            addresses = record.addresses + addresses
        }
        var seen: Set<Multiaddr> = []
        return addresses.filter { ($0.peerID ?? peer) == peer }.map(\.transport).filter { seen.insert($0).inserted }
    }

    /// Takes over the fields of a push that are present.
    public mutating func merge(_ push: Identify) {
        if !push.listenAddresses.isEmpty { listenAddresses = push.listenAddresses }
        if !push.protocols.isEmpty { protocols = push.protocols }
        if let record = push.signedPeerRecord { signedPeerRecord = record }
        if let observed = push.observedAddress { observedAddress = observed }
        if let version = push.agentVersion { agentVersion = version }
    }
}
