/// Finds peers on the same network without any server: multicast DNS as libp2p speaks it (`_p2p._udp.local`, RFC 6762).
///
/// A pure machine that is fed and drained. Datagrams go to `receive`; `pollOutput` gives datagrams for the group, `pollEvent` peers
/// that were found. Nothing in an announcement is believed: a peer is who it says only once it was dialled. Addresses outside the
/// own network are dropped, so that nobody here can be made to dial a stranger.
///
/// It tells everybody on the network that this peer is there, so it is off unless a program begins it.
public struct LocalDiscovery: Sendable {
    public struct Found: Hashable, Sendable {
        public let peer: PeerID
        public let addresses: [Multiaddr]
    }

    /// Bounds; times in milliseconds.
    public struct Limits: Hashable, Sendable {
        /// Peers remembered; more are not told.
        public var peers = 256
        /// Addresses of one peer.
        public var addresses = 16
        /// Between two questions of ours: the first, doubled each time up to the last.
        public var firstInterval: Int64 = 1_000
        public var lastInterval: Int64 = 300_000
        /// How long an announcement holds; it is renewed by answers to anybody's questions.
        public var lifetime: Int64 = 600_000
        /// Answers are at least so far apart (RFC 6762 §6).
        public var answerInterval: Int64 = 1_000
        /// Whether loopback addresses are announced and believed.
        public var allowsLoopback = false

        public init() {}
    }

    private struct Entry {
        var found: Found
        var until: Int64
    }

    static let service = DNSName("_p2p._udp.local")
    private static let services = DNSName("_services._dns-sd._udp.local")
    private static let attribute = Array("dnsaddr=".utf8)

    private let peer: PeerID
    private let name: DNSName
    private let limits: Limits
    private let answerDelay: Int64
    /// What this peer listens on.
    public var addresses: [Multiaddr]
    private var entries: [PeerID: Entry] = [:]
    private var output: [[UInt8]] = []
    private var events: [Found] = []
    private var interval: Int64
    private var askAt: Int64
    private var answerAt: Int64?
    private var answeredAt = Int64.min / 2
    /// Datagrams that were no DNS message, or announced more than is kept.
    public private(set) var refused = 0

    /// - Parameters:
    ///   - random: 20 random bytes: the name under which this peer announces itself, which tells nothing about it, and how long it
    ///     waits before it answers.
    ///   - now: milliseconds.
    public init(
        peer: PeerID,
        addresses: [Multiaddr],
        limits: Limits = Limits(),
        random: [UInt8],
        at now: Int64
    ) {
        precondition(random.count >= 20, "20 random bytes")
        self.peer = peer
        self.addresses = addresses
        self.limits = limits
        let letters = Array("abcdefghijklmnop")
        let label = String(random.prefix(20).flatMap { [letters[Int($0 >> 4)], letters[Int($0 & 15)]] })
        self.name = DNSName("\(label)._p2p._udp.local")
        // RFC 6762 §6: several may answer, so they do not all at once.
        self.answerDelay = 20 + Int64(random[0]) % 100
        self.interval = limits.firstInterval
        self.askAt = now
    }

    /// - Returns: a datagram for the group.
    public mutating func pollOutput() -> [UInt8]? { output.isEmpty ? nil : output.removeFirst() }

    /// - Returns: a peer that was found, or whose addresses changed.
    public mutating func pollEvent() -> Found? { events.isEmpty ? nil : events.removeFirst() }

    /// Peers whose announcements hold.
    public var peers: [Found] { entries.values.map(\.found) }

    public var nextDeadline: Int64 { min(askAt, answerAt ?? .max) }

    public mutating func advance(to now: Int64) {
        if askAt <= now {
            var question = DNSMessage()
            question.questions = [.init(name: LocalDiscovery.service, type: DNSMessage.RecordType.ptr)]
            output.append(question.bytes)
            askAt = now + interval
            interval = min(interval * 2, limits.lastInterval)
        }
        if let at = answerAt, at <= now {
            answerAt = nil
            answeredAt = now
            output.append(announcement(lifetime: UInt32(limits.lifetime / 1000)))
        }
        entries = entries.filter { $0.value.until > now }
    }

    /// Takes the own announcement back.
    public mutating func leave() { output.append(announcement(lifetime: 0)) }

    public mutating func receive(_ datagram: some Collection<UInt8>, at now: Int64) {
        guard let message = try? DNSMessage(bytes: datagram) else {
            refused += 1
            return
        }
        if message.isResponse { heard(message, at: now) } else { asked(message.questions, at: now) }
    }

    private mutating func asked(_ questions: [DNSMessage.Question], at now: Int64) {
        func wants(_ question: DNSMessage.Question, _ name: DNSName, _ type: UInt16) -> Bool {
            question.name == name && (question.type == type || question.type == DNSMessage.RecordType.any)
        }
        if answerAt == nil,
            questions.contains(where: {
                wants($0, LocalDiscovery.service, DNSMessage.RecordType.ptr)
                    || wants($0, name, DNSMessage.RecordType.txt)
            })
        {
            answerAt = max(now + answerDelay, answeredAt + limits.answerInterval)
        }
        if questions.contains(where: { wants($0, LocalDiscovery.services, DNSMessage.RecordType.ptr) }),
            output.count < 4
        {
            var answer = DNSMessage()
            answer.isResponse = true
            answer.records = [record(LocalDiscovery.services, pointing: LocalDiscovery.service, 120)]
            output.append(answer.bytes)
        }
    }

    private func record(_ name: DNSName, pointing target: DNSName, _ lifetime: UInt32) -> DNSMessage.Record {
        .init(
            name: name,
            type: DNSMessage.RecordType.ptr,
            timeToLive: lifetime,
            data: target.bytes,
            target: target
        )
    }

    private func announcement(lifetime: UInt32) -> [UInt8] {
        var message = DNSMessage()
        message.isResponse = true
        message.records = [record(LocalDiscovery.service, pointing: name, lifetime)]
        var data: [UInt8] = []
        for address in addresses where limits.allowsLoopback || address.ipAddress?.isLoopback == false {
            guard !LocalDiscovery.needsZone(address) else { continue }
            let text = LocalDiscovery.attribute + Array(address.naming(peer).description.utf8)
            // What fits one string of a TXT record, and an unfragmented packet.
            guard text.count < 256, data.count + text.count < 1100 else { continue }
            data += [UInt8(text.count)] + text
        }
        message.records.append(
            .init(name: name, type: DNSMessage.RecordType.txt, timeToLive: lifetime, data: data.isEmpty ? [0] : data)
        )
        return message.bytes
    }

    private mutating func heard(_ message: DNSMessage, at now: Int64) {
        for record in message.records where record.type == DNSMessage.RecordType.txt {
            guard record.name.label(under: LocalDiscovery.service) != nil, record.name != name else { continue }
            var announced: [PeerID: [Multiaddr]] = [:]
            for text in DNSMessage.strings(record.data) where text.starts(with: LocalDiscovery.attribute) {
                let written = String(decoding: text.dropFirst(LocalDiscovery.attribute.count), as: UTF8.self)
                guard let address = try? Multiaddr(written), let other = address.peerID, other != peer,
                    announced.count < 4 || announced[other] != nil,
                    announced[other, default: []].count < limits.addresses
                else { continue }
                if isNear(address) { announced[other, default: []].append(address.transport) }
            }
            for (other, addresses) in announced { learned(other, addresses, record.timeToLive, at: now) }
        }
    }

    private mutating func learned(_ other: PeerID, _ addresses: [Multiaddr], _ seconds: UInt32, at now: Int64) {
        guard seconds > 0 else {
            entries[other] = nil
            return
        }
        let found = Found(peer: other, addresses: addresses)
        guard entries[other] != nil || entries.count < limits.peers else {
            refused += 1
            return
        }
        let isNews = entries[other]?.found != found
        entries[other] = Entry(found: found, until: now + min(Int64(seconds) * 1000, limits.lifetime))
        if isNews, events.count < limits.peers { events.append(found) }
    }

    /// Whether an address means nothing without the name of an interface of whoever dials it (RFC 4007).
    private static func needsZone(_ address: Multiaddr) -> Bool {
        address.ipAddress.map { !$0.isV4 && $0.isLinkLocal } ?? false
    }

    /// Whether an address is of this network: private, or of a range that this peer has an address in.
    private func isNear(_ address: Multiaddr) -> Bool {
        guard let ip = address.ipAddress, address.transport.tcpEndpoint != nil, !ip.isUnspecified,
            !LocalDiscovery.needsZone(address)
        else { return false }
        if ip.isLoopback { return limits.allowsLoopback }
        return ip.isPrivate || addresses.contains { $0.ipAddress?.range == ip.range }
    }
}
