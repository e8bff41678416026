import DSIPIdentity

/// A resolver that others help when the document's own place does not answer: what they carry is verified here, as if the place had said
/// it.
///
/// The place decides whenever it answers, also when it says that the document is gone: a carrier cannot change a document, but it can keep
/// what is newer to itself, and with it a key that was retired. So carriers are asked when the place fails or has been silent for a while,
/// and what they give is relied upon for a minute.
public struct MeshResolver: Resolver {
    /// Asked for one document, all at once.
    public static let maximumCarriers = 4
    /// Seconds for which a document is relied upon that its own place did not give.
    public static let lifetime: Int64 = 60
    /// How long the place has for itself.
    public static let headStart: Duration = .milliseconds(1000)

    private enum Event: Sendable {
        case place(Result<ResolvedDocument, IdentityError>)
        case silence
        case carried(ResolvedDocument?)
    }

    private let place: any Resolver
    private let carriers: @Sendable () -> [any ProofCarrier]
    private let memory: any VersionMemory
    private let headStart: Duration
    private let clock: @Sendable () -> Int64

    /// - Parameters:
    ///   - place: asks the documents' own places.
    ///   - carriers: who may be asked now.
    ///   - memory: the place's own, so that neither can take back what the other said.
    ///   - clock: Unix seconds.
    public init(
        _ place: any Resolver,
        carriers: @escaping @Sendable () -> [any ProofCarrier],
        memory: any VersionMemory,
        headStart: Duration = MeshResolver.headStart,
        clock: @escaping @Sendable () -> Int64
    ) {
        (self.place, self.carriers, self.memory) = (place, carriers, memory)
        (self.headStart, self.clock) = (headStart, clock)
    }

    /// Whether a carrier may stand in for a place that failed so, or that cannot be asked from here. One that says that there is no such
    /// document, or none any more, has answered.
    public static func mayStandIn(for failure: IdentityError) -> Bool {
        switch failure.code {
        case .notFound, .malformed: false
        default: true
        }
    }

    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        guard DocumentProof.exists(for: did) else { return try await place.resolve(did) }
        let carriers = carriers().prefix(MeshResolver.maximumCarriers)
        guard !carriers.isEmpty else { return try await place.resolve(did) }
        // Tasks of their own: who is late goes on behind, and what it says is remembered for the next time.
        let (events, feed) = AsyncStream<Event>.makeStream(bufferingPolicy: .bufferingOldest(8))
        Task {
            feed.yield(
                .place(await MeshResolver.ask { () async throws(IdentityError) in try await place.resolve(did) })
            )
        }
        let timer = Task {
            try await Task.sleep(for: headStart)
            feed.yield(.silence)
        }
        defer { timer.cancel() }
        var (failure, waiting): (IdentityError?, Int?) = (nil, nil)
        for await event in events {
            switch event {
            case .place(.success(let resolved)): return resolved
            case .place(.failure(let error)):
                guard MeshResolver.mayStandIn(for: error) else { throw error }
                failure = error
            case .silence: break
            case .carried(let resolved?): return resolved
            case .carried(nil): waiting = waiting.map { $0 - 1 }
            }
            if waiting == nil {
                waiting = carriers.count
                for carrier in carriers {
                    Task { feed.yield(.carried(try? await MeshResolver.verified(carrier, did, memory, clock))) }
                }
            }
            if waiting == 0, let failure { throw failure }
        }
        throw failure ?? IdentityError(.unreachable, "nobody answered")
    }

    private static func ask(
        _ body: () async throws(IdentityError) -> ResolvedDocument
    ) async -> Result<ResolvedDocument, IdentityError> {
        do throws(IdentityError) { return .success(try await body()) } catch { return .failure(error) }
    }

    /// What `carrier` has, verified here, to be relied upon for a minute.
    public static func verified(
        _ carrier: any ProofCarrier,
        _ did: DID,
        _ memory: any VersionMemory,
        _ clock: @escaping @Sendable () -> Int64
    ) async throws(IdentityError) -> ResolvedDocument {
        var resolved = try await carrier.proof(of: did).verify(memory: memory, clock: clock)
        resolved.lifetime = min(resolved.lifetime ?? lifetime, lifetime)
        return resolved
    }
}
