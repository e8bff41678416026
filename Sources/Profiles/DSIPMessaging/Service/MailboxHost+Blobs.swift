import DSIPIdentity
import DSIPSignaling
import Encoding

/// Which blobs are held here, for whom, and which are fetched. Their bytes are the shell's. M§5.6, M§8.4
///
/// ```
/// blob         <sha256>            size, since when
/// blob-owner/<sha256>  <owner>     who has it
/// replication  <sha256>/<owner>    what is fetched, and tried again
/// ```
extension MailboxHost {
    struct Replication {
        var blob: BlobReference
        var owner: DID
        /// From 1.
        var attempt: Int
        /// When it is tried (again); nil while it is under way.
        var due: Int64?
    }

    // MARK: Uploads

    /// What ``BlobUpload/begin(_:path:isStored:at:)`` asks about the service and the owner. It changes nothing.
    public func blobService(for owner: DID) throws(StoreFailure) -> BlobUpload.Service {
        var service = BlobUpload.Service(
            mailbox: self.service.did,
            serves: [],
            maximumBlob: limits.maximumBlob,
            quota: limits.quota
        )
        do throws(HostStop) {
            guard let hosted = try mailbox(of: owner) else { return service }
            service.serves = [owner]
            service.used = hosted.items.usedBytes + hosted.blobBytes
        } catch {
            if case .failed(let failure) = error { throw failure }
        }
        return service
    }

    public func isBlobStored(_ sha256: String) throws(StoreFailure) -> Bool {
        try store.record(.init("blob", sha256)) != nil
    }

    func isHeld(_ sha256: String) throws(HostStop) -> Bool {
        try ask { () throws(StoreFailure) in try isBlobStored(sha256) }
    }

    /// The shell keeps a blob for an owner: one that was uploaded, whose body matched, or that was here already.
    public func storedBlob(_ sha256: String, size: Int64, by owner: DID, at now: Int64) {
        run(.none, at: now) { () throws(HostStop) in
            guard let hosted = try mailbox(of: owner) else { return }
            try keepBlob(sha256, size: size, for: hosted, at: now)
        }
    }

    private func keepBlob(_ sha256: String, size: Int64, for hosted: HostedMailbox, at now: Int64) throws(HostStop) {
        let owner = MailboxRecord.Key("blob-owner/\(sha256)", hosted.owner.string)
        let isNew = try ask { () throws(StoreFailure) in try store.record(owner) == nil }
        let record: JSONValue = ["size": .int(size), "since": .int(now)]
        try apply(.put(MailboxRecord(.init("blob", sha256), record.utf8)))
        guard isNew else { return }
        try apply(.put(MailboxRecord(owner, [])))
        charge(hosted, size)
        try ask { () throws(StoreFailure) in try hosted.save() }
    }

    private func charge(_ hosted: HostedMailbox, _ bytes: Int64) {
        hosted.blobBytes = max(0, hosted.blobBytes + bytes)
        hosted.mailbox.limits.quota = limits.quota.map { $0 - hosted.blobBytes }
    }

    // MARK: Replication

    /// An item that names blobs was stored. M§8.4 rule 6
    func replicate(_ manifest: [BlobReference], for hosted: HostedMailbox, at now: Int64) throws(HostStop) {
        guard service.blobEndpoint != nil else { return }
        for blob in manifest.prefix(Self.maximumManifest) {
            let isStored = try isHeld(blob.sha256)
            if isStored, hosted.mailbox.mode == .sync {
                // Another owner's copy serves this one too.
                try keepBlob(blob.sha256, size: blob.size, for: hosted, at: now)
                continue
            }
            let decision = BlobReplication.decide(
                blob,
                mode: hosted.mailbox.mode,
                maximumBlob: limits.maximumBlob,
                isStored: isStored
            )
            let used = hosted.items.usedBytes + hosted.blobBytes
            guard decision == .fetch, blob.size <= (limits.quota ?? .max) - used else { continue }
            let name = "\(blob.sha256)/\(hosted.owner)"
            guard replications[name] == nil, replications.count < Self.maximumReplications else { continue }
            try start(Replication(blob: blob, owner: hosted.owner, attempt: 1, due: nil), name)
            emit(.fetch(blob))
        }
    }

    /// Blobs of one item that are looked at, and fetches remembered at once.
    private static let maximumManifest = 32
    private static let maximumReplications = 4096

    private func start(_ replication: Replication, _ name: String) throws(HostStop) {
        replications[name] = replication
        let record: JSONValue = [
            "blob": replication.blob.json, "owner": .string(replication.owner.string),
            "attempt": .int(Int64(replication.attempt)),
        ]
        try apply(.put(MailboxRecord(.init("replication", name), record.utf8)))
    }

    /// What came of ``HostAction/fetch(_:)``: the shell keeps the body when it is what the reference says.
    public func fetched(_ blob: BlobReference, _ response: BlobResponse, at now: Int64) {
        run(.none, at: now) { () throws(HostStop) in
            for (name, var replication) in replications where replication.blob.sha256 == blob.sha256 {
                switch BlobReplication.fetched(replication.blob, response, attempt: replication.attempt) {
                case .store:
                    if let hosted = try mailbox(of: replication.owner) {
                        try keepBlob(blob.sha256, size: blob.size, for: hosted, at: now)
                    }
                    try end(name)
                case .discard(_, retry: true):
                    replication.attempt += 1
                    replication.due = now + MessagingProfile.backoff(attempt: replication.attempt - 1)
                    try start(replication, name)
                case .discard(_, retry: false), .skip, .fetch: try end(name)
                }
            }
        }
    }

    private func end(_ name: String) throws(HostStop) {
        replications[name] = nil
        try apply(.remove(.init("replication", name)))
    }

    func restoreReplications(at now: Int64) throws(StoreFailure) {
        for record in try store.records(in: "replication", after: nil, limit: Self.maximumReplications) {
            guard let value = try? JSONValue(parsing: record.value, limits: .host),
                let blob = value["blob"].flatMap({ try? BlobReference.read($0, "blob") }),
                let owner = value["owner"]?.string.flatMap({ DID($0) }), let attempt = value["attempt"]?.int
            else { continue }
            replications[record.key.name] = Replication(blob: blob, owner: owner, attempt: Int(attempt), due: now)
        }
    }

    func driveReplications(at now: Int64) {
        var asked: Set<String> = []
        for (name, replication) in replications where replication.due.map({ $0 <= now }) ?? false {
            replications[name]?.due = nil
            if asked.insert(replication.blob.sha256).inserted { emit(.fetch(replication.blob)) }
        }
    }

    // MARK: Ending

    /// A blob goes when nobody has it any more: owners of history keep theirs as long as it. M§8.4 rule 8
    func sweepBlob(_ record: MailboxRecord, at now: Int64) throws(HostStop) {
        let value = try? JSONValue(parsing: record.value, limits: .host)
        let (sha256, size, since) = (record.key.name, value?["size"]?.int ?? 0, value?["since"]?.int ?? 0)
        guard now - since > limits.retention else { return }
        let owners = try ask { () throws(StoreFailure) in
            try store.records(in: "blob-owner/\(sha256)", after: nil, limit: 256)
        }
        var remaining = owners.count
        for owner in owners {
            let hosted = try DID(owner.key.name).flatMap { did throws(HostStop) in try mailbox(of: did) }
            if let hosted, hosted.mailbox.mode == .sync {
                let kept = min(hosted.mailbox.archiveRetention ?? .max, limits.mailbox.maximumRetention)
                if now - since <= kept { continue }
            }
            try apply(.remove(owner.key))
            remaining -= 1
            guard let hosted else { continue }
            charge(hosted, -size)
            try ask { () throws(StoreFailure) in try hosted.save() }
        }
        guard remaining == 0 else { return }
        try apply(.remove(record.key))
        emit(.deleteBlob(sha256: sha256))
    }
}
