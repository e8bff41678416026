/// Circuit relay v2 served by a host: it connects peers to those who reserved a place, within `CircuitRelay.Limits`.
///
/// ```swift
/// let relay = CircuitRelayService(host: host)
/// await relay.start()
/// ```
public actor CircuitRelayService {
    public nonisolated let host: PeerHost
    private var rules: CircuitRelay
    private var watcher: Task<Void, Never>?

    public init(host: PeerHost, limits: CircuitRelay.Limits = .init()) {
        self.host = host
        self.rules = CircuitRelay(limits: limits)
    }

    public var reservationCount: Int { rules.reservationCount }
    public var circuitCount: Int { rules.circuitCount }
    public var refused: Int { rules.refused }

    public func start() async {
        guard watcher == nil else { return }
        let events = await host.subscribe()
        watcher = Task { [weak self] in
            for await event in events { if case .disconnected(let peer) = event { await self?.disconnected(peer) } }
        }
        await host.handle(HopMessage.protocolID) { [weak self] in try await self?.serve($0) }
    }

    /// Running circuits go on to their limits.
    public func stop() async {
        watcher?.cancel()
        watcher = nil
        await host.stopHandling(HopMessage.protocolID)
    }

    private func disconnected(_ peer: PeerID) { rules.disconnected(peer) }

    private func serve(_ stream: PeerStream) async throws {
        stream.expire(after: rules.limits.acceptTime)
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: HopMessage.maximumLength) else { return }
        guard let message = try? HopMessage(bytes: bytes) else {
            return try await stream.write(HopMessage.status(.malformed).bytes.delimited)
        }
        switch message {
        case .reserve: try await stream.write(await reserve(stream).bytes.delimited)
        case .connect(let target): try await connect(stream, to: target, received: reader.takeRest())
        case .status: try await stream.write(HopMessage.status(.unexpected).bytes.delimited)
        }
    }

    private func reserve(_ stream: PeerStream) async -> HopMessage {
        let (peer, address) = (stream.peer, stream.connection.remoteAddress)
        guard let expires = rules.reserve(peer, from: address, at: host.clock.now) else {
            return .status(.reservationRefused)
        }
        let own = await host.socketAddresses.map { $0.naming(host.peerID) }
        var reservation = Reservation(expires: expires, addresses: own)
        try? reservation.vouch(for: peer, by: host.identity)
        return .status(.ok, reservation, rules.limits.circuit)
    }

    private func connect(_ source: PeerStream, to target: PeerID, received: [UInt8]) async throws {
        let number: UInt64
        switch rules.connect(from: source.peer, at: source.connection.remoteAddress, to: target, at: host.clock.now) {
        case .success(let admitted): number = admitted
        case .failure(let refusal):
            return try await source.write(HopMessage.status(refusal.status).bytes.delimited)
        }
        defer { rules.ended(number) }
        let limit = rules.limits.circuit
        let stop: PeerStream
        var reader: MessageReader
        do {
            guard let connection = await host.connection(with: target), !connection.isRelayed else {
                throw Libp2pError(.unreachable, "the target is gone")
            }
            stop = try await connection.openStream([StopMessage.protocolID])
            stop.expire(after: rules.limits.acceptTime)
            try await stop.write(StopMessage.connect(source.peer, limit).bytes.delimited)
            reader = MessageReader(stop)
            guard let bytes = try await reader.next(limit: HopMessage.maximumLength),
                try StopMessage(bytes: bytes) == .status(.ok)
            else { throw Libp2pError(.unreachable, "the target declined") }
        } catch {
            return try await source.write(HopMessage.status(.connectionFailed).bytes.delimited)
        }
        for stream in [source, stop] {
            if let duration = limit.duration { stream.expire(after: duration) } else { stream.unlimit() }
        }
        try await source.write(HopMessage.status(.ok, nil, limit).bytes.delimited)
        let early = reader.takeRest()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.carry(received, from: source, to: stop, .toTarget, number) }
            group.addTask { await self.carry(early, from: stop, to: source, .toSource, number) }
        }
    }

    /// Moves one direction until it ends; both streams are reset when a limit is reached or either fails.
    private func carry(
        _ early: [UInt8],
        from: PeerStream,
        to: PeerStream,
        _ direction: CircuitRelay.Direction,
        _ number: UInt64
    ) async {
        do {
            var next: [UInt8]? = early
            while let bytes = next {
                guard rules.carry(bytes.count, direction, on: number) else {
                    throw Libp2pError(.limit, "the circuit carried what it may")
                }
                if !bytes.isEmpty { try await to.write(bytes) }
                next = try await from.read()
            }
            to.end()
        } catch {
            from.reset()
            to.reset()
        }
    }
}
