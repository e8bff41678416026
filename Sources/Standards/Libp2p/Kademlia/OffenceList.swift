/// Wrong records and lies by peer; who told too many is not listened to for a while. Bounded: the longest without an offence goes first.
struct OffenceList: Sendable {
    private struct Offender: Sendable {
        var count = 0
        var lastAt: Int64
        var bannedUntil: Int64 = 0
    }

    private static let maximumCount = 4096

    private let limit: Int
    private let banTime: Int64
    private var offenders: [PeerID: Offender] = [:]
    /// Of all peers since the beginning.
    private(set) var total = 0

    init(configuration: KademliaConfiguration) {
        self.limit = configuration.maximumOffences
        self.banTime = configuration.banTime
    }

    func isBanned(_ peer: PeerID, at now: Int64) -> Bool { (offenders[peer]?.bannedUntil ?? 0) > now }

    func count(_ peer: PeerID) -> Int { offenders[peer]?.count ?? 0 }

    /// - Returns: whether the peer is banned by this offence.
    mutating func add(_ peer: PeerID, at now: Int64) -> Bool {
        total += 1
        if offenders[peer] == nil, offenders.count >= OffenceList.maximumCount,
            let oldest = offenders.min(by: { $0.value.lastAt < $1.value.lastAt })
        {
            offenders[oldest.key] = nil
        }
        var offender = offenders[peer] ?? Offender(lastAt: now)
        offender.count += 1
        offender.lastAt = now
        let isOver = offender.count % limit == 0
        if isOver { offender.bannedUntil = now + banTime }
        offenders[peer] = offender
        return isOver
    }
}
