import Encoding
import NIOCore
import Support
import Testing

@testable import Libp2p

@Suite("Local discovery")
struct LocalDiscoveryTests {
    private func machine(_ seed: UInt8, _ address: String = "/ip4/192.168.1.7/tcp/4001") throws -> (
        LocalDiscovery, PeerID
    ) {
        let peer = IdentityKey().peerID
        let random = (0..<20).map { seed &+ UInt8($0) &* 7 }
        return (LocalDiscovery(peer: peer, addresses: [try Multiaddr(address)], random: random, at: 0), peer)
    }

    /// What `machine` sends up to a time.
    private func output(_ machine: inout LocalDiscovery, until time: Int64) -> [[UInt8]] {
        var sent: [[UInt8]] = []
        while machine.nextDeadline <= time {
            machine.advance(to: machine.nextDeadline)
            while let datagram = machine.pollOutput() { sent.append(datagram) }
        }
        return sent
    }

    @Test("One asks, the other answers, and is found once")
    func found() throws {
        var (a, _) = try machine(1)
        var (b, peer) = try machine(2, "/ip4/192.168.1.8/tcp/4002")
        let asked = output(&a, until: 0)
        let question = try #require(asked.first)
        _ = output(&b, until: 0)
        b.receive(question, at: 10)
        b.receive(question, at: 20)
        let answers = output(&b, until: 500)
        #expect(answers.count == 1)
        a.receive(answers[0], at: 500)
        a.receive(answers[0], at: 510)
        let event = a.pollEvent()
        #expect(event == .init(peer: peer, addresses: [try Multiaddr("/ip4/192.168.1.8/tcp/4002")]))
        expectEqual(a.pollEvent(), nil)
        b.leave()
        let goodbye = b.pollOutput()
        a.receive(try #require(goodbye), at: 600)
        #expect(a.peers.isEmpty)
    }

    @Test("Questions are asked ever more seldom, and answered once a second at most")
    func rates() throws {
        var (a, _) = try machine(1)
        let asked = output(&a, until: 3_600_000).count
        #expect(asked < 25)
        var (b, _) = try machine(2)
        _ = output(&b, until: 0)
        var question = DNSMessage()
        question.questions = [.init(name: LocalDiscovery.service, type: DNSMessage.RecordType.ptr)]
        var answers = 0
        for time in stride(from: Int64(0), to: 10_000, by: 10) {
            b.receive(question.bytes, at: time)
            answers += output(&b, until: time).count { (try? DNSMessage(bytes: $0).isResponse) == true }
        }
        #expect((9...10).contains(answers))
    }

    /// An announcement of anything by anybody.
    private func announcement(_ texts: [String], name: String = "x", lifetime: UInt32 = 120) -> [UInt8] {
        var message = DNSMessage()
        message.isResponse = true
        let data = texts.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        message.records = [
            .init(
                name: DNSName("\(name)._p2p._udp.local"),
                type: DNSMessage.RecordType.txt,
                timeToLive: lifetime,
                data: data
            )
        ]
        return message.bytes
    }

    @Test("Addresses outside the network, of ourselves, without a peer and of no use are passed over")
    func strangers() throws {
        var (a, own) = try machine(1)
        let peer = IdentityKey().peerID
        a.receive(
            announcement([
                "dnsaddr=/ip4/8.8.8.8/tcp/53/p2p/\(peer)", "dnsaddr=/ip4/192.168.1.9/tcp/1/p2p/\(own)",
                "dnsaddr=/ip4/192.168.1.9/tcp/1", "dnsaddr=/ip4/127.0.0.1/tcp/1/p2p/\(peer)", "dnsaddr=/nonsense",
                "other=1",
                "dnsaddr=/ip4/192.168.1.9/udp/1/quic-v1/p2p/\(peer)",
            ]),
            at: 0
        )
        expectEqual(a.pollEvent(), nil)
        a.receive(announcement(["dnsaddr=/ip4/10.0.0.3/tcp/9/p2p/\(peer)"]), at: 0)
        expectEqual(a.pollEvent()?.peer, peer)
    }

    @Test("A flood of names is bounded, and what was heard is forgotten in time")
    func flood() throws {
        var (a, _) = try machine(1)
        for number in 0..<400 {
            a.receive(
                announcement(["dnsaddr=/ip4/10.0.0.3/tcp/9/p2p/\(IdentityKey().peerID)"], name: "n\(number)"),
                at: 0
            )
        }
        #expect(a.peers.count == 256 && a.refused == 144)
        a.advance(to: 600_000)
        #expect(a.peers.isEmpty)
    }

    @Test("Messages round-trip; compressed names are read, loops and cuts refused")
    func codec() throws {
        var message = DNSMessage()
        message.questions = [.init(name: DNSName("_P2P._udp.local"), type: 12)]
        let read = try DNSMessage(bytes: message.bytes)
        #expect(read == message && read.questions[0].name == LocalDiscovery.service)
        // An answer whose name and target point at the question's labels.
        let header: [UInt8] = [0, 0, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]
        let name = LocalDiscovery.service.bytes
        let record: [UInt8] = [0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 9, 0, 4, 1, 0x61, 0xc0, 12]
        let compressed = header + name + [0, 12, 0, 1] + record
        let answer = try DNSMessage(bytes: compressed)
        #expect(
            answer.records[0].name == LocalDiscovery.service && answer.records[0].target == DNSName("a._p2p._udp.local")
        )
        for length in 0..<compressed.count {
            #expect(throws: Libp2pError.self) { try DNSMessage(bytes: compressed.prefix(length)) }
        }
        for name in [[0xc0, 12], [1, 0x61, 0xc0, 12], [0xc0, 14, 0xc0, 12], [0x80], [0xff, 0xff]] as [[UInt8]] {
            #expect(throws: Libp2pError.self) {
                try DNSMessage(bytes: header.prefix(4) + [0, 1, 0, 0, 0, 0, 0, 0] + name)
            }
        }
        var random = SeededRandom(seed: 7)
        for _ in 0..<20_000 {
            var bytes = compressed
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = try? DNSMessage(bytes: bytes)
        }
    }
}

@Suite("Local discovery over multicast", .timeLimit(.minutes(5)))
struct LocalDiscoveryHostTests {
    /// The address of a network that is this machine alone: `scripts/in-namespace --lan` makes one, for loopback does no IPv6 multicast.
    private static let lan = "fd00:d51b::1"

    private static var isOnLAN: Bool {
        ((try? System.enumerateDevices()) ?? []).contains { $0.address?.ipAddress == lan && $0.multicastSupported }
    }

    @Test("Two hosts that know nothing of each other are connected")
    func meet() async throws { try await meet(on: "127.0.0.1", at: "/ip4/127.0.0.1/tcp/0") }

    @Test(
        "Two hosts are connected by IPv6 alone",
        .enabled(if: isOnLAN, "no network for it (scripts/in-namespace --lan)")
    )
    func meetV6() async throws { try await meet(on: LocalDiscoveryHostTests.lan, at: "/ip6/fd00:d51b::1/tcp/0") }

    private func meet(on interface: String, at address: String) async throws {
        let port = Int.random(in: 20_000...50_000)
        var limits = LocalDiscovery.Limits()
        limits.allowsLoopback = true
        let interface = try #require(IPAddress(interface))
        var services: [LocalDiscoveryService] = []
        for _ in 0..<2 {
            let host = PeerHost(identity: IdentityKey())
            try await host.listen(on: Multiaddr(address))
            services.append(LocalDiscoveryService(host: host, limits: limits, interfaces: [interface], port: port))
        }
        for service in services { try await service.start() }
        var met = false
        for _ in 0..<6000 where !met {
            let first = await services[0].host.connectedPeers
            let second = await services[1].host.connectedPeers
            met = first == [services[1].host.peerID] && second == [services[0].host.peerID]
            if !met { try await Task.sleep(for: .milliseconds(10)) }
        }
        #expect(met)
        await services[1].stop()
        for _ in 0..<6000 where await !services[0].peers.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        #expect(await services[0].peers.isEmpty)
        for service in services {
            await service.stop()
            await service.host.shutdown()
        }
    }
}
