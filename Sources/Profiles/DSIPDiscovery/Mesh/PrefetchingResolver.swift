import DSIPIdentity

/// Keeps the documents of contacts at hand, so that a call to them waits for nobody: to be put under a `CachingResolver`, which finds a
/// fresh copy here when its own runs out.
public actor PrefetchingResolver: Resolver {
    /// Documents asked for at one time in advance.
    private static let width = 4
    /// Seconds for which a copy may be used, whatever its source says: as a `DocumentCache` has it.
    private static let lifetimes: ClosedRange<Int64> = 30...3600
    private static let usual: Int64 = 300

    private let upstream: any Resolver
    private let clock: @Sendable () -> Int64
    private let noted: @Sendable (DIDDocument) -> Void
    private var plan = PrefetchPlan()
    private var copies: [DID: (resolved: ResolvedDocument, freshUntil: Int64)] = [:]
    private var worker: Task<Void, Never>?
    private var isWorking = false

    /// - Parameters:
    ///   - clock: Unix seconds.
    ///   - noted: hears of each document of a contact that came from upstream.
    public init(
        _ upstream: any Resolver,
        clock: @escaping @Sendable () -> Int64,
        noted: @escaping @Sendable (DIDDocument) -> Void = { _ in }
    ) {
        (self.upstream, self.clock, self.noted) = (upstream, clock, noted)
    }

    /// A fresh copy, with what is left of its life, else as upstream says.
    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        let now = clock()
        if let copy = copies[did], now < copy.freshUntil {
            return ResolvedDocument(document: copy.resolved.document, lifetime: copy.freshUntil - now)
        }
        let resolved = try await upstream.resolve(did)
        keep(did, resolved)
        return resolved
    }

    /// Whose documents are kept at hand from now on, the most important first; `PrefetchPlan.maximum` at most.
    public func want(_ dids: [DID]) {
        var random = SystemRandomNumberGenerator()
        plan.want(dids, at: clock(), using: &random)
        copies = copies.filter { plan.contains($0.key) }
        // Questions under way are not broken off; whoever asks them sees the new plan.
        guard !isWorking else { return }
        worker?.cancel()
        worker = Task { [weak self] in
            while !Task.isCancelled, let pause = await self?.work() {
                try? await Task.sleep(for: .seconds(pause))
            }
        }
    }

    public func stop() {
        worker?.cancel()
        worker = nil
    }

    /// Asks for those who are due.
    ///
    /// - Returns: seconds until somebody is due; nil when there is nobody.
    func work() async -> Int64? {
        isWorking = true
        defer { isWorking = false }
        while !Task.isCancelled {
            let due = plan.takeDue(at: clock(), atMost: PrefetchingResolver.width)
            guard !due.isEmpty else { break }
            let answers = await withTaskGroup(of: (DID, ResolvedDocument?).self) { [upstream] group in
                for did in due { group.addTask { (did, try? await upstream.resolve(did)) } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            var random = SystemRandomNumberGenerator()
            for (did, resolved) in answers {
                guard let resolved else {
                    plan.failed(did, at: clock(), using: &random)
                    continue
                }
                keep(did, resolved)
            }
        }
        return plan.nextDue.map { max(1, $0 - clock()) }
    }

    private func keep(_ did: DID, _ resolved: ResolvedDocument) {
        guard plan.contains(did) else { return }
        noted(resolved.document)
        let span = PrefetchingResolver.lifetimes
        let lifetime = min(max(resolved.lifetime ?? PrefetchingResolver.usual, span.lowerBound), span.upperBound)
        copies[did] = (resolved, clock() + lifetime)
        var random = SystemRandomNumberGenerator()
        plan.resolved(did, lifetime: lifetime, at: clock(), using: &random)
    }
}
