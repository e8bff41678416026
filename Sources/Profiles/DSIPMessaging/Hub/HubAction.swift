import DSIPIdentity
import DSIPSignaling
import Encoding

/// What a hub does. In one answer: the depositor's answer first, then fan-out by identity, then welcomes.
public enum HubAction: Hashable, Sendable {
    /// Say it only when the hub's state is on disk. M§9.3
    case accepted(to: DID, inReplyTo: ULID, seq: Int64?, duplicate: Bool)
    case error(to: DID, inReplyTo: ULID, Reason)
    /// Deposit the item with this `seq` in the primary mailbox of the identity, again if it was sent before.
    case fanOut(to: DID, seq: Int64, DepositClass)
    /// Deposit the welcome of the commit with this `seq` there.
    case welcome(to: DID, seq: Int64)
    /// Pass the deposit on now or never: activity, or the latest GroupInfo.
    case forward(to: DID, DepositClass)
}
