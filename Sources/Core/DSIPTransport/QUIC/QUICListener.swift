import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

#if QUIC
import QUIC
#endif

/// Accepts connections of the binding `quic/1.0` for a `SignalingService`, beside the WebSocket listener (DSIP §13.4, docs/quic.md).
///
/// ```swift
/// let listener = try await QUICListener.start(service, identity: identity, host: "0.0.0.0", port: 443)
/// await service.drain(within: .seconds(5))
/// listener.stop()
/// ```
public final class QUICListener: Sendable {
    #if QUIC
    private let endpoint: QUICEndpoint
    /// The UDP port bound, which matters where port 0 was asked for.
    public var port: Int { endpoint.localAddress?.port ?? 0 }

    private init(_ endpoint: QUICEndpoint) { self.endpoint = endpoint }

    /// - Parameters:
    ///   - admits: whether an address, 4 or 16 bytes in network order, may connect now.
    ///   - ended: a connection from an address that was admitted is over.
    /// - Throws: `.unreachable` when the address cannot be bound, `.credentials` when the certificate cannot be used.
    public static func start(
        _ service: SignalingService,
        identity: TLSIdentity,
        host: String = "127.0.0.1",
        port: Int = 0,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        admits: @escaping @Sendable ([UInt8]) -> Bool = { _ in true },
        ended: @escaping @Sendable ([UInt8]) -> Void = { _ in }
    ) async throws(TransportError) -> QUICListener {
        let credentials = try ServerCredentials(identity)
        var transport = QUICConfiguration(applicationProtocols: [QUICBinding.applicationProtocol]) {
            channel,
            connection in
            try service.install(on: channel, .quic(connection))
            // An end of the stream is an end of the connection, whoever brought it about.
            channel.closeFuture.whenComplete { _ in connection.close(UInt64(CloseCode.normal.rawValue)) }
        }
        // One connection carries one stream; a client opens no second.
        transport.maximumStreams = 1
        transport.idleTimeout = TimeAmount.nanoseconds(Int64(Liveness.Thresholds.server.close))
        var configuration = QUICServerConfiguration(transport, credentials: credentials.current) { connection in
            let address = HostAddress(connection.remoteAddress)?.bytes ?? []
            guard service.isAdmitting, admits(address) else {
                return connection.close(UInt64(CloseCode.tryAgainLater.rawValue))
            }
            connection.closed.whenComplete { _ in ended(address) }
            connection.eventLoop.scheduleTask(in: TimeAmount(Binding.helloTimeout)) {
                if connection.streamCount == 0 { connection.close(UInt64(CloseCode.policyViolation.rawValue)) }
            }
        }
        configuration.renewCredentials = { credentials.current }
        configuration.maximumConnections = service.configuration.maximumConnections
        do {
            let address = try await SocketAddress.resolved(host, port)
            return QUICListener(
                try await QUICEndpoint.bind(to: address, server: configuration, on: group.next()).get()
            )
        } catch {
            throw TransportError(.unreachable, "UDP \(host):\(port) cannot be bound: \(error)")
        }
    }

    /// Closes what is still connected. Let the service drain first.
    public func stop() { endpoint.close(UInt64(CloseCode.goingAway.rawValue)) }
    #else
    public let port = 0

    private init() {}

    /// - Throws: always `.unreachable`: this build has no QUIC (`QUICBinding.isAvailable`).
    public static func start(
        _ service: SignalingService,
        identity: TLSIdentity,
        host: String = "127.0.0.1",
        port: Int = 0,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        admits: @escaping @Sendable ([UInt8]) -> Bool = { _ in true },
        ended: @escaping @Sendable ([UInt8]) -> Void = { _ in }
    ) async throws(TransportError) -> QUICListener {
        throw TransportError(.unreachable, "this build has no QUIC; it was made without the trait")
    }

    public func stop() {}
    #endif
}

#if QUIC

/// A `TLSIdentity` as QUIC's TLS reads it; follows when that is reloaded.
private final class ServerCredentials: Sendable {
    private struct State {
        var stamp: ObjectIdentifier
        var credentials: QUICCredentials
    }

    private let identity: TLSIdentity
    private let state: NIOLockedValueBox<State>

    init(_ identity: TLSIdentity) throws(TransportError) {
        self.identity = identity
        let credentials = try ServerCredentials.load(identity)
        self.state = NIOLockedValueBox(State(stamp: ObjectIdentifier(identity.context), credentials: credentials))
    }

    /// Those of the files as they were last read; the ones before where the files cannot be used.
    var current: QUICCredentials {
        let stamp = ObjectIdentifier(identity.context)
        return state.withLockedValue { state in
            guard state.stamp != stamp else { return state.credentials }
            state.stamp = stamp
            if let credentials = try? ServerCredentials.load(identity) { state.credentials = credentials }
            return state.credentials
        }
    }

    private static func load(_ identity: TLSIdentity) throws(TransportError) -> QUICCredentials {
        do {
            return try QUICCredentials(
                identity: .init(
                    .pem,
                    certificate: try FileBytes.read(identity.certificatePath),
                    key: try FileBytes.read(identity.keyPath)
                )
            )
        } catch {
            throw TransportError(
                .credentials,
                "the certificate \(identity.certificatePath) cannot be used for QUIC: \(error)"
            )
        }
    }
}
#endif
