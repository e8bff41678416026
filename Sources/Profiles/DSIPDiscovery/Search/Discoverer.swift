import DSIPIdentity
import Libp2p

/// Answers the questions of a `Discovery`.
public protocol DiscoverySource: Sendable {
    func answer(_ query: Discovery.Query) async -> Discovery.Answer
    /// Gives a newer hint to a place that held an older one.
    func repair(_ place: HintSearch.Place, _ did: DID, bytes: [UInt8]) async
}

/// Finds people for a program: one search at a time for each, answers and failures remembered, old answers served while the sources
/// fail, and contacts looked for before they are called.
public actor Discoverer {
    /// Searches at one time; more wait for none and are refused, so that strangers cannot make the process ask without end.
    public static let maximumSearches = 128
    /// Contacts looked for at one time in advance.
    private static let maximumPrefetches = 4

    private let source: any DiscoverySource
    private let sources: Discovery.Sources
    private let verifier: HintVerifier
    private let clock: @Sendable () -> Int64
    private var cache = FreshCache<String, Discovered>()
    private var running: [String: Task<Discovered, Never>] = [:]

    /// - Parameter clock: Unix milliseconds.
    public init(
        source: any DiscoverySource,
        sources: Discovery.Sources,
        verifier: HintVerifier,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.source = source
        self.sources = sources
        self.verifier = verifier
        self.clock = clock
    }

    /// - Throws: `.refused` when too many are being looked for; else why neither an identity nor a document was found.
    public func find(_ target: IdentityURI.Target, relay: String? = nil) async throws(IdentityError) -> Discovered {
        let key = Discoverer.key(target)
        switch cache.lookup(key, at: clock() / 1000) {
        case .fresh(let found): return found
        case .failed(let stale):
            if let stale { return stale }
            throw IdentityError(.unreachable, "it was looked for a moment ago, without success")
        case nil: break
        }
        let task: Task<Discovered, Never>
        if let known = running[key] {
            task = known
        } else {
            guard running.count < Discoverer.maximumSearches else {
                throw IdentityError(.refused, "too many identities are being looked for at this moment")
            }
            // A task of its own: one caller that goes away does not end the search that others wait for.
            task = Task { await self.search(target, relay, key) }
            running[key] = task
        }
        let found = await task.value
        if found.document == nil, let failure = found.failure { throw failure }
        return found
    }

    /// Looks for contacts in advance, a few at a time; what fails is looked for again when it is needed.
    public func prefetch(_ dids: [DID]) async {
        var waiting = dids.prefix(Discoverer.maximumSearches)[...]
        await withTaskGroup(of: Void.self) { group in
            func next() {
                guard let did = waiting.popFirst() else { return }
                group.addTask { _ = try? await self.find(.did(did)) }
            }
            for _ in 0..<Discoverer.maximumPrefetches { next() }
            for await _ in group { next() }
        }
    }

    /// One search, without the memory: for whoever wants to see each step, the failed ones above all.
    public nonisolated func search(_ target: IdentityURI.Target, relay: String? = nil) async -> Discovered {
        await run(Discovery(target, relay: relay, sources: sources, verifier: verifier, at: clock()))
    }

    private func search(_ target: IdentityURI.Target, _ relay: String?, _ key: String) async -> Discovered {
        let found = await search(target, relay: relay)
        running[key] = nil
        let now = clock() / 1000
        // Who cannot be reached yet may say any moment how.
        if found.document != nil, found.routes.isEmpty { return found }
        guard found.document == nil else {
            cache.store(key, found, lifetime: Discoverer.lifetime(of: found, at: now), at: now)
            return found
        }
        let isGone = found.failure?.code == .notFound
        return cache.fail(key, isGone: isGone, at: now) ?? found
    }

    private nonisolated func run(_ start: Discovery) async -> Discovered {
        let (source, clock) = (source, clock)
        let (events, feed) = AsyncStream<(Discovery.Query, Discovery.Answer)?>.makeStream(
            bufferingPolicy: .bufferingOldest(256)
        )
        return await withTaskGroup(of: Void.self) { group in
            var discovery = start
            // Ended early with the group.
            let patience = max(0, (discovery.nextDeadline ?? 0) - clock())
            group.addTask {
                try? await Task.sleep(for: .milliseconds(patience))
                feed.yield(nil)
            }
            var waiting = events.makeAsyncIterator()
            while true {
                while let output = discovery.pollOutput() {
                    switch output {
                    case .ask(let query): group.addTask { feed.yield((query, await source.answer(query))) }
                    case .repair(let place, let bytes):
                        guard let did = discovery.subject else { continue }
                        // Goes on behind, when the search has long ended.
                        Task { await source.repair(place, did, bytes: bytes) }
                    case .route: continue
                    case .finished(let found):
                        group.cancelAll()
                        return found
                    }
                }
                guard let event = await waiting.next() else { return discovery.result }
                if let (query, answer) = event {
                    discovery.answered(query, answer, at: clock())
                } else {
                    discovery.advance(to: max(clock(), discovery.nextDeadline ?? 0))
                }
            }
        }
    }

    /// As long as what changes soonest: a presence record, or a hint.
    private static func lifetime(of found: Discovered, at now: Int64) -> Int64 {
        [found.presence?.expiresAt, found.hint?.expiresAt].compactMap { $0 }.map { $0 - now }.min() ?? 300
    }

    private static func key(_ target: IdentityURI.Target) -> String {
        switch target {
        case .did(let did): did.string
        case .alias(let alias): alias.resource
        }
    }
}

extension Discovery {
    /// Whom the search is about, once that is known.
    var subject: DID? { result.did }
}
