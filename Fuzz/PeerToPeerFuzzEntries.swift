import Encoding
import Libp2p

/// What libp2p peers send, before and after they have proven who they are.
let peerToPeerFuzzEntries: [FuzzEntry] = [
    FuzzEntry(
        "multiaddr",
        seeds: [
            "/ip4/127.0.0.1/tcp/4001/ws", "/ip6/2001:db8::1/udp/1/quic-v1", "/dns4/example.com/tcp/443/wss/p2p-circuit",
        ]
        .flatMap { [Array($0.utf8), (try? Multiaddr($0).bytes) ?? []] }
    ) { bytes in
        if let address = try? Multiaddr(bytes: bytes) {
            precondition(address.bytes == bytes, "a second binary form of one address")
            precondition((try? Multiaddr(address.description)) == address, "an address changed as text")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        if let address = try? Multiaddr(text) {
            precondition((try? Multiaddr(bytes: address.bytes)) == address, "an address changed as bytes")
        }
        if let peer = PeerID(text) { precondition(PeerID(peer.cid) == peer, "a peer id changed as a CID") }
    },
    FuzzEntry("peer-record", seeds: [peerRecordSeed, fuzzIdentity.publicKey.protobuf, fuzzIdentity.peerID.bytes]) {
        bytes in
        if let key = try? PublicKey(protobuf: bytes) { precondition(key.protobuf == bytes, "two encodings of a key") }
        if let peer = PeerID(bytes: bytes) { precondition(PeerID(peer.description) == peer, "a peer id changed") }
        if let envelope = try? SignedEnvelope(bytes: bytes) { _ = try? PeerRecord(verifying: envelope) }
        _ = try? IPNSRecord(verifying: bytes, name: fuzzIdentity.peerID)
    },
    FuzzEntry("identify", seeds: [identifySeed]) { bytes in
        guard let message = try? Identify(bytes: bytes) else { return }
        _ = try? message.addresses(of: fuzzIdentity.peerID)
        guard message.bytes.count <= Identify.maximumLength else { return }
        precondition((try? Identify(bytes: message.bytes)) == message, "an identify message changed")
    },
    FuzzEntry("kademlia", seeds: [kademliaSeed]) { bytes in
        guard let message = try? KademliaMessage(bytes: bytes) else { return }
        precondition((try? KademliaMessage(bytes: message.bytes)) == message, "a DHT message changed")
        var engine = KademliaEngine(
            own: fuzzIdentity.peerID,
            configuration: .init(protocolID: "/fuzz/1"),
            rules: RecordRules()
        )
        _ = engine.handle(message, from: fuzzPeer.peerID, at: 0)
    },
    FuzzEntry("handshake-certificate", seeds: handshakeCertificateSeeds) { bytes in
        _ = try? HandshakeCertificate.verify([bytes], at: fuzzTime)
    },
    FuzzEntry("local-discovery", seeds: localDiscoverySeeds) { bytes in
        var machine = localDiscovery(fuzzPeer)
        machine.receive(bytes, at: 0)
        machine.advance(to: 10_000)
        while machine.pollOutput() != nil {}
        while machine.pollEvent() != nil {}
    },
    FuzzEntry("circuit", seeds: circuitSeeds) { bytes in
        if let message = try? HopMessage(bytes: bytes) {
            precondition((try? HopMessage(bytes: message.bytes)) == message, "a hop message changed")
        }
        if let message = try? StopMessage(bytes: bytes) {
            precondition((try? StopMessage(bytes: message.bytes)) == message, "a stop message changed")
        }
        if let message = try? HolePunchMessage(bytes: bytes) {
            precondition((try? HolePunchMessage(bytes: message.bytes)) == message, "a hole punching message changed")
        }
        if let message = try? AutoNATMessage(bytes: bytes) {
            precondition((try? AutoNATMessage(bytes: message.bytes)) == message, "an AutoNAT message changed")
        }
        if let message = try? AutoNAT2Message(bytes: bytes) {
            precondition((try? AutoNAT2Message(bytes: message.bytes)) == message, "an AutoNAT 2 message changed")
        }
    },
    FuzzEntry("connection", seeds: connectionSeeds) { bytes in
        var connection = Connection(.listener, identity: fuzzIdentity, offering: ["/echo/1"], at: 0)
        connection.receive(bytes, at: 0)
        while connection.pollOutput() != nil {}
        while connection.pollEvent() != nil {}
        connection.advance(to: 60_000)
    },
    FuzzEntry("streams", seeds: streamSeeds) { bytes in
        // Behind the handshake: what an authenticated peer may put into its frames.
        var session = YamuxSession(.server)
        try? session.receive(bytes)
        while let event = session.pollEvent() {
            guard case .data(let id, let data) = event else { continue }
            _ = session.write(data, to: id)
            session.consumed(data.count, of: id)
        }
        _ = session.output()
    },
]

private let fuzzIdentity = IdentityKey()
private let fuzzPeer = IdentityKey()

private let peerRecordSeed: [UInt8] = {
    let addresses = ["/ip4/192.0.2.1/tcp/1"].compactMap { try? Multiaddr($0) }
    let record = PeerRecord(peerID: fuzzIdentity.peerID, sequence: 1, addresses: addresses)
    return (try? record.envelope(signedBy: fuzzIdentity).bytes) ?? []
}()

private let identifySeed: [UInt8] = {
    var message = Identify()
    message.publicKey = fuzzIdentity.publicKey
    message.listenAddresses = ["/ip4/192.0.2.1/tcp/1"].compactMap { try? Multiaddr($0) }
    message.protocols = [Ping.protocolID]
    message.agentVersion = "fuzz/1"
    message.signedPeerRecord = peerRecordSeed
    return message.bytes
}()

private let kademliaSeed = KademliaMessage(
    .putValue,
    key: Array("/t/1".utf8),
    value: [1, 2, 3],
    closerPeers: [
        KademliaPeer(id: fuzzPeer.peerID, addresses: ["/ip4/192.0.2.1/tcp/1"].compactMap { try? Multiaddr($0) })
    ]
).bytes

/// A dialler's first bytes: header, `/noise`, and a Noise message that is a key.
private let connectionSeeds: [[UInt8]] = [
    Array("\u{13}/multistream/1.0.0\n\u{07}/noise\n".utf8) + [0, 32] + [UInt8](repeating: 9, count: 32),
    Array("\u{13}/multistream/1.0.0\n\u{0d}/tls/1.0.0\n\u{03}ls\n".utf8),
]

/// Yamux: a stream that is opened and carries a negotiation, a ping, a goodbye.
private let streamSeeds: [[UInt8]] = [
    [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 28] + Array("\u{13}/multistream/1.0.0\n\u{08}/echo/1\n".utf8).prefix(28)
        + [0, 1, 0, 4, 0, 0, 0, 1, 0, 0, 0, 9],
    [0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
]

private let fuzzTime: Int64 = 1_760_000_000_000

private let handshakeCertificateSeeds: [[UInt8]] =
    (try? HandshakeCertificate.make(for: fuzzIdentity, at: fuzzTime)).map { [$0.certificate] } ?? []

private func localDiscovery(_ identity: IdentityKey) -> LocalDiscovery {
    let address = try? Multiaddr("/ip4/192.168.1.7/tcp/4001")
    return LocalDiscovery(
        peer: identity.peerID,
        addresses: address.map { [$0] } ?? [],
        random: [UInt8](repeating: 7, count: 20),
        at: 0
    )
}

/// A question, and the answer to it.
private let localDiscoverySeeds: [[UInt8]] = {
    var machine = localDiscovery(fuzzIdentity)
    machine.advance(to: 0)
    guard let question = machine.pollOutput() else { return [] }
    machine.receive(question, at: 0)
    machine.advance(to: 500)
    return [question, machine.pollOutput() ?? []]
}()

private let circuitSeeds: [[UInt8]] = {
    let addresses = (try? Multiaddr("/ip4/192.0.2.1/tcp/4001")).map { [$0] } ?? []
    return [
        HopMessage.reserve.bytes, HopMessage.connect(fuzzPeer.peerID).bytes,
        HopMessage.status(.ok, nil, CircuitLimit(duration: 120_000, data: 1 << 17)).bytes,
        StopMessage.connect(fuzzPeer.peerID, nil).bytes, StopMessage.status(.ok).bytes,
        HolePunchMessage.connect(addresses).bytes, HolePunchMessage.sync.bytes,
        AutoNATMessage.dial(fuzzPeer.peerID, addresses).bytes, AutoNATMessage.response(.ok, addresses.first).bytes,
        AutoNAT2Message.request(addresses, nonce: 1).bytes, AutoNAT2Message.response(.ok, index: 1, .ok).bytes,
        AutoNAT2Message.dataRequest(index: 1, count: 30_000).bytes, AutoNAT2Message.data(16).bytes,
    ]
}()
