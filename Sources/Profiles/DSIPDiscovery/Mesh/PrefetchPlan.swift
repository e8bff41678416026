import DSIPIdentity

/// Whose documents are looked for in advance, and when: soon after the start, before each runs out, and ever more rarely while one fails.
/// Moments are of chance, so that neither one place nor one network sees all contacts asked for together.
///
/// Pure; times in Unix seconds.
public struct PrefetchPlan: Sendable {
    /// Contacts looked for in advance; the others when they are needed.
    public static let maximum = 64
    /// The first round is spread over so long; who comes later is looked for sooner.
    public static let start: Int64 = 30
    static let addition: Int64 = 3
    /// A document is renewed within this share of its life, in percent.
    static let renewal: ClosedRange<Int64> = 60...90
    /// A life shorter than this is left to run out: nobody is asked all the time for what is not used.
    static let shortest: Int64 = 300
    /// Between two tries of what fails, doubled each time.
    static let retry: ClosedRange<Int64> = 60...3600

    private struct Entry: Sendable {
        var dueAt: Int64
        var failures: Int64 = 0
    }

    private var entries: [DID: Entry] = [:]
    private var hasBegun = false

    public init() {}

    public var count: Int { entries.count }
    public func contains(_ did: DID) -> Bool { entries[did] != nil }
    /// When something is due; nil when there is nobody.
    public var nextDue: Int64? { entries.values.lazy.map(\.dueAt).min() }

    /// Those wanted from now on, the most important first. Keys are their own documents and are left out.
    public mutating func want(_ dids: [DID], at now: Int64, using random: inout some RandomNumberGenerator) {
        let wanted = Set(dids.lazy.filter { !["key", "jwk"].contains($0.method) }.prefix(PrefetchPlan.maximum))
        entries = entries.filter { wanted.contains($0.key) }
        let span = hasBegun ? PrefetchPlan.addition : PrefetchPlan.start
        hasBegun = true
        for did in wanted.sorted() where entries[did] == nil {
            entries[did] = Entry(dueAt: now + Int64.random(in: 0...span, using: &random))
        }
    }

    /// Who is due now, the longest waiting first. Each is put off, until it is reported or for as long as a try that failed.
    public mutating func takeDue(at now: Int64, atMost limit: Int) -> [DID] {
        let due = entries.filter { $0.value.dueAt <= now }.sorted {
            ($0.value.dueAt, $0.key) < ($1.value.dueAt, $1.key)
        }
        for (did, _) in due.prefix(limit) { entries[did]?.dueAt = now + PrefetchPlan.retry.lowerBound }
        return due.prefix(limit).map(\.key)
    }

    /// - Parameter lifetime: seconds for which the document is fresh.
    public mutating func resolved(
        _ did: DID,
        lifetime: Int64,
        at now: Int64,
        using random: inout some RandomNumberGenerator
    ) {
        guard entries[did] != nil else { return }
        let share = Int64.random(in: PrefetchPlan.renewal, using: &random)
        entries[did] = Entry(dueAt: now + max(lifetime, PrefetchPlan.shortest) * share / 100)
    }

    public mutating func failed(_ did: DID, at now: Int64, using random: inout some RandomNumberGenerator) {
        guard let failures = entries[did]?.failures else { return }
        let pause = min(PrefetchPlan.retry.upperBound, PrefetchPlan.retry.lowerBound << min(failures, 10))
        entries[did] = Entry(dueAt: now + Int64.random(in: pause / 2...pause, using: &random), failures: failures + 1)
    }
}
