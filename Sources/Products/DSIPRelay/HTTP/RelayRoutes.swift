import DSIPIdentity
import Encoding
import HTTPTypes
import Hummingbird
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// The HTTP side of the relay, on the port of its signaling: documents and WebFinger for the names it hosts, health, metrics, one page.
///
/// Nothing here changes anything but `POST /names`, which is signed; there are no cookies, so no request can be forged across sites.
struct RelayRoutes: Sendable {
    /// Bytes of a name request.
    static let maximumRequest = 1 << 17

    let did: DID
    /// The relay's own document, when it is a did:web.
    let document: [UInt8]?
    let names: NameRegistry?
    let metrics: RelayMetrics
    let publicMetrics: Bool
    /// Documents of those who sign name requests.
    let resolve: @Sendable (DID) async -> DIDDocument?
    /// Told of every record that was written.
    let changed: @Sendable (NameRecord) -> Void
    /// Where blocking reads of the store run.
    let threads: NIOThreadPool
    let registrations: NIOLockedValueBox<RateLimiter<AddressKey>>
    let registrationRate: Rate
    let status: @Sendable () -> Status
    /// Nil when messaging is off.
    let blobs: BlobRoutes?
    /// Nil when discovery is off.
    let discovery: DiscoveryRoutes?
    /// Unix seconds.
    let now: @Sendable () -> Int64

    struct Status: Sendable {
        var healthy: Bool
        var draining: Bool
        var uptime: Int
    }

    func responder() -> some HTTPResponder<RelayRequestContext> {
        let router = Router(context: RelayRequestContext.self)
        router.get("/") { _, _ in count("root", root()) }
        router.get("/healthz") { _, _ in count("healthz", health()) }
        router.get("/metrics") { _, context in count("metrics", render(context)) }
        router.get("/.well-known/did.json") { _, _ in count("relay-document", relayDocument()) }
        router.get("/.well-known/webfinger") { request, _ in
            count("webfinger", await webFinger(request.uri.queryParameters["resource"].map(String.init)))
        }
        router.get("/users/:name/did.json") { _, context in
            count("document", await userDocument(context.parameters.get("name") ?? ""))
        }
        router.post("/names") { request, context in count("names", await register(request, context)) }
        blobs?.add(to: router)
        discovery?.add(to: router)
        return router.buildResponder()
    }

    private func count(_ route: String, _ response: Response) -> Response {
        metrics.http.add(route)
        return response
    }

    private func root() -> Response {
        let text = """
            This is a DSIP relay: it passes signed signaling messages between people's devices, and cannot forge one.
            Its identity is \(did). Signaling is at /dsip (WebSocket, TLS 1.3).
            There is nothing to see here for a browser; https://github.com/thevoiceguy/DSIP says what DSIP is.

            """
        return .bytes(Array(text.utf8), type: "text/plain; charset=utf-8", maxAge: 3600)
    }

    private func health() -> Response {
        let status = status()
        let word = status.draining ? "draining" : status.healthy ? "ok" : "the store cannot be written"
        return .json(
            ["status": .string(word)],
            status: status.healthy && !status.draining ? .ok : .serviceUnavailable
        )
    }

    private func render(_ context: RelayRequestContext) -> Response {
        guard publicMetrics || context.isLocal else {
            return .failure(RelayError(.refused, "Metrics are for this machine only."))
        }
        return .bytes(Array(metrics.render(uptime: status().uptime).utf8), type: PrometheusText.contentType)
    }

    private func relayDocument() -> Response {
        guard let document else { return .failure(RelayError(.notFound, "This relay is not a did:web.")) }
        return .bytes(document, type: "application/did+json", crossOrigin: true, maxAge: 300)
    }

    private func webFinger(_ resource: String?) async -> Response {
        guard let names else { return .failure(RelayError(.notFound, "This relay registers no names.")) }
        guard let resource else {
            return .failure(
                RelayError(.malformed, "Ask for a resource, such as ?resource=acct:alice@\(names.authority).")
            )
        }
        // `acct:` has no port of its own (RFC 7565); a relay on another port is also known by its bare host.
        guard resource.utf8.count <= 400, let alias = Alias(resource),
            alias.host == names.authority.description || alias.host == names.authority.host
        else { return .failure(RelayError(.notFound, "No such resource here.")) }
        return await found(alias.user) { record in
            .json(
                WebFinger.document(for: alias, did: record.did, relay: names.authority.signaling),
                type: "application/jrd+json",
                crossOrigin: true,
                maxAge: 60
            )
        }
    }

    private func userDocument(_ name: String) async -> Response {
        await found(name) { record in
            record.document.map { .bytes($0, type: "application/did+json", crossOrigin: true, maxAge: 60) }
        }
    }

    private func found(_ name: String, _ body: @Sendable @escaping (NameRecord) -> Response?) async -> Response {
        guard let names else { return .failure(RelayError(.notFound, "This relay registers no names.")) }
        let result = await blocking { () throws(RelayError) -> NameRecord? in try names.record(name) }
        switch result {
        case .success(let record):
            return record.flatMap(body) ?? .failure(RelayError(.notFound, "No such name here."))
        case .failure(let error): return .failure(error)
        }
    }

    private func register(_ request: Request, _ context: RelayRequestContext) async -> Response {
        guard let names else { return .failure(RelayError(.notFound, "This relay registers no names.")) }
        guard let body = try? await request.body.collect(upTo: RelayRoutes.maximumRequest),
            let envelope = Envelope(Array(body.readableBytesView))
        else { return .failure(RelayError(.malformed, "Post one DSIP-JOSE envelope with a register-name payload.")) }
        let now = now()
        let address = AddressKey(context.remoteAddress)
        if let wait = registrations.withLockedValue({ $0.take(address, registrationRate, at: Double(now)) }) {
            metrics.limited.add("names")
            return .failure(
                "rate-limited",
                "Too many name requests from this address; try again later.",
                status: .tooManyRequests,
                retryAfter: wait
            )
        }
        do throws(RelayError) {
            let (claimed, _) = try NameRequest.claimed(envelope)
            guard let document = await resolve(claimed.from) else {
                throw RelayError(.refused, "The DID document of the requester could not be resolved.")
            }
            let outcome = try await blocking { () throws(RelayError) -> NameRegistry.Outcome in
                try names.apply(envelope, document: document, at: now)
            }.get()
            if let record = outcome.record { changed(record) }
            metrics.names.set(
                (try? await blocking { () throws(RelayError) -> Int in try names.store.nameCount() }.get()) ?? 0
            )
            return answer(outcome, names)
        } catch {
            return .failure(error)
        }
    }

    private func answer(_ outcome: NameRegistry.Outcome, _ names: NameRegistry) -> Response {
        guard let record = outcome.record else { return .json(["released": true], crossOrigin: true) }
        return .json(
            [
                "name": .string(record.name), "acct": "acct:\(record.name)@\(names.authority)",
                "did": .string(record.did.string),
                "hosted": .bool(record.document != nil),
            ],
            status: outcome.created ? .created : .ok,
            crossOrigin: true
        )
    }

    /// Store calls block; they run on threads of their own.
    private func blocking<R: Sendable>(
        _ body: @Sendable @escaping () throws(RelayError) -> R
    ) async -> Result<R, RelayError> {
        let result = try? await threads.runIfActive { () -> Result<R, RelayError> in
            do throws(RelayError) { return .success(try body()) } catch { return .failure(error) }
        }
        return result ?? .failure(RelayError(.notRunning, "The relay is shutting down."))
    }
}
