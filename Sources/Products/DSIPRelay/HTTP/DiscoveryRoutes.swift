import DSIPDiscovery
import DSIPIdentity
import Encoding
import HTTPTypes
import Hummingbird
import NIOConcurrencyHelpers
import NIOCore

/// Hints and the directory over HTTP: hints at the paths of their profile (§10), and records of the directory, presence and home, by the
/// 64 digits of their keys:
///
/// | request | answer |
/// |---|---|
/// | `GET /dsip/v1/records/<key>` | 200 with the record, 404 |
/// | `POST /dsip/v1/records/<key>` | 202, 409 when a newer one is held, 400 with what is wrong |
/// | `GET /dsip/v1/proofs/<did>` | 200 with what proves the document (`DocumentProof`), 404, 503 when its place does not answer |
struct DiscoveryRoutes: Sendable {
    /// What an address may write, and what it may ask, as a minute's worth.
    private static let writing = Rate.perMinute(60)
    private static let asking = Rate.perMinute(240)
    /// What it may have fetched for it elsewhere.
    private static let proving = Rate.perMinute(60)

    let desk: DiscoveryDesk
    /// Nil where documents are resolved by other means.
    let proofs: ProofKeeper?
    let metrics: RelayMetrics
    /// Unix seconds.
    let now: @Sendable () -> Int64
    private let limits = NIOLockedValueBox(
        Dictionary(uniqueKeysWithValues: Purpose.allCases.map { ($0, RateLimiter<AddressKey>(capacity: 16_384)) })
    )

    private enum Purpose: CaseIterable {
        case write
        case read
        case prove

        var rate: Rate {
            switch self {
            case .write: DiscoveryRoutes.writing
            case .read: DiscoveryRoutes.asking
            case .prove: DiscoveryRoutes.proving
            }
        }
    }

    init(
        desk: DiscoveryDesk,
        proofs: ProofKeeper?,
        metrics: RelayMetrics,
        now: @escaping @Sendable () -> Int64
    ) {
        self.desk = desk
        self.proofs = proofs
        self.metrics = metrics
        self.now = now
    }

    func add(to router: Router<RelayRequestContext>) {
        router.get("/dsip/v1/hints/:did") { request, context in await hints(request, context) }
        router.post("/dsip/v1/hints") { request, context in await hints(request, context) }
        router.get("/dsip/v1/records/:key") { _, context in await record(context) }
        router.post("/dsip/v1/records/:key") { request, context in await keep(request, context) }
        if let proofs {
            router.get("/dsip/v1/proofs/:did") { request, context in await proof(request, context, proofs) }
        }
        router.get("/:zone") { request, context in await hints(request, context) }
        router.put("/:zone") { request, context in await hints(request, context) }
    }

    private func hints(_ request: Request, _ context: RelayRequestContext) async -> Response {
        if let refused = limited(request.method == .get ? .read : .write, context) { return refused }
        metrics.http.add("hints")
        var asked = HintNode.Request(method: request.method.rawValue, path: request.uri.path)
        if request.method != .get {
            guard let body = try? await request.body.collect(upTo: DiscoveryDesk.maximumBody) else { return .tooLong }
            asked.body = Array(body.readableBytesView)
        }
        let answer = await desk.answer(asked)
        var headers: HTTPFields = [
            .contentLength: "\(answer.body.count)", .xContentTypeOptions: "nosniff", .cacheControl: "no-store",
        ]
        for field in HintNode.Response.headers {
            if let name = HTTPField.Name(field.name) { headers[name] = field.value }
        }
        if let type = answer.contentType { headers[.contentType] = type }
        return Response(
            status: HTTPResponse.Status(code: answer.status),
            headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body))
        )
    }

    private func record(_ context: RelayRequestContext) async -> Response {
        if let refused = limited(.read, context) { return refused }
        metrics.http.add("records")
        guard let key = key(context) else { return .noKey }
        guard let record = await desk.record(key) else {
            return .failure(RelayError(.notFound, "There is no such record."))
        }
        return .bytes(record, type: "application/json", crossOrigin: true)
    }

    private func keep(_ request: Request, _ context: RelayRequestContext) async -> Response {
        if let refused = limited(.write, context) { return refused }
        metrics.http.add("records")
        guard let key = key(context) else { return .noKey }
        guard let body = try? await request.body.collect(upTo: DiscoveryDesk.maximumBody) else { return .tooLong }
        do {
            guard try await desk.keep(key, Array(body.readableBytesView)) != .kept(isSame: false) else {
                return .failure("older", "A newer record is held.", status: .conflict)
            }
            return .json([:], status: .accepted, crossOrigin: true)
        } catch {
            return .failure(RelayError(.malformed, "This record cannot be kept: \(error)."))
        }
    }

    private func proof(_ request: Request, _ context: RelayRequestContext, _ proofs: ProofKeeper) async -> Response {
        if let refused = limited(.prove, context) { return refused }
        metrics.http.add("proofs")
        // As it stands: the percent signs of a DID are its own.
        guard let did = DID(request.uri.path.dropFirst(RelayCarrier.path.count)) else {
            return .failure(RelayError(.malformed, "A proof is asked for by a DID."))
        }
        do throws(IdentityError) {
            return .bytes(try await proofs.proof(of: did).encoded, type: "application/json", crossOrigin: true)
        } catch {
            switch error.code {
            case .notFound, .unsupported, .malformed, .tooLarge:
                return .failure(RelayError(.notFound, "There is no such proof: \(error.reason)."))
            default:
                return .failure("busy", "It cannot be had now: \(error.reason).", status: .serviceUnavailable)
            }
        }
    }

    private func key(_ context: RelayRequestContext) -> [UInt8]? {
        context.parameters.get("key").flatMap { DiscoveryKey.key(digits: $0) }
    }

    private func limited(_ purpose: Purpose, _ context: RelayRequestContext) -> Response? {
        let address = AddressKey(context.remoteAddress)
        let now = Double(now())
        let wait = limits.withLockedValue { $0[purpose]?.take(address, purpose.rate, at: now) }
        guard let wait else { return nil }
        metrics.limited.add("discovery")
        return .failure("busy", "Too many requests; try again.", status: .tooManyRequests, retryAfter: wait)
    }
}

extension Response {
    fileprivate static var noKey: Response {
        .failure(RelayError(.malformed, "A record is asked for by the 64 digits of its key."))
    }

    fileprivate static var tooLong: Response {
        .failure("too-long", "A record has at most 64 KiB.", status: .contentTooLarge).closing()
    }
}
