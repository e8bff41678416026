import DSIPSignaling

/// The DSIP Messaging Profile 1.0 (`messaging/1.0`, cited M§n) as values and pure machines: what travels, what is inside it, who
/// may do what, and in which order.
///
/// It opens no socket, reads no clock and writes no file. The machines reach MLS through what their owner tells them (an epoch, a
/// commit's adds and removes, the digest of a message, whether it validates) and through what they tell the owner to do (merge,
/// re-join, create a successor); ``MailboxHost`` is such an owner. Every machine is a value: keep it, copy it before an event whose
/// effects might not reach the disk, put the copy back after a crash.
///
/// | who | machine |
/// |---|---|
/// | a device reading its mailboxes | ``DeviceSync`` with a ``GroupPosition`` for each group, ``GapTracker`` |
/// | a device in a conversation | ``ConversationClient``: receipts, read state, activity |
/// | a device's history | ``History``: archive keys and records, call events |
/// | a device sending | ``HubOutage``: the outbox; ``CommitAttempt``: a commit and its retries |
/// | a device welcomed to a group | ``SuccessorTracker``, ``ConversationExtension``, ``ExternalJoin`` |
/// | the orderer of a group | ``Hub`` |
/// | the store of an identity | ``Mailbox``, with ``Admission`` and ``HubHandover`` |
/// | a service with all its mailboxes and hubs | ``MailboxHost`` over a ``MailboxStore`` |
///
/// What a peer sends enters as ``MailboxMessage`` (an envelope's payload) or ``MessagingObject`` (an opened MLS message), both read
/// strictly: a value that exists has passed the profile's schemas and its checks, in the order the profile gives.
public enum MessagingProfile {
    public static let id: ProfileID = "messaging/1.0"
    /// The `dsip` block of every message of the profile. M§5.1
    public static let version = VersionBlock(profiles: [id])

    /// Bytes of an MLS message, a welcome, a GroupInfo, a sealed activity or an archive record; anything larger is a blob. M§5.1
    public static let maximumMLSBytes = 24_576
    /// Bytes of an object as it is said first: sealed to one device (``SaidAgain``) it still fits an MLS message.
    public static let maximumObject = 17_000
    /// Seconds from `issued_at` to `expires_at` of any message of the profile, and of an ephemeral deposit. M§5.1, M§11.2
    public static let maximumLifetime: Int64 = 60
    public static let maximumEphemeralLifetime: Int64 = 10
    /// Seconds a device holds what lies beyond a gap. M§6.5
    public static let gapTimeout: Int64 = 300
    /// Seconds a mailbox waits for the items an old hub still owes. M§7.4
    public static let handoverWait: Int64 = 300
    /// Seconds a registration waits for the owner's word. M§6.6
    public static let pendingGroupLifetime: Int64 = 604_800
    /// Items that a group may deposit while its registration is pending. M§6.6
    public static let pendingGroupItems = 500
    /// Seconds MLS items, digests and blobs are kept. M§4.4, M§8.4, M§9.3
    public static let retention: Int64 = 2_592_000
    /// Seconds an unreachable hub is retried before a successor group is made. M§9.4
    public static let hubTimeout: Int64 = 86_400
    /// Attempts at fetching a blob that was not there. M§8.4
    public static let blobAttempts = 5
    /// Seconds by which a content id may differ from its `sent_at`, a conversation id from its deposit, an `origin` from the welcome.
    public static let timeTolerance: Int64 = 300
    /// Identities in a group up to which `delivered` receipts are sent. M§10.2
    public static let deliveredGroupLimit = 32
    /// One-time KeyPackages kept for each device. M§5.5
    public static let keyPackagesPerDevice = 100

    /// Seconds until retry number `attempt`, counted from 1: 1, doubling to 60. DSIP §13.2; an owner adds jitter.
    public static func backoff(attempt: Int) -> Int64 {
        attempt >= 7 ? 60 : 1 << Int64(max(0, attempt - 1))
    }
}
