import DSIPDiscovery
import DSIPIdentity
import Encoding

/// Finds the relay of somebody whose address alone is known, by what their devices published: a hint of the last hour (hints profile),
/// else their home record of the last two days. A relay is asked for both; it has them, or knows the DHT that has.
///
/// What is found is verified here, and is a hint all the same: it says whom to dial, and proves nothing (DSIP §8.1).
actor Finder {
    struct Found: Sendable, Hashable {
        var relay: String
        /// How, in a sentence.
        var step: String
        /// Unix seconds.
        fileprivate var until: Int64
    }

    /// Seconds that a found relay, and that nobody knows one, is believed.
    private static let foundTime: Int64 = 600
    private static let missingTime: Int64 = 20
    private static let maximumRemembered = 1024
    /// Bytes of an answer.
    private static let limit = 64 << 10

    private let fetcher: any DocumentFetcher
    private let clock: @Sendable () -> Int64
    private let verifier = HintVerifier()
    private var known: [DID: (found: Found?, until: Int64)] = [:]
    private var underWay: [DID: Task<Found?, Never>] = [:]

    init(fetcher: any DocumentFetcher, clock: @escaping @Sendable () -> Int64) {
        self.fetcher = fetcher
        self.clock = clock
    }

    /// - Parameter relay: whom to ask, as clients connect to it: `wss://…`.
    /// - Returns: nil when nobody there knows.
    func find(_ did: DID, asking relay: String) async -> Found? {
        if let entry = known[did], clock() < entry.until { return entry.found }
        if let task = underWay[did] { return await task.value }
        guard let base = Finder.base(of: relay) else { return nil }
        let task = Task { await look(for: did, at: base) }
        underWay[did] = task
        let found = await task.value
        underWay[did] = nil
        if known.count >= Finder.maximumRemembered { known = [:] }
        let now = clock()
        let until = found.map { min($0.until, now + Finder.foundTime) } ?? now + Finder.missingTime
        known[did] = (found, until)
        return found
    }

    /// Where that relay did not answer as it should, it is looked for anew.
    func forget(_ did: DID) { known[did] = nil }

    /// The HTTPS side of a relay; nil for what is no `wss` URL.
    static func base(of relay: String) -> String? {
        guard relay.hasPrefix("wss://") else { return nil }
        return "https://" + relay.dropFirst(6).prefix { $0 != "/" && $0 != "?" }
    }

    private func look(for did: DID, at base: String) async -> Found? {
        async let hint = hint(of: did, at: base)
        async let home = home(of: did, at: base)
        // The hint is of this hour; the home record stands in when there is none.
        if let hint = await hint { return hint }
        return await home
    }

    private func hint(of did: DID, at base: String) async -> Found? {
        guard let body = await body("\(base)/dsip/v1/hints/\(did)"), let answer = try? JSONValue(parsing: body) else {
            return nil
        }
        let now = clock()
        let records = (answer["hints"]?.array ?? []).prefix(HintSearch.maximumRecords).compactMap { value in
            value.string.flatMap { try? verifier.verify(Array($0.utf8), at: now) }
        }
        guard let best = records.filter({ $0.subject == did }).max(by: { $0.seq < $1.seq }),
            let relay = best.endpoints.first
        else { return nil }
        return Found(
            relay: relay.uri,
            step: "Its relay was found by a hint that its own device signed; a hint is no authority.",
            until: best.expiresAt
        )
    }

    private func home(of did: DID, at base: String) async -> Found? {
        guard let body = await body("\(base)/dsip/v1/homes/\(did)"),
            let record = try? HomeRecord(verifying: body, at: clock()), record.subject == did,
            let relay = record.places.relays.first
        else { return nil }
        return Found(
            relay: relay,
            step: "Its relay was found by its home record, which it signed; it may be up to two days old.",
            until: record.expiresAt
        )
    }

    private func body(_ url: String) async -> [UInt8]? {
        guard let answer = try? await fetcher.fetch(url: url, limit: Finder.limit), answer.status == 200 else {
            return nil
        }
        return answer.body
    }
}
