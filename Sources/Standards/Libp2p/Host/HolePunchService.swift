import NIOConcurrencyHelpers

/// DCUtR on a host: a connection through a relay is upgraded to a direct one, where the boxes between allow it.
///
/// Streams that run through the relay stay there; new ones use the direct connection as soon as there is one.
public actor HolePunchService {
    public nonisolated let host: PeerHost
    private var watcher: Task<Void, Never>?
    private var underWay: Set<PeerID> = []
    /// Connections that were made direct, and attempts that came to nothing.
    public private(set) var upgraded = 0
    public private(set) var failed = 0

    private static let maximumUnderWay = 16
    /// Of one relayed connection.
    private static let attempts = 3
    private static let exchangeTime: Int64 = 10_000

    public init(host: PeerHost) { self.host = host }

    public func start() async {
        guard watcher == nil else { return }
        let events = await host.subscribe()
        watcher = Task { [weak self] in
            for await event in events {
                // Its addresses are known then, and that it speaks the protocol.
                guard case .identified(let peer, let identify, let addresses) = event,
                    identify.protocols.contains(HolePunchMessage.protocolID)
                else { continue }
                await self?.identified(peer, addresses)
            }
        }
        await host.handle(HolePunchMessage.protocolID) { [weak self] in try await self?.serve($0) }
    }

    public func stop() async {
        watcher?.cancel()
        watcher = nil
        await host.stopHandling(HolePunchMessage.protocolID)
    }

    // MARK: The called side begins

    private func identified(_ peer: PeerID, _ addresses: [Multiaddr]) async {
        guard let connection = await host.connection(with: peer), connection.isRelayed, connection.isInbound,
            underWay.count < HolePunchService.maximumUnderWay, underWay.insert(peer).inserted
        else { return }
        Task {
            await self.upgrade(connection, addresses)
            underWay.remove(peer)
        }
    }

    private func upgrade(_ connection: HostConnection, _ addresses: [Multiaddr]) async {
        let reachable = addresses.filter { $0.tcpEndpoint != nil && $0.ipAddress?.isPrivate == false }
        for address in reachable.prefix(2) where (try? await host.dial(connection.peer, address)) != nil {
            upgraded += 1
            return
        }
        for _ in 0..<HolePunchService.attempts {
            try? await attempt(connection)
            // Whichever of both dials it was, and whoever noticed first.
            switch await host.connection(with: connection.peer)?.isRelayed {
            case true?: failed += 1
            case false?:
                upgraded += 1
                return
            case nil: return
            }
        }
    }

    private func attempt(_ connection: HostConnection) async throws {
        let stream = try await connection.openStream([HolePunchMessage.protocolID])
        stream.expire(after: HolePunchService.exchangeTime)
        try await run(.called, over: stream)
    }

    private func serve(_ stream: PeerStream) async throws {
        guard stream.connection.isRelayed else { throw Libp2pError(.protocolViolation, "already direct") }
        stream.expire(after: HolePunchService.exchangeTime)
        try await run(.caller, over: stream)
    }

    private func run(_ side: HolePunch.Side, over stream: PeerStream) async throws {
        var machine = HolePunch(
            side,
            own: await host.observedAddresses + host.socketAddresses,
            allowsPrivate: host.configuration.punchesPrivateAddresses
        )
        var reader = MessageReader(stream)
        var actions = machine.begin(at: host.clock.now)
        defer { host.punching.withLockedValue { $0 = $0.filter { $0.value != stream.peer } } }
        while true {
            for action in actions {
                switch action {
                case .send(let message): try await stream.write(message.bytes.delimited)
                case .expect(let addresses):
                    host.punching.withLockedValue { for address in addresses { $0[address] = stream.peer } }
                case .dial(let addresses, let at):
                    stream.end()
                    try await Task.sleep(for: .milliseconds(max(0, at - host.clock.now)))
                    return try await host.punch(stream.peer, addresses, as: side == .caller ? .dialler : .listener)
                }
            }
            guard let bytes = try await reader.next(limit: HolePunchMessage.maximumLength) else {
                throw Libp2pError(.protocolViolation, "no answer")
            }
            actions = try machine.received(HolePunchMessage(bytes: bytes), at: host.clock.now)
        }
    }
}

extension PeerHost {
    /// How others see us, most of them first.
    var observedAddresses: [Multiaddr] {
        var counts: [Multiaddr: Int] = [:]
        for connection in connections.values.joined() where !connection.isRelayed {
            guard let address = known.identify(of: connection.peer)?.observedAddress?.transport,
                address.tcpEndpoint != nil
            else { continue }
            counts[address, default: 0] += 1
        }
        return counts.sorted { ($1.value, "\($0.key)") < ($0.value, "\($1.key)") }.prefix(4).map(\.key)
    }

    /// Where this host listens itself.
    var socketAddresses: [Multiaddr] { listenAddresses.filter { !$0.isCircuit } }

    /// Dials all addresses at once; the first that answers as this peer is enough. One that the peer made meanwhile counts as well.
    func punch(_ peer: PeerID, _ addresses: [Multiaddr], as role: Connection.Role) async throws {
        let isDirect = await withTaskGroup(of: Bool.self) { group in
            for address in addresses {
                group.addTask { (try? await self.dial(peer, address, as: role, fromListenPort: true)) != nil }
            }
            for await isConnected in group where isConnected {
                group.cancelAll()
                return true
            }
            return false
        }
        // Where the peer's packet was first, the connection is the one it made, which may still shake hands.
        for _ in 0..<20 where !isDirect && connection(with: peer)?.isRelayed == true {
            try await Task.sleep(for: .milliseconds(50))
        }
        guard isDirect || connection(with: peer)?.isRelayed == false else {
            throw Libp2pError(.unreachable, "no hole was punched")
        }
    }
}
