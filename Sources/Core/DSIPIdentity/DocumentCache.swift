/// The documents a process knows, and for how long it may rely on them (DSIP §8.1, §8.3).
///
/// A value without clock or network: the shell resolves what `lookup` does not know, and reports what came of it. When a
/// source fails after its document ran out, the old document serves on inside `staleLimit`; a source that says the
/// document is gone is believed at once.
public struct DocumentCache: Sendable {
    /// Seconds, but for `capacity`.
    public struct Policy: Sendable {
        public var capacity = 4096
        /// Used when the source says nothing.
        public var usual: Int64 = 300
        /// A source cannot make itself be asked more often than this.
        public var floor: Int64 = 30
        /// Nor keep a retired key alive longer than this.
        public var ceiling: Int64 = 3600
        /// How long a failure is remembered.
        public var negative: Int64 = 15
        /// How long past its end a document serves while its source fails.
        public var staleLimit: Int64 = 86_400

        public init() {}
    }

    private struct Entry {
        var document: DIDDocument?
        /// The document is fresh before this.
        var freshUntil: Int64
        /// The failure is remembered before this.
        var failedUntil: Int64
        var failure: IdentityError?
        var lastUse: UInt64
    }

    public let policy: Policy
    private var entries: [DID: Entry] = [:]
    /// Documents of did:keys, nil for wrong ones. Apart from the others, because anyone can make them up by the million.
    private var derived: [DID: DIDDocument?] = [:]
    private var uses: UInt64 = 0

    public init(policy: Policy = Policy()) { self.policy = policy }

    public var count: Int { entries.count }

    /// What is known of `did` at `now`. A did:key is its own document and needs no resolution.
    public mutating func lookup(_ did: DID, at now: Int64) -> DocumentLookup {
        if did.method == "key" { return derive(did).map(DocumentLookup.found) ?? .unresolvable }
        guard let entry = entries[did] else { return .unknown }
        uses += 1
        entries[did]?.lastUse = uses
        let failedLately = now < entry.failedUntil
        if let document = entry.document {
            if now < entry.freshUntil { return .found(document) }
            if failedLately && now < entry.freshUntil.adding(policy.staleLimit) { return .found(document) }
        }
        return failedLately ? .unresolvable : .unknown
    }

    /// Why `did` could not be resolved, while that is remembered.
    public func failure(of did: DID, at now: Int64) -> IdentityError? {
        entries[did].flatMap { now < $0.failedUntil ? $0.failure : nil }
    }

    private mutating func derive(_ did: DID) -> DIDDocument? {
        if let known = derived[did] { return known }
        if derived.count >= policy.capacity { derived.removeAll(keepingCapacity: true) }
        let document = DIDKey.document(of: did)
        derived.updateValue(document, forKey: did)
        return document
    }

    /// Reports a resolution.
    public mutating func resolved(_ resolved: ResolvedDocument, at now: Int64) {
        uses += 1
        let lifetime = min(max(resolved.lifetime ?? policy.usual, policy.floor), policy.ceiling)
        insert(
            resolved.document.id,
            Entry(
                document: resolved.document,
                freshUntil: now.adding(lifetime),
                failedUntil: .min,
                failure: nil,
                lastUse: uses
            )
        )
    }

    /// Reports that `did` could not be resolved. `.notFound` ends a document at once; other errors leave it its grace.
    public mutating func failed(_ did: DID, _ error: IdentityError, at now: Int64) {
        uses += 1
        var entry =
            entries[did] ?? Entry(document: nil, freshUntil: .min, failedUntil: .min, failure: nil, lastUse: uses)
        if error.code == .notFound { entry.document = nil }
        entry.failedUntil = now.adding(policy.negative)
        entry.failure = error
        entry.lastUse = uses
        insert(did, entry)
    }

    /// Forgets `did`, as after a `key-rotation` record (DSIP §7.5).
    public mutating func forget(_ did: DID) { entries[did] = nil }

    private mutating func insert(_ did: DID, _ entry: Entry) {
        entries[did] = entry
        guard entries.count > policy.capacity else { return }
        // An eighth goes at once, so that a full cache is not searched for every newcomer: failures first, then what was
        // not used for longest.
        let ranked = entries.sorted { a, b in
            let (aFailed, bFailed) = (a.value.document == nil, b.value.document == nil)
            return aFailed == bFailed ? a.value.lastUse < b.value.lastUse : aFailed
        }
        for (did, _) in ranked.prefix(max(1, policy.capacity / 8)) { entries[did] = nil }
    }
}

extension Int64 {
    /// Saturating addition.
    func adding(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}
