import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Dialling, accepting, and the connections there are.
extension PeerHost {
    func dial(_ peer: PeerID, _ addresses: [Multiaddr]) async throws -> HostConnection {
        var seen: Set<Multiaddr> = []
        var failure: any Error = Libp2pError(.unreachable, "no address of the peer is known")
        // Relays last: they are slower, and not free.
        let (circuits, direct) = (addresses.filter(\.isCircuit), addresses.filter { !$0.isCircuit })
        for address in (direct + circuits).filter({ seen.insert($0).inserted }).prefix(8) {
            do {
                guard address.circuitRelay == nil else { return try await dialCircuit(peer, address) }
                // To strangers from the port we listen on: what they see of it is where others may reach us.
                let isOutside = address.ipAddress?.isPrivate == false
                return try await dial(peer, address, fromListenPort: isOutside)
            } catch { failure = error }
        }
        throw failure
    }

    /// - Parameters:
    ///   - role: as which side of the protocols above TCP this side acts; hole punching may turn it around.
    ///   - fromListenPort: whether others shall see the port we listen on, as it comes out of the box in front of us.
    func dial(
        _ peer: PeerID,
        _ address: Multiaddr,
        as role: Connection.Role = .dialler,
        fromListenPort: Bool = false
    ) async throws -> HostConnection {
        guard let (name, port) = address.tcpEndpoint else { throw Libp2pError(.unsupported, "not a TCP address") }
        guard let number = gate.withLockedValue({ $0.admit(IPAddress(name), inbound: false) }) else {
            throw Libp2pError(.limit, "too many connections")
        }
        let promise = loop.makePromise(of: HostConnection.self)
        let make = socketHandlers()
        let (loop, configuration) = (loop, configuration)
        let bootstrap = {
            ClientBootstrap(group: loop)
                .connectTimeout(.milliseconds(configuration.dialTime))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let handler = make(role, peer, channel.eventLoop, address, number, promise)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
        }
        do {
            // As the server only from that port: the peer knows by it that it is to be the client.
            let ports = role == .listener ? [] : PeerHost.portTroubles
            _ = try await connect(bootstrap, to: name, Int(port), fromListenPort: fromListenPort, elseIf: ports)
        } catch {
            gate.withLockedValue { $0.ended(number) }
            promise.fail(Libp2pError(.unreachable, "nobody answers"))
        }
        return try await promise.futureResult.get()
    }

    private func connect(
        _ bootstrap: () -> ClientBootstrap,
        to name: String,
        _ port: Int,
        fromListenPort: Bool,
        elseIf portTroubles: [CInt]
    ) async throws -> any Channel {
        guard fromListenPort, let remote = try? SocketAddress(ipAddress: name, port: port),
            let local = listeners.lazy.compactMap(\.localAddress).first(where: { $0.protocol == remote.protocol })
        else { return try await bootstrap().connect(host: name, port: port).get() }
        do {
            return try await bootstrap()
                .channelOption(.socketOption(.so_reuseaddr), value: 1)
                .channelOption(.socketOption(PeerHost.reusePort), value: 1)
                .bind(to: local)
                .connect(to: remote).get()
        } catch let error as IOError where portTroubles.contains(error.errnoCode) {
            return try await bootstrap().connect(to: remote).get()
        }
    }

    /// A connection between these two ports is there, or was until just now, or the listener is on another network.
    private static let portTroubles = [EADDRINUSE, EADDRNOTAVAIL, EINVAL]
    private static let reusePort = NIOBSDSocket.Option(rawValue: SO_REUSEPORT)

    /// Lets sockets that dial share the port of a listener. Said after it was bound, so that a second program on that port is told
    /// all the same.
    func sharePort(of listener: any Channel) async throws {
        guard let options = listener as? any SocketOptionProvider else { return }
        try await options.unsafeSetSocketOption(level: .socket, name: PeerHost.reusePort, value: CInt(1)).get()
    }

    func acceptor() -> @Sendable (any Channel) throws -> Void {
        let (gate, punching) = (gate, punching)
        let make = socketHandlers()
        return { channel in
            let ip = channel.remoteAddress?.ipAddress.flatMap { IPAddress($0) }?.unmapped
            guard let number = gate.withLockedValue({ $0.admit(ip, inbound: true) }) else {
                throw Libp2pError(.limit, "too many connections")
            }
            let address = ip.map { Multiaddr($0, tcp: UInt16(channel.remoteAddress?.port ?? 0)) }
            let peer = address.flatMap { address in punching.withLockedValue { $0[address] } }
            let role: Connection.Role = peer == nil ? .listener : .dialler
            let handler = make(role, peer, channel.eventLoop, address, number, nil)
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
        let (gate, offered, answering, kept) = (gate, offered, answering, kept)
        let (clock, identity, configuration) = (clock, identity, configuration)
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
                    answers: { name in answering.withLockedValue { $0[name] } },
                    closed: { connection in
                        gate.withLockedValue { $0.ended(number) }
                        if let connection { Task { await self.ended(connection) } }
                    },
                    keeps: { peer in kept.withLockedValue { $0.values.contains { $0.contains(peer) } } },
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
        var all = connections[connection.peer] ?? []
        all.insert(connection, at: connection.isRelayed ? all.count : all.firstIndex(where: \.isRelayed) ?? all.count)
        connections[connection.peer] = all
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
