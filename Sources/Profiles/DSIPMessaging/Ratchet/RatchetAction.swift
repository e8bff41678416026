import DSIPIdentity
import Encoding

/// What the owner of ``RatchetConversations`` does next. Everything an action rests on is committed already.
public enum RatchetAction: Hashable, Sendable {
    /// Sign it by the device, with the delegation in the header, and send it to the relay of this person. The relay answers `accepted` or
    /// `error`; when no answer can come, nothing has to be said: it is sent again.
    case send(RatchetMessage, to: DID, in: WireForm, sealed: RatchetSealing)
    /// The same, always in the proposal's form.
    case say(RatchetStatement, to: DID)
    /// Ask the person's relay for bundles: ``PreKeyFetch`` with this id, then ``RatchetConversations/fetched(_:ofDevices:at:)``.
    case fetch(ULID, DID, device: DID?)
    /// Sign and send to the own relay; then ``RatchetConversations/accepted(_:at:)``.
    case publish(PreKeys)
    /// Answer this envelope with `accepted`: what it brought is on the disk.
    case acknowledge(ULID)
    /// Something was said: when it is on the owner's disk, ``RatchetConversations/handled(_:at:)``. It is told again until then.
    case arrived(RatchetArrival)
    /// A relay has what was given under this id.
    case taken(ULID)
    /// No relay will ever take it.
    case failed(ULID)
    case typing(DID, isOn: Bool)
    /// A session with this device of the own identity is there, for the first time; told again until
    /// ``RatchetConversations/greeted(_:at:)``.
    case met(DID)
    /// Nobody knows how to write to this person yet; what was said waits.
    case waiting(for: DID)
}

/// Whether a message goes in a stored envelope (proposal 0.3 §21.B), so that the relay does not learn whose it is.
public enum RatchetSealing: Hashable, Sendable {
    /// The relay says that the device does not open them.
    case never
    /// Where the relay keeps them.
    case whereKept
    /// Where the relay keeps them, too; but the device itself has said that it opens them, and a relay that says that it does not is not believed.
    case always
}

/// An object that was opened.
public struct RatchetArrival: Hashable, Sendable {
    public var id: ULID
    /// An object of the profile, not judged.
    public var object: JSONValue
    /// Whose device said it: the peer's, or another of this identity.
    public var sender: DID
    public var device: DID
    /// With whom the conversation is.
    public var peer: DID
    /// Where the sender says that they are reached (`wss`).
    public var relay: String?
    /// Whether it came as the proposal writes it: then a mailbox that nobody but a relay told of is not this peer's. Nil when what it came
    /// in does not tell.
    public var isProposal: Bool?
}
