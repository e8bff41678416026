import DSIPIdentity
import DSIPSignaling
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import DSIPTransport

@Suite(.timeLimit(.minutes(10))) struct FetcherTests {
    private static let loopback = AddressPolicy(allowing: [AddressRange("127.0.0.0/8")!, AddressRange("::1")!])

    /// Resolves every name to what the test says, and counts.
    private final class Names: HostResolver {
        let answers: [[UInt8]]
        let asked = Mutex<[String]>([])
        init(_ answers: [[UInt8]]) { self.answers = answers }
        func addresses(of host: String) async throws(TransportError) -> [[UInt8]] {
            asked.withLock { $0.append(host) }
            return answers
        }
    }

    private func fetcher(_ names: Names, _ policy: AddressPolicy = loopback) -> HTTPDocumentFetcher {
        HTTPDocumentFetcher(policy: policy, roots: Loopback.roots, resolver: names)
    }

    @Test("a document comes with its caching headers, from the address that was checked") func fetch() async throws {
        let web = try await WebServer.start { _ in .init(headers: ["Cache-Control": "max-age=60"], body: "{\"id\":1}") }
        let names = Names([[127, 0, 0, 1]])
        let document = try await fetcher(names).fetch(url: "https://localhost:\(web.port)/did.json", limit: 1000)
        #expect(document.status == 200 && document.cacheControl == "max-age=60")
        #expect(String(decoding: document.body, as: UTF8.self) == "{\"id\":1}")
        #expect(names.asked.withLock { $0 } == ["localhost"])
        try await web.stop()
    }

    @Test("a private address is refused without a connection, whatever the name") func guarded() async throws {
        let web = try await WebServer.start { _ in .init(body: "secret") }
        for address: [UInt8] in [
            [127, 0, 0, 1], [10, 0, 0, 1], [169, 254, 169, 254], [UInt8](repeating: 0, count: 15) + [1],
        ] {
            await #expect(throws: IdentityError(.refused, "")) {
                try await fetcher(Names([address]), AddressPolicy()).fetch(
                    url: "https://localhost:\(web.port)/",
                    limit: 1000
                )
            }
        }
        await #expect(throws: IdentityError(.refused, "")) {
            try await HTTPDocumentFetcher(roots: Loopback.roots).fetch(
                url: "https://127.0.0.1:\(web.port)/",
                limit: 1000
            )
        }
        #expect(web.requests.isEmpty)
        try await web.stop()
    }

    @Test("of several addresses only permitted ones are used") func filtered() async throws {
        let web = try await WebServer.start { _ in .init(body: "ok") }
        let policy = AddressPolicy(allowing: [AddressRange("127.0.0.1")!])
        let document = try await fetcher(Names([[10, 9, 8, 7], [127, 0, 0, 1]]), policy)
            .fetch(url: "https://localhost:\(web.port)/", limit: 1000)
        #expect(document.status == 200)
        try await web.stop()
    }

    @Test("redirects are followed three times and no more, each through the guard") func redirects() async throws {
        let web = try await WebServer.start { path in
            let step = Int(path.dropFirst()) ?? 0
            return step == 0 ? .init(body: "done") : .init(status: .found, headers: ["Location": "/\(step - 1)"])
        }
        let names = Names([[127, 0, 0, 1]])
        let document = try await fetcher(names).fetch(url: "https://localhost:\(web.port)/3", limit: 1000)
        #expect(document.status == 200 && document.finalURL.hasSuffix("/0"))
        #expect(names.asked.withLock(\.count) == 4)
        await #expect(throws: IdentityError(.refused, "")) {
            try await fetcher(names).fetch(url: "https://localhost:\(web.port)/4", limit: 1000)
        }
        try await web.stop()
    }

    @Test("a redirect away from https is not followed") func downgrade() async throws {
        let web = try await WebServer.start { _ in .init(status: .found, headers: ["Location": "http://localhost/x"]) }
        await #expect(throws: IdentityError(.malformed, "")) {
            try await fetcher(Names([[127, 0, 0, 1]])).fetch(url: "https://localhost:\(web.port)/", limit: 1000)
        }
        try await web.stop()
    }

    @Test("a body over the limit is given up, announced or not") func size() async throws {
        let web = try await WebServer.start { path in
            .init(body: String(repeating: "x", count: 1001), chunked: path == "/chunked")
        }
        for path in ["/", "/chunked"] {
            await #expect(throws: IdentityError(.tooLarge, "")) {
                try await fetcher(Names([[127, 0, 0, 1]])).fetch(
                    url: "https://localhost:\(web.port)\(path)",
                    limit: 1000
                )
            }
        }
        try await web.stop()
    }

    @Test("no https, no certificate that is trusted, nobody there: each is its own error") func failures() async throws
    {
        let web = try await WebServer.start { _ in .init(body: "x") }
        let names = Names([[127, 0, 0, 1]])
        for url in ["http://localhost/", "ftp://localhost/", "https://", "https://a@localhost/", "nonsense"] {
            await #expect(throws: IdentityError(.malformed, "")) { try await fetcher(names).fetch(url: url, limit: 10) }
        }
        await #expect(throws: IdentityError(.unreachable, "")) {
            try await HTTPDocumentFetcher(policy: Self.loopback, resolver: names)
                .fetch(url: "https://localhost:\(web.port)/", limit: 10)
        }
        await #expect(throws: IdentityError(.unreachable, ""), "the certificate is for another name") {
            try await fetcher(names).fetch(url: "https://example.com:\(web.port)/", limit: 10)
        }
        try await web.stop()
        await #expect(throws: IdentityError(.unreachable, "")) {
            try await fetcher(names).fetch(url: "https://localhost:\(web.port)/", limit: 10)
        }
    }

    @Test("an envelope is posted as it stands") func post() async throws {
        let web = try await WebServer.start { _ in .init(status: .created, body: "{}") }
        let envelope = Person().hello()
        let answer = try await fetcher(Names([[127, 0, 0, 1]])).post(
            url: "https://localhost:\(web.port)/names",
            envelope.bytes
        )
        #expect(answer.status == 201)
        #expect(web.requests == ["POST /names " + String(decoding: envelope.bytes, as: UTF8.self)])
        try await web.stop()
    }

    @Test("the system's resolver knows localhost and literals, and says so when a name is unknown") func system()
        async throws
    {
        let resolver = SystemHostResolver()
        let local = try await resolver.addresses(of: "localhost")
        #expect(local.contains([127, 0, 0, 1]) || local.contains([UInt8](repeating: 0, count: 15) + [1]))
        #expect(try await resolver.addresses(of: "[::1]") == [[UInt8](repeating: 0, count: 15) + [1]])
        await #expect(throws: TransportError(.unreachable, "")) {
            try await resolver.addresses(of: "no-such-name.invalid")
        }
    }

    @Test("a did:web signer is resolved over HTTPS while its connection waits") func endToEnd() async throws {
        let web = try await WebServer.start { [relay = SigningKey()] _ in
            .init(body: "{\"id\":\"\(relay.did)\"}")
        }
        let resolver = CachingResolver(
            upstream: MethodResolver(fetcher: fetcher(Names([[127, 0, 0, 1]]))),
            clock: { noon }
        )
        let source = ResolverSource(resolver)
        let did = DID("did:web:localhost%3A\(web.port)")!
        if case .unknown = source.document(of: did, at: noon) {} else { Issue.record("known too early") }
        await source.resolve(did)
        // The document names another identity, so it is refused, and the refusal is remembered.
        if case .unresolvable = source.document(of: did, at: noon) {
        } else {
            Issue.record("a foreign document was taken")
        }
        #expect(web.requests == ["GET /.well-known/did.json "])
        try await web.stop()
    }
}

/// A small HTTPS server whose answers depend on the path.
private final class WebServer: Sendable {
    struct Answer: Sendable {
        var status = HTTPResponseStatus.ok
        var headers: HTTPHeaders = [:]
        var body = ""
        var chunked = false
    }

    private let channel: any Channel
    private let log: Log
    let port: Int
    /// `METHOD path body`, in order.
    var requests: [String] { log.entries.withLock { $0 } }

    private final class Log: Sendable { let entries = Mutex<[String]>([]) }

    private init(_ channel: any Channel, _ log: Log) {
        self.channel = channel
        self.port = channel.localAddress!.port!
        self.log = log
    }

    static func start(_ answer: @escaping @Sendable (String) -> Answer) async throws -> WebServer {
        let log = Log()
        let channel = try await Loopback.impostor { channel in
            try channel.pipeline.syncOperations.configureHTTPServerPipeline()
            try channel.pipeline.syncOperations.addHandler(Handler(log, answer))
        }
        return WebServer(channel, log)
    }

    func stop() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let log: Log
        private let answer: @Sendable (String) -> Answer
        private var head: HTTPRequestHead?
        private var body = ""

        init(_ log: Log, _ answer: @escaping @Sendable (String) -> Answer) {
            self.log = log
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch Self.unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body(let part): body += String(buffer: part)
            case .end:
                guard let head else { return }
                log.entries.withLock { $0.append("\(head.method) \(head.uri) \(body)") }
                body = ""
                let answer = answer(head.uri)
                var reply = HTTPResponseHead(version: .http1_1, status: answer.status, headers: answer.headers)
                if !answer.chunked { reply.headers.add(name: "Content-Length", value: "\(answer.body.utf8.count)") }
                context.write(Self.wrapOutboundOut(.head(reply)), promise: nil)
                context.write(Self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.body)))), promise: nil)
                context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
