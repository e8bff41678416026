import DSIPIdentity
import DSIPSignaling

/// The DNS message that an identity signs for its zone: its own `_dsip` records, and everything that other uses of Pkarr keep there
/// (hints profile §9, *Publishing*).
///
/// ```swift
/// var zone = PkarrZone(key)
/// try zone.carry(previousMessage)            // before adding, when there is a previous packet
/// try zone.add(endpoint, ttl: 1800)
/// let packet = try PkarrPacket(signing: try zone.message(), at: timestamp, by: signingKey)
/// ```
public struct PkarrZone: Sendable {
    /// A record with its names expanded, so that it can stand at any place of any message.
    public struct Record: Hashable, Sendable {
        public let name: DNSName
        public let type: UInt16
        /// Seconds.
        public let ttl: UInt32
        public let data: [UInt8]
    }

    /// Labels whose records this publisher replaces.
    private static let ownLabels = [PkarrHint.label, PkarrPointer.label, PkarrDeviceHint.label]

    public let key: PkarrKey
    public private(set) var own: [Record] = []
    public private(set) var carried: [Record] = []

    public init(_ key: PkarrKey) { self.key = key }

    /// Takes over what others keep in the zone.
    ///
    /// - Parameter message: of the previous packet, verified.
    /// - Throws: `.malformed`; then nothing is taken over.
    public mutating func carry(_ message: DNSMessage) throws(DiscoveryError) {
        carried = try PkarrZone.carried(from: message, zone: key.zone)
    }

    /// Adds an endpoint of the identity.
    ///
    /// - Parameter ttl: seconds, at most 3600.
    /// - Throws: `.badEndpoint`, `.ttlTooLong`.
    public mutating func add(_ endpoint: ReachabilityHint.Endpoint, ttl: UInt32) throws(DiscoveryError) {
        guard ttl <= PkarrHint.maximumTTL else { throw DiscoveryError(.ttlTooLong, "a hint holds an hour at most") }
        add(PkarrHint.label, try PkarrHint.strings(of: endpoint), ttl)
    }

    /// Adds a device to the pointer.
    ///
    /// - Parameter ttl: seconds, at most seven days.
    /// - Throws: `.badPointer`, `.ttlTooLong`.
    public mutating func add(device: DID, ttl: UInt32) throws(DiscoveryError) {
        guard ttl <= PkarrPointer.maximumTTL else { throw DiscoveryError(.ttlTooLong, "a pointer holds seven days") }
        guard (try? PkarrKey(device)) != nil, device.string.utf8.count <= 251 else {
            throw DiscoveryError(.badPointer, "a device is a did:key")
        }
        add(PkarrPointer.label, [Array("dev=\(device)".utf8)], ttl)
    }

    /// Adds the delegation of the device whose zone this is.
    public mutating func add(delegation: Envelope, ttl: UInt32) {
        let text = Array(delegation.compact.utf8)
        let strings = stride(from: 0, to: text.count, by: 255).map { Array(text[$0..<min($0 + 255, text.count)]) }
        add(PkarrDeviceHint.label, strings, ttl)
    }

    private mutating func add(_ label: String, _ strings: [[UInt8]], _ ttl: UInt32) {
        own.append(
            Record(
                name: key.name(label),
                type: DNSMessage.RecordType.txt,
                ttl: ttl,
                data: strings.flatMap { [UInt8($0.count)] + $0 }
            )
        )
    }

    /// The message, its names compressed.
    ///
    /// - Throws: `.limit` over 996 bytes.
    public func message() throws(DiscoveryError) -> [UInt8] {
        var writer = DNSWriter(answers: own.count + carried.count)
        for record in own + carried { writer.write(record) }
        guard writer.bytes.count <= PkarrPacket.maximumMessage else {
            throw DiscoveryError(.limit, "the zone takes \(writer.bytes.count) bytes of \(PkarrPacket.maximumMessage)")
        }
        return writer.bytes
    }

    /// The timestamp to sign, in µs: the clock, or one above the key's newest packet when the clock has gone back behind that.
    ///
    /// - Throws: `.exhausted` when no reader would accept it.
    public static func nextTimestamp(clock: UInt64, previous: UInt64?) throws(DiscoveryError) -> UInt64 {
        let next = previous.map { max(clock, $0 == .max ? .max : $0 + 1) } ?? clock
        guard next <= PkarrPacket.maximumTimestamp else {
            throw DiscoveryError(.exhausted, "no reader accepts a later timestamp")
        }
        return next
    }

    /// The IN answers of `message` that are not a DSIP publisher's own, in their order.
    ///
    /// - Throws: `.malformed`.
    public static func carried(from message: DNSMessage, zone: String) throws(DiscoveryError) -> [Record] {
        let replaced = Set(
            ownLabels.map { DNSName(unchecked: [Array($0.utf8), Array(zone.utf8)]) }
        )
        var kept: [Record] = []
        for record in message.answers
        where record.recordClass == DNSMessage.internet && !replaced.contains(record.name) {
            kept.append(
                Record(
                    name: record.name,
                    type: record.type,
                    ttl: record.ttl,
                    data: try expanded(record, in: message)
                )
            )
        }
        return kept
    }

    /// The record's data with the names inside written out, for the types in which they may be compressed (RFC 3597 §4).
    private static func expanded(_ record: DNSMessage.Record, in message: DNSMessage) throws(DiscoveryError) -> [UInt8]
    {
        guard let layout = NameLayout(record.type) else { return message.data(of: record) }
        var reader = DNSReader(message.bytes, at: record.data.lowerBound)
        try reader.skip(layout.before)
        var data = Array(message.bytes[record.data.lowerBound..<reader.position])
        for _ in 0..<layout.names { data += try reader.name().wire }
        let end = record.data.upperBound
        guard reader.position <= end, end - reader.position == layout.after else {
            throw DiscoveryError(.malformed, "record data that are not of their type")
        }
        return data + message.bytes[reader.position..<end]
    }

    /// Where names stand in the data of a record.
    private struct NameLayout {
        var before = 0
        var names = 1
        var after = 0

        init?(_ type: UInt16) {
            switch type {
            // NS, MD, MF, CNAME, MB, MG, MR, PTR
            case 2, 3, 4, 5, 7, 8, 9, 12: break
            // SOA
            case 6: (names, after) = (2, 20)
            // MINFO
            case 14: names = 2
            // MX
            case 15: before = 2
            default: return nil
            }
        }
    }
}

extension PkarrPacket {
    /// Signs the hint of an identity in its own zone, and keeps what others put there (hints profile §9, *Publishing*).
    ///
    /// - Parameters:
    ///   - ttl: seconds that the hint holds, at most 3600; sign again before they are over.
    ///   - previous: the newest payload of the zone, own or fetched; one that does not verify is taken for none.
    ///   - clock: Unix microseconds.
    ///   - key: the identity's own; its DID is the did:key whose zone it is.
    /// - Throws: `.noEndpoints`, `.badEndpoint`, `.ttlTooLong`, `.limit` when there is no room left, `.exhausted`, `.notDIDKey`,
    ///   `.malformed` when others' records cannot be carried over.
    public static func hint(
        _ endpoints: [ReachabilityHint.Endpoint],
        ttl: UInt32 = 1800,
        replacing previous: [UInt8]?,
        clock: UInt64,
        by key: SigningKey
    ) throws(DiscoveryError) -> PkarrPacket {
        guard !endpoints.isEmpty else { throw DiscoveryError(.noEndpoints, "there is nothing to publish") }
        let zoneKey = try PkarrKey(key.did)
        var zone = PkarrZone(zoneKey)
        var newest: UInt64?
        // A packet of ours from before the clock went back is dated ahead of it, and counts all the same.
        if let packet = previous.flatMap({ try? PkarrPacket($0) }),
            let message = try? packet.open(under: zoneKey, at: Int64(clamping: packet.timestamp / 1_000_000))
        {
            newest = packet.timestamp
            try zone.carry(message)
        }
        for endpoint in endpoints { try zone.add(endpoint, ttl: ttl) }
        let timestamp = try PkarrZone.nextTimestamp(clock: clock, previous: newest)
        return try PkarrPacket(signing: try zone.message(), at: timestamp, by: key)
    }
}

/// Writes an authoritative answer; each ending of an owner name that stood before is pointed to.
private struct DNSWriter {
    private(set) var bytes: [UInt8]
    private var places: [[[UInt8]]: Int] = [:]

    init(answers: Int) {
        bytes = [0, 0, 0x84, 0, 0, 0, UInt8(truncatingIfNeeded: answers >> 8), UInt8(truncatingIfNeeded: answers)]
        bytes += [0, 0, 0, 0]
    }

    mutating func write(_ record: PkarrZone.Record) {
        write(record.name)
        u16(record.type)
        u16(DNSMessage.internet)
        u16(UInt16(record.ttl >> 16))
        u16(UInt16(truncatingIfNeeded: record.ttl))
        u16(UInt16(clamping: record.data.count))
        bytes += record.data
    }

    private mutating func write(_ name: DNSName) {
        for index in name.labels.indices {
            let ending = Array(name.labels[index...])
            if let place = places[ending] {
                u16(0xc000 | UInt16(place))
                return
            }
            if bytes.count < 0x4000 { places[ending] = bytes.count }
            bytes.append(UInt8(name.labels[index].count))
            bytes += name.labels[index]
        }
        bytes.append(0)
    }

    private mutating func u16(_ value: UInt16) { bytes += [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }
}
