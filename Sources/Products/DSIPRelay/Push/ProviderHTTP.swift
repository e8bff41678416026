import AsyncHTTPClient
import DSIPTransport
import NIOCore
import NIOHTTP1
import NIOSSL

/// Requests to the providers that the operator configured, over HTTP/2 where they speak it. Answers are bounded in size and time.
final class ProviderHTTP: Sendable {
    struct Answer: Sendable {
        var status: Int
        var retryAfter: Int64?
        var body: [UInt8]
    }

    private let client: HTTPClient

    /// - Parameter roots: the system's, and in tests one of their own.
    init(roots: TrustRoots = .system) throws(TransportError) {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        var tls = try roots.configuration()
        tls.minimumTLSVersion = .tlsv12
        configuration.tlsConfiguration = tls
        configuration.httpVersion = .automatic
        configuration.timeout = .init(connect: .seconds(10), read: .seconds(20))
        configuration.decompression = .disabled
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func post(
        _ url: String,
        headers: [(name: String, value: String)],
        body: [UInt8]
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers = HTTPHeaders(headers.map { ($0.name, $0.value) })
        request.body = .bytes(body)
        let response = try await client.execute(request, timeout: .seconds(30))
        let bytes = try await response.body.collect(upTo: 65_536)
        return Answer(
            status: Int(response.status.code),
            // Apple and Google give seconds.
            retryAfter: response.headers.first(name: "Retry-After").flatMap { Int64($0) }.map {
                max(0, min($0, 86_400))
            },
            body: Array(bytes.readableBytesView)
        )
    }

    // A client that goes without being shut down ends the program, also where a sender could not be made of a bad key.
    deinit { Task.detached { [client] in try? await client.shutdown() } }

    func shutDown() async { try? await client.shutdown() }
}
