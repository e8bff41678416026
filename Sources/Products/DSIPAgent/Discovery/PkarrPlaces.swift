import DSIPDiscovery
import DSIPIdentity
import DSIPSignaling
import DSIPTransport

/// Pkarr relays that a person chose: there the documents of did:dht are, and the hints that identities keep in their own zones (hints
/// profile §9). Each learns whom it is asked for; so none is asked unless it was named.
struct PkarrPlaces: Sendable {
    /// `https://…`, without a slash at the end.
    let relays: [String]
    let fetcher: HTTPDocumentFetcher

    var source: PkarrRelays? { relays.isEmpty ? nil : PkarrRelays(relays, fetcher: fetcher) }

    /// Says in the zone of `key` where its identity is reached. What others keep in the zone stays; where somebody wrote meanwhile, it is
    /// read and signed again.
    ///
    /// - Parameters:
    ///   - lifetime: seconds, an hour at most.
    ///   - now: Unix seconds.
    /// - Returns: whether a relay has it.
    func publish(_ relay: String, for lifetime: Int64, at now: Int64, by key: SigningKey) async -> Bool {
        guard let source, let zone = try? PkarrKey(key.did) else { return true }
        for _ in 0..<2 {
            guard let held = try? await source.packets(zone.zone),
                let packet = try? PkarrPacket.hint(
                    [.init(uri: relay)],
                    ttl: UInt32(clamping: lifetime),
                    replacing: newest(held, of: zone),
                    clock: UInt64(clamping: now) * 1_000_000,
                    by: key
                )
            else { return false }
            let statuses = await put(packet.payload, under: zone.zone)
            if statuses.contains(where: { (200..<300).contains($0) }) { return true }
            guard statuses.contains(409) else { return false }
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
            for relay in relays.prefix(PkarrRelays.maximumRelays) {
                group.addTask {
                    try? await fetcher.put(url: "\(relay)/\(zone)", payload, type: "application/octet-stream").status
                }
            }
            return await group.reduce(into: []) { statuses, status in if let status { statuses.append(status) } }
        }
    }
}
