import Encoding
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// The agent's local HTTP and WebSocket API and the page, on one loopback port (docs/agent-api.md).
public final class LocalServer: Sendable {
    /// The port that was bound.
    public let port: Int
    /// `http://127.0.0.1:PORT/#token=…`, for the person in front of this machine only.
    public let url: String
    public let token: String

    private let group: ServiceGroup
    private let running: Task<Void, any Error>

    /// Binds 127.0.0.1 and serves.
    /// - Parameters:
    ///   - port: 0 for any free one.
    ///   - folder: where `index.html` is; nil serves the API alone.
    /// - Throws: `AgentError` `.unreachable` when the port is taken.
    public static func start(agent: Agent, port: Int, folder: String?, logger: Logger) async throws(AgentError)
        -> LocalServer
    {
        var random = SystemRandomNumberGenerator()
        let token = RequestGuard.makeToken(using: &random)
        // The guard needs the port in `Host`; with port 0 it is known only once bound, so a free one is picked first.
        let port = try await port == 0 ? freePort() : port
        let requestGuard = RequestGuard(port: port, token: token)
        let (bound, boundContinuation) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            responder: router(agent: agent, requestGuard: requestGuard, folder: folder, logger: logger)
                .buildResponder(),
            server: HTTPServerBuilder { responder in
                LocalChannel(responder: responder, requestGuard: requestGuard) { channel in
                    await EventSocket(agent: agent, channel: channel).run()
                }
            },
            configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: port)),
            onServerRunning: { channel in
                boundContinuation.yield(channel.localAddress?.port ?? port)
                boundContinuation.finish()
            },
            logger: logger
        )
        let group = ServiceGroup(services: [application], logger: logger)
        let running = Task {
            defer { boundContinuation.finish() }
            try await group.run()
        }
        for await port in bound {
            return LocalServer(port: port, token: token, group: group, running: running)
        }
        throw AgentError(
            .unreachable,
            "Port \(port) could not be opened on this machine. Choose another with --port, or stop what uses it."
        )
    }

    private init(port: Int, token: String, group: ServiceGroup, running: Task<Void, any Error>) {
        self.port = port
        self.token = token
        self.url = "http://127.0.0.1:\(port)/#token=\(token)"
        self.group = group
        self.running = running
    }

    public func stop() async {
        await group.triggerGracefulShutdown()
        _ = try? await running.value
    }

    private static func freePort() async throws(AgentError) -> Int {
        do {
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .bind(host: "127.0.0.1", port: 0).get()
            let port = channel.localAddress?.port ?? 0
            try await channel.close()
            return port
        } catch {
            throw AgentError(.unreachable, "No port could be opened on this machine.")
        }
    }

    private static func router(agent: Agent, requestGuard: RequestGuard, folder: String?, logger: Logger) -> Router<
        BasicRequestContext
    > {
        let router = Router()
        router.add(middleware: SecurityMiddleware(requestGuard: requestGuard))
        if let folder {
            router.add(middleware: FileMiddleware(folder, searchForIndexHtml: true, logger: logger))
        }
        let notOurPage = AgentError(
            .unauthorized,
            "Open the address that dsip up printed; it carries the key to this page."
        )
        router.post("/api/v1/uploads") { request, _ -> Response in
            guard requestGuard.accepts(authorization: request.headers[.authorization]) else {
                return failure(notOurPage)
            }
            return await receive(request, agent: agent)
        }
        router.get("/api/v1/attachments/:conversation/:message") { request, context -> Response in
            guard requestGuard.accepts(authorization: request.headers[.authorization]) else {
                return failure(notOurPage)
            }
            return await attachment(
                context.parameters.get("conversation") ?? "",
                context.parameters.get("message") ?? "",
                range: request.headers[.range],
                agent: agent
            )
        }
        router.post("/api/v1/:method") { request, context -> Response in
            guard requestGuard.accepts(authorization: request.headers[.authorization]) else {
                return failure(notOurPage)
            }
            let name = context.parameters.get("method") ?? ""
            do {
                var request = request
                let body = try await request.collectBody(upTo: LocalChannel.maximumMessage)
                let text = Array(body.readableBytesView)
                let value = text.isEmpty ? nil : try? JSONValue(parsing: text)
                if value == nil, !text.isEmpty { throw AgentError(.badRequest, "The request is not JSON.") }
                let result = try await MethodTable.call(name, try Parameters(value), agent: agent, page: .request)
                return json(result, status: .ok)
            } catch let error as AgentError {
                return failure(error)
            } catch {
                return failure(
                    AgentError(.badRequest, "The request is too large: at most 256 KiB."),
                    status: .contentTooLarge
                )
            }
        }
        router.get("/api/v1/events") { request, _ -> Response in
            guard requestGuard.accepts(subprotocols: request.headers[values: .secWebSocketProtocol]) else {
                return failure(AgentError(.unauthorized, "The event socket needs the token of this page."))
            }
            return failure(AgentError(.badRequest, "This address speaks WebSocket."), status: .upgradeRequired)
        }
        return router
    }

    static func json(_ value: JSONValue, status: HTTPResponse.Status) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: value.utf8))
        )
    }

    static func failure(_ error: AgentError, status: HTTPResponse.Status? = nil) -> Response {
        json(["error": error.json], status: status ?? error.status)
    }
}

/// Refuses foreign hosts and origins before anything else is looked at, and puts the security headers on every reply.
private struct SecurityMiddleware: RouterMiddleware {
    typealias Context = BasicRequestContext
    let requestGuard: RequestGuard

    func handle(
        _ request: Hummingbird.Request,
        context: Context,
        next: (Hummingbird.Request, Context) async throws -> Response
    ) async throws -> Response {
        var response: Response
        if requestGuard.admits(host: request.head.authority, origin: request.headers[.origin]) {
            do {
                response = try await next(request, context)
            } catch let error as HTTPError {
                response = LocalServer.failure(
                    AgentError(.notFound, "There is nothing at this address."),
                    status: error.status
                )
            }
        } else {
            response = LocalServer.failure(
                AgentError(.unauthorized, "This server answers its own page only."),
                status: .forbidden
            )
        }
        for header in RequestGuard.securityHeaders {
            if let name = HTTPField.Name(header.name) { response.headers[name] = header.value }
        }
        return response
    }
}

extension AgentError {
    var status: HTTPResponse.Status {
        switch code {
        case .badRequest, .media: .badRequest
        case .tooLarge: .contentTooLarge
        case .unauthorized: .unauthorized
        case .notFound: .notFound
        case .notAllowed, .busy: .conflict
        case .wrongPassphrase, .damaged: .unprocessableContent
        case .unresolvable, .unreachable: .badGateway
        case .rateLimited: .tooManyRequests
        case .internal: .internalServerError
        }
    }
}
