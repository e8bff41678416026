import DSIPDiscovery
import DSIPIdentity
import DSIPSignaling
import DSIPTransport

/// Where the zones of keys are, as a person chose: there the documents of did:dht are, and the hints that identities keep in their own
/// zones (hints profile §9). Pkarr relays, each of which learns whom it is asked for, and the BitTorrent DHT itself, where a few of its
/// nodes do; so none is asked unless it was named.
public struct PkarrPlaces: PkarrSource {
    /// `https://…`, without a slash at the end.
    let relays: [String]
    public let mainline: MainlineClient?
    private let fetcher: HTTPDocumentFetcher

    private static let mainlineScheme = "mainline:"

    /// Whether `place` is a Pkarr relay, or a node of the BitTorrent DHT (`mainline:HOST:PORT`).
    public static func isPlace(_ place: String) -> Bool {
        place.hasPrefix(mainlineScheme)
            ? MainlineClient.isNode(String(place.dropFirst(mainlineScheme.count)))
            : place.hasPrefix("https://") && !place.hasSuffix("/")
    }

    /// - Parameters:
    ///   - places: as ``isPlace(_:)`` has them; others are passed over.
    ///   - policy: to which addresses nodes are asked.
    public init(_ places: [String], fetcher: HTTPDocumentFetcher, policy: AddressPolicy) {
        let places = places.filter(Self.isPlace)
        relays = Array(
            places.filter { !$0.hasPrefix(Self.mainlineScheme) }.prefix(PkarrRelays.maximumRelays)
        )
        let nodes = places.filter { $0.hasPrefix(Self.mainlineScheme) }.map {
            String($0.dropFirst(Self.mainlineScheme.count))
        }
        mainline = nodes.isEmpty ? nil : MainlineClient(nodes, policy: policy)
        self.fetcher = fetcher
    }

    public var isEmpty: Bool { relays.isEmpty && mainline == nil }

    /// Itself, unless there is nobody to ask.
    public var source: (any PkarrSource)? { isEmpty ? nil : self }

    /// Where a search for hints asks.
    public var hints: [HintSearch.Place] { relays.map { .pkarr($0) } + (mainline == nil ? [] : [.mainline]) }

    public func packets(_ zone: String) async throws(IdentityError) -> [[UInt8]] {
        async let carried = relays.isEmpty ? nil : try? PkarrRelays(relays, fetcher: fetcher).packets(zone)
        async let kept = try? mainline?.packets(zone)
        let answers = await [carried, kept].compactMap(\.self)
        guard !answers.isEmpty else {
            throw IdentityError(.unreachable, "no Pkarr relay and no node of the BitTorrent DHT answered")
        }
        return answers.flatMap(\.self)
    }

    /// Says in the zone of `key` where its identity is reached. What others keep in the zone stays; where somebody wrote meanwhile, it is
    /// read and signed again.
    ///
    /// - Parameters:
    ///   - lifetime: seconds, an hour at most.
    ///   - now: Unix seconds.
    /// - Returns: whether some place has it.
    func publish(_ relay: String, for lifetime: Int64, at now: Int64, by key: SigningKey) async -> Bool {
        guard !isEmpty, let zone = try? PkarrKey(key.did) else { return true }
        for _ in 0..<2 {
            guard let held = try? await packets(zone.zone),
                let packet = try? PkarrPacket.hint(
                    [.init(uri: relay)],
                    ttl: UInt32(clamping: lifetime),
                    replacing: newest(held, of: zone),
                    clock: UInt64(clamping: now) * 1_000_000,
                    by: key
                )
            else { return false }
            async let told = try? mainline?.put(packet, under: zone)
            let statuses = await put(packet.payload, under: zone.zone)
            let mainline = await told
            let isStale = statuses.contains(409) || mainline?.isStale == true
            if !isStale { return statuses.contains { (200..<300).contains($0) } || mainline?.taken ?? 0 > 0 }
        }
        return false
    }

    /// Whatever its date is, for only the key itself can have signed it.
    private func newest(_ payloads: [[UInt8]], of zone: PkarrKey) -> [UInt8]? {
        payloads.compactMap { try? PkarrPacket($0) }
            .filter { (try? $0.open(under: zone, at: Int64(clamping: $0.timestamp / 1_000_000))) != nil }
            .max { $0.timestamp < $1.timestamp }?.payload
    }

    private func put(_ payload: [UInt8], under zone: String) async -> [Int] {
        await withTaskGroup(of: Int?.self) { group in
            for relay in relays {
                group.addTask {
                    try? await fetcher.put(url: "\(relay)/\(zone)", payload, type: "application/octet-stream").status
                }
            }
            return await group.reduce(into: []) { statuses, status in if let status { statuses.append(status) } }
        }
    }
}
