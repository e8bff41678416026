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
/// A host lives until `shutdown`. Connections are secured with Noise or TLS 1.3; nothing else is offered. QUIC and WebSocket are not spoken.
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
    /// Where everything of this host happens: its sockets, its streams, and whoever shares its executor. A message that comes in is
    /// answered without a change of threads; the price is that a host uses one core.
    let loop: any EventLoop
    nonisolated let clock: HostClock
    let tls: TLSIdentity?
    let gate: NIOLockedValueBox<ConnectionGate>
    let offered = NIOLockedValueBox<[String]>(PeerHost.builtIn)
    let answering = NIOLockedValueBox<[String: AnswerStream.Rules]>([:])
    /// Peers whose connections stay when they are idle, by whoever wants it so.
    let kept = NIOLockedValueBox<[String: Set<PeerID>]>([:])
    /// Addresses from which a peer is dialling us while we dial it, to punch a hole: of these connections we are the client as well.
    let punching = NIOLockedValueBox<[Multiaddr: PeerID]>([:])
    var handlers: [String: StreamHandler] = [:]
    /// Of these, those that only the own network is served.
    var localProtocols: Set<String> = []
    var listeners: [any Channel] = []
    var connections: [PeerID: [HostConnection]] = [:]
    var dialling: [PeerID: Task<HostConnection, any Error>] = [:]
    var known = KnownPeers()
    var pingStreams: [PeerID: Int] = [:]
    private var subscribers: [UInt64: AsyncStream<Event>.Continuation] = [:]
    private var nextSubscriber: UInt64 = 0
    var isShutDown = false
    /// Where others reach this host: sockets of its own, and relays that promised to connect it.
    public internal(set) var listenAddresses: [Multiaddr] = []

    public nonisolated var peerID: PeerID { identity.peerID }
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor.asUnownedSerialExecutor() }

    public init(
        identity: IdentityKey,
        configuration: HostConfiguration = HostConfiguration(),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) {
        self.identity = identity
        self.configuration = configuration
        self.loop = group.next()
        self.clock = HostClock(unixMilliseconds: Int64(Date().timeIntervalSince1970 * 1000))
        self.tls = configuration.securities.contains(.tls) ? try? TLSIdentity(identity, clock: clock) : nil
        self.gate = NIOLockedValueBox(ConnectionGate(limits: configuration.gate))
        self.known = KnownPeers(limit: configuration.maximumKnownPeers)
    }

    private static let builtIn = [Identify.protocolID, Identify.pushProtocolID, Ping.protocolID]

    // MARK: Protocols

    /// Serves inbound streams of a protocol; identify tells it to those who are connected.
    ///
    /// - Parameter forOwnNetwork: whether peers outside it do not hear of the protocol, and are not served.
    public func handle(
        _ protocolID: String,
        forOwnNetwork: Bool = false,
        _ handler: @escaping StreamHandler
    ) async {
        precondition(!PeerHost.builtIn.contains(protocolID), "\(protocolID) is served by the host")
        handlers[protocolID] = handler
        if forOwnNetwork { localProtocols.insert(protocolID) } else { localProtocols.remove(protocolID) }
        await offer()
    }

    /// Answers questions of a protocol in which each is one message behind its length, and so is its answer.
    ///
    /// - Parameters:
    ///   - limit: of a question, in bytes.
    ///   - time: milliseconds for a question to arrive.
    ///   - answer: called on this host's executor; it must not wait.
    public func answer(
        _ protocolID: String,
        limit: Int,
        within time: Int64,
        forOwnNetwork: Bool = false,
        _ answer: @escaping @Sendable (_ question: [UInt8], _ asking: HostConnection) -> PeerAnswer
    ) async {
        precondition(!PeerHost.builtIn.contains(protocolID), "\(protocolID) is served by the host")
        let rules = AnswerStream.Rules(limit: limit, time: time, isForOwnNetwork: forOwnNetwork, answer: answer)
        answering.withLockedValue { $0[protocolID] = rules }
        if forOwnNetwork { localProtocols.insert(protocolID) } else { localProtocols.remove(protocolID) }
        await offer()
    }

    public func stopHandling(_ protocolID: String) async {
        let answered = answering.withLockedValue { $0.removeValue(forKey: protocolID) != nil }
        guard handlers.removeValue(forKey: protocolID) != nil || answered else { return }
        localProtocols.remove(protocolID)
        await offer()
    }

    private func offer() async {
        let names = Set(handlers.keys).union(answering.withLockedValue { $0.keys })
        offered.withLockedValue { [names = PeerHost.builtIn + names.sorted()] in $0 = names }
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

    func tell(_ event: Event) { for subscriber in subscribers.values { subscriber.yield(event) } }

    // MARK: Connections

    /// - Returns: the address with the port that was bound.
    /// - Throws: `unsupported` for anything but `/ip4|ip6/…/tcp/…`; an I/O error when the port is taken.
    @discardableResult
    public func listen(on address: Multiaddr) async throws -> Multiaddr {
        guard let (name, port) = address.tcpEndpoint, let ip = IPAddress(name) else {
            throw Libp2pError(.unsupported, "only TCP addresses are listened on")
        }
        let accept = acceptor()
        let channel = try await ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in channel.eventLoop.makeCompletedFuture { try accept(channel) } }
            .bind(host: name, port: Int(port)).get()
        try? await sharePort(of: channel)
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

    /// The connection that new streams use: a direct one when there is one.
    public func connection(with peer: PeerID) -> HostConnection? { connections[peer]?.first }

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
        if let connection = connection(with: peer) { return connection }
        if let task = dialling[peer] { return try await task.value }
        let candidates = (addresses + known.addresses(of: peer)).map(\.transport)
            .filter { $0.tcpEndpoint != nil || $0.circuitRelay != nil }
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

    func serve(_ stream: PeerStream) async {
        do {
            switch stream.protocolID {
            case Identify.protocolID: try await serveIdentify(stream)
            case Identify.pushProtocolID: try await receivePush(stream)
            case Ping.protocolID: try await servePing(stream)
            default:
                guard let handler = handlers[stream.protocolID],
                    stream.connection.isOnOwnNetwork || !localProtocols.contains(stream.protocolID)
                else {
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
}
