import DSIPIdentity
import Encoding

/// A line of a ratchet conversation as one device keeps and shows it.
public struct RatchetLine: Hashable, Sendable {
    /// Of what this identity said, how far it came; of what the peer said, `received`.
    public enum State: String, Hashable, Sendable {
        case pending, accepted, delivered, read, failed, received
    }

    /// The other person.
    public var peer: DID
    public var content: Content
    /// Whether this identity said it, on whichever device.
    public var isMine: Bool
    /// Its place: ascending is the order in which this device came to know it.
    public var order: Int64
    /// Unix seconds.
    public var receivedAt: Int64
    public var state: State
    public var deliveredAt: Int64?
    public var readAt: Int64?
    /// How it reads now, where it was edited or retracted, and when that was.
    public var patch: MessageUpdate.Patch?
    public var patchedAt: Int64?

    public var id: ULID { content.id }

    /// Takes an edit or retraction by who said the content: the latest stands, nothing follows a retraction.
    ///
    /// - Returns: whether it reads differently now.
    mutating func apply(_ patch: MessageUpdate.Patch, at time: Int64) -> Bool {
        guard self.patch != .retraction, self.patch != patch else { return false }
        guard patch == .retraction || time >= patchedAt ?? Int64.min else { return false }
        (self.patch, patchedAt) = (patch, time)
        return true
    }

    /// Only ever forward: a receipt that comes late takes nothing back.
    mutating func reach(_ state: State) -> Bool {
        let order: [State] = [.failed, .pending, .accepted, .delivered, .read]
        guard let now = order.firstIndex(of: self.state), let then = order.firstIndex(of: state), then > now else {
            return false
        }
        self.state = state
        return true
    }
}
