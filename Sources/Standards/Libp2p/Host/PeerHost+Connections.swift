import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Dialling, accepting, and the connections there are.
extension PeerHost {
    func dial(_ peer: PeerID, _ addresses: [Multiaddr]) async throws -> HostConnection {
        var seen: Set<Multiaddr> = []
        var failure: any Error = Libp2pError(.unreachable, "no address of the peer is known")
        for address in addresses.filter({ seen.insert($0).inserted }).prefix(8) {
            do { return try await dial(peer, address) } catch { failure = error }
        }
        throw failure
    }

    /// - Parameter role: as which side of the protocols above TCP this side acts; hole punching may turn it around.
    func dial(
        _ peer: PeerID,
        _ address: Multiaddr,
        as role: Connection.Role = .dialler
    ) async throws -> HostConnection {
        guard let (name, port) = address.tcpEndpoint else { throw Libp2pError(.unsupported, "not a TCP address") }
        guard let number = gate.withLockedValue({ $0.admit(IPAddress(name), inbound: false) }) else {
            throw Libp2pError(.limit, "too many connections")
        }
        let promise = group.next().makePromise(of: HostConnection.self)
        let make = socketHandlers()
        do {
            _ = try await ClientBootstrap(group: group)
                .connectTimeout(.milliseconds(configuration.dialTime))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = make(role, peer, channel.eventLoop, address, number, promise)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
                .connect(host: name, port: Int(port)).get()
        } catch {
            gate.withLockedValue { $0.ended(number) }
            promise.fail(Libp2pError(.unreachable, "nobody answers"))
        }
        return try await promise.futureResult.get()
    }

    func acceptor() -> @Sendable (any Channel) throws -> Void {
        let gate = gate
        let make = socketHandlers()
        return { channel in
            let ip = channel.remoteAddress?.ipAddress.flatMap { IPAddress($0) }?.unmapped
            guard let number = gate.withLockedValue({ $0.admit(ip, inbound: true) }) else {
                throw Libp2pError(.limit, "too many connections")
            }
            let address = ip.map { Multiaddr($0, tcp: UInt16(channel.remoteAddress?.port ?? 0)) }
            let handler = make(.listener, nil, channel.eventLoop, address, number, nil)
            try channel.pipeline.syncOperations.addHandler(handler)
        }
    }

    typealias SocketHandlerFactory =
        @Sendable (
            Connection.Role, PeerID?, any EventLoop, Multiaddr?, UInt64, EventLoopPromise<HostConnection>?
        ) -> SocketHandler

    func socketHandlers() -> SocketHandlerFactory {
        let tls = tls
        let securities = configuration.securities.filter { $0 != .tls || tls != nil }
        let make = drivers()
        return { role, peer, loop, address, number, promise in
            let driver = make(role, peer, securities, loop, address, number, promise)
            return SocketHandler(driver, tls: tls, expecting: peer)
        }
    }

    typealias DriverFactory =
        @Sendable (
            Connection.Role, PeerID?, [Connection.Security], any EventLoop, Multiaddr?, UInt64,
            EventLoopPromise<HostConnection>?
        ) -> ConnectionDriver

    /// Makes drivers for connections that the gate has admitted under a number.
    func drivers() -> DriverFactory {
        let (gate, offered, clock, identity, configuration) = (gate, offered, clock, identity, configuration)
        return { role, peer, securities, loop, address, number, promise in
            ConnectionDriver(
                Connection(
                    role,
                    identity: identity,
                    expecting: peer,
                    securities: securities.isEmpty ? [.noise] : securities,
                    limits: configuration.connection,
                    at: clock.now
                ),
                on: loop,
                clock: clock,
                idleTime: configuration.idleTime,
                remoteAddress: address,
                established: promise,
                callbacks: .init(
                    established: { connection in
                        guard gate.withLockedValue({ $0.established(number, connection.peer) }) else { return false }
                        Task { await self.established(connection) }
                        return true
                    },
                    opened: { stream in Task { await self.serve(stream) } },
                    closed: { connection in
                        gate.withLockedValue { $0.ended(number) }
                        if let connection { Task { await self.ended(connection) } }
                    },
                    offered: { offered.withLockedValue { $0 } }
                )
            )
        }
    }

    func established(_ connection: HostConnection) async {
        guard !isShutDown else {
            connection.close()
            return
        }
        let isFirst = connections[connection.peer] == nil
        connections[connection.peer, default: []].append(connection)
        if isFirst { tell(.connected(connection.peer)) }
        do {
            try await identify(connection)
        } catch {
            // A peer that cannot say who it is may still speak other protocols.
        }
    }

    func ended(_ connection: HostConnection) {
        let peer = connection.peer
        connections[peer]?.removeAll { $0 === connection }
        guard connections[peer]?.isEmpty == true else { return }
        connections[peer] = nil
        pingStreams[peer] = nil
        tell(.disconnected(peer))
    }
}
