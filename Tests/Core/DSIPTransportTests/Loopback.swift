import DSIPIdentity
import DSIPSignaling
import Encoding
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

@testable import DSIPTransport

/// A certificate authority for the tests of one process, and listeners that use it.
enum Loopback {
    static let folder = FileManager.default.temporaryDirectory.appending(path: "dsip-transport-\(UUID().uuidString)")
        .path
    static let authority = try! DevelopmentAuthority(folder: folder, now: Int64(Date().timeIntervalSince1970))
    static let identity = try! TLSIdentity(certificatePath: authority.certificatePath, keyPath: authority.keyPath)
    static let roots = TrustRoots(additionalFiles: [authority.rootPath])

    static func service(
        _ recorder: Recorder,
        key: SigningKey = SigningKey(),
        source: any VerificationSource = SelfCertifyingSource(),
        _ change: (inout SignalingService.Configuration) -> Void = { _ in }
    ) -> SignalingService {
        var configuration = SignalingService.Configuration(key: key, clock: { noon })
        change(&configuration)
        return SignalingService(configuration, source: source, delegate: recorder)
    }

    static func client(
        _ person: Person,
        port: Int,
        host: String = "localhost",
        roots: TrustRoots = Loopback.roots,
        _ change: (inout SignalingClient.Configuration) -> Void = { _ in }
    ) -> SignalingClient {
        var configuration = SignalingClient.Configuration(
            RelayAddress(host: host, port: port),
            key: person.device,
            identity: person.controller.did,
            delegations: [person.delegation],
            clock: { noon }
        )
        configuration.roots = roots
        configuration.backoff = Backoff(initial: .milliseconds(20), maximum: .milliseconds(50))
        // A slow machine is no blocked network.
        configuration.quicTimeout = .seconds(60)
        change(&configuration)
        return SignalingClient(configuration, source: SelfCertifyingSource())
    }

    /// A TLS server of any behaviour, for what a proper one never does.
    static func impostor(
        _ configure: @escaping @Sendable (any Channel) throws -> Void,
        tls: Bool = true
    ) async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if tls { try channel.pipeline.syncOperations.addHandler(identity.makeHandler()) }
                    try configure(channel)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    /// An impostor that upgrades to WebSocket and answers each text frame as told.
    static func relay(answering answer: @escaping @Sendable ([UInt8]) -> [[UInt8]]) async throws -> any Channel {
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: 1 << 17,
            shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering(answer))
                }
            }
        )
        return try await impostor { channel in
            try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in })
            )
        }
    }
}

private final class Answering: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let answer: @Sendable ([UInt8]) -> [[UInt8]]

    init(_ answer: @escaping @Sendable ([UInt8]) -> [[UInt8]]) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = Self.unwrapInboundIn(data)
        guard frame.opcode == .text else { return }
        for bytes in answer(Array(buffer: frame.unmaskedData)) {
            let reply = WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(bytes: bytes))
            context.writeAndFlush(Self.wrapOutboundOut(reply), promise: nil)
        }
    }
}

/// The events of a client, one at a time.
struct Events {
    private var iterator: SignalingClient.EventStream.AsyncIterator

    init(_ client: SignalingClient) { iterator = client.events.makeAsyncIterator() }

    /// Passes over events until `pick` takes one; nil when the stream ends first.
    func first<R>(_ pick: (SignalingClient.Event) -> R?) async -> R? {
        while let event = await iterator.next() {
            if let found = pick(event) { return found }
        }
        return nil
    }

    func connected() async -> SignalingClient.Relay? {
        await first { if case .state(.connected(let relay)) = $0 { relay } else { nil } }
    }

    func failure() async -> TransportError? {
        await first { if case .state(.waiting(_, let error)) = $0 { error } else { nil } }
    }

    func message() async -> Verified<Message>? {
        await first { if case .message(let message) = $0 { message } else { nil } }
    }
}

/// Runs `body` while `client` keeps its connection, then closes it.
func running(_ client: SignalingClient, _ body: (Events) async throws -> Void) async throws {
    let run = Task { await client.run() }
    do {
        try await body(Events(client))
    } catch {
        client.close()
        await run.value
        throw error
    }
    client.close()
    await run.value
}
