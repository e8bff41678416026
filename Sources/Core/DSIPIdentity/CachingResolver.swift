import Synchronization

/// A resolver with a memory: one question at a time for each DID, answers kept as `DocumentCache` allows.
///
/// `lookup` is synchronous and may be called from any thread, which is what verification on an event loop needs.
public actor CachingResolver: Resolver {
    /// Resolutions under way at one time; more are refused, so that strangers cannot make the process ask without end.
    public static let maximumInFlight = 256

    private let upstream: any Resolver
    private nonisolated let cache: Mutex<DocumentCache>
    private nonisolated let clock: @Sendable () -> Int64
    private var inFlight: [DID: Task<Result<ResolvedDocument, IdentityError>, Never>] = [:]

    /// - Parameter clock: Unix seconds.
    public init(
        upstream: any Resolver,
        policy: DocumentCache.Policy = DocumentCache.Policy(),
        clock: @escaping @Sendable () -> Int64
    ) {
        self.upstream = upstream
        self.cache = Mutex(DocumentCache(policy: policy))
        self.clock = clock
    }

    /// What is known now, without waiting.
    public nonisolated func lookup(_ did: DID) -> DocumentLookup {
        cache.withLock { $0.lookup(did, at: clock()) }
    }

    public nonisolated func forget(_ did: DID) { cache.withLock { $0.forget(did) } }

    /// From the cache while it knows, else from upstream. A document served past its end because the source fails has
    /// lifetime 0.
    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        switch lookup(did) {
        case .found(let document): return ResolvedDocument(document: document)
        case .unresolvable:
            throw cache.withLock { $0.failure(of: did, at: clock()) }
                ?? IdentityError(.malformed, "the did:key is not an Ed25519, P-256 or X25519 key")
        case .unknown: break
        }
        let task: Task<Result<ResolvedDocument, IdentityError>, Never>
        if let running = inFlight[did] {
            task = running
        } else {
            guard inFlight.count < CachingResolver.maximumInFlight else {
                throw IdentityError(.refused, "too many identities are being resolved at this moment")
            }
            // A task of its own: one caller that goes away does not end the resolution that others wait for.
            task = Task { await self.ask(did) }
            inFlight[did] = task
        }
        return try await task.value.get()
    }

    private func ask(_ did: DID) async -> Result<ResolvedDocument, IdentityError> {
        defer { inFlight[did] = nil }
        do throws(IdentityError) {
            let resolved = try await upstream.resolve(did)
            cache.withLock { $0.resolved(resolved, at: clock()) }
            return .success(resolved)
        } catch {
            let stale = cache.withLock { cache -> DocumentLookup in
                cache.failed(did, error, at: clock())
                return cache.lookup(did, at: clock())
            }
            if case .found(let document) = stale { return .success(ResolvedDocument(document: document, lifetime: 0)) }
            return .failure(error)
        }
    }
}
