#if QUIC
import CNgtcp2
import NIOConcurrencyHelpers
import NIOCore

/// A UDP socket that speaks QUIC version 1: dials, and accepts where it is given a server's configuration (RFC 9000).
///
/// All its connections live on its one event loop. It refuses other versions, 0-RTT, and a peer without a certificate that satisfies.
///
/// ```swift
/// let endpoint = try await QUICEndpoint.bind(to: address, server: configuration, on: eventLoop).get()
/// let connection = try await endpoint.connect(to: peer, credentials, verification: .name("relay.example"), configuration).get()
/// let stream = try await connection.openStream { try $0.pipeline.syncOperations.addHandler(handler) }.get()
/// ```
public final class QUICEndpoint: @unchecked Sendable {
    // Unchecked: all mutable state is touched on the event loop only, `sharedAddress` behind its lock.

    /// Largest UDP payload sent; every path carries it (RFC 9000 §14).
    static let maximumPacket = 1200
    private static let minimumPacket = 21
    private static let maximumRetired = 4096
    /// Resets said a second to packets of connections that nobody knows.
    static let maximumResets = 100
    /// How long a socket that was left still takes what is on its way.
    private static let socketLinger: TimeAmount = .seconds(5)

    public let eventLoop: any EventLoop
    let server: QUICServerConfiguration?
    /// Derives reset tokens and retry tokens. With the same secret a restarted server can end its old connections (RFC 9000 §10.3).
    let secret: [UInt8]
    let scratch = PacketScratch()
    private let sharedAddress = NIOLockedValueBox<SocketAddress?>(nil)

    private var socket: UDPSocket?
    /// Sockets that were left for another, while packets may still arrive.
    private var leftSockets: [UDPSocket] = []
    private var isClosed = false
    private var routes: [ConnectionID: QUICConnection] = [:]
    /// Which connection a stateless reset ends, by the token that it ends with.
    private var resetTokens: [ConnectionID: QUICConnection] = [:]
    private var retired: [ConnectionID: Retired] = [:]
    private var retirements = CircularBuffer<Retired>()
    private var dirty: [QUICConnection] = []
    private var unwritable: [QUICConnection] = []
    private var isReading = false
    private var isFlushQueued = false
    var resets = (second: UInt64.max, count: 0)
    /// Connections that exist, and of those the ones whose handshake is not over.
    private(set) var connectionCount = 0
    private(set) var handshakeCount = 0

    /// A connection that is over, while stragglers of it may arrive.
    private final class Retired {
        let ids: Set<ConnectionID>
        let farewell: [UInt8]
        var stragglers = 0

        init(_ ids: Set<ConnectionID>, _ farewell: [UInt8]) {
            self.ids = ids
            self.farewell = farewell
        }
    }

    private init(_ server: QUICServerConfiguration?, secret: [UInt8], on eventLoop: any EventLoop) {
        self.server = server
        self.secret = secret
        self.eventLoop = eventLoop
    }

    /// Binds a socket. Keep what this returns, and `close()` it.
    ///
    /// - Parameters:
    ///   - server: accepts connections where given.
    ///   - secret: 32 random bytes; fresh ones where nil.
    /// - Returns: fails with `.socket` when the address cannot be bound.
    public static func bind(
        to address: SocketAddress,
        server: QUICServerConfiguration? = nil,
        secret: [UInt8]? = nil,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<QUICEndpoint> {
        eventLoop.flatSubmit {
            let endpoint = QUICEndpoint(server, secret: secret ?? Randomness.bytes(32), on: eventLoop)
            return UDPSocket.bind(address, for: endpoint)
                .map { endpoint.adopt($0) }
                .flatMapErrorThrowing { throw QUICError(.socket, "\(address) cannot be bound: \($0)") }
                .map { endpoint }
        }
    }

    /// The address bound. From any thread.
    public var localAddress: SocketAddress? { sharedAddress.withLockedValue { $0 } }

    /// Connections that exist. On the event loop.
    public var connections: Int { connectionCount }

    // MARK: Dialling

    /// Dials a server. From any thread.
    ///
    /// - Returns: the connection once its handshake is over; fails with the reason when that does not come about.
    public func connect(
        to address: SocketAddress,
        _ credentials: QUICCredentials,
        verification: PeerVerification,
        _ configuration: QUICConfiguration
    ) -> EventLoopFuture<QUICConnection> {
        eventLoop.flatSubmit { [self] in
            do {
                let connection = try dial(address, credentials, verification, configuration)
                return connection.established.futureResult.map { connection }
            } catch {
                return eventLoop.makeFailedFuture(error)
            }
        }
    }

    private func dial(
        _ address: SocketAddress,
        _ credentials: QUICCredentials,
        _ verification: PeerVerification,
        _ configuration: QUICConfiguration
    ) throws(QUICError) -> QUICConnection {
        guard let local = socket?.address else { throw QUICError(.socket, "the endpoint is closed") }
        var serverName: String?
        if case .name(let name) = verification, (try? SocketAddress(ipAddress: name, port: 0)) == nil {
            serverName = name
        }
        let tls = try TLSSession.client(
            credentials,
            applicationProtocols: configuration.applicationProtocols,
            name: serverName,
            verification: verification
        )
        let path = NetworkPath(local: local, remote: address)
        let connection = QUICConnection(self, path: path, isServer: false, configuration: configuration, tls: tls)
        do throws(QUICError) {
            route(try connection.startClient(), to: connection)
        } catch {
            connection.established.fail(error)
            connection.closedPromise.succeed(error)
            throw error
        }
        added(connection)
        return connection
    }

    func added(_ connection: QUICConnection) {
        connectionCount += 1
        handshakeCount += 1
        connection.scheduleFlush()
    }

    func established(_ connection: QUICConnection) {
        handshakeCount -= 1
        if connection.isServer { server?.accepted(connection) }
    }

    // MARK: Moving and closing

    /// Moves to another socket: connections dialled from here go on from there (RFC 9000 §9). From any thread.
    public func rebind(to address: SocketAddress) -> EventLoopFuture<Void> {
        eventLoop.flatSubmit { [self] in
            UDPSocket.bind(address, for: self).map { [self] in adopt($0) }
        }
    }

    private func adopt(_ new: UDPSocket) {
        guard !isClosed, let address = new.address else { return new.close() }
        if let old = socket {
            leftSockets.append(old)
            eventLoop.scheduleTask(in: QUICEndpoint.socketLinger) { [weak self] in
                old.close()
                self?.leftSockets.removeAll { $0 === old }
            }
        }
        socket = new
        sharedAddress.withLockedValue { $0 = address }
        becameWritable()
        for connection in Set(routes.values.map(ObjectIdentified.init)) { connection.object.moveLocally(to: address) }
    }

    /// A socket has failed, such as when its network went away. Another takes its place.
    func lost(_ lost: UDPSocket) {
        guard !isClosed, lost === socket, let address = lost.address else { return }
        socket = nil
        // A server's address is known to others; a client's is not, and its network may be another now.
        var replacement = address
        if server == nil { replacement.port = 0 }
        UDPSocket.bind(replacement, for: self).whenComplete { [weak self] result in
            guard let self, !self.isClosed else { return }
            switch result {
            case .success(let new): self.adopt(new)
            case .failure:
                self.socket = lost
                self.eventLoop.scheduleTask(in: .seconds(1)) { [weak self] in self?.lost(lost) }
            }
        }
    }

    /// Closes all connections and the socket. From any thread.
    public func close(_ code: UInt64 = 0) {
        guard eventLoop.inEventLoop else { return eventLoop.execute { self.close(code) } }
        guard !isClosed else { return }
        for connection in Set(routes.values.map(ObjectIdentified.init)) { connection.object.close(code) }
        isClosed = true
        socket?.flush()
        socket?.close()
        socket = nil
        leftSockets.forEach { $0.close() }
        leftSockets = []
        retired = [:]
        retirements.removeAll()
    }

    /// Goes without a word to anyone, as a process that is killed does. For tests.
    func dropForTesting() {
        isClosed = true
        socket?.close()
        socket = nil
        for connection in Set(routes.values.map(ObjectIdentified.init)) {
            connection.object.end(QUICError(.failure, "the endpoint was dropped"))
        }
    }

    // MARK: Routing

    func route(_ id: ngtcp2_cid, to connection: QUICConnection) {
        let id = ConnectionID(id)
        connection.ids.insert(id)
        routes[id] = connection
    }

    func unroute(_ id: ngtcp2_cid, from connection: QUICConnection) {
        let id = ConnectionID(id)
        guard connection.ids.remove(id) != nil else { return }
        routes[id] = nil
    }

    /// The peer can end `connection` with this token, or no longer. A token is as long as our ids and as random.
    func expectReset(_ token: ConnectionID, for connection: QUICConnection, _ isExpected: Bool) {
        resetTokens[token] = isExpected ? connection : nil
        if isExpected { connection.resetTokens.insert(token) } else { connection.resetTokens.remove(token) }
    }

    /// The connection is over; stragglers are answered with `farewell` for a while.
    func removed(_ connection: QUICConnection, farewell: [UInt8]?, for linger: TimeAmount) {
        for id in connection.ids { routes[id] = nil }
        for token in connection.resetTokens { resetTokens[token] = nil }
        connectionCount -= 1
        if !connection.isEstablished { handshakeCount -= 1 }
        guard !isClosed, let farewell else { return }
        if retirements.count >= QUICEndpoint.maximumRetired, let oldest = retirements.first { forget(oldest) }
        let retirement = Retired(connection.ids, farewell)
        for id in connection.ids { retired[id] = retirement }
        retirements.append(retirement)
        let bound = NIOLoopBound(retirement, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: min(linger, .seconds(10))) { [weak self] in self?.forget(bound.value) }
    }

    private func forget(_ retirement: Retired) {
        guard let index = retirements.firstIndex(where: { $0 === retirement }) else { return }
        retirements.remove(at: index)
        for id in retirement.ids where retired[id] === retirement { retired[id] = nil }
    }

    func resetToken(for id: inout ngtcp2_cid, into token: UnsafeMutableRawBufferPointer) {
        let result = ngtcp2_crypto_generate_stateless_reset_token(
            token.baseAddress?.assumingMemoryBound(to: UInt8.self),
            secret,
            secret.count,
            &id
        )
        // Without a token nobody may guess one.
        if result != 0 { Randomness.fill(token) }
    }

    // MARK: Packets

    func received(_ packet: UnsafeRawBufferPointer, along path: NetworkPath) {
        isReading = true
        // Nothing of QUIC is shorter (RFC 9000 §10.3), and the library asserts that a packet is not empty.
        guard packet.count >= QUICEndpoint.minimumPacket else { return }
        var header = ngtcp2_version_cid()
        let bytes = packet.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let result = ngtcp2_pkt_decode_version_cid(&header, bytes, packet.count, ConnectionID.length)
        guard result == 0 || result == NGTCP2_ERR_VERSION_NEGOTIATION else { return }
        let id = ConnectionID(UnsafeRawBufferPointer(start: header.dcid, count: header.dcidlen))
        if let connection = routes[id] {
            connection.received(packet, along: path)
        } else if let retirement = retired[id] {
            retirement.stragglers += 1
            // Less and less often, so that two ends that answer each other fall silent.
            if !retirement.farewell.isEmpty, retirement.stragglers.nonzeroBitCount == 1 {
                send(retirement.farewell, along: path)
            }
        } else if packet.first.map({ $0 & 0x80 != 0 }) == true {
            accept(packet, header, along: path)
        } else if let connection = resetTokens[ConnectionID(UnsafeRawBufferPointer(rebasing: packet.suffix(16)))] {
            connection.received(packet, along: path)
        } else {
            reset(packet, header, along: path)
        }
    }

    func readCycleEnded() {
        isReading = false
        flushDirty()
    }

    func flushSoon(_ connection: QUICConnection) {
        dirty.append(connection)
        guard !isReading, !isFlushQueued else { return }
        isFlushQueued = true
        eventLoop.execute { self.flushDirty() }
    }

    private func flushDirty() {
        isFlushQueued = false
        let connections = dirty
        dirty.removeAll(keepingCapacity: true)
        for connection in connections { connection.flush() }
        socket?.flush()
    }

    var isWritable: Bool { socket?.isWritable ?? false }

    func flushWhenWritable(_ connection: QUICConnection) {
        if !unwritable.contains(where: { $0 === connection }) { unwritable.append(connection) }
    }

    func becameWritable() {
        let waiting = unwritable
        unwritable = []
        for connection in waiting { connection.scheduleFlush() }
    }

    func send(_ packet: [UInt8], along path: NetworkPath) { packet.withUnsafeBytes { send($0, along: path) } }

    func send(_ packet: UnsafeRawBufferPointer, along path: NetworkPath) {
        let from = leftSockets.first { $0.address == path.local && path.local != socket?.address } ?? socket
        from?.send(packet, along: path)
    }

    func flushSockets() {
        guard !isReading else { return }
        socket?.flush()
        leftSockets.forEach { $0.flush() }
    }
}

/// An object in a set, by itself.
private struct ObjectIdentified: Hashable {
    let object: QUICConnection
    static func == (a: ObjectIdentified, b: ObjectIdentified) -> Bool { a.object === b.object }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(object)) }
}

/// Memory for one packet on its way out, with the path it takes; shared by all connections of an endpoint, one at a time.
final class PacketScratch {
    let packet = UnsafeMutablePointer<UInt8>.allocate(capacity: QUICEndpoint.maximumPacket)
    let vectors = UnsafeMutableBufferPointer<ngtcp2_vec>.allocate(capacity: 16)
    private let storage = UnsafeMutablePointer<ngtcp2_path_storage>.allocate(capacity: 1)
    /// Points into `storage`, which the library fills with the addresses.
    let path: UnsafeMutablePointer<ngtcp2_path>

    init() {
        storage.initialize(to: ngtcp2_path_storage())
        ngtcp2_path_storage_zero(storage)
        path = UnsafeMutableRawPointer(storage).assumingMemoryBound(to: ngtcp2_path.self)
    }

    deinit {
        packet.deallocate()
        vectors.deallocate()
        storage.deallocate()
    }
}
#endif
