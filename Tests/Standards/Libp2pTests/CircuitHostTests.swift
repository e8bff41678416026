import NIOConcurrencyHelpers
import NIOCore
import Testing

@testable import Libp2p

@Suite("Relayed connections over loopback", .serialized, .timeLimit(.minutes(10)))
struct CircuitHostTests {
    private func host(_ change: (inout HostConfiguration) -> Void = { _ in }) async throws -> (PeerHost, Multiaddr) {
        var configuration = HostConfiguration()
        change(&configuration)
        let host = PeerHost(identity: IdentityKey(), configuration: configuration)
        await host.handle("/echo/1.0.0") { stream in
            while let bytes = try await stream.read() { try await stream.write(bytes) }
        }
        let address = try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
        return (host, address.naming(host.peerID))
    }

    private func eventually(_ condition: () async -> Bool) async throws {
        for _ in 0..<3000 {
            if await condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("it did not come about")
    }

    private func echo(_ bytes: [UInt8], over stream: PeerStream) async throws -> [UInt8] {
        async let back = {
            var read: [UInt8] = []
            while read.count < bytes.count, let part = try await stream.read() { read += part }
            return read
        }()
        try await stream.write(bytes)
        stream.end()
        return try await back
    }

    @Test("A peer that only a relay reaches is called through it, end to end secured")
    func relayed() async throws {
        let (relay, relayAddress) = try await host()
        let service = CircuitRelayService(host: relay)
        await service.start()
        let (hidden, _) = try await host()
        let reservation = try await hidden.reserve(at: relayAddress)
        #expect(reservation.isVouched(for: hidden.peerID, by: relay.peerID))
        #expect(reservation.addresses == [relayAddress])
        let caller = PeerHost(identity: IdentityKey())
        let connection = try await caller.connect(to: relayAddress.throughCircuit.naming(hidden.peerID))
        #expect(connection.isRelayed && connection.peer == hidden.peerID && connection.security == .noise)
        let bytes = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(try await echo(bytes, over: try await connection.openStream(["/echo/1.0.0"])) == bytes)
        #expect(await service.circuitCount == 1)
        try await eventually { await caller.identify(of: hidden.peerID) != nil }
        await caller.disconnect(hidden.peerID)
        try await eventually { await service.circuitCount == 0 }
        for host in [relay, hidden, caller] { await host.shutdown() }
    }

    @Test("No reservation, another peer, more than the limit carries, and a relay nobody asked")
    func refusals() async throws {
        let (relay, relayAddress) = try await host()
        var limits = CircuitRelay.Limits()
        limits.circuit.data = 20_000
        let service = CircuitRelayService(host: relay, limits: limits)
        await service.start()
        let (hidden, _) = try await host()
        let caller = PeerHost(identity: IdentityKey())
        let circuit = relayAddress.throughCircuit
        await #expect(throws: Libp2pError(.unreachable, "")) {
            try await caller.connect(to: circuit.naming(hidden.peerID))
        }
        // Connected, but it never asked: the relay has no say.
        _ = try await hidden.connect(to: relayAddress)
        await #expect(throws: Libp2pError(.unreachable, "")) {
            try await caller.connect(to: circuit.naming(hidden.peerID))
        }
        try await hidden.reserve(at: relayAddress)
        let connection = try await caller.connect(to: circuit.naming(hidden.peerID))
        let stream = try await connection.openStream(["/echo/1.0.0"])
        stream.expire(after: 60_000)
        await #expect(throws: Libp2pError.self) {
            guard try await echo([UInt8](repeating: 1, count: 100_000), over: stream).count == 100_000 else {
                throw Libp2pError(.closed, "cut short")
            }
        }
        try await eventually { await service.circuitCount == 0 }
        await relay.disconnect(hidden.peerID)
        try await eventually { await service.reservationCount == 0 }
        for host in [relay, hidden, caller] { await host.shutdown() }
    }

    @Test("A relayed connection becomes a direct one, and new streams use it")
    func holePunching() async throws {
        let (relay, relayAddress) = try await host()
        let service = CircuitRelayService(host: relay)
        await service.start()
        let (hidden, _) = try await host { $0.punchesPrivateAddresses = true }
        let (caller, _) = try await host { $0.punchesPrivateAddresses = true }
        let punches = [HolePunchService(host: hidden), HolePunchService(host: caller)]
        for punch in punches { await punch.start() }
        let listener = CircuitListener(host: hidden)
        await listener.start(at: relayAddress)
        try await eventually { await service.reservationCount == 1 }
        let first = try await caller.connect(to: relayAddress.throughCircuit.naming(hidden.peerID))
        #expect(first.isRelayed)
        try await eventually { await caller.connection(with: hidden.peerID)?.isRelayed == false }
        try await eventually { await hidden.connection(with: caller.peerID)?.isRelayed == false }
        let stream = try await caller.openStream(to: hidden.peerID, ["/echo/1.0.0"])
        #expect(!stream.connection.isRelayed)
        #expect(try await echo([1, 2, 3], over: stream) == [1, 2, 3])
        try await eventually { await punches[0].upgraded >= 1 }
        await listener.stop()
        for host in [relay, hidden, caller] { await host.shutdown() }
    }

    @Test("Who listens is open, who does not is closed, by the word of four")
    func reachability() async throws {
        let (open, _) = try await host()
        let closed = PeerHost(identity: IdentityKey())
        var helpers: [(PeerHost, ReachabilityService)] = []
        for _ in 0..<4 {
            let (helper, address) = try await host()
            let service = ReachabilityService(host: helper)
            await service.start()
            helpers.append((helper, service))
            for peer in [open, closed] { _ = try await peer.connect(to: address) }
            try await eventually { await open.identify(of: helper.peerID) != nil }
            try await eventually { await closed.identify(of: helper.peerID) != nil }
        }
        let service = ReachabilityService(host: open)
        let (reachability, addresses) = (await service.check(), await open.listenAddresses)
        #expect(reachability == .open(addresses))
        // Asked again at once, nobody dials.
        #expect(await service.check() == .unknown)
        #expect(await ReachabilityService(host: closed).check() == .closed)
        for (helper, _) in helpers { await helper.shutdown() }
        for host in [open, closed] { await host.shutdown() }
    }

    @Test("A dial-back that is only claimed does not count; one that is asked too much for is not paid")
    func claims() async throws {
        let (asker, _) = try await host()
        let paid = NIOLockedValueBox<[Int]>([])
        for cost in [0, 0, 0, 0, 50_000, 200_000] {
            let (liar, address) = try await host()
            await liar.handle(AutoNAT2Message.protocolID) { stream in
                var reader = MessageReader(stream)
                _ = try await reader.next(limit: AutoNAT2Message.maximumLength)
                if cost > 0 {
                    try await stream.write(AutoNAT2Message.dataRequest(index: 0, count: cost).bytes.delimited)
                    var count = 0
                    defer { paid.withLockedValue { [count] in $0.append(count) } }
                    while count < cost, let bytes = try await reader.next(limit: AutoNAT2Message.maximumLength) {
                        if case .data(let portion) = try AutoNAT2Message(bytes: bytes) { count += portion }
                    }
                }
                try await stream.write(AutoNAT2Message.response(.ok, index: 0, .ok).bytes.delimited)
            }
            _ = try await asker.connect(to: address)
            try await eventually {
                await asker.identify(of: liar.peerID)?.protocols.contains(AutoNAT2Message.protocolID) == true
            }
        }
        #expect(await ReachabilityService(host: asker).check() == .unknown)
        try await eventually { paid.withLockedValue { $0.count == 2 } }
        #expect(paid.withLockedValue { $0.sorted() } == [0, 13 * 4096])
        await asker.shutdown()
    }

    @Test("Another address than the asker's is not dialled before it is paid for; a number nobody waits for is refused")
    func charges() async throws {
        let (helper, address) = try await host()
        let service = ReachabilityService(host: helper)
        await service.start()
        let (asker, _) = try await host()
        let stream = try await asker.openStream(to: helper.peerID, at: [address], [AutoNAT2Message.protocolID])
        let elsewhere = try Multiaddr("/ip4/203.0.113.9/tcp/4001")
        try await stream.write(AutoNAT2Message.request([elsewhere], nonce: 7).bytes.delimited)
        var reader = MessageReader(stream)
        let demand = try #require(try await reader.next(limit: AutoNAT2Message.maximumLength))
        #expect(try AutoNAT2Message(bytes: demand) == .dataRequest(index: 0, count: 50_000))
        try await stream.write(AutoNAT2Message.data(4096).bytes.delimited)
        stream.end()
        await #expect(throws: Libp2pError(.reset, "")) { _ = try await reader.next(limit: 1 << 10) }
        let back = try await asker.openStream(to: helper.peerID, [AutoNAT2Message.dialBackID])
        try await back.write(AutoNAT2Message.dialBack(7).delimited)
        await #expect(throws: Libp2pError(.reset, "")) { _ = try await back.read() }
        for host in [helper, asker] { await host.shutdown() }
    }
}
