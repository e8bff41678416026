import DSIPIdentity
import Synchronization

/// A resolver that keeps what proved the documents, for others to verify by themselves: the relay's part of the mesh.
///
/// What it keeps has passed its own verification. One question at a time for each DID; failures are remembered briefly, and a proof
/// serves a day while its own place fails. Documents without a proof are handed through.
public actor ProofKeeper: Resolver {
    /// DIDs asked for at one time; more are refused, so that strangers cannot make the process ask without end.
    public static let maximumInFlight = 32
    /// Proofs kept, each of `DocumentProof.maximumBytes` at most.
    public static let capacity = 128

    private struct Kept: Sendable {
        /// Nil for one that is too long to be carried.
        var proof: DocumentProof?
        var resolved: ResolvedDocument
    }

    private let others: any Resolver
    private let fetcher: any DocumentFetcher
    private let pkarr: (any PkarrSource)?
    private let memory: any VersionMemory
    private let clock: @Sendable () -> Int64
    private var cache: FreshCache<DID, Kept>
    private var running: [DID: Task<Result<Kept, IdentityError>, Never>] = [:]

    /// - Parameters:
    ///   - others: for methods whose documents nobody can carry.
    ///   - pkarr: for did:dht.
    ///   - clock: Unix seconds.
    public init(
        others: any Resolver,
        fetcher: any DocumentFetcher,
        pkarr: (any PkarrSource)? = nil,
        memory: any VersionMemory = ShortVersionMemory(),
        clock: @escaping @Sendable () -> Int64
    ) {
        (self.others, self.fetcher, self.pkarr) = (others, fetcher, pkarr)
        (self.memory, self.clock) = (memory, clock)
        var policy = FreshCache<DID, Kept>.Policy()
        policy.capacity = ProofKeeper.capacity
        self.cache = FreshCache(policy: policy)
    }

    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        guard DocumentProof.exists(for: did) else { return try await others.resolve(did) }
        return try await kept(did).resolved
    }

    /// What proves the document of `did` at this moment.
    ///
    /// - Throws: `.unsupported` where there is nothing to carry, `.tooLarge`, `.refused` when too many are asked for, else why it cannot
    ///   be resolved.
    public func proof(of did: DID) async throws(IdentityError) -> DocumentProof {
        guard DocumentProof.exists(for: did) else { throw DocumentProof.absence(did) }
        guard let proof = try await kept(did).proof else { throw DocumentProof.excess }
        return proof
    }

    private func kept(_ did: DID) async throws(IdentityError) -> Kept {
        switch cache.lookup(did, at: clock()) {
        case .fresh(let kept): return kept
        case .failed(let stale):
            if let stale { return stale }
            throw IdentityError(.unreachable, "it was asked for a moment ago, without success")
        case nil: break
        }
        let task: Task<Result<Kept, IdentityError>, Never>
        if let known = running[did] {
            task = known
        } else {
            guard running.count < ProofKeeper.maximumInFlight else {
                throw IdentityError(.refused, "too many identities are being resolved at this moment")
            }
            // A task of its own: one caller that goes away does not end what others wait for.
            task = Task { await self.ask(did) }
            running[did] = task
        }
        return try await task.value.get()
    }

    private func ask(_ did: DID) async -> Result<Kept, IdentityError> {
        defer { running[did] = nil }
        do throws(IdentityError) {
            let kept = try await gather(did)
            cache.store(did, kept, lifetime: kept.resolved.lifetime ?? 300, at: clock())
            return .success(kept)
        } catch {
            guard let stale = cache.fail(did, isGone: error.code == .notFound, at: clock()) else {
                return .failure(error)
            }
            return .success(stale)
        }
    }

    private func gather(_ did: DID) async throws(IdentityError) -> Kept {
        let recorder = Recorder(fetcher, pkarr)
        let resolved: ResolvedDocument
        if did.method == "dht" {
            resolved = try await PkarrResolver(source: recorder, memory: memory, clock: clock).resolve(did)
        } else {
            resolved = try await WebVHResolver(fetcher: recorder, memory: memory, clock: clock).resolve(did)
        }
        let parts = recorder.parts(of: did, at: clock())
        return Kept(proof: try? DocumentProof(of: did, parts), resolved: resolved)
    }
}

/// Keeps what went through.
private final class Recorder: DocumentFetcher, PkarrSource {
    private let fetcher: any DocumentFetcher
    private let pkarr: (any PkarrSource)?
    private let passed = Mutex<(bodies: [String: [UInt8]], packets: [[UInt8]])>(([:], []))

    init(_ fetcher: any DocumentFetcher, _ pkarr: (any PkarrSource)?) {
        (self.fetcher, self.pkarr) = (fetcher, pkarr)
    }

    func fetch(url: String, limit: Int) async throws(IdentityError) -> FetchedDocument {
        let fetched = try await fetcher.fetch(url: url, limit: limit)
        passed.withLock { $0.bodies[url] = fetched.body }
        return fetched
    }

    func packets(_ zone: String) async throws(IdentityError) -> [[UInt8]] {
        guard let pkarr else { throw IdentityError(.unsupported, "no Pkarr relay is known") }
        let packets = try await pkarr.packets(zone)
        passed.withLock { $0.packets = packets }
        return packets
    }

    /// Of packets the newest that is whole, which is the one that was verified.
    func parts(of did: DID, at now: Int64) -> [DocumentProof.Part: [UInt8]] {
        let (bodies, packets) = passed.withLock { $0 }
        var parts: [DocumentProof.Part: [UInt8]] = [:]
        if let identifier = WebVHIdentifier(did.string) {
            parts[.log] = bodies[identifier.logURL]
            parts[.witness] = bodies[identifier.witnessURL]
        } else if let key = try? PkarrKey(zone: did.identifier) {
            let whole = packets.prefix(32).compactMap { payload in
                (try? PkarrPacket(payload)).flatMap { (try? $0.open(under: key, at: now)) == nil ? nil : $0 }
            }
            parts[.packet] = whole.max { $0.timestamp < $1.timestamp }?.payload
        }
        return parts
    }
}
