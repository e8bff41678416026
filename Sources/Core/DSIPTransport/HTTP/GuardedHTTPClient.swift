import AsyncHTTPClient
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

        public init(
            _ method: HTTPMethod = .GET, _ url: String, headers: [(name: String, value: String)] = [],
            body: [UInt8]? = nil
        ) {
            self.method = method
            self.url = url
            self.headers = headers
            self.body = body
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

    private let allows: @Sendable ([UInt8]) -> Bool
    private let resolver: any HostResolver
    private let roots: TrustRoots
    private let group: any EventLoopGroup
    private let timeout: Duration
    /// Addresses tried for one name.
    private let attempts = 2

    /// - Parameters:
    ///   - allows: whether an address (4 or 16 bytes, network order) may be connected to.
    ///   - timeout: for name, connection, request and body together, redirects included.
    public init(
        allows: @escaping @Sendable ([UInt8]) -> Bool, roots: TrustRoots = .system,
        resolver: any HostResolver = SystemHostResolver(), timeout: Duration = .seconds(10),
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
            let response = try await sendOnce(request, limit: limit, deadline: deadline)
            guard request.method == .GET, [301, 302, 303, 307, 308].contains(response.status),
                let location = response.header("Location")
            else { return response }
            guard remaining > 0 else {
                throw IdentityError(.refused, "\(host(request.url)) redirects more than \(redirects) times")
            }
            remaining -= 1
            guard let next = URL(string: location, relativeTo: URL(string: request.url)) else {
                throw IdentityError(.malformed, "\(host(request.url)) redirects to what is no URL")
            }
            request.url = next.absoluteString
        }
    }

    private func sendOnce(
        _ request: Request, limit: Int, deadline: NIODeadline
    ) async throws(IdentityError) -> Response {
        guard let url = URL(string: request.url), url.scheme?.lowercased() == "https", url.user() == nil,
            let host = url.host(), !host.isEmpty
        else { throw IdentityError(.malformed, "only https addresses are fetched") }
        let permitted = try await addresses(of: host, until: deadline).filter(allows)
        guard !permitted.isEmpty else {
            throw IdentityError(.refused, "\(host) is not at a public address")
        }
        var failure = IdentityError(.unreachable, "\(host) cannot be reached")
        for address in permitted.prefix(attempts) {
            do {
                return try await send(request, host: host, to: address, limit: limit, deadline: deadline)
            } catch {
                guard error.code == .unreachable, NIODeadline.now() < deadline else { throw error }
                failure = error
            }
        }
        throw failure
    }

    private func addresses(of host: String, until deadline: NIODeadline) async throws(IdentityError) -> [[UInt8]] {
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

    private func send(
        _ request: Request, host: String, to address: [UInt8], limit: Int, deadline: NIODeadline
    ) async throws(IdentityError) -> Response {
        let client: HTTPClient
        do throws(TransportError) {
            client = HTTPClient(
                eventLoopGroupProvider: .shared(group), configuration: try configuration(host: host, address: address))
        } catch {
            throw IdentityError(.storage, error.reason)
        }
        let result: Result<Response, IdentityError>
        do throws(IdentityError) {
            result = .success(try await exchange(request, host: host, over: client, limit: limit, deadline: deadline))
        } catch {
            result = .failure(error)
        }
        try? await client.shutdown()
        return try result.get()
    }

    private func configuration(host: String, address: [UInt8]) throws(TransportError) -> HTTPClient.Configuration {
        var tls = try roots.configuration()
        // Document hosts are the web at large; the TLS 1.3 floor is the signaling binding's own.
        tls.minimumTLSVersion = .tlsv12
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(5), read: .seconds(5)), decompression: .disabled)
        configuration.httpVersion = .http1Only
        configuration.maximumUsesPerConnection = 1
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.dnsOverride = [host: HostAddress(bytes: address).description]
        return configuration
    }

    private func exchange(
        _ request: Request, host: String, over client: HTTPClient, limit: Int, deadline: NIODeadline
    ) async throws(IdentityError) -> Response {
        var outgoing = HTTPClientRequest(url: request.url)
        outgoing.method = request.method
        outgoing.headers.add(contentsOf: request.headers.map { ($0.name, $0.value) })
        if let body = request.body { outgoing.body = .bytes(body) }
        do {
            let response = try await client.execute(outgoing, deadline: deadline)
            if let length = response.headers.first(name: "Content-Length").flatMap({ Int($0) }), length > limit {
                throw IdentityError(.tooLarge, "\(host) answers with more than \(limit) bytes")
            }
            let body = try await response.body.collect(upTo: limit)
            return Response(
                status: Int(response.status.code), headers: response.headers.map { (name: $0.name, value: $0.value) },
                body: Array(buffer: body), url: request.url)
        } catch let error as IdentityError {
            throw error
        } catch is NIOTooManyBytesError {
            throw IdentityError(.tooLarge, "\(host) answers with more than \(limit) bytes")
        } catch let error as NIOSSLError {
            throw IdentityError(.unreachable, "\(host) has no certificate that can be trusted (\(error))")
        } catch {
            throw IdentityError(.unreachable, "\(host) cannot be reached: \(error)")
        }
    }

    private func host(_ url: String) -> String { URL(string: url)?.host() ?? "the server" }
}

/// Runs `body`, and fails with `.timeout` when it has not ended after `limit`. What cannot be cancelled is left behind.
func withTimeout<R: Sendable>(
    _ limit: Duration, _ reason: String, _ body: @escaping @Sendable () async throws(TransportError) -> R
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
