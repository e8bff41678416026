import DSIPIdentity
import DSIPSignaling
import Encoding

/// What a mailbox does. In one answer: an expired wait first, then the answer to who asked, then pushes by device.
public enum MailboxAction: Hashable, Sendable {
    /// Say it only when the mailbox's state, and the bytes, are on disk. M§9.3
    case accepted(to: DID, inReplyTo: ULID, cursor: Cursor?, duplicate: Bool)
    case error(to: DID, inReplyTo: ULID, Reason, retryAfter: Int64?)
    /// Answer a `sync`.
    case items(to: DID, inReplyTo: ULID, cursors: [Cursor], next: Cursor?)
    /// Push a stored item to a bound device.
    case push(to: DID, Cursor)
    /// Push activity to a bound device, now or never.
    case pushEphemeral(to: DID)
    case keyPackages(to: DID, inReplyTo: ULID, [DID: KeyPackageShelf.Served])
    /// Hand the device's deposit to the hub unchanged, and the hub's answer back.
    case forward(to: DID, id: ULID)
    /// Close a device's connection: its delegation is revoked.
    case close(device: DID)
    /// The old hub's items were given up; for the log.
    case handoverExpired(GroupID, hub: DID, missing: [Int64])
    /// Delete the bytes of items that are no longer kept.
    case drop([Cursor])
}
