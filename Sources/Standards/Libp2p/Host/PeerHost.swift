import FoundationEssentials
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A libp2p node over TCP: it listens, dials, keeps connections within limits, and serves identify and ping.
///
/// ```swift
/// let host = PeerHost(identity: key)
/// await host.handle("/echo/1.0.0") { stream in … }
/// try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
/// let stream = try await host.openStream(to: peer, at: addresses, ["/echo/1.0.0"])
/// ```
///
/// A host lives until `shutdown`. Connections are secured with Noise; nothing else is offered. QUIC, WebSocket, relays and hole punching are not spoken.
public actor PeerHost {
    public typealias StreamHandler = @Sendable (PeerStream) async throws -> Void

    public enum Event: Sendable {
        case connected(PeerID)
        /// The addresses are the peer's word.
        case identified(PeerID, Identify, addresses: [Multiaddr])
        case disconnected(PeerID)
    }

    public nonisolated let identity: IdentityKey
    public nonisolated let configuration: HostConfiguration
    private let group: any EventLoopGroup
    nonisolated let clock: HostClock
    private let gate: NIOLockedValueBox<ConnectionGate>
    private let offered = NIOLockedValueBox<[String]>(PeerHost.builtIn)
    private var handlers: [String: StreamHandler] = [:]
    private var listeners: [any Channel] = []
    private var connections: [PeerID: [HostConnection]] = [:]
    private var dialling: [PeerID: Task<HostConnection, any Error>] = [:]
    private var known = KnownPeers()
    private var pingStreams: [PeerID: Int] = [:]
    private var subscribers: [UInt64: AsyncStream<Event>.Continuation] = [:]
    private var nextSubscriber: UInt64 = 0
    private var isShutDown = false
    public private(set) var listenAddresses: [Multiaddr] = []

    public nonisolated var peerID: PeerID { identity.peerID }

    public init(
        identity: IdentityKey,
        configuration: HostConfiguration = HostConfiguration(),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) {
        self.identity = identity
        self.configuration = configuration
        self.group = group
        self.clock = HostClock(unixMilliseconds: Int64(Date().timeIntervalSince1970 * 1000))
        self.gate = NIOLockedValueBox(ConnectionGate(limits: configuration.gate))
        self.known = KnownPeers(limit: configuration.maximumKnownPeers)
    }

    private static let builtIn = [Identify.protocolID, Identify.pushProtocolID, Ping.protocolID]

    // MARK: Protocols

    /// Serves inbound streams of a protocol; identify tells it to those who are connected.
    public func handle(_ protocolID: String, _ handler: @escaping StreamHandler) async {
        precondition(!PeerHost.builtIn.contains(protocolID), "\(protocolID) is served by the host")
        handlers[protocolID] = handler
        offered.withLockedValue { [names = PeerHost.builtIn + handlers.keys.sorted()] in $0 = names }
        await push()
    }

    public func stopHandling(_ protocolID: String) async {
        handlers[protocolID] = nil
        offered.withLockedValue { [names = PeerHost.builtIn + handlers.keys.sorted()] in $0 = names }
        await push()
    }

    public func subscribe() -> AsyncStream<Event> {
        nextSubscriber += 1
        let number = nextSubscriber
        return AsyncStream(bufferingPolicy: .bufferingNewest(1024)) { continuation in
            subscribers[number] = continuation
            continuation.onTermination = { [weak self] _ in Task { await self?.unsubscribe(number) } }
        }
    }

    private func unsubscribe(_ number: UInt64) { subscribers[number] = nil }

    private func tell(_ event: Event) { for subscriber in subscribers.values { subscriber.yield(event) } }

    // MARK: Connections

    /// - Returns: the address with the port that was bound.
    /// - Throws: `unsupported` for anything but `/ip4|ip6/…/tcp/…`; an I/O error when the port is taken.
    @discardableResult
    public func listen(on address: Multiaddr) async throws -> Multiaddr {
        guard let (name, port) = address.tcpEndpoint, let ip = IPAddress(name) else {
            throw Libp2pError(.unsupported, "only TCP addresses are listened on")
        }
        let accept = acceptor()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in channel.eventLoop.makeCompletedFuture { try accept(channel) } }
            .bind(host: name, port: Int(port)).get()
        listeners.append(channel)
        let bound = UInt16(channel.localAddress?.port ?? Int(port))
        let here = ip.isUnspecified ? PeerHost.interfaces(v4: ip.isV4) : [ip]
        listenAddresses += here.map { Multiaddr($0, tcp: bound) }
        await push()
        return Multiaddr(ip, tcp: bound)
    }

    private static func interfaces(v4: Bool) -> [IPAddress] {
        let devices = (try? System.enumerateDevices()) ?? []
        return devices.compactMap { $0.address?.ipAddress.flatMap { IPAddress($0) } }.filter { $0.isV4 == v4 }
    }

    public var connectedPeers: [PeerID] { Array(connections.keys) }

    /// Addresses a peer told or was found with, the latest first.
    public func addresses(of peer: PeerID) -> [Multiaddr] { known.addresses(of: peer) }

    /// What a peer last said of itself.
    public func identify(of peer: PeerID) -> Identify? { known.identify(of: peer) }

    /// Connects to a peer, or gives the connection there is.
    ///
    /// - Throws: `unreachable` when no address is known or none answers as that peer.
    public func connect(to peer: PeerID, at addresses: [Multiaddr] = []) async throws -> HostConnection {
        guard !isShutDown else { throw Libp2pError(.closed, "the host is shut down") }
        guard peer != peerID else { throw Libp2pError(.unreachable, "this is ourselves") }
        if let connection = connections[peer]?.first { return connection }
        if let task = dialling[peer] { return try await task.value }
        let candidates = (addresses + known.addresses(of: peer)).map(\.transport).filter { $0.tcpEndpoint != nil }
        let task = Task { try await self.dial(peer, candidates) }
        dialling[peer] = task
        defer { dialling[peer] = nil }
        return try await task.value
    }

    /// Connects to the peer that the address names at its end.
    public func connect(to address: Multiaddr) async throws -> HostConnection {
        guard let peer = address.peerID else { throw Libp2pError(.malformed, "the address names no peer") }
        return try await connect(to: peer, at: [address])
    }

    public func openStream(
        to peer: PeerID,
        at addresses: [Multiaddr] = [],
        _ protocols: [String]
    ) async throws -> PeerStream {
        try await connect(to: peer, at: addresses).openStream(protocols)
    }

    public func disconnect(_ peer: PeerID) { for connection in connections[peer] ?? [] { connection.close() } }

    /// Closes every listener and connection.
    public func shutdown() async {
        isShutDown = true
        for listener in listeners { try? await listener.close() }
        listeners = []
        for connection in connections.values.joined() { connection.close() }
        for subscriber in subscribers.values { subscriber.finish() }
        subscribers = [:]
    }

    private func dial(_ peer: PeerID, _ addresses: [Multiaddr]) async throws -> HostConnection {
        var seen: Set<Multiaddr> = []
        var failure: any Error = Libp2pError(.unreachable, "no address of the peer is known")
        for address in addresses.filter({ seen.insert($0).inserted }).prefix(8) {
            do { return try await dial(peer, address) } catch { failure = error }
        }
        throw failure
    }

    private func dial(_ peer: PeerID, _ address: Multiaddr) async throws -> HostConnection {
        guard let (name, port) = address.tcpEndpoint else { throw Libp2pError(.unsupported, "not a TCP address") }
        guard let number = gate.withLockedValue({ $0.admit(IPAddress(name), inbound: false) }) else {
            throw Libp2pError(.limit, "too many connections")
        }
        let promise = group.next().makePromise(of: HostConnection.self)
        let machine = Connection(
            .dialler,
            identity: identity,
            expecting: peer,
            limits: configuration.connection,
            at: clock.now
        )
        let make = handlerFactory()
        do {
            _ = try await ClientBootstrap(group: group)
                .connectTimeout(.milliseconds(configuration.dialTime))
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(make(machine, address, number, promise))
                    }
                }
                .connect(host: name, port: Int(port)).get()
        } catch {
            gate.withLockedValue { $0.ended(number) }
            promise.fail(Libp2pError(.unreachable, "nobody answers"))
        }
        return try await promise.futureResult.get()
    }

    private typealias HandlerFactory =
        @Sendable (Connection, Multiaddr?, UInt64, EventLoopPromise<HostConnection>?) -> ConnectionHandler

    private func handlerFactory() -> HandlerFactory {
        let (gate, offered, clock, idleTime) = (gate, offered, clock, configuration.idleTime)
        return { machine, address, number, promise in
            ConnectionHandler(
                machine,
                clock: clock,
                idleTime: idleTime,
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

    private func acceptor() -> @Sendable (any Channel) throws -> Void {
        let (identity, limits, clock, gate) = (identity, configuration.connection, clock, gate)
        let make = handlerFactory()
        return { channel in
            let ip = channel.remoteAddress?.ipAddress.flatMap { IPAddress($0) }?.unmapped
            guard let number = gate.withLockedValue({ $0.admit(ip, inbound: true) }) else {
                throw Libp2pError(.limit, "too many connections")
            }
            let address = ip.map { Multiaddr($0, tcp: UInt16(channel.remoteAddress?.port ?? 0)) }
            let machine = Connection(.listener, identity: identity, limits: limits, at: clock.now)
            try channel.pipeline.syncOperations.addHandler(make(machine, address, number, nil))
        }
    }

    private func established(_ connection: HostConnection) async {
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

    private func ended(_ connection: HostConnection) {
        let peer = connection.peer
        connections[peer]?.removeAll { $0 === connection }
        guard connections[peer]?.isEmpty == true else { return }
        connections[peer] = nil
        pingStreams[peer] = nil
        tell(.disconnected(peer))
    }

    private func serve(_ stream: PeerStream) async {
        do {
            switch stream.protocolID {
            case Identify.protocolID: try await serveIdentify(stream)
            case Identify.pushProtocolID: try await receivePush(stream)
            case Ping.protocolID: try await servePing(stream)
            default:
                guard let handler = handlers[stream.protocolID] else {
                    stream.reset()
                    return
                }
                try await handler(stream)
            }
            stream.end()
        } catch {
            stream.reset()
        }
    }

    // MARK: Identify

    private func ownIdentify(to connection: HostConnection) -> Identify {
        var message = Identify()
        message.publicKey = identity.publicKey
        message.listenAddresses = listenAddresses
        message.protocols = offered.withLockedValue { $0 }
        message.observedAddress = connection.remoteAddress
        message.protocolVersion = configuration.protocolVersion
        message.agentVersion = configuration.agentVersion
        let record = PeerRecord(peerID: peerID, sequence: UInt64(max(0, clock.now)), addresses: listenAddresses)
        message.signedPeerRecord = try? record.envelope(signedBy: identity).bytes
        return message
    }

    private func serveIdentify(_ stream: PeerStream) async throws {
        stream.expire(after: 10_000)
        try await stream.write(ownIdentify(to: stream.connection).bytes.delimited)
    }

    private func identify(_ connection: HostConnection) async throws {
        let stream = try await connection.openStream([Identify.protocolID])
        stream.expire(after: 10_000)
        stream.end()
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: Identify.maximumLength) else { return }
        try learned(Identify(bytes: bytes), from: connection.peer)
    }

    private func receivePush(_ stream: PeerStream) async throws {
        stream.expire(after: 10_000)
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: Identify.maximumLength) else { return }
        var message = known.identify(of: stream.peer) ?? Identify()
        message.merge(try Identify(bytes: bytes))
        try learned(message, from: stream.peer)
    }

    private func learned(_ message: Identify, from peer: PeerID) throws(Libp2pError) {
        let addresses = try message.addresses(of: peer)
        known.learned(peer, message, addresses)
        tell(.identified(peer, message, addresses: addresses))
    }

    /// Tells those who are connected what has changed; nobody is waited for.
    private func push() async {
        for connection in connections.values.compactMap(\.first) {
            guard known.identify(of: connection.peer)?.protocols.contains(Identify.pushProtocolID) == true else {
                continue
            }
            let message = ownIdentify(to: connection).bytes.delimited
            Task {
                let stream = try await connection.openStream([Identify.pushProtocolID])
                stream.expire(after: 10_000)
                try await stream.write(message)
                stream.end()
                while try await stream.read() != nil {}
            }
        }
    }

    // MARK: Ping

    /// - Returns: the round trip.
    public func ping(_ peer: PeerID) async throws -> Duration {
        let stream = try await openStream(to: peer, [Ping.protocolID])
        stream.expire(after: 10_000)
        var generator = SystemRandomNumberGenerator()
        let payload = (0..<Ping.length).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let start = ContinuousClock.now
        try await stream.write(payload)
        var answer: [UInt8] = []
        while answer.count < Ping.length, let bytes = try await stream.read() { answer += bytes }
        guard answer == payload else { throw Libp2pError(.protocolViolation, "the ping came back changed") }
        stream.end()
        return start.duration(to: .now)
    }

    private func servePing(_ stream: PeerStream) async throws {
        guard pingStreams[stream.peer] ?? 0 < Ping.maximumStreams else {
            throw Libp2pError(.limit, "too many ping streams")
        }
        pingStreams[stream.peer, default: 0] += 1
        defer { pingStreams[stream.peer] = pingStreams[stream.peer].flatMap { $0 > 1 ? $0 - 1 : nil } }
        var responder = Ping.Responder()
        stream.expire(after: 60_000)
        while let bytes = try await stream.read() {
            stream.expire(after: 60_000)
            try await stream.write(responder.receive(bytes))
        }
    }
}
