import DSIPIdentity

/// A mailbox's part in a group's move from one hub to another: the new hub waits until the old one has delivered what it ordered,
/// but not for ever. M§7.4
public struct HubHandover: Hashable, Sendable {
    public enum Phase: Hashable, Sendable {
        /// The new hub is held off.
        case waiting
        /// The old hub's items were all there.
        case settled
        /// The wait ran out; these `seq` may still come from the old hub, and are stored then.
        case expired(missing: Set<Int64>)
    }

    /// What to do with a deposit of one of the two hubs.
    public enum Ruling: Hashable, Sendable {
        /// Go on as with any deposit of the registered hub.
        case admit
        /// Store it, though later ones are stored already: it fills a gap.
        case fill
        case redelivery
        /// `mailbox.unknown-group`: the hub tries again later.
        case holdOff
        /// `policy.blocked`: the number cannot be right.
        case block
    }

    public let previousHub: DID
    /// The `seq` of the commit that moved the group; the new hub's items come after it.
    public let lastSeq: Int64
    /// When the owner's device named the new hub.
    public let since: Int64
    public private(set) var phase: Phase

    /// Missing `seq` remembered by an expired wait; more than this is a hub that lost everything.
    public static let maximumMissing: Int64 = 4096

    public init(from previousHub: DID, through lastSeq: Int64, since: Int64, phase: Phase = .waiting) {
        self.phase = phase
        self.previousHub = previousHub
        self.lastSeq = lastSeq
        self.since = since
    }

    /// The group was at `hub` for a while, and is back: what that one ordered meanwhile is taken still.
    ///
    /// - Parameter missing: what it may have ordered.
    public init(_ missing: ClosedRange<Int64>, of hub: DID, since: Int64) {
        self.init(from: hub, through: missing.upperBound, since: since, phase: .expired(missing: Set(missing)))
    }

    /// Whether something is still to come from a hub that the group has left.
    public func isFilled(by hub: DID) -> Bool {
        if case .expired(let missing) = phase { hub == previousHub && !missing.isEmpty } else { false }
    }

    /// The old hub deposits.
    ///
    /// - Parameter highest: the highest `seq` stored for the group.
    public mutating func receivedFromPrevious(_ seq: Int64?, highest: Int64) -> Ruling {
        guard let seq, seq <= lastSeq else { return .holdOff }
        if case .expired(var missing) = phase {
            guard missing.remove(seq) != nil else { return .redelivery }
            phase = .expired(missing: missing)
            return .fill
        }
        return seq <= highest ? .redelivery : .admit
    }

    /// The new hub deposits, whatever it is.
    ///
    /// - Returns: the ruling, and the `seq` given up when this deposit found the wait run out.
    public mutating func receivedFromNext(
        _ seq: Int64?,
        highest: Int64,
        at now: Int64,
        wait: Int64
    ) -> (ruling: Ruling, expired: [Int64]?) {
        var expired: [Int64]?
        if phase == .waiting {
            if highest >= lastSeq {
                phase = .settled
            } else if now - since >= wait {
                let missing = Array((highest + 1)...min(lastSeq, highest + Self.maximumMissing))
                phase = .expired(missing: Set(missing))
                expired = missing
            } else {
                return (.holdOff, nil)
            }
        }
        if let seq, seq <= lastSeq { return (.block, expired) }
        return (.admit, expired)
    }
}
