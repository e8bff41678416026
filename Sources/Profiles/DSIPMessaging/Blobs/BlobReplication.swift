/// What came of asking somebody for a blob.
public struct BlobResponse: Hashable, Sendable {
    /// Of HTTP; 0 when there was no answer.
    public var status: Int
    /// Of the body.
    public var sha256: String?
    public var size: Int64?

    public init(status: Int, sha256: String? = nil, size: Int64? = nil) {
        self.status = status
        self.sha256 = sha256
        self.size = size
    }

    /// Rule 7: a blob is what its hash and size say. M§8.4
    public func matches(sha256: String, size: Int64) -> Bool {
        status == 200 && self.sha256 == sha256 && self.size == size
    }
}

/// A member mailbox keeps its own copy of what its owner's messages name. M§8.4 rule 6
public enum BlobReplication {
    public enum Decision: Hashable, Sendable {
        case skip(Skipped)
        /// Ask for the capability URL.
        case fetch
        /// Keep the body.
        case store
        /// Keep nothing; the item keeps the original address.
        case discard(Discarded, retry: Bool)
    }

    public enum Skipped: String, Hashable, Sendable {
        case mode
        case stored
        case tooLarge = "too-large"
        case notHTTPS = "not-https"
    }

    public enum Discarded: String, Hashable, Sendable {
        /// Nothing to serve yet; it may come.
        case unavailable
        /// Other bytes; the origin would serve them again.
        case mismatch
    }

    public static func decide(
        _ entry: BlobReference,
        mode: MailboxMode,
        maximumBlob: Int64,
        isStored: Bool
    ) -> Decision {
        if mode != .sync { return .skip(.mode) }
        if isStored { return .skip(.stored) }
        if entry.size > maximumBlob { return .skip(.tooLarge) }
        return entry.uri.hasPrefix("https://") ? .fetch : .skip(.notHTTPS)
    }

    /// - Parameter attempt: from 1.
    public static func fetched(
        _ entry: BlobReference,
        _ response: BlobResponse,
        attempt: Int = 1,
        maximumAttempts: Int = MessagingProfile.blobAttempts
    ) -> Decision {
        guard response.status == 200 else { return .discard(.unavailable, retry: attempt < maximumAttempts) }
        return response.matches(sha256: entry.sha256, size: entry.size) ? .store : .discard(.mismatch, retry: false)
    }

    /// A manifest as `items` shows it: what the mailbox holds, at its own address. M§5.4
    ///
    /// - Parameter endpoint: the mailbox's `blob_endpoint`.
    public static func manifest(
        _ manifest: [BlobReference],
        endpoint: String,
        isStored: (String) -> Bool
    ) -> [BlobReference] {
        manifest.map { entry in
            guard isStored(entry.sha256) else { return entry }
            var entry = entry
            entry.uri = "\(endpoint)/\(entry.sha256)"
            return entry
        }
    }
}
