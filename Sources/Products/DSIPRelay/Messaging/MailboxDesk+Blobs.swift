import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import NIOConcurrencyHelpers
import Synchronization

/// What uploads and fetches of blobs hold at the moment: room of their owner's quota, and names that must not go.
struct UploadLedger: Sendable {
    /// Uploads of one owner at once.
    static let maximumUploads = 8

    private var bytes: [DID: Int64] = [:]
    private var uploads: [DID: Int] = [:]
    private var pins: [String: Int] = [:]

    func bytes(of owner: DID) -> Int64 { bytes[owner] ?? 0 }
    func isFull(_ owner: DID) -> Bool { (uploads[owner] ?? 0) >= UploadLedger.maximumUploads }
    func isPinned(_ sha256: String) -> Bool { pins[sha256] != nil }

    mutating func begin(_ sha256: String, size: Int64, by owner: DID) {
        bytes[owner, default: 0] += size
        uploads[owner, default: 0] += 1
        pin(sha256)
    }

    mutating func end(_ sha256: String, size: Int64, by owner: DID) {
        bytes[owner] = UploadLedger.less(bytes[owner], size)
        uploads[owner] = UploadLedger.less(uploads[owner], 1)
        unpin(sha256)
    }

    mutating func pin(_ sha256: String) { pins[sha256, default: 0] += 1 }
    mutating func unpin(_ sha256: String) { pins[sha256] = UploadLedger.less(pins[sha256], 1) }

    private static func less<Count: SignedInteger>(_ count: Count?, _ by: Count) -> Count? {
        guard let count, count > by else { return nil }
        return count - by
    }
}

extension MailboxDesk: BlobKeeper {
    func begin(
        _ authorization: BlobUpload.Authorization?,
        path: String
    ) async -> (BlobUpload?, BlobUpload.Answer) {
        guard let authorization else {
            let nobody = BlobUpload.Service(mailbox: parts.voice.key.did, serves: [], maximumBlob: 0)
            return BlobUpload.begin(nil, path: path, isStored: false, at: nobody)
        }
        let owner = authorization.identity
        // From before it is asked for until its owner has it, the file stays where it is.
        uploads.withLockedValue { $0.pin(path) }
        defer { uploads.withLockedValue { $0.unpin(path) } }
        let judged = try? await parts.blobs.run { [self] folder throws(RelayError) in
            let isOnDisk = folder.entry(path) != nil
            let asked = office.withLock { office -> (BlobUpload.Service, Bool)? in
                guard let host = office.host, let service = try? host.blobService(for: owner) else { return nil }
                return (service, (try? host.isBlobStored(path)) ?? false)
            }
            guard let (service, isOwned) = asked else { throw RelayError(.storage, "the mailboxes cannot be read") }
            // One whose file was lost is wanted again.
            return (service: service, isStored: isOwned && isOnDisk)
        }
        guard var (service, isStored) = judged else { return (nil, .refused(status: 507, .mailboxQuotaExceeded)) }
        let (upload, answer) = uploads.withLockedValue { uploads -> (BlobUpload?, BlobUpload.Answer) in
            service.used += uploads.bytes(of: owner)
            let (upload, answer) = BlobUpload.begin(authorization, path: path, isStored: isStored, at: service)
            guard let upload else { return (nil, answer) }
            guard !uploads.isFull(owner) else { return (nil, .refused(status: 429, .policyRateLimited)) }
            uploads.begin(path, size: upload.expectedSize, by: owner)
            return (upload, answer)
        }
        // Theirs as well from now on, so that it does not go with its first owner.
        if case .accepted = answer, !(await stored(path, size: authorization.put.size, by: owner)) {
            return (nil, .refused(status: 507, .mailboxQuotaExceeded))
        }
        return (upload, answer)
    }

    func stored(_ sha256: String, size: Int64, by owner: DID) async -> Bool {
        parts.metrics.blobsKept.set(Int(parts.blobs.folder.usedBytes))
        return await withCheckedContinuation { continuation in
            submit(.stored(BlobClaim(sha256: sha256, size: size, owner: owner) { continuation.resume(returning: $0) }))
        }
    }

    func ended(_ sha256: String, size: Int64, by owner: DID) {
        uploads.withLockedValue { $0.end(sha256, size: size, by: owner) }
    }

    // MARK: What the host asks for

    /// Replication: a copy of what an owner's message names. M§8.4
    func fetch(_ blob: BlobReference) {
        uploads.withLockedValue { $0.pin(blob.sha256) }
        parts.replicator.fetch(blob) { [self] response in
            parts.metrics.blobsKept.set(Int(parts.blobs.folder.usedBytes))
            submit(.fetched(blob, response))
            uploads.withLockedValue { $0.unpin(blob.sha256) }
        }
    }

    func read(_ blob: BlobReference) {
        parts.replicator.read(blob) { [self] bytes in submit(.read(blob, bytes)) }
    }

    // MARK: What nobody wants

    /// Removes a blob that no owner has and no upload is about to give one.
    func dropUnowned(_ sha256: String) {
        Task { [self] in
            try? await parts.blobs.run { [self] folder throws(RelayError) in dropUnowned(sha256, from: folder) }
        }
    }

    private func dropUnowned(_ sha256: String, from folder: BlobFolder) {
        // An upload pins its name before it asks whether the host has it, so whichever comes first, the file stays where it is wanted.
        guard !uploads.withLockedValue({ $0.isPinned(sha256) }) else { return }
        let isOwned = office.withLock { office in (try? office.host?.isBlobStored(sha256)) ?? true }
        if !isOwned { folder.remove(sha256) }
    }

    /// Now and then: what is older than the retention and nobody's, such as what a crash left between file and claim. M§8.4
    func sweepBlobs() async {
        let cutoff = parts.voice.clock() - parts.limits.retention
        try? await parts.blobs.run { [self] folder throws(RelayError) in
            for entry in folder.all() where entry.storedAt < cutoff { dropUnowned(entry.sha256, from: folder) }
            parts.metrics.blobsKept.set(Int(folder.usedBytes))
        }
    }
}
