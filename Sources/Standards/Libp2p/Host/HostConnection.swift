import NIOCore

/// A connection to a peer that proved its id. Closed by either side, or when idle.
public final class HostConnection: Sendable {
    public let peer: PeerID
    public let isInbound: Bool
    public let security: Connection.Security
    /// The socket's other end.
    public let remoteAddress: Multiaddr?
    let driver: NIOLoopBound<ConnectionDriver>
    let eventLoop: any EventLoop

    init(
        peer: PeerID,
        isInbound: Bool,
        security: Connection.Security,
        remoteAddress: Multiaddr?,
        driver: NIOLoopBound<ConnectionDriver>
    ) {
        self.peer = peer
        self.isInbound = isInbound
        self.security = security
        self.remoteAddress = remoteAddress
        self.driver = driver
        self.eventLoop = driver.eventLoop
    }

    /// Opens a stream that speaks the first of `protocols` the peer offers.
    ///
    /// - Throws: `noCommonProtocol`, `limit`, `timeout`, `closed`.
    public func openStream(_ protocols: [String]) async throws -> PeerStream {
        try await perform { $0.open(protocols) }
    }

    /// Asks the peer and takes its answer, both one message behind its length. Called on the connection's event loop; so is the
    /// completion.
    func ask(_ question: Question, _ protocolID: String) { driver.value.ask(question, protocolID) }

    /// Whether a relay stands between.
    public var isRelayed: Bool { remoteAddress?.isCircuit == true }

    /// Whether the peer is connected without a relay from an address that only exists inside networks.
    var isOnOwnNetwork: Bool { !isRelayed && remoteAddress?.ipAddress?.unmapped.isPrivate == true }

    public func close() { eventLoop.execute { self.driver.value.close() } }

    func perform<Value: Sendable>(
        _ body: @escaping @Sendable (ConnectionDriver) -> EventLoopFuture<Value>
    ) async throws -> Value {
        try await eventLoop.flatSubmit { body(self.driver.value) }.get()
    }

    func execute(_ body: @escaping @Sendable (ConnectionDriver) -> Void) {
        eventLoop.execute { body(self.driver.value) }
    }
}

/// A stream of bytes in both directions, with flow control: who does not read slows the sender.
///
/// One task reads at a time and one writes. A stream that is let go of without `end` is reset.
public final class PeerStream: Sendable {
    public let protocolID: String
    public let connection: HostConnection
    let id: Connection.StreamID

    public var peer: PeerID { connection.peer }

    init(id: Connection.StreamID, protocolID: String, connection: HostConnection) {
        self.id = id
        self.protocolID = protocolID
        self.connection = connection
    }

    deinit {
        let id = id
        connection.execute { $0.abandon(id) }
    }

    /// - Returns: some bytes as they came, or nil when the peer has ended its direction.
    /// - Throws: `reset`, `timeout`, `closed`.
    public func read() async throws -> [UInt8]? {
        let id = id
        return try await connection.perform { $0.read(id) }
    }

    /// Waits until the stream has taken all bytes; not until the peer has them.
    public func write(_ bytes: [UInt8]) async throws {
        let id = id
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest
            rest = rest.dropFirst(try await connection.perform { $0.write(part, to: id) })
        }
    }

    /// Ends our direction; the peer may go on.
    public func end() {
        let id = id
        connection.execute { $0.end(id) }
    }

    public func reset() {
        let id = id
        connection.execute { $0.reset(id) }
    }

    /// Takes back what `expire` said.
    func unlimit() {
        let id = id
        connection.execute { $0.unlimit(id) }
    }

    /// Resets the stream after so many milliseconds unless it is over by then; a later call counts anew.
    public func expire(after milliseconds: Int64) {
        let id = id
        connection.execute { $0.expire(id, after: milliseconds) }
    }
}

/// Reads messages that their length precedes as a varint.
public struct MessageReader: Sendable {
    private let stream: PeerStream
    private var queue = ByteQueue()

    public init(_ stream: PeerStream) { self.stream = stream }

    /// - Returns: nil when the stream ended between two messages.
    /// - Throws: `limit` for a message over `limit` bytes, `malformed` when the stream ended inside one.
    public mutating func next(limit: Int) async throws -> [UInt8]? {
        while true {
            if let message = try queue.takeDelimited(limit: limit) { return Array(message) }
            guard let bytes = try await stream.read() else {
                guard queue.isEmpty else { throw Libp2pError(.malformed, "the stream ended inside a message") }
                return nil
            }
            queue.append(bytes)
        }
    }

    /// What came in behind the last message.
    mutating func takeRest() -> [UInt8] { Array(queue.takeAll()) }
}
