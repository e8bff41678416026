#if QUIC
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import QUIC

/// One test at a time: one of them looks at the memory of the process.
@Suite("QUIC", .serialized) enum QUICSuite {}

/// A server and clients in this process, over loopback.
enum Peers {
    static let group = MultiThreadedEventLoopGroup.singleton
    static let loopback = try! SocketAddress(ipAddress: "127.0.0.1", port: 0)
    /// What stops a test that hangs; no outcome depends on it.
    static let limit: Duration = .seconds(600)

    static func serverCredentials() throws -> QUICCredentials {
        try QUICCredentials(
            identity: .init(
                .pem,
                certificate: Array(TestCertificates.server.utf8),
                key: Array(TestCertificates.serverKey.utf8)
            )
        )
    }

    static func clientCredentials() throws -> QUICCredentials {
        try QUICCredentials(roots: .init(includesSystem: false, pem: [Array(TestCertificates.root.utf8)]))
    }

    /// A server whose streams return what they get.
    static func echoServer(
        _ change: (inout QUICServerConfiguration) -> Void = { _ in },
        secret: [UInt8]? = nil,
        at address: SocketAddress = loopback
    ) async throws -> QUICEndpoint {
        let transport = QUICConfiguration(applicationProtocols: ["test/1"]) { channel, _ in
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        var configuration = QUICServerConfiguration(transport, credentials: try serverCredentials())
        change(&configuration)
        return try await QUICEndpoint.bind(to: address, server: configuration, secret: secret, on: group.next()).get()
    }

    static func client() async throws -> QUICEndpoint {
        try await QUICEndpoint.bind(to: loopback, on: group.next()).get()
    }

    static func configuration(_ change: (inout QUICConfiguration) -> Void = { _ in }) -> QUICConfiguration {
        var configuration = QUICConfiguration(applicationProtocols: ["test/1"])
        change(&configuration)
        return configuration
    }

    static func connect(
        _ client: QUICEndpoint,
        to address: SocketAddress,
        name: String = "relay.test",
        credentials: QUICCredentials? = nil,
        _ configuration: QUICConfiguration = configuration()
    ) async throws -> QUICConnection {
        let credentials = try credentials ?? clientCredentials()
        return try await client.connect(to: address, credentials, verification: .name(name), configuration).get()
    }
}

/// Returns what it gets, and its end; reads no faster than it can write.
final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(data, promise: nil)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        try? context.channel.syncOptions?.setOption(.autoRead, value: context.channel.isWritable)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(mode: .output, promise: nil) }
    }
}

/// Gathers what a stream brings until its end.
final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    let bytes: EventLoopPromise<ByteBuffer>
    /// Everything up to the end, or up to so many bytes.
    private let count: Int?
    private var gathered = ByteBuffer()
    private var isDone = false

    init(_ promise: EventLoopPromise<ByteBuffer>, count: Int? = nil) {
        self.bytes = promise
        self.count = count
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = Self.unwrapInboundIn(data)
        gathered.writeBuffer(&buffer)
        if let count, gathered.readableBytes >= count { finish() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { finish() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isDone {
            isDone = true
            bytes.fail(ChannelError.eof)
        }
    }

    private func finish() {
        guard !isDone else { return }
        isDone = true
        bytes.succeed(gathered)
    }
}

extension QUICConnection {
    /// Opens a stream, sends `payload`, and returns what came back until the peer's end, or until as many bytes.
    func exchange(_ payload: ByteBuffer, ends: Bool = true) async throws -> ByteBuffer {
        let promise = eventLoop.makePromise(of: ByteBuffer.self)
        let count = ends ? nil : payload.readableBytes
        let channel: any Channel
        do {
            channel = try await openStream { channel in
                try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
                try channel.pipeline.syncOperations.addHandler(Collector(promise, count: count))
            }.get()
        } catch {
            promise.fail(error)
            throw error
        }
        channel.writeAndFlush(payload, promise: nil)
        if ends { channel.close(mode: .output, promise: nil) }
        let reply = try await promise.futureResult.get()
        if !ends { try? await channel.close() }
        return reply
    }
}

/// Fails with a sentence instead of hanging.
func within<Result: Sendable>(
    _ limit: Duration = Peers.limit,
    _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw TestTimeout()
        }
        defer { group.cancelAll() }
        return try await group.next()!
    }
}

struct TestTimeout: Error, CustomStringConvertible {
    var description: String { "nothing came of it within the limit" }
}
#endif
