import DSIPTransport
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdHTTP2
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOSSL

/// Push services of every kind on one loopback port, over TLS with HTTP/2 and HTTP/1.1: keeps what it was sent, answers what it was told to.
final class PushServiceDouble: Sendable {
    struct Received: Sendable {
        var path: String
        var headers: [String: String]
        var body: [UInt8]
        var isHTTP2: Bool
    }

    struct Answer: Sendable {
        var status: HTTPResponse.Status
        var headers: [(name: String, value: String)] = []
        var body = ""
    }

    private let folder: TemporaryFolder
    private let received = NIOLockedValueBox<[Received]>([])
    private let answers = NIOLockedValueBox<[Answer]>([])
    private let task: Task<Void, any Error>
    let port: Int
    let rootPath: String

    init() async throws {
        folder = try TemporaryFolder()
        let authority = try DevelopmentAuthority(folder: folder.path + "/tls", now: Int64(Date().timeIntervalSince1970))
        rootPath = authority.rootPath
        let tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(authority.certificatePath).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: authority.keyPath, format: .pem))
        )
        let router = Router()
        let (received, answers) = (received, answers)
        router.post("/**") { request, context in
            let body = try await request.body.collect(upTo: 1 << 16)
            var headers: [String: String] = [:]
            for field in request.headers { headers[field.name.canonicalName] = field.value }
            let entry = Received(
                path: request.uri.path,
                headers: headers,
                body: Array(body.readableBytesView),
                isHTTP2: request.head.authority != nil && request.headers[.connection] == nil
            )
            received.withLockedValue { $0.append(entry) }
            let answer = answers.withLockedValue { $0.isEmpty ? Answer(status: .created) : $0.removeFirst() }
            var fields = HTTPFields()
            for header in answer.headers {
                if let name = HTTPField.Name(header.name) { fields[name] = header.value }
            }
            let bytes = ByteBuffer(string: answer.body)
            return Response(status: answer.status, headers: fields, body: .init(byteBuffer: bytes))
        }
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        let application = Application(
            router: router,
            server: try .http2Upgrade(tlsConfiguration: tls),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in continuation.yield(channel.localAddress?.port ?? 0) },
            logger: Logger(label: "push", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        task = Task { try await application.run() }
        var iterator = ports.makeAsyncIterator()
        port = await iterator.next() ?? 0
    }

    deinit { task.cancel() }

    /// Ends the service; its port refuses connections then.
    func stop() async {
        task.cancel()
        _ = try? await task.value
    }

    var base: String { "https://127.0.0.1:\(port)" }
    var roots: TrustRoots { TrustRoots(additionalFiles: [rootPath]) }
    var requests: [Received] { received.withLockedValue { $0 } }

    /// What the next requests are answered, in order; `201` after that.
    func answer(_ list: Answer...) { answers.withLockedValue { $0 = list } }
}
