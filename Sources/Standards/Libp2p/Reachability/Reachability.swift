/// Whether others can dial this peer.
public enum Reachability: Hashable, Sendable {
    case unknown
    /// Dialled back by enough peers, at these addresses.
    case open([Multiaddr])
    /// Behind something that lets nobody in.
    case closed
}

/// Counts what peers say when they are asked to dial back. One liar decides nothing: it takes more than three of a kind.
struct ReachabilityTally: Sendable {
    static let needed = 4

    private var successes: [PeerID: Multiaddr?] = [:]
    private var failures: Set<PeerID> = []

    /// A refusal to dial says nothing.
    mutating func heard(_ message: AutoNATMessage, from peer: PeerID) {
        guard case .response(let status, let address) = message else { return }
        switch status {
        case .ok:
            failures.remove(peer)
            successes[peer] = .some(address)
        case .dialError:
            successes[peer] = nil
            failures.insert(peer)
        case .dialRefused, .badRequest, .internalError: break
        }
    }

    /// - Parameter needed: fewer in a network too small for the rule.
    func reachability(needed: Int = ReachabilityTally.needed) -> Reachability {
        if successes.count >= needed, successes.count > failures.count {
            return .open(Array(Set(successes.values.compactMap { $0 })).sorted { "\($0)" < "\($1)" })
        }
        return failures.count >= needed ? .closed : .unknown
    }
}

/// The side that dials back: only addresses with the IP address the asking peer is seen at, seldom, and never for a relayed peer, so
/// that nobody can aim it at a third.
struct DialBackRules: Sendable {
    /// Bounds; times in milliseconds.
    struct Limits: Hashable, Sendable {
        var addresses = 4
        var perPeer: Int64 = 10_000
        var burst = 16
        var perSecond = 1
        var peers = 512
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
        lastAsked = lastAsked.filter { now - $0.value < limits.perPeer }
        guard let seen, !seen.isCircuit, let ip = seen.ipAddress?.unmapped, lastAsked[peer] == nil,
            lastAsked.count < limits.peers, allowance.take(at: now)
        else {
            refused += 1
            return .failure(Refusal(status: .dialRefused))
        }
        lastAsked[peer] = now
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
}
