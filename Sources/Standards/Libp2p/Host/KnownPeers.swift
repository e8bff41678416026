/// What peers said of themselves, of the latest so many.
struct KnownPeers: Sendable {
    private struct Entry: Sendable {
        var identify: Identify?
        var addresses: [Multiaddr]
        var order: UInt64
    }

    private let limit: Int
    private var entries: [PeerID: Entry] = [:]
    private var order: UInt64 = 0

    init(limit: Int = 4096) { self.limit = max(2, limit) }

    func addresses(of peer: PeerID) -> [Multiaddr] { entries[peer]?.addresses ?? [] }
    func identify(of peer: PeerID) -> Identify? { entries[peer]?.identify }

    mutating func learned(_ peer: PeerID, _ identify: Identify, _ addresses: [Multiaddr]) {
        order += 1
        entries[peer] = Entry(
            identify: identify,
            addresses: Array(addresses.prefix(KademliaPeer.maximumAddresses)),
            order: order
        )
        guard entries.count > limit else { return }
        // The older half goes at once, so that this is seldom.
        let oldest = entries.map { ($0.value.order, $0.key) }.sorted { $0.0 < $1.0 }.prefix(limit / 2)
        for (_, peer) in oldest { entries[peer] = nil }
    }
}
