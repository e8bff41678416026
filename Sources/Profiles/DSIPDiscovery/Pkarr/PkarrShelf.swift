/// The packets that a node keeps for others: a cache of every application's, judged by what all packets must pass (hints profile §10).
///
/// Bounded: when full, the packet that was not asked for or renewed for longest goes.
public struct PkarrShelf: Sendable {
    public enum Outcome: Hashable, Sendable {
        case stored
        case kept(Kept)
        case rejected(DiscoveryError.Code)
    }

    /// Why the held packet stays.
    public enum Kept: String, Hashable, Sendable {
        case same
        case older
        case conflict
    }

    private struct Entry: Sendable {
        let packet: PkarrPacket
        /// Unix seconds; the packet's timestamp and its shortest TTL.
        let freshUntil: Int64
        var use: UInt64
    }

    private let capacity: Int
    private var entries: [String: Entry] = [:]
    private var uses: UInt64 = 0

    public init(capacity: Int = 10_000) { self.capacity = max(1, capacity) }

    public var count: Int { entries.count }

    /// Offers what a client put under `zone`.
    public mutating func offer(_ payload: [UInt8], zone: String, at now: Int64) -> Outcome {
        let held = entries[zone]?.packet
        let (outcome, opened) = PkarrShelf.judge(payload, zone: zone, held: held?.payload, at: now)
        if case .stored = outcome, let opened {
            uses += 1
            entries[zone] = Entry(
                packet: opened.packet,
                freshUntil: PkarrShelf.freshUntil(opened.packet, opened.message),
                use: uses
            )
            if entries.count > capacity { evict() }
        }
        return outcome
    }

    /// - Returns: the packet under `zone`, and whether it is still fresh: when not, a newer one should be looked for before it is served.
    public mutating func packet(_ zone: String, at now: Int64) -> (packet: PkarrPacket, isFresh: Bool)? {
        guard let entry = entries[zone] else { return nil }
        uses += 1
        entries[zone]?.use = uses
        return (entry.packet, now < entry.freshUntil)
    }

    /// The rule by itself: key, frame, signature, timestamp, message, then the timestamps of both (DSIP §8.3).
    public static func judge(_ payload: [UInt8], zone: String, held: [UInt8]?, at now: Int64) -> Outcome {
        judge(payload, zone: zone, held: held, at: now).outcome
    }

    private static func judge(
        _ payload: [UInt8],
        zone: String,
        held: [UInt8]?,
        at now: Int64
    ) -> (outcome: Outcome, opened: (packet: PkarrPacket, message: DNSMessage)?) {
        do throws(DiscoveryError) {
            let key = try PkarrKey(zone: zone)
            let packet = try PkarrPacket(payload)
            let message = try packet.open(under: key, at: now)
            if let held = held.flatMap({ try? PkarrPacket($0) }) {
                if held == packet { return (.kept(.same), nil) }
                if packet.timestamp == held.timestamp { return (.kept(.conflict), nil) }
                if packet.timestamp < held.timestamp { return (.kept(.older), nil) }
            }
            return (.stored, (packet, message))
        } catch {
            return (.rejected(error.code), nil)
        }
    }

    private static func freshUntil(_ packet: PkarrPacket, _ message: DNSMessage) -> Int64 {
        Int64(packet.timestamp / 1_000_000) + Int64(message.answers.map(\.ttl).min() ?? 0)
    }

    /// An eighth at once, so that a full shelf is not searched for each newcomer.
    private mutating func evict() {
        let ranked = entries.sorted { $0.value.use < $1.value.use }
        for (zone, _) in ranked.prefix(max(1, capacity / 8)) { entries[zone] = nil }
    }
}
