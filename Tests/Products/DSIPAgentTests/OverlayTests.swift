import Libp2p
import Testing

@testable import DSIPDiscovery

/// Whether a host of the DHT can be dialled, and what comes of it.
@Suite("Hosts of the DHT over loopback", .serialized, .timeLimit(.minutes(5)))
struct OverlayTests {
    private static let anyPort = Multiaddr(IPAddress("127.0.0.1")!, tcp: 0)

    private func overlay(
        knowing others: [Overlay] = [],
        listens: Bool = true,
        circuits: CircuitRelay.Limits? = nil
    ) async throws -> Overlay {
        var configuration = Overlay.Configuration(listen: listens ? [OverlayTests.anyPort] : [])
        for other in others { configuration.bootstrap += await other.addresses }
        configuration.witnesses = 1
        configuration.circuits = circuits
        let overlay = Overlay(configuration)
        try await overlay.start()
        return overlay
    }

    @Test("who is dialled back is direct, and serves")
    func direct() async throws {
        let first = try await overlay()
        let second = try await overlay(knowing: [first])
        try await until("it was dialled back") { await second.standing == .direct(await second.addresses) }
        #expect(await first.directory.mode == .server)
        for overlay in [first, second] { await overlay.stop() }
    }

    @Test("who does not listen can still learn whether it could be dialled")
    func guest() async throws {
        let first = try await overlay()
        let second = try await overlay(knowing: [first], listens: false)
        try await until("they are connected") { await second.peerCount == 1 }
        guard case .direct(let addresses) = await second.examine() else {
            return #expect(Bool(false), "loopback can be dialled")
        }
        #expect(addresses.count == 1)
        #expect(await second.standing == .unknown)
        #expect(await second.addresses.isEmpty)
        for overlay in [first, second] { await overlay.stop() }
    }

    @Test("who cannot be dialled serves nobody any more, and is connected by a relay within its limits")
    func relayed() async throws {
        var limits = CircuitRelay.Limits()
        limits.reservations = 1
        let relay = try await overlay(circuits: limits)
        let hidden = try await overlay(knowing: [relay])
        try await until("the relay offers itself") { await hidden.host.offeredRelays.count == 1 }
        await hidden.settle(.closed)
        #expect(await hidden.directory.mode == .client)
        try await until("it has a place") {
            if case .relayed(let at) = await hidden.standing {
                at == [await relay.addresses[0].throughCircuit.naming(hidden.host.peerID)]
            } else {
                false
            }
        }
        let late = try await overlay(knowing: [relay])
        try await until("the relay offers itself") { await late.host.offeredRelays.count == 1 }
        await #expect(throws: Libp2pError(.limit, "")) { try await late.host.reserve(at: late.host.offeredRelays[0]) }
        await hidden.settle(.open(hidden.host.listenAddresses))
        #expect(await hidden.directory.mode == .server)
        for overlay in [relay, hidden, late] { await overlay.stop() }
    }

    @Test("what is for the own network is neither told nor served beyond it")
    func ownNetworkOnly() async throws {
        let local = Overlay.LocalNetwork.loopback(port: Int.random(in: 20_000...50_000))
        let near = Overlay(.init(local: local))
        try await near.start()
        #expect(await near.directory.mode == .local)
        let relay = try await overlay(circuits: .init())
        try await near.host.reserve(at: relay.addresses[0])
        // Through a relay one is a stranger, although both are on one machine.
        let stranger = PeerHost(identity: IdentityKey())
        let circuit = await relay.addresses[0].throughCircuit.naming(near.host.peerID)
        let connection = try await stranger.connect(to: circuit)
        try await until("it is identified") { await stranger.identify(of: near.host.peerID) != nil }
        #expect(await stranger.identify(of: near.host.peerID)?.protocols.contains(DiscoveryKey.protocolID) == false)
        await #expect(throws: (any Error).self) {
            let stream = try await connection.openStream([DiscoveryKey.protocolID])
            try await stream.write([1, 4])
            guard try await stream.read() != nil else { throw Libp2pError(.closed, "refused") }
        }
        let neighbour = PeerHost(identity: IdentityKey())
        _ = try await neighbour.connect(to: near.addresses[0])
        try await until("it is identified") { await neighbour.identify(of: near.host.peerID) != nil }
        #expect(await neighbour.identify(of: near.host.peerID)?.protocols.contains(DiscoveryKey.protocolID) == true)
        await near.stop()
        await relay.stop()
        for host in [stranger, neighbour] { await host.shutdown() }
    }
}
