/// Which connections are let in: limits in all, on handshakes under way, by peer, and by address range. It counts, nothing else.
public struct ConnectionGate: Sendable {
    public struct Limits: Hashable, Sendable {
        public var total = 512
        public var inbound = 384
        /// Not yet established.
        public var pending = 64
        public var perPeer = 4
        /// Of one /24 or /48; private addresses are not counted, being neighbours.
        public var perRange = 16

        public init() {}
    }

    private struct Entry {
        let range: AddressRange?
        let isInbound: Bool
        var peer: PeerID?
    }

    private let limits: Limits
    private var entries: [UInt64: Entry] = [:]
    private var ranges: [AddressRange: Int] = [:]
    private var peers: [PeerID: Int] = [:]
    private var pending = 0
    private var inbound = 0
    private var nextNumber: UInt64 = 0
    /// Connections that were turned away.
    public private(set) var refused = 0

    public init(limits: Limits = Limits()) { self.limits = limits }

    public var count: Int { entries.count }

    /// - Returns: the connection's number, or nil when it is turned away.
    public mutating func admit(_ address: IPAddress?, inbound isInbound: Bool) -> UInt64? {
        let range = address.flatMap { $0.isPrivate ? nil : $0.range }
        guard entries.count < limits.total, pending < limits.pending, !isInbound || inbound < limits.inbound,
            range.map({ ranges[$0] ?? 0 < limits.perRange }) ?? true
        else {
            refused += 1
            return nil
        }
        nextNumber += 1
        entries[nextNumber] = Entry(range: range, isInbound: isInbound)
        pending += 1
        if isInbound { inbound += 1 }
        if let range { ranges[range, default: 0] += 1 }
        return nextNumber
    }

    /// The connection's peer is known.
    ///
    /// - Returns: false when the peer has too many already; `ended` is called for it all the same.
    public mutating func established(_ number: UInt64, _ peer: PeerID) -> Bool {
        guard entries[number]?.peer == nil, entries[number] != nil else { return false }
        guard peers[peer] ?? 0 < limits.perPeer else {
            refused += 1
            return false
        }
        entries[number]?.peer = peer
        peers[peer, default: 0] += 1
        pending -= 1
        return true
    }

    public mutating func ended(_ number: UInt64) {
        guard let entry = entries.removeValue(forKey: number) else { return }
        if entry.isInbound { inbound -= 1 }
        if let range = entry.range { ranges[range] = ranges[range].flatMap { $0 > 1 ? $0 - 1 : nil } }
        guard let peer = entry.peer else {
            pending -= 1
            return
        }
        peers[peer] = peers[peer].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
}
