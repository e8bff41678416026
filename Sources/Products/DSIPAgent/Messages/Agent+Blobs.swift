import Crypto
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1

/// Files on their way: sealed and put, fetched and verified (M§5.6, M§8.4).
extension Agent {
    /// How long one file may take.
    static let transferTime: Duration = .seconds(900)

    // MARK: Up

    func put(_ job: BlobJob, _ desk: Desk, _ messages: MessagingDesk) {
        let owner = desk.identity
        let isQueued = messages.transfers.add(job.id) { [weak self] in
            Task { await self?.upload(job, owner: owner) }
        }
        if !isQueued { Task { failed(job, desk) } }
    }

    private func upload(_ job: BlobJob, owner: DID) async {
        guard let desk = desks[owner], let messages = desk.mail else { return }
        defer { messages.transfers.finished(job.id) }
        guard let endpoint = messages.blobEndpoint else { return failed(job, desk) }
        do {
            let (shelf, key) = (attachments, messages.dataKey)
            // Sealing a large file takes a while; the agent does other things meanwhile.
            let (ciphertext, sha256) = try await Task.detached { try Agent.ciphertext(of: job.source, shelf, key) }
                .value
            let size = Int64(ciphertext.count)
            guard let permit = messages.mail.blobPut(sha256: sha256, size: size, at: now()) else {
                return failed(job, desk)
            }
            let authorization = try permit.signed(by: desk.key, delegations: desk.delegations)
            let message = job.message
            let response = try await blobClient.send(
                .init(
                    .PUT,
                    "\(endpoint)/\(sha256)",
                    headers: [
                        (name: "Authorization", value: "DSIP \(authorization.compact)"),
                        (name: "Content-Type", value: "application/octet-stream"),
                    ],
                    body: ciphertext,
                    progress: { [weak self] sent in
                        guard let message, sent % Agent.progressStep < 1 << 18 || sent == size else { return }
                        Task { await self?.report(message, Double(sent) / Double(size), owner: owner) }
                    }
                ),
                limit: 64 << 10
            )
            guard response.status == 200 || response.status == 201 else {
                logger.info("a file was not taken", metadata: ["status": "\(response.status)"])
                return failed(job, desk)
            }
            if message != nil { try shelf.keep(ciphertext, sha256: sha256) }
            let reference = BlobReference(uri: "\(endpoint)/\(sha256)", sha256: sha256, size: size)
            let isNoted = work(desk) { (mail, now) throws(MessagingError) in
                try mail.blobStored(job.id, reference, at: now)
            }
            if isNoted, let message { shelf.release(message) }
            if let message { messages.settled(message) }
        } catch {
            logger.info("a file could not be handed over")
            failed(job, desk)
        }
    }

    private static func ciphertext(
        of source: BlobJob.Source,
        _ shelf: AttachmentShelf,
        _ dataKey: SymmetricKey
    ) throws -> (bytes: [UInt8], sha256: String) {
        let bytes =
            switch source {
            case .bytes(let bytes): bytes
            case .attachment(let message, _, let key, let nonce):
                try Seal.seal(shelf.held(for: message, key: dataKey), key: key, nonce: nonce, use: .blob)
            }
        return (bytes, Seal.hash(bytes))
    }

    private func failed(_ job: BlobJob, _ desk: Desk) {
        work(desk) { (mail, now) throws(MessagingError) in try mail.blobFailed(job.id, at: now) }
        if let message = job.message { desk.mail?.settled(message) }
    }

    // MARK: Down

    func get(_ request: BlobRequest, _ desk: Desk, _ messages: MessagingDesk) {
        let owner = desk.identity
        let isQueued = messages.transfers.add(request.id) { [weak self] in
            Task { await self?.download(request, owner: owner) }
        }
        // Too many wait: as if nobody had served it.
        if !isQueued { Task { missed(request, [], desk) } }
    }

    private func missed(
        _ request: BlobRequest,
        _ tried: [(source: String, response: BlobResponse)],
        _ desk: Desk
    ) {
        work(desk) { (mail, now) throws(MessagingError) in
            try mail.blobMissing(request.id, tried: tried, at: now)
        }
        if let message = request.message { desk.mail?.settled(message) }
    }

    private func download(_ request: BlobRequest, owner: DID) async {
        guard let desk = desks[owner], let messages = desk.mail else { return }
        defer {
            messages.transfers.finished(request.id)
            if let message = request.message { messages.settled(message) }
        }
        if request.key != nil, attachments.has(request.reference.sha256) {
            work(desk) { (mail, now) throws(MessagingError) in try mail.blobFetched(request.id, at: now) }
            return
        }
        var tried: [(source: String, response: BlobResponse)] = []
        for source in request.sources.prefix(Agent.maximumSources) {
            let (response, bytes) = await fetch(request, from: source, owner: owner)
            tried.append((source, response))
            guard let bytes else { continue }
            if request.key == nil {
                work(desk) { (mail, now) throws(MessagingError) in
                    try mail.blobFetched(request.id, bytes: bytes, at: now)
                }
            } else if (try? attachments.keep(bytes, sha256: request.reference.sha256)) != nil {
                work(desk) { (mail, now) throws(MessagingError) in try mail.blobFetched(request.id, at: now) }
            } else {
                break
            }
            return
        }
        missed(request, tried, desk)
    }

    private static let maximumSources = 4

    /// - Returns: the ciphertext, when it is the one that was named.
    private func fetch(
        _ request: BlobRequest,
        from source: String,
        owner: DID
    ) async -> (response: BlobResponse, bytes: [UInt8]?) {
        let reference = request.reference
        guard source.hasPrefix("https://"), reference.size <= Agent.maximumBlob else {
            return (BlobResponse(status: 0), nil)
        }
        let body = NIOLockedValueBox<[UInt8]>([])
        do throws(IdentityError) {
            let message = request.message
            let status = try await blobClient.download(source, limit: reference.size) { [weak self] part in
                let received = body.withLockedValue { body in
                    body.append(contentsOf: part.readableBytesView)
                    return Int64(body.count)
                }
                guard let message, received % Agent.progressStep < part.readableBytes else { return }
                Task { await self?.report(message, Double(received) / Double(reference.size), owner: owner) }
            }
            guard status == 200 else { return (BlobResponse(status: status), nil) }
        } catch {
            return (BlobResponse(status: 0), nil)
        }
        let bytes = body.withLockedValue { $0 }
        let sha256 = await Task.detached { Seal.hash(bytes) }.value
        let response = BlobResponse(status: 200, sha256: sha256, size: Int64(bytes.count))
        return (response, response.matches(sha256: reference.sha256, size: reference.size) ? bytes : nil)
    }

    /// Bytes of ciphertext that this device takes at all.
    static let maximumBlob = UploadShelf.maximumUpload + 28

    // MARK: Showing

    private static let progressStep: Int64 = 1 << 20

    private func report(_ message: ULID, _ progress: Double, owner: DID) {
        guard let desk = desks[owner], let messages = desk.mail, messages.transfers.isBusy else { return }
        messages.progress[message] = min(1, progress)
        guard let line = try? messages.store.message(message), isShown(line, desk) else { return }
        hub.publish(.message(shown(line, desk, messages)))
    }

    /// The plaintext of an attachment, fetched first when it is not on this device.
    /// - Throws: `.notFound`, `.unreachable`, `.damaged`.
    public func attachment(conversation: String, message: String) async throws(AgentError) -> Attachment {
        guard let id = ULID(message), let thread = ULID(conversation) else {
            throw AgentError(.notFound, "There is no such attachment.")
        }
        let (desk, messages) = try deskOfMail(thread)
        var isFetched = false
        for _ in 0..<4 {
            let line = try found(id, in: thread, messages)
            guard isShown(line, desk), let file = line.attachment, !line.isRetracted else {
                throw AgentError(.notFound, "There is no such attachment.")
            }
            if let bytes = try? await plaintext(of: line, file, messages) {
                return Attachment(bytes: bytes, contentType: file.contentType, name: file.name)
            }
            // An own file may have been sealed and put away while it was looked for.
            if try found(id, in: thread, messages).attachment?.reference != file.reference { continue }
            guard !isFetched, file.reference != nil else { break }
            isFetched = true
            try attempt(desk) { (mail, now) throws(MessagingError) in
                ((), try mail.fetchAttachment(id, in: thread, at: now))
            }
            await withCheckedContinuation { continuation in
                guard messages.transfers.isBusy else { return continuation.resume() }
                messages.waiting[id, default: []].append(continuation)
            }
        }
        throw AgentError(.unreachable, "The file cannot be had at the moment. Try again later.")
    }

    private func plaintext(
        of line: MessageRecord,
        _ file: MessageRecord.Attachment,
        _ messages: MessagingDesk
    ) async throws -> [UInt8] {
        let (shelf, dataKey, id) = (attachments, messages.dataKey, line.id)
        guard let reference = file.reference, shelf.has(reference.sha256) else {
            guard line.isMine else { throw AgentError(.notFound, "The file is not on this device.") }
            return try await Task.detached { try shelf.held(for: id, key: dataKey) }.value
        }
        let key = file.key
        return try await Task.detached { try shelf.open(reference, key: key) }.value
    }
}

extension BlobJob {
    /// The message whose file it is; nil for public group state.
    var message: ULID? { if case .attachment(let message, _, _, _) = source { message } else { nil } }
}
