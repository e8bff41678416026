#if QUIC
import NIOCore

/// What both ends of a connection settle for themselves before it begins: limits, times and what becomes of a peer's streams.
///
/// Every bound is one on memory that a peer can make us hold.
public struct QUICConfiguration: Sendable {
    /// Application protocols in order of preference; a handshake without a common one fails (RFC 9001 §8.1).
    public var applicationProtocols: [String]
    /// Streams that the peer may have open at once.
    public var maximumStreams = 16
    public var maximumUnidirectionalStreams = 0
    /// Bytes of one stream that may wait to be read.
    public var streamWindow = 256 << 10
    /// Bytes of all streams together that may wait to be read.
    public var connectionWindow = 1 << 20
    /// Silence after which a connection is over. The smaller of the two ends' counts.
    public var idleTimeout: TimeAmount = .seconds(90)
    /// Silence after which we ask for a sign of life.
    public var keepAlive: TimeAmount?
    public var handshakeTimeout: TimeAmount = .seconds(10)
    /// Largest datagram that we take (RFC 9221); 0 for none.
    public var maximumDatagramSize = 0
    /// Datagrams that may wait to be sent; further ones are dropped.
    public var maximumQueuedDatagrams = 64
    /// Sets up the channel of a stream that the peer has opened, before anything is read from it.
    public var streamInitializer: @Sendable (any Channel, QUICConnection) throws -> Void
    /// Gets each datagram, on the event loop.
    public var receivedDatagram: (@Sendable (QUICConnection, ByteBuffer) -> Void)?

    public init(
        applicationProtocols: [String],
        streamInitializer: @escaping @Sendable (any Channel, QUICConnection) throws -> Void = { channel, _ in
            channel.close(promise: nil)
        }
    ) {
        precondition(applicationProtocols.allSatisfy { (1...32).contains($0.utf8.count) }, "1 to 32 bytes each")
        self.applicationProtocols = applicationProtocols
        self.streamInitializer = streamInitializer
    }
}

/// How a server guards itself, and what it does with connections.
public struct QUICServerConfiguration: Sendable {
    /// When clients have to prove their address before any state is kept for them (RFC 9000 §8.1.2).
    public enum Retry: Hashable, Sendable {
        case never
        case always
        /// When this many handshakes are under way.
        case above(handshakes: Int)
    }

    public var transport: QUICConfiguration
    public var credentials: QUICCredentials
    /// Asked at each connection where set: credentials may be replaced while the server runs.
    public var renewCredentials: (@Sendable () -> QUICCredentials)?
    /// Asks clients for a certificate and admits those whose DER chain, leaf first, it holds for.
    public var admitsClient: (@Sendable ([[UInt8]]) -> Bool)?
    public var retry = Retry.above(handshakes: 64)
    public var maximumConnections = 100_000
    /// Handshakes under way at once; further first packets are dropped.
    public var maximumHandshakes = 1024
    /// Called on the event loop for each connection whose handshake is over.
    public var accepted: @Sendable (QUICConnection) -> Void

    public init(
        _ transport: QUICConfiguration,
        credentials: QUICCredentials,
        accepted: @escaping @Sendable (QUICConnection) -> Void = { _ in }
    ) {
        self.transport = transport
        self.credentials = credentials
        self.accepted = accepted
    }
}
#endif
