import DSIPIdentity
import Encoding
import MLS

extension Messenger {
    // MARK: Attachments

    /// The payload that permits an upload to the own mailbox; sign it for the `Authorization` header. M§5.6
    public mutating func blobPut(sha256: String, size: Int64, at now: Int64) -> MailboxMessage? {
        self.now = now
        return primary.map { message(to: $0, .blobPut(BlobPut(sha256: sha256, size: size))) }
    }

    mutating func upload(_ line: MessageRecord) throws(MessagingError) {
        guard let primary, let attachment = line.attachment, let nonce = attachment.nonce else { return }
        let job = BlobJob(
            id: newULID(),
            mailbox: primary,
            source: .attachment(message: line.id, conversation: line.conversation, key: attachment.key, nonce: nonce)
        )
        blobJobs[job.id] = PendingBlob(purpose: .attachment(line.id, in: line.conversation))
        ledger.set(.setting, Self.uploadScope, line.id.description, Array(line.conversation.description.utf8))
        outgoing.append(.putBlob(job))
    }

    /// Messages whose files are under way, with their threads.
    private static var uploadScope: String { "uploads" }
    private static var downloadScope: String { "downloads" }

    private mutating func underway(
        _ scope: String,
        _ states: Set<MessageRecord.Attachment.State>
    ) throws(MessagingError) -> [MessageRecord] {
        var lines: [MessageRecord] = []
        for row in try ledger.rows(.setting, scope) {
            guard let id = ULID(row.key), let thread = ULID(String(decoding: row.value, as: UTF8.self)),
                let line = try ledger.message(id, in: thread), let state = line.attachment?.state,
                states.contains(state)
            else {
                ledger.set(.setting, scope, row.key, nil)
                continue
            }
            lines.append(line)
        }
        return lines
    }

    /// Uploads and downloads that the last run did not finish, and commits that wait for their upload.
    mutating func restartTransfers() throws(MessagingError) {
        for line in try underway(Self.uploadScope, [.uploading]) { try upload(line) }
        attachmentRetries = [:]
        for var line in try underway(Self.downloadScope, [.downloading, .none]) {
            if line.attachment?.state == .downloading {
                // It was no try that found nothing.
                line.attachment?.attempts -= 1
                try fetch(&line)
            } else {
                attachmentRetries[line.id] = (line.conversation, line.attachment?.retryAt ?? now)
            }
        }
        for item in outbox.values.flatMap(\.self) where item.awaitsBlob != nil {
            guard let id = item.group else { continue }
            // The tree is not kept: the commit is made anew.
            try dropCommit(item.id, in: id)
        }
    }

    /// A blob is in the own mailbox.
    public mutating func blobStored(
        _ job: ULID,
        _ reference: BlobReference,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let pending = messenger.blobJobs.removeValue(forKey: job) else { return }
            switch pending.purpose {
            case .attachment(let id, let thread):
                messenger.ledger.set(.setting, Self.uploadScope, id.description, nil)
                guard var line = try messenger.ledger.message(id, in: thread), line.attachment?.state == .uploading
                else {
                    return
                }
                line.attachment?.reference = reference
                line.attachment?.size = reference.size
                line.attachment?.nonce = nil
                line.attachment?.state = .ready
                try messenger.save(line)
                do throws(MessagingError) {
                    try messenger.enqueue(line)
                } catch {
                    guard error.code == .refused else { throw error }
                    // The conversation may have ended while it was uploaded.
                    try messenger.failed(id, in: thread, error.detail)
                }
            case .publish(let item, let id, _): try messenger.publishedTree(reference, item, in: id)
            case .tree: break
            }
        }.1
    }

    /// It could not be stored now.
    public mutating func blobFailed(_ job: ULID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            messenger.blobJobs[job]?.attempts += 1
            let attempts = messenger.blobJobs[job]?.attempts ?? 1
            messenger.blobJobs[job]?.retryAt = now + MessagingProfile.backoff(attempt: attempts)
        }.1
    }

    /// The person wants an attachment.
    public mutating func fetchAttachment(
        _ message: ULID,
        in conversation: ULID,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard var line = try messenger.ledger.message(message, in: conversation), line.attachment?.reference != nil
            else {
                throw MessagingError(.refused, "There is nothing to fetch.")
            }
            line.attachment?.attempts = 0
            try messenger.fetch(&line)
        }.1
    }

    private mutating func fetch(_ line: inout MessageRecord) throws(MessagingError) {
        guard let attachment = line.attachment, let reference = attachment.reference else { return }
        line.attachment?.state = .downloading
        line.attachment?.attempts += 1
        line.attachment?.retryAt = nil
        try save(line)
        ledger.set(.setting, Self.downloadScope, line.id.description, Array(line.conversation.description.utf8))
        let request = BlobRequest(
            id: newULID(),
            message: line.id,
            conversation: line.conversation,
            sources: attachment.sources,
            reference: reference,
            key: attachment.key
        )
        blobJobs[request.id] = PendingBlob(purpose: .attachment(line.id, in: line.conversation))
        outgoing.append(.getBlob(request))
    }

    /// An attachment was fetched, verified, opened and kept.
    public mutating func blobFetched(_ request: ULID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard case .attachment(let id, let thread)? = messenger.blobJobs.removeValue(forKey: request)?.purpose,
                var line = try messenger.ledger.message(id, in: thread), line.attachment != nil
            else { return }
            line.attachment?.state = .ready
            messenger.ledger.set(.setting, Self.downloadScope, id.description, nil)
            try messenger.save(line)
        }.1
    }

    /// Nobody served it: it is asked for again later, as often as M§8.4 says.
    public mutating func blobMissing(
        _ request: ULID,
        tried: [(source: String, response: BlobResponse)],
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard let pending = messenger.blobJobs.removeValue(forKey: request) else { return }
            switch pending.purpose {
            case .attachment(let id, let thread):
                guard var line = try messenger.ledger.message(id, in: thread), let attachment = line.attachment,
                    let reference = attachment.reference
                else { return }
                switch BlobFetch.decide(reference, tried: tried, attempt: max(1, attachment.attempts)) {
                case .retry, .use:
                    line.attachment?.state = .none
                    line.attachment?.retryAt = now + MessagingProfile.backoff(attempt: attachment.attempts)
                    messenger.attachmentRetries[id] = (thread, line.attachment?.retryAt ?? now)
                case .giveUp:
                    line.attachment?.state = .failed
                    messenger.ledger.set(.setting, Self.downloadScope, id.description, nil)
                }
                try messenger.save(line)
            case .tree(let item):
                var again = pending
                again.attempts += 1
                guard again.attempts < MessagingProfile.blobAttempts else {
                    if item.itemClass == .welcome, let id = item.group { try messenger.giveUpJoining(id) }
                    return
                }
                again.retryAt = now + MessagingProfile.backoff(attempt: again.attempts)
                messenger.blobJobs[request] = again
            case .publish: break
            }
        }.1
    }

    mutating func retryBlobs() throws(MessagingError) {
        for (id, pending) in blobJobs {
            guard let at = pending.retryAt, at <= now else { continue }
            blobJobs[id]?.retryAt = nil
            switch pending.purpose {
            case .attachment(let message, let thread):
                blobJobs[id] = nil
                if let line = try ledger.message(message, in: thread), line.attachment?.state == .uploading {
                    try upload(line)
                }
            case .publish(_, _, let bytes):
                if let primary { outgoing.append(.putBlob(BlobJob(id: id, mailbox: primary, source: .bytes(bytes)))) }
            case .tree(let item):
                blobJobs[id] = nil
                if let blob = item.blobs.first { fetchTree(blob, for: item, attempts: pending.attempts) }
            }
        }
        for (id, (thread, at)) in attachmentRetries where at <= now {
            attachmentRetries[id] = nil
            if var line = try ledger.message(id, in: thread),
                line.attachment?.state == MessageRecord.Attachment.State.none
            {
                try fetch(&line)
            }
        }
    }

    // MARK: Trees of large groups, M§6.4

    /// Fetches the tree that goes with a welcome or a GroupInfo, unless it is being fetched.
    mutating func fetchTree(_ blob: BlobReference, for item: StoredItem, attempts: Int = 0) {
        let isFetching = blobJobs.values.contains { pending in
            if case .tree(let other) = pending.purpose {
                other.blobs.first == blob && other.cursor == item.cursor
            } else {
                false
            }
        }
        guard !isFetching else { return }
        let request = BlobRequest(
            id: newULID(),
            message: nil,
            conversation: nil,
            sources: [blob.uri],
            reference: blob,
            key: nil
        )
        var pending = PendingBlob(purpose: .tree(item))
        pending.attempts = attempts
        blobJobs[request.id] = pending
        outgoing.append(.getBlob(request))
    }

    /// Public group state was fetched.
    public mutating func blobFetched(
        _ request: ULID,
        bytes: [UInt8],
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            guard case .tree(let item)? = messenger.blobJobs.removeValue(forKey: request)?.purpose,
                let blob = item.blobs.first, Int64(bytes.count) == blob.size, Seal.hash(bytes) == blob.sha256
            else { return }
            if item.itemClass == .welcome {
                try messenger.joinAgain(by: item, tree: bytes)
            } else if let id = item.group {
                try messenger.joinByCommit(id, item, tree: bytes)
            }
        }.1
    }

    /// Puts the present tree up and republishes the GroupInfo that names it.
    mutating func publishTree(of id: GroupID) throws(MessagingError) {
        guard let mls = try mlsGroup(id), let primary else { return }
        let job = BlobJob(id: newULID(), mailbox: primary, source: .bytes(mls.ratchetTree.encoded))
        blobJobs[job.id] = PendingBlob(purpose: .publish(item: job.id, id, mls.ratchetTree.encoded))
        outgoing.append(.putBlob(job))
    }

    /// Puts up the tree that a commit leads to; the commit waits for it.
    mutating func publishTree(of id: GroupID, pending mls: MLS.Group, for item: inout OutboxItem) throws(MessagingError)
    {
        var next = mls
        guard let primary, (try? next.mergePendingCommit()) != nil else { return }
        let bytes = next.ratchetTree.encoded
        let job = BlobJob(id: newULID(), mailbox: primary, source: .bytes(bytes))
        item.awaitsBlob = job.id
        blobJobs[job.id] = PendingBlob(purpose: .publish(item: item.id, id, bytes))
        outgoing.append(.putBlob(job))
    }

    private mutating func publishedTree(
        _ reference: BlobReference,
        _ item: ULID,
        in id: GroupID
    ) throws(MessagingError) {
        guard let group = groups[id], let primary else { return }
        if var waiting = outbox[group.thread]?.first(where: { $0.id == item }), waiting.awaitsBlob != nil {
            waiting.awaitsBlob = nil
            if case .handshake(var handshake) = waiting.deposit {
                handshake.ratchetTree = reference
                waiting.deposit = .handshake(handshake)
            }
            save(waiting)
            try deposit(item, in: id)
            return
        }
        guard let mls = try mlsGroup(id), Seal.hash(mls.ratchetTree.encoded) == reference.sha256,
            let info = try? mls.groupInfo(includesRatchetTree: false).encoded
        else { return }
        addErrand(
            .groupInfo,
            .deposit(
                Deposit(
                    group: id,
                    .groupInfo(mls: EncodedBytes(info), ratchetTree: reference, handoverSeq: handoverSeq(of: group))
                )
            ),
            to: group.hub.did,
            via: MailboxRoute(mailbox: primary),
            group: id
        )
    }
}
