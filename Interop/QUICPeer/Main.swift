#if QUIC
import Foundation
import NIOCore
import NIOPosix
import QUIC

/// Either end of a QUIC connection for `Interop/test_quic.py`; says what came of it on standard output.
///
/// ```
/// quic-peer serve CERTIFICATE KEY [retry]   says the port, then echoes streams and datagrams until its input ends
/// quic-peer dial PORT ROOT ALPN BYTES       sends that many bytes over each of three streams, says whether they came back
/// ```
@main
struct Main {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        switch (arguments.first, Array(arguments.dropFirst())) {
        case ("serve", let rest) where rest.count >= 2:
            try await serve(certificate: rest[0], key: rest[1], retry: rest.contains("retry"))
        case ("dial", let rest) where rest.count == 4:
            try await dial(
                port: Int(rest[0]) ?? 0,
                root: rest[1],
                applicationProtocol: rest[2],
                bytes: Int(rest[3]) ?? 0
            )
        default: say("usage: see Interop/QUICPeer/Main.swift")
        }
    }

    static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    static func read(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    static func serve(certificate: String, key: String, retry: Bool) async throws {
        var transport = QUICConfiguration(applicationProtocols: ["dsip/1"]) { channel, _ in
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        transport.maximumDatagramSize = 1200
        transport.receivedDatagram = { connection, bytes in connection.sendDatagram(bytes) }
        var configuration = QUICServerConfiguration(
            transport,
            credentials: try QUICCredentials(
                identity: .init(.pem, certificate: try read(certificate), key: try read(key))
            )
        ) { connection in
            connection.closed.whenSuccess { end in
                say("closed \(end.code.rawValue) \(end.closeCode.map(String.init) ?? "-") \(connection.validatedPaths)")
            }
        }
        if retry { configuration.retry = .always }
        let endpoint = try await QUICEndpoint.bind(
            to: try SocketAddress(ipAddress: "127.0.0.1", port: 0),
            server: configuration,
            on: MultiThreadedEventLoopGroup.singleton.next()
        ).get()
        say("port \(endpoint.localAddress?.port ?? 0)")
        while readLine() != nil {}
        endpoint.close()
    }

    static func dial(port: Int, root: String, applicationProtocol: String, bytes: Int) async throws {
        let endpoint = try await QUICEndpoint.bind(
            to: try SocketAddress(ipAddress: "127.0.0.1", port: 0),
            on: MultiThreadedEventLoopGroup.singleton.next()
        ).get()
        do {
            let connection = try await endpoint.connect(
                to: try SocketAddress(ipAddress: "127.0.0.1", port: port),
                try QUICCredentials(roots: .init(includesSystem: false, pem: [try read(root)])),
                verification: .name("localhost"),
                QUICConfiguration(applicationProtocols: [applicationProtocol])
            ).get()
            for stream in 0..<3 {
                let payload = ByteBuffer(bytes: (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ stream) })
                let collected = connection.eventLoop.makePromise(of: ByteBuffer.self)
                let channel = try await connection.openStream { channel in
                    try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
                    try channel.pipeline.syncOperations.addHandler(Collector(collected))
                }.get()
                channel.writeAndFlush(payload, promise: nil)
                channel.close(mode: .output, promise: nil)
                let reply = try await collected.futureResult.get()
                say(reply == payload ? "echoed \(reply.readableBytes)" : "differs")
                if stream == 0 {
                    // Halfway on to another address.
                    try await endpoint.rebind(to: try SocketAddress(ipAddress: "127.0.0.2", port: 0)).get()
                }
            }
            connection.close(7, reason: "done", linger: .seconds(2))
            _ = try await connection.closed.get()
            say("moved \(connection.validatedPaths > 0)")
        } catch let error as QUICError {
            say("failed \(error.code.rawValue)")
        }
    }
}

final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.writeAndFlush(data, promise: nil) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(mode: .output, promise: nil) }
    }
}

final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<ByteBuffer>
    private var gathered = ByteBuffer()
    private var isDone = false

    init(_ promise: EventLoopPromise<ByteBuffer>) { self.promise = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = Self.unwrapInboundIn(data)
        gathered.writeBuffer(&bytes)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            isDone = true
            promise.succeed(gathered)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isDone { promise.fail(ChannelError.eof) }
    }
}
#else
@main
struct Main {
    static func main() { print("this build has no QUIC") }
}
#endif
