import DSIPIdentity
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ServiceLifecycle

/// A DSIP relay (DSIP §13): it binds devices, routes and holds their envelopes, and cannot forge one.
///
/// Embed it, as the agent and the tests do:
///
/// ```swift
/// let relay = Relay(configuration)
/// let running = try await relay.start()
/// // … running.url, running.did, running.rootPath
/// await relay.stop()
/// ```
///
/// or run it as a service, which drains on graceful shutdown.
public final class Relay: Service {
    /// What a started relay is and where.
    public struct Running: Sendable, Hashable {
        public var did: DID
        /// TCP port of signaling and HTTP.
        public var port: Int
        /// Where clients connect, such as `wss://127.0.0.1:7443/dsip`.
        public var url: String
        /// Certificate of the development authority, which clients must be told to trust; nil with a certificate of one's own.
        public var rootPath: String?
        /// UDP port of STUN; nil when it is off.
        public var stunPort: Int?
        /// Where other hosts of the DHT reach this one, `/ip4/…/tcp/…/p2p/…`; empty when it is off.
        public var overlay: [String] = []
    }

    private enum Phase {
        case idle
        case running(Engine)
        case stopped
    }

    public let configuration: RelayConfiguration
    private let logger: Logger
    private let resolver: (any DSIPIdentity.Resolver)?
    private let group: any EventLoopGroup
    private let clock: @Sendable () -> Int64
    private let phase = NIOLockedValueBox(Phase.idle)

    /// - Parameters:
    ///   - resolver: for the documents of others; by default did:key and did:web over HTTPS.
    ///   - clock: Unix seconds.
    public init(
        _ configuration: RelayConfiguration,
        logger: Logger? = nil,
        resolver: (any DSIPIdentity.Resolver)? = nil,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        clock: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) }
    ) {
        self.configuration = configuration
        var logger = logger ?? Logger(label: "dsip.relay")
        logger.logLevel = configuration.logLevel
        self.logger = logger
        self.resolver = resolver
        self.group = group
        self.clock = clock
    }

    /// Opens the state folder and begins to accept. A relay is started once.
    /// - Throws: `RelayError` with a sentence for the operator; nothing is left running then.
    public func start() async throws(RelayError) -> Running {
        try configuration.validate()
        guard phase.withLockedValue({ if case .idle = $0 { true } else { false } }) else {
            throw RelayError(.notRunning, "this relay has been started before; make a new one")
        }
        let engine = try await Engine.start(
            configuration,
            resolver: resolver,
            group: group,
            clock: clock,
            logger: logger
        )
        phase.withLockedValue { $0 = .running(engine) }
        logger.info(
            "Relay accepts connections",
            metadata: [
                "did": "\(engine.running.did)", "url": "\(engine.running.url)",
                "stun": "\(engine.running.stunPort ?? 0)",
            ]
        )
        return engine.running
    }

    /// Stops accepting, closes connections at random moments (1012, so that clients come back), writes what is left, and ends.
    public func stop() async {
        let engine = phase.withLockedValue { phase -> Engine? in
            defer { phase = .stopped }
            if case .running(let engine) = phase { return engine }
            return nil
        }
        guard let engine else { return }
        await engine.stop()
        logger.info("Relay has stopped")
    }

    /// Starts, and stops on graceful shutdown or cancellation.
    public func run() async throws {
        _ = try await start()
        try? await gracefulShutdown()
        await stop()
    }

    /// Reads the certificate files again. A replacement that cannot be used leaves the old one in place and is reported.
    public func reloadCertificate() {
        guard case .running(let engine) = phase.withLockedValue({ $0 }) else { return }
        engine.reloadCertificate()
    }

    /// As happens by itself now and then, for tests.
    func sweepBlobs() async {
        guard case .running(let engine) = phase.withLockedValue({ $0 }) else { return }
        await engine.sweepBlobs()
    }

    /// The metrics page, as `/metrics` serves it.
    public var metrics: String? {
        guard case .running(let engine) = phase.withLockedValue({ $0 }) else { return nil }
        return engine.metricsText
    }
}
