/// The side that dials back: seldom, never for a relayed peer, and so that nobody can aim it at a third. To an IP address that is not the
/// asker's it does not dial, or, in version 2 of the protocol, only after the asker has sent more than the dial costs.
struct DialBackRules: Sendable {
    /// Bounds; times in milliseconds.
    struct Limits: Hashable, Sendable {
        var addresses = 4
        var perPeer: Int64 = 10_000
        var burst = 16
        var perSecond = 1
        var peers = 512
        /// Bytes that an asker sends before another IP address than its own is dialled: between 30,000 and 100,000.
        var cost = 50_000
    }

    /// What is dialled for a peer, of what it named.
    struct Selection: Hashable, Sendable {
        let index: Int
        let address: Multiaddr
        /// Bytes that the peer has to send before.
        let cost: Int
    }

    enum Verdict: Hashable, Sendable {
        case dial(Selection)
        /// None of the addresses may be dialled.
        case nothing
        /// The peer is not heard now.
        case notNow
    }

    private let limits: Limits
    private var allowance: Allowance
    private var lastAsked: [PeerID: Int64] = [:]
    private(set) var refused = 0

    init(limits: Limits = Limits(), at now: Int64) {
        self.limits = limits
        self.allowance = Allowance(burst: limits.burst, perSecond: limits.perSecond, at: now)
    }

    /// - Parameter seen: the socket's other end.
    /// - Returns: what to dial, or how to answer at once.
    mutating func asked(
        _ message: AutoNATMessage,
        by peer: PeerID,
        seenAt seen: Multiaddr?,
        at now: Int64
    ) -> Result<[Multiaddr], Refusal> {
        guard case .dial(let named, let addresses) = message, named == peer else {
            refused += 1
            return .failure(Refusal(status: .badRequest))
        }
        guard let ip = admit(peer, seenAt: seen, at: now) else { return .failure(Refusal(status: .dialRefused)) }
        var known: Set<Multiaddr> = []
        let usable = addresses.map(\.transport).filter {
            $0.tcpEndpoint != nil && $0.ipAddress?.unmapped == ip && known.insert($0).inserted
        }
        guard !usable.isEmpty else { return .failure(Refusal(status: .dialRefused)) }
        return .success(Array(usable.prefix(limits.addresses)))
    }

    struct Refusal: Error {
        let status: AutoNATMessage.Status
    }

    /// Version 2: the first address that may be dialled.
    mutating func asked(
        _ addresses: [Multiaddr],
        by peer: PeerID,
        seenAt seen: Multiaddr?,
        at now: Int64
    ) -> Verdict {
        guard let ip = admit(peer, seenAt: seen, at: now) else { return .notNow }
        for (index, address) in addresses.prefix(AutoNAT2Message.maximumAddresses).enumerated() {
            guard let named = address.ipAddress?.unmapped, address.transport.tcpEndpoint != nil else { continue }
            // A private address is the asker's own, or nobody's business.
            guard named == ip || !named.isPrivate else { continue }
            let cost = named == ip ? 0 : limits.cost
            return .dial(Selection(index: index, address: address.transport, cost: cost))
        }
        return .nothing
    }

    /// - Returns: where the peer is seen, when it may ask now.
    private mutating func admit(_ peer: PeerID, seenAt seen: Multiaddr?, at now: Int64) -> IPAddress? {
        lastAsked = lastAsked.filter { now - $0.value < limits.perPeer }
        guard let seen, !seen.isCircuit, let ip = seen.ipAddress?.unmapped, lastAsked[peer] == nil,
            lastAsked.count < limits.peers, allowance.take(at: now)
        else {
            refused += 1
            return nil
        }
        lastAsked[peer] = now
        return ip
    }
}
