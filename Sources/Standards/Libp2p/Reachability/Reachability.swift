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
