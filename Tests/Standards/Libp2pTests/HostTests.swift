import KademliaSimulation
import Libp2p
import NIOCore
import NIOPosix
import Testing

@Suite("Hosts over loopback", .serialized, .timeLimit(.minutes(10)))
struct HostTests {
    private func host(_ configuration: HostConfiguration = HostConfiguration()) async throws -> (PeerHost, Multiaddr) {
        let host = PeerHost(identity: IdentityKey(), configuration: configuration)
        await host.handle("/echo/1.0.0") { stream in
            while let bytes = try await stream.read() { try await stream.write(bytes) }
        }
        let address = try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
        return (host, address.naming(host.peerID))
    }

    private func read(_ count: Int, from stream: PeerStream) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let part = try await stream.read() { bytes += part }
        return bytes
    }

    private func eventually(_ condition: () async -> Bool) async throws {
        for _ in 0..<3000 {
            if await condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("it did not come about")
    }

    @Test("Connect, identify, ping, and a mebibyte echoed")
    func echo() async throws {
        let (a, _) = try await host()
        let (b, address) = try await host()
        let connection = try await a.connect(to: address)
        #expect(connection.peer == b.peerID)
        _ = try await a.ping(b.peerID)
        _ = try await b.ping(a.peerID)
        try await eventually { await a.identify(of: b.peerID) != nil }
        let identify = await a.identify(of: b.peerID)
        #expect(identify?.protocols.contains("/echo/1.0.0") == true)
        #expect(identify?.listenAddresses == [address.transport])
        let stream = try await a.openStream(to: b.peerID, ["/none/1", "/echo/1.0.0"])
        #expect(stream.protocolID == "/echo/1.0.0")
        let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        async let back = read(bytes.count, from: stream)
        try await stream.write(bytes)
        stream.end()
        #expect(try await back == bytes)
        #expect(try await stream.read() == nil)
        await a.shutdown()
        await b.shutdown()
    }

    @Test(
        "Over TLS alone, and where one side prefers it",
        arguments: [
            ([Connection.Security.tls], [Connection.Security.tls]), ([.tls, .noise], [.noise, .tls]),
            ([.tls], [.noise, .tls]), ([.noise, .tls], [.tls]),
        ]
    )
    func tls(_ ours: [Connection.Security], _ theirs: [Connection.Security]) async throws {
        var (configuration, other) = (HostConfiguration(), HostConfiguration())
        configuration.securities = ours
        other.securities = theirs
        let (a, _) = try await host(configuration)
        let (b, address) = try await host(other)
        let connection = try await a.connect(to: address)
        #expect(connection.peer == b.peerID && connection.security == .tls)
        let stream = try await connection.openStream(["/echo/1.0.0"])
        let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        async let back = read(bytes.count, from: stream)
        try await stream.write(bytes)
        stream.end()
        #expect(try await back == bytes)
        try await eventually { await b.connectedPeers == [a.peerID] }
        _ = try await b.ping(a.peerID)
        await a.shutdown()
        await b.shutdown()
    }

    @Test(
        "Over TLS another peer than the one dialled is told apart; without a security in common there is no connection"
    )
    func tlsRefusals() async throws {
        var (configuration, other) = (HostConfiguration(), HostConfiguration())
        configuration.securities = [.tls]
        other.securities = [.noise]
        let (a, _) = try await host(configuration)
        let (b, address) = try await host(configuration)
        let (c, noise) = try await host(other)
        await #expect(throws: Libp2pError(.wrongPeer, "")) {
            try await a.connect(to: IdentityKey().peerID, at: [address.transport])
        }
        await #expect(throws: Libp2pError.self) { try await a.connect(to: noise) }
        #expect(await b.connectedPeers.isEmpty)
        for host in [a, b, c] { await host.shutdown() }
    }

    @Test("A protocol nobody serves, a peer that is another, an address where nobody listens")
    func refusals() async throws {
        let (a, _) = try await host()
        let (b, address) = try await host()
        await #expect(throws: Libp2pError(.wrongPeer, "")) {
            try await a.connect(to: IdentityKey().peerID, at: [address.transport])
        }
        await #expect(throws: Libp2pError(.noCommonProtocol, "")) {
            _ = try await a.openStream(to: b.peerID, at: [address], ["/other/1"])
        }
        await b.shutdown()
        try await eventually { await a.connectedPeers.isEmpty }
        await #expect(throws: Libp2pError(.unreachable, "")) { try await a.connect(to: b.peerID, at: [address]) }
        await #expect(throws: Libp2pError(.unreachable, "")) { try await a.connect(to: IdentityKey().peerID) }
        await a.shutdown()
    }

    @Test("What a host begins to serve is pushed to who is connected")
    func push() async throws {
        let (a, _) = try await host()
        let (b, address) = try await host()
        _ = try await a.connect(to: address)
        try await eventually { await a.identify(of: b.peerID) != nil }
        try await eventually { await b.identify(of: a.peerID) != nil }
        await b.handle("/new/1") { _ in }
        try await eventually { await a.identify(of: b.peerID)?.protocols.contains("/new/1") == true }
        await a.shutdown()
        await b.shutdown()
    }

    @Test("A reader that waits is told when the other side resets or goes away; a stream let go of is reset")
    func endings() async throws {
        let (a, _) = try await host()
        let (b, address) = try await host()
        await b.handle("/reset/1") { stream in
            _ = try await stream.read()
            throw Libp2pError(.malformed, "")
        }
        let first = try await a.openStream(to: b.peerID, at: [address], ["/reset/1"])
        try await first.write([1])
        await #expect(throws: Libp2pError(.reset, "")) { try await first.read() }
        let second = try await a.openStream(to: b.peerID, ["/echo/1.0.0"])
        second.expire(after: 50)
        await #expect(throws: Libp2pError(.timeout, "")) { try await second.read() }
        let third = try await a.openStream(to: b.peerID, ["/echo/1.0.0"])
        let waiting = Task { try await third.read() }
        try await Task.sleep(for: .milliseconds(20))
        await b.shutdown()
        await #expect(throws: Libp2pError.self) { _ = try await waiting.value }
        await a.shutdown()
    }

    @Test("Connections over the limits are turned away, and places come back")
    func limits() async throws {
        var configuration = HostConfiguration()
        configuration.gate.inbound = 2
        let (server, address) = try await host(configuration)
        var clients: [PeerHost] = []
        for _ in 0..<3 { clients.append(PeerHost(identity: IdentityKey())) }
        _ = try await clients[0].connect(to: address)
        _ = try await clients[1].connect(to: address)
        await #expect(throws: Libp2pError.self) { try await clients[2].connect(to: address) }
        await clients[0].shutdown()
        try await eventually { await server.connectedPeers.count == 1 }
        _ = try await clients[2].connect(to: address)
        for client in clients { await client.shutdown() }
        await server.shutdown()
    }

    @Test("Who connects and says nothing is let go after the handshake's time; garbage ends at once")
    func slowLoris() async throws {
        var configuration = HostConfiguration()
        configuration.connection.handshakeTime = 200
        let (server, address) = try await host(configuration)
        let endpoint = try #require(address.tcpEndpoint)
        for garbage in [[], [0xff, 0xff, 0xff], Array("GET / HTTP/1.1\r\n\r\n".utf8)] as [[UInt8]] {
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: endpoint.host, port: Int(endpoint.port)).get()
            if !garbage.isEmpty { try await channel.writeAndFlush(ByteBuffer(bytes: garbage)) }
            let start = ContinuousClock.now
            try await channel.closeFuture.get()
            #expect(start.duration(to: .now) < .seconds(5))
        }
        await server.shutdown()
    }

    @Test("Eight nodes find records, providers and each other")
    func dht() async throws {
        var rules = RecordRules()
        rules.register("t", SequenceValidator())
        var nodes: [(host: PeerHost, dht: KademliaService, address: Multiaddr)] = []
        for _ in 0..<8 {
            let (host, address) = try await host()
            let dht = KademliaService(host: host, configuration: .init(protocolID: "/test/kad/1.0.0"), rules: rules)
            await dht.start()
            nodes.append((host, dht, address))
        }
        for node in nodes.dropFirst() {
            _ = try await node.host.connect(to: nodes[0].address)
            try await eventually { await node.dht.peerCount > 0 }
            await node.dht.bootstrap()
        }
        let key = Array("/t/1".utf8)
        let value = SequenceValidator.value(key, sequence: 1)
        let stored = try await nodes[3].dht.put(key, value).stored
        #expect(stored >= 7)
        #expect(await nodes[6].dht.first(key) == value)
        #expect(await nodes[7].dht.get(key) == value)
        await #expect(throws: Libp2pError(.malformed, "")) { try await nodes[3].dht.put(key, [1]) }
        try await nodes[2].dht.announce([1, 2, 3])
        #expect(await nodes[5].dht.providers([1, 2, 3]).map(\.id) == [nodes[2].host.peerID])
        #expect(await nodes[1].dht.find(nodes[4].host.peerID)?.addresses == [nodes[4].address.transport])
        for node in nodes {
            await node.dht.stop()
            await node.host.shutdown()
        }
    }
}

@Suite("The connection gate")
struct ConnectionGateTests {
    @Test("Limits by range, by peer, on handshakes and in all; what ends gives its place back")
    func limits() throws {
        var limits = ConnectionGate.Limits()
        limits.total = 10
        limits.inbound = 6
        limits.pending = 4
        limits.perPeer = 2
        limits.perRange = 3
        var gate = ConnectionGate(limits: limits)
        func address(_ text: String) -> IPAddress { IPAddress(text)! }
        var numbers: [UInt64] = []
        for host in 1...3 { numbers.append(gate.admit(address("203.0.113.\(host)"), inbound: true)!) }
        let fourth = gate.admit(address("203.0.113.4"), inbound: true)
        #expect(fourth == nil)
        let peer = IdentityKey().peerID
        let admitted = numbers.map { gate.established($0, peer) }
        #expect(admitted == [true, true, false])
        gate.ended(numbers[2])
        for host in 1...4 { numbers.append(gate.admit(address("10.0.0.\(host)"), inbound: host % 2 == 0)!) }
        let fifth = gate.admit(address("10.0.0.9"), inbound: false)
        #expect(fifth == nil && gate.count == 6)
        for number in numbers { gate.ended(number) }
        #expect(gate.count == 0 && gate.refused == 3)
        for host in 1...4 { _ = gate.admit(address("203.0.114.\(host)"), inbound: true) }
        #expect(gate.count == 3)
    }
}
