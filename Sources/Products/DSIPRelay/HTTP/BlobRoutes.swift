import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import HTTPTypes
import Hummingbird
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTPTypes

/// Who may put blobs here, and whose they are then.
protocol BlobKeeper: Sendable {
    /// Judges an upload by its head.
    func begin(_ authorization: BlobUpload.Authorization?, path: String) async -> (BlobUpload?, BlobUpload.Answer)

    /// The bytes of a blob are on disk: it belongs to `owner` from now on, durably.
    ///
    /// - Returns: false when that cannot be written.
    func stored(_ sha256: String, size: Int64, by owner: DID) async -> Bool

    /// An upload that `begin` let in has ended, well or not.
    func ended(_ sha256: String, size: Int64, by owner: DID)
}

/// The blob endpoint: `PUT`, `GET` and `HEAD` of `/blobs/{sha256}`. M§5.6, M§8.4
///
/// Ciphertext by its hash: whoever knows the 256 bits may have it, nobody can list it, and it never changes. An upload is authorised by a
/// signed `blob-put` in its `Authorization` header and judged before its body is read; refusals carry a signed `error`.
struct BlobRoutes: Sendable {
    static let path = "/blobs"
    private static let scheme = "dsip "
    /// Resolutions that one authorisation may ask for.
    private static let maximumResolutions = 3
    /// Transfers under way at once, of each direction.
    private static let maximumTransfers = 64

    let did: DID
    let store: BlobStore
    let keeper: any BlobKeeper
    let voice: RelayVoice
    let source: any VerificationSource
    let replay: SharedReplayWindow
    let metrics: RelayMetrics
    private let verifier = NIOLockedValueBox(EnvelopeVerifier(policy: .messaging(isRouter: true), cacheBytes: 1 << 20))
    private let transfers = NIOLockedValueBox((up: 0, down: 0))

    init(
        did: DID,
        store: BlobStore,
        keeper: any BlobKeeper,
        voice: RelayVoice,
        source: any VerificationSource,
        replay: SharedReplayWindow,
        metrics: RelayMetrics
    ) {
        self.did = did
        self.store = store
        self.keeper = keeper
        self.voice = voice
        self.source = source
        self.replay = replay
        self.metrics = metrics
    }

    func add(to router: Router<RelayRequestContext>) {
        router.get("/blobs/:sha256") { request, context in await get(request, context, isHead: false) }
        router.head("/blobs/:sha256") { request, context in await get(request, context, isHead: true) }
        router.put("/blobs/:sha256") { request, context in await put(request, context) }
    }

    // MARK: Reading

    private func get(_ request: Request, _ context: RelayRequestContext, isHead: Bool) async -> Response {
        metrics.http.add("blob-get")
        let name = context.parameters.get("sha256") ?? ""
        let reader: BlobReader?
        do throws(RelayError) { reader = try await store.reader(name) } catch { return .failure(error) }
        guard let reader else { return .failure(RelayError(.notFound, "No such blob here.")) }
        var headers: HTTPFields = [
            .contentType: "application/octet-stream", .xContentTypeOptions: "nosniff", .acceptRanges: "bytes",
            .eTag: "\"\(name)\"", .cacheControl: "public, max-age=31536000, immutable",
            .contentSecurityPolicy: "default-src 'none'; sandbox",
        ]
        if let known = request.headers[.ifNoneMatch], known == "*" || known.contains("\"\(name)\"") {
            return Response(status: .notModified, headers: headers)
        }
        // A blob never changes, so a condition on its tag either names it or another.
        let condition = request.headers[.ifRange]
        let asked = condition == nil || condition == "\"\(name)\"" ? request.headers[.range] : nil
        var range: Range<Int64> = 0..<reader.size
        var status = HTTPResponse.Status.ok
        switch ByteRange(asked, size: reader.size) {
        case .whole: break
        case .part(let part):
            range = part
            status = .partialContent
            headers[.contentRange] = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(reader.size)"
        case .unsatisfiable:
            headers[.contentRange] = "bytes */\(reader.size)"
            headers[.contentLength] = "0"
            return Response(status: .rangeNotSatisfiable, headers: headers)
        }
        headers[.contentLength] = "\(range.count)"
        if isHead { return Response(status: status, headers: headers) }
        guard enter(\.down) else {
            return .failure("busy", "Too many transfers; try again.", status: .serviceUnavailable, retryAfter: 5)
        }
        return Response(status: status, headers: headers, body: body(reader, range))
    }

    private func body(_ reader: BlobReader, _ range: Range<Int64>) -> ResponseBody {
        let transfer = Transfer { leave(\.down) }
        return ResponseBody(contentLength: range.count) { writer in
            defer { transfer.end() }
            let deadline = ContinuousClock.now + BlobStore.patience(for: Int64(range.count))
            try await store.read(reader, range) { part in
                guard ContinuousClock.now < deadline else { throw RelayError(.refused, "a reader is too slow") }
                metrics.blobBytes.add("sent", part.readableBytes)
                try await writer.write(part)
            }
            try await writer.finish(nil)
        }
    }

    // MARK: Writing

    private func put(_ request: Request, _ context: RelayRequestContext) async -> Response {
        metrics.http.add("blob-put")
        let name = context.parameters.get("sha256") ?? ""
        let authorized = await authorization(request.headers[.authorization])
        let device = authorized?.device
        let (upload, answer) = await keeper.begin(authorized?.authorization, path: name)
        guard let upload, let authorization = authorized?.authorization else {
            // The body is not wanted; whoever sends it anyway is not listened to.
            return said(answer, to: device, about: authorized?.authorization.id, hasUnreadBody: true)
        }
        defer { keeper.ended(name, size: upload.expectedSize, by: authorization.identity) }
        guard enter(\.up) else {
            return .failure("busy", "Too many transfers; try again.", status: .serviceUnavailable, retryAfter: 5)
                .closing()
        }
        defer { leave(\.up) }
        if let length = request.headers[.contentLength].flatMap({ Int64($0) }), length != upload.expectedSize {
            return said(.mismatch, to: device, about: authorization.id, hasUnreadBody: true)
        }
        if request.headers[.expect]?.lowercased() == "100-continue" { context.sendContinue() }
        do {
            switch try await store.receive(upload.expectedSize, request.body) {
            case .tooLong: return said(.mismatch, to: device, about: authorization.id, hasUnreadBody: true)
            case .tooSlow:
                return .failure("too-slow", "The upload took too long.", status: .requestTimeout).closing()
            case .whole(let writer, let sha256):
                metrics.blobBytes.add("received", Int(writer.written))
                let outcome = upload.finish(size: writer.written, sha256: sha256)
                guard case .accepted = outcome else {
                    await store.discard(writer)
                    return said(outcome, to: device, about: authorization.id)
                }
                let size = writer.written
                try await store.keep(writer, as: sha256)
                guard await keeper.stored(sha256, size: size, by: authorization.identity) else {
                    return said(.noRoom, to: device, about: authorization.id)
                }
                return said(outcome, to: device, about: authorization.id)
            }
        } catch let error as RelayError {
            if error.code == .full { return said(.noRoom, to: device, about: authorization.id, hasUnreadBody: true) }
            return .failure(error).closing()
        } catch {
            // The connection broke in the middle.
            return .failure("malformed", "The upload did not arrive.", status: .badRequest).closing()
        }
    }

    private struct Authorized {
        var authorization: BlobUpload.Authorization
        var device: DID
    }

    /// - Returns: nil when there is no `blob-put`, or it breaks a rule of the envelope, the delegation or the profile.
    private func authorization(_ header: String?) async -> Authorized? {
        guard let header, header.prefix(BlobRoutes.scheme.count).lowercased() == BlobRoutes.scheme else { return nil }
        let parts = header.dropFirst(BlobRoutes.scheme.count).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3,
            let envelope = Envelope(
                protected: String(parts[0]),
                payload: String(parts[1]),
                signature: String(parts[2])
            )
        else { return nil }
        var resolutions = 0
        while true {
            switch verify(envelope.bytes) {
            case .accepted(let message):
                guard message.mayMessage, case .blobPut(let put) = message.body.body else { return nil }
                return Authorized(
                    authorization: .init(
                        identity: message.principal,
                        id: message.body.id,
                        to: message.body.to,
                        put: put
                    ),
                    device: message.body.from
                )
            case .needs(let did) where resolutions < BlobRoutes.maximumResolutions:
                resolutions += 1
                await source.resolve(did)
            case .refused, .rejected, .needs: return nil
            }
        }
    }

    private func verify(_ frame: [UInt8]) -> ProfileVerdict<MailboxMessage, MessagingError> {
        let now = voice.clock()
        var replay = replay
        return verifier.withLockedValue { verifier in
            verifier.verify(
                frame,
                at: now,
                replay: &replay,
                documents: { source.document(of: $0, at: now) },
                delegations: source.delegations,
                revocations: source.revocations,
                reading: { payload throws(MessagingError) in try MailboxMessage(payload) }
            )
        }
    }

    // MARK: Answers

    private func said(
        _ answer: BlobUpload.Answer,
        to device: DID?,
        about id: ULID?,
        hasUnreadBody: Bool = false
    ) -> Response {
        let (code, bytes, retryAfter): (Int, [UInt8]?, Int?)
        switch answer {
        case .accepted(let status, let id, let duplicate):
            metrics.blobs.add(duplicate ? "duplicate" : "stored")
            code = status
            retryAfter = nil
            bytes = device.flatMap { voice.accepted(Accepted(inReplyTo: id, duplicate: duplicate), to: $0) }
        case .refused(let status, let reason):
            metrics.blobs.add("refused")
            metrics.refused.add(reason.token)
            code = status
            retryAfter = reason == .mailboxQuotaExceeded ? MailboxDesk.retryAfter : nil
            // Whoever asks without a name of its own is answered without one.
            bytes = voice.error(reason, to: device ?? did, inReplyTo: id, retryAfter: retryAfter)
        case .readBody: preconditionFailure("an upload that is let in is not answered before its body")
        }
        guard let bytes else { return .failure(RelayError(.notRunning, "The relay cannot sign.")) }
        var response = Response.bytes(bytes, type: "application/json", status: .init(code: code))
        if let retryAfter { response.headers[.retryAfter] = "\(retryAfter)" }
        return hasUnreadBody ? response.closing() : response
    }

    private func enter(_ direction: any WritableKeyPath<(up: Int, down: Int), Int> & Sendable) -> Bool {
        transfers.withLockedValue { transfers in
            guard transfers[keyPath: direction] < BlobRoutes.maximumTransfers else { return false }
            transfers[keyPath: direction] += 1
            return true
        }
    }

    private func leave(_ direction: any WritableKeyPath<(up: Int, down: Int), Int> & Sendable) {
        transfers.withLockedValue { $0[keyPath: direction] -= 1 }
    }
}

/// Ends once, at the latest when nobody holds it any more: a response whose body is never asked for counts no longer either.
private final class Transfer: Sendable {
    private let body: NIOLockedValueBox<(@Sendable () -> Void)?>

    init(_ body: @escaping @Sendable () -> Void) { self.body = NIOLockedValueBox(body) }
    deinit { end() }

    func end() {
        let ending = body.withLockedValue { body in
            defer { body = nil }
            return body
        }
        ending?()
    }
}

extension BlobUpload.Answer {
    fileprivate static let mismatch = Self.refused(status: 400, .mailboxBlobMismatch)
    /// The disk, or what is set aside for blobs, is full: later perhaps. M§9.3
    fileprivate static let noRoom = Self.refused(status: 507, .mailboxQuotaExceeded)
}
