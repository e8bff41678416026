import DSIPTransport
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One HTTPS request that keeps what the connection was: how long TCP took, the TLS version, the certificate, the server's time.
enum TLSProbe {
    struct Finding: Sendable {
        /// Milliseconds; nil when TCP was not answered.
        var connected: Int64?
        /// Such as `TLS 1.3`; nil when there is no secure connection.
        var version: String?
        /// Unix seconds.
        var certificateEnds: Int64?
        /// Of the `Date` header, Unix seconds.
        var date: Int64?
        var failure: String?
    }

    static func dial(_ address: RelayAddress, at target: String, roots: TrustRoots) async -> Finding {
        var finding = Finding()
        let start = ContinuousClock.now
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.seconds(10)).connect(host: target, port: address.port).get()
        } catch {
            finding.failure = reason(error)
            return finding
        }
        let passed = (ContinuousClock.now - start).components
        finding.connected = passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000
        do {
            let context = try NIOSSLContext(configuration: roots.configuration())
            let answer = try await request(channel, context, address, target)
            finding.version = try await version(channel)
            finding.certificateEnds = try await channel.nioSSL_peerCertificate().get().map { Int64($0.notValidAfter) }
            finding.date = answer.headers.first(name: "Date").flatMap(date)
        } catch {
            finding.failure = reason(error)
        }
        try? await channel.close()
        return finding
    }

    /// What to do about a failed handshake.
    static func advice(_ failure: String) -> String {
        if failure.contains("CERTIFICATE_VERIFY_FAILED") {
            return
                "Its certificate is of an authority unknown here: name a development relay’s ca.pem with --trust, else the relay needs a real one."
        }
        if failure.contains("PROTOCOL_VERSION") || failure.contains("UNSUPPORTED_PROTOCOL") {
            return "The server does not speak TLS 1.3, which DSIP asks for; whoever runs it must update it."
        }
        if failure.contains("--trust") || failure.contains("root certificate") {
            return "Check the file named with --trust."
        }
        return "See whether this port speaks TLS, and whether the certificate names this host."
    }

    private static func request(
        _ channel: any Channel,
        _ context: NIOSSLContext,
        _ address: RelayAddress,
        _ target: String
    ) async throws -> HTTPResponseHead {
        let promise = channel.eventLoop.makePromise(of: HTTPResponseHead.self)
        // An address is authenticated as such; a name goes into the handshake.
        let name = address.host == target || address.host.contains(":") ? nil : address.host
        do {
            try await channel.eventLoop.submit {
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: name))
                try pipeline.addHTTPClientHandlers()
                try pipeline.addHandler(HeadCatcher(promise))
            }.get()
        } catch {
            promise.fail(error)
            throw error
        }
        let deadline = channel.eventLoop.scheduleTask(in: .seconds(10)) {
            promise.fail(TransportError(.timeout, "no answer within 10 s"))
        }
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/healthz")
        head.headers.add(name: "Host", value: address.port == 443 ? address.host : "\(address.host):\(address.port)")
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        defer { deadline.cancel() }
        return try await promise.futureResult.get()
    }

    private static func version(_ channel: any Channel) async throws -> String? {
        switch try await channel.nioSSL_tlsVersion().get() {
        case .tlsv13: "TLS 1.3"
        case .tlsv12: "TLS 1.2"
        case nil: nil
        case .some(let other): "\(other)"
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as TransportError: error.reason
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { reason($0.error) } ?? "no address of it answers"
        case is ChannelError: "the connection was closed or timed out"
        default: "\(error)"
        }
    }

    private static func date(_ text: String) -> Int64? {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        return formatter.date(from: text).map { Int64($0.timeIntervalSince1970) }
    }
}

/// Keeps the head of the first answer, or the first error.
private final class HeadCatcher: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<HTTPResponseHead>

    init(_ promise: EventLoopPromise<HTTPResponseHead>) { self.promise = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = unwrapInboundIn(data) { promise.succeed(head) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(TransportError(.unreachable, "the server closed the connection without an answer"))
    }
}
