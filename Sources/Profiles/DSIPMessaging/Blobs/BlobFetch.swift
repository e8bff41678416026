/// Where a device gets a blob, and what it does when nobody has it. M§8.4
public enum BlobFetch {
    /// Its own mailbox's copy first, then where the content says. The manifest is not encrypted, so it only reorders sources.
    public static func sources(of blob: BlobReference, manifest: [BlobReference]) -> [String] {
        let copies = manifest.filter {
            $0.sha256 == blob.sha256 && $0.size == blob.size && $0.uri != blob.uri
        }.map(\.uri)
        var seen: Set<String> = []
        return (copies + [blob.uri]).filter { seen.insert($0).inserted }
    }

    public enum Decision: Hashable, Sendable {
        /// This source served it.
        case use(source: String)
        /// Nobody had it; the content stays shown, and it is asked for again.
        case retry
        case giveUp(GivenUp)
    }

    public enum GivenUp: String, Hashable, Sendable {
        case unavailable
        /// Everybody served other bytes, and would again.
        case mismatch
    }

    /// - Parameters:
    ///   - tried: sources in the order in which they were asked.
    ///   - attempt: from 1.
    public static func decide(
        _ blob: BlobReference,
        tried: [(source: String, response: BlobResponse)],
        attempt: Int = 1,
        maximumAttempts: Int = MessagingProfile.blobAttempts
    ) -> Decision {
        if let served = tried.first(where: { $0.response.matches(sha256: blob.sha256, size: blob.size) }) {
            return .use(source: served.source)
        }
        if !tried.isEmpty, tried.allSatisfy({ $0.response.status == 200 }) { return .giveUp(.mismatch) }
        return attempt < maximumAttempts ? .retry : .giveUp(.unavailable)
    }
}
