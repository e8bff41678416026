import DSIPIdentity
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// HTTPS requests to addresses that strangers chose: DID documents, WebFinger, name registration.
///
/// A name is resolved first, every address is held against the policy, and the connection goes to the checked address itself, so
/// that a second, different answer of the name server (DNS rebinding) changes nothing. TLS still authenticates the name. Each
/// redirect passes the same gate. Size, time and redirects are bounded; bodies are never decompressed; no proxy, no cookies.
public struct GuardedHTTPClient: Sendable {
    public struct Request: Sendable {
        public var method: HTTPMethod
        /// `https` only.
        public var url: String
        public var headers: [(name: String, value: String)]
        public var body: [UInt8]?
        /// Told how many bytes of the body have gone over the wire.
        public var progress: (@Sendable (Int64) -> Void)?

        public init(
            _ method: HTTPMethod = .GET,
            _ url: String,
            headers: [(name: String, value: String)] = [],
            body: [UInt8]? = nil,
            progress: (@Sendable (Int64) -> Void)? = nil
        ) {
            self.method = method
            self.url = url
            self.headers = headers
            self.body = body
            self.progress = progress
        }
    }

    public struct Response: Sendable {
        public var status: Int
        public var headers: [(name: String, value: String)]
        public var body: [UInt8]
        /// After redirects.
        public var url: String

        /// The first header called `name`, whatever its case.
        public func header(_ name: String) -> String? {
            headers.first { $0.name.lowercased() == name.lowercased() }?.value
        }
    }

    /// The parts of a URL that a request needs.
    struct Target {
        let url: String
        let host: String
        let port: Int
        let path: String

        init(_ text: String) throws(IdentityError) {
            guard let url = URL(string: text), url.scheme?.lowercased() == "https", url.user() == nil,
                let host = url.host(), !host.isEmpty, (1...65_535).contains(url.port ?? 443)
            else { throw IdentityError(.malformed, "only https addresses are fetched") }
            self.url = url.absoluteString
            self.host = host
            self.port = url.port ?? 443
            let path = url.path(percentEncoded: true)
            self.path = (path.isEmpty ? "/" : path) + (url.query(percentEncoded: true).map { "?" + $0 } ?? "")
        }

        /// RFC 9110 §7.2.
        var hostHeader: String {
            let name = host.contains(":") ? "[\(host)]" : host
            return port == 443 ? name : "\(name):\(port)"
        }
    }

    let allows: @Sendable ([UInt8]) -> Bool
    private let resolver: any HostResolver
    private let roots: TrustRoots
    let group: any EventLoopGroup
    let timeout: Duration
    /// Addresses tried for one name.
    let attempts = 2

    /// - Parameters:
    ///   - allows: whether an address (4 or 16 bytes, network order) may be connected to.
    ///   - timeout: for name, connection, request and body together, redirects included.
    public init(
        allows: @escaping @Sendable ([UInt8]) -> Bool,
        roots: TrustRoots = .system,
        resolver: any HostResolver = SystemHostResolver(),
        timeout: Duration = .seconds(10),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) {
        self.allows = allows
        self.roots = roots
        self.resolver = resolver
        self.timeout = timeout
        self.group = group
    }

    /// - Parameters:
    ///   - limit: most bytes of body.
    ///   - redirects: most redirects followed; only for GET, only to `https`.
    /// - Throws: `.refused` for an address the policy forbids or a redirect too many, `.tooLarge`, `.unreachable`, `.malformed`
    ///   for what is no `https` URL.
    public func send(_ request: Request, limit: Int, redirects: Int = 3) async throws(IdentityError) -> Response {
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        var request = request
        var remaining = redirects
        while true {
            let target = try Target(request.url)
            let response = try await send(request, to: target, limit: limit, deadline: deadline)
            guard request.method == .GET, [301, 302, 303, 307, 308].contains(response.status),
                let location = response.header("Location")
            else { return response }
            guard remaining > 0 else {
                throw IdentityError(.refused, "\(target.host) redirects more than \(redirects) times")
            }
            remaining -= 1
            guard let next = URL(string: location, relativeTo: URL(string: target.url)) else {
                throw IdentityError(.malformed, "\(target.host) redirects to what is no URL")
            }
            request.url = next.absoluteString
        }
    }

    private func send(
        _ request: Request,
        to target: Target,
        limit: Int,
        deadline: NIODeadline
    ) async throws(IdentityError) -> Response {
        let permitted = try await addresses(of: target.host, until: deadline).filter(allows)
        guard !permitted.isEmpty else { throw IdentityError(.refused, "\(target.host) is not at a public address") }
        var failure = IdentityError(.unreachable, "\(target.host) cannot be reached")
        for address in permitted.prefix(attempts) {
            do throws(IdentityError) {
                return try await exchange(request, target, at: address, limit: limit, deadline: deadline)
            } catch {
                guard error.code == .unreachable, NIODeadline.now() < deadline else { throw error }
                failure = error
            }
        }
        throw failure
    }

    func addresses(of host: String, until deadline: NIODeadline) async throws(IdentityError) -> [[UInt8]] {
        let resolver = resolver
        let remaining = Duration.nanoseconds((deadline - .now()).nanoseconds)
        do throws(TransportError) {
            return try await withTimeout(remaining, "\(host) was not resolved in time") {
                () async throws(TransportError) in
                try await resolver.addresses(of: host)
            }
        } catch {
            throw IdentityError(.unreachable, error.reason)
        }
    }

    // MARK: One exchange

    private func exchange(
        _ request: Request,
        _ target: Target,
        at address: [UInt8],
        limit: Int,
        deadline: NIODeadline
    ) async throws(IdentityError) -> Response {
        do {
            let context = try NIOSSLContext(configuration: configuration())
            let loop = group.any()
            let answer = loop.makePromise(of: HTTPExchange.Answer.self)
            let place = try SocketAddress(packedIPAddress: ByteBuffer(bytes: address), port: target.port)
            let connecting = ClientBootstrap(group: loop)
                .connectTimeout(min(.seconds(5), deadline - .now()))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        let isLiteral = HostAddress(target.host) != nil
                        try pipeline.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: isLiteral ? nil : target.host)
                        )
                        if !isLiteral { try pipeline.addHandler(ServerNameCheck(target.host)) }
                        try pipeline.addHTTPClientHandlers()
                        try pipeline.addHandler(HTTPExchange(limit: limit, deadline: deadline, answer))
                    }
                }
                .connect(to: place)
            connecting.cascadeFailure(to: answer)
            connecting.whenSuccess { $0.write(head: head(request, target), body: request.body, request.progress) }
            let received = try await answer.futureResult.get()
            return Response(
                status: Int(received.head.status.code),
                headers: received.head.headers.map { (name: $0.name, value: $0.value) },
                body: received.body,
                url: target.url
            )
        } catch let error as IdentityError {
            throw error
        } catch {
            throw IdentityError(.unreachable, "\(target.host) cannot be reached: \(error)")
        }
    }

    func head(_ request: Request, _ target: Target) -> HTTPRequestHead {
        var head = HTTPRequestHead(version: .http1_1, method: request.method, uri: target.path)
        head.headers.add(name: "Host", value: target.hostHeader)
        head.headers.add(name: "Connection", value: "close")
        head.headers.add(contentsOf: request.headers.map { ($0.name, $0.value) })
        if let body = request.body { head.headers.add(name: "Content-Length", value: "\(body.count)") }
        return head
    }

    func configuration() throws(TransportError) -> TLSConfiguration {
        var configuration = try roots.configuration()
        // Document hosts are the web at large; the TLS 1.3 floor is the signaling binding's own.
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return configuration
    }
}

extension Channel {
    func write(head: HTTPRequestHead, body: [UInt8]?, _ progress: (@Sendable (Int64) -> Void)? = nil) {
        write(HTTPClientRequestPart.head(head), promise: nil)
        if let body {
            var rest = ByteBuffer(bytes: body)
            // Without a listener one part is as good as many.
            let size = progress == nil ? body.count : 1 << 18
            while let part = rest.readSlice(length: min(size, rest.readableBytes)), part.readableBytes > 0 {
                let written = eventLoop.makePromise(of: Void.self)
                let sent = Int64(body.count - rest.readableBytes)
                if let progress { written.futureResult.whenSuccess { progress(sent) } }
                write(HTTPClientRequestPart.body(.byteBuffer(part)), promise: written)
            }
        }
        writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }
}

/// Runs `body`, and fails with `.timeout` when it has not ended after `limit`. What cannot be cancelled is left behind.
func withTimeout<R: Sendable>(
    _ limit: Duration,
    _ reason: String,
    _ body: @escaping @Sendable () async throws(TransportError) -> R
) async throws(TransportError) -> R {
    let (outcomes, continuation) = AsyncStream<Result<R, TransportError>>.makeStream()
    let work = Task {
        do throws(TransportError) {
            continuation.yield(.success(try await body()))
        } catch {
            continuation.yield(.failure(error))
        }
    }
    let timer = Task {
        try await Task.sleep(for: limit)
        continuation.yield(.failure(TransportError(.timeout, reason)))
    }
    defer {
        work.cancel()
        timer.cancel()
    }
    for await outcome in outcomes { return try outcome.get() }
    throw TransportError(.closed, "cancelled")
}
