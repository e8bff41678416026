import DSIPIdentity
import Encoding

/// What the owner of ``RatchetConversations`` does next. Everything an action rests on is committed already.
public enum RatchetAction: Hashable, Sendable {
    /// Sign it by the device, with the delegation in the header, and send it to the relay of this person. The relay answers `accepted` or
    /// `error`; when no answer can come, nothing has to be said: it is sent again.
    case send(RatchetMessage, to: DID)
    /// Ask the person's relay for bundles: ``PreKeyFetch`` with this id, then ``RatchetConversations/fetched(_:ofDevices:at:)``.
    case fetch(ULID, DID, device: DID?)
    /// Sign and send to the own relay; then ``RatchetConversations/accepted(_:at:)``.
    case publish(PreKeys)
    /// Answer this envelope with `accepted`: what it brought is on the disk.
    case acknowledge(ULID)
    /// A line is new or changed.
    case line(ULID, with: DID)
    case typing(DID, isOn: Bool)
    /// The person has read up to here on another of this identity's devices.
    case readElsewhere(ULID, with: DID)
    /// Nobody knows how to write to this person yet; what was said waits.
    case waiting(for: DID)
}
