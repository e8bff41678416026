import DSIPIdentity

/// A group that a mailbox takes fan-out for. It belongs to the identity, not to a device. M§6.6
public struct GroupRegistration: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        /// By a welcome, unconfirmed since then; `admitted` items came meanwhile, the first behind `from`.
        case pending(since: Int64, admitted: Int, from: UInt64)
        case joined
    }

    public var hub: DID
    public var state: State
    /// While, and after, the group moves from another hub. M§7.4
    public var handover: HubHandover?

    public init(hub: DID, state: State, handover: HubHandover? = nil) {
        self.hub = hub
        self.state = state
        self.handover = handover
    }

    public var isPending: Bool { if case .pending = state { true } else { false } }
}
