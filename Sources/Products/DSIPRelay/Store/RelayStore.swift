import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding

/// What the relay must not forget, and nothing else: envelopes held for offline recipients, calls that ring, the identities it knows,
/// revocations of their devices, how those are woken, and names.
///
/// Calls block; they come from the writer's thread and from reader threads, never from an event loop. A store is shared and does its
/// own locking. Every implementation passes one conformance suite (`RelayStoreConformance` in the tests).
protocol RelayStore: Sendable {
    /// Everything routing needs after a restart, except the envelopes' bytes. Rows expired at `now` are gone afterwards.
    func restore(at now: Int64) throws(RelayError) -> StoredState

    /// Makes `changes` durable, in order, all or none. When this returns, `kill -9` and power loss take nothing of it back.
    /// - Throws: `.full` when there is no room, `.storage` for everything else; nothing has been changed then.
    func commit(_ changes: [StoreChange]) throws(RelayError)

    /// The bytes of held envelopes, in the order asked for; handles that are gone are left out.
    func envelopes(_ handles: [UInt64]) throws(RelayError) -> [(handle: UInt64, bytes: [UInt8])]

    func name(_ name: String) throws(RelayError) -> NameRecord?

    /// Reads and replaces one name in a transaction: `decide` is given the current record and the number of names each owner holds,
    /// and answers with the record to keep, nil to have none.
    /// - Throws: what `decide` throws, or as `commit`; nothing has been changed then.
    func changeName(
        _ name: String,
        _ decide: (_ current: NameRecord?, _ held: (DID) -> Int) throws(RelayError) -> NameRecord?
    ) throws(RelayError)

    func nameCount() throws(RelayError) -> Int

    /// Gives files back; no call may follow.
    func close()
}

/// One envelope that waits for its recipient, with the fields that routing reads again after a restart.
struct HeldEnvelope: Hashable, Sendable {
    /// Names the row; ascending in order of arrival.
    var handle: UInt64
    /// The identity or device the envelope waits for.
    var recipient: DID
    var type: MessageType
    var id: ULID
    /// `from` of the message.
    var from: DID
    /// The identity that `from` acts for.
    var identity: DID
    /// Unix seconds at which it is dropped: the earlier of its own `expires_at` and the retention bound (DSIP §13.3).
    var deadline: Int64
    /// Unix seconds, of the envelope.
    var expiresAt: Int64?
    /// Whether the sender asked for delivery reports.
    var wantsDeliveryReport = false
    /// Kept only as the evidence of a missed call.
    var isMissed = false
    /// Bytes of the envelope.
    var size: Int
    var form = WireForm.jose
}

/// A verified `delegation-revocation` record (DSIP §7.4).
struct StoredRevocation: Hashable, Sendable {
    var subject: DID
    var device: DID
    var revokedAt: Int64
    /// The record as received.
    var envelope: [UInt8]
}

/// A ringing call: who has the invite, and the invite for those who come late.
struct StoredAttempt: Hashable, Sendable {
    struct Rejected: Hashable, Sendable {
        var from: DID
        var id: ULID
        var reason: Reason?
        var expiresAt: Int64?
        var envelope: [UInt8]
    }

    var session: ULID
    /// The calling device, and the identity it acts for.
    var initiator: DID
    var initiatorIdentity: DID
    /// As the invite is addressed.
    var recipient: DID
    /// Unix seconds, of the invite.
    var expiresAt: Int64?
    var wantsDeliveryReport: Bool
    var reports: Int64
    var legs: [AttemptRecord.Leg]
    /// The `reject` that the caller hears if no other leg does better.
    var best: Rejected?
    /// Unix seconds at which the last leg has been waited for long enough.
    var until: Int64
    var invite: [UInt8]
}

/// How a device is woken that is away.
struct StoredWake: Hashable, Sendable {
    var device: DID
    var identity: DID
    /// Never more than `PushConfig.maximumTargets`.
    var targets: [PushTarget]
}

/// A record of the directory, kept for those whose devices sleep.
struct StoredRecord: Hashable, Sendable {
    var key: [UInt8]
    /// As signed.
    var value: [UInt8]
    /// Unix seconds.
    var until: Int64
}

/// A `publish`, and what was said of it since: `provenance` statements and its `unpublish`, as their signers made them.
struct StoredBroadcast: Hashable, Sendable {
    var id: ULID
    var stream: String
    /// The identity that the signer acts for.
    var identity: DID
    /// Whether everything kept of the stream before goes.
    var replaces: Bool
    /// Unix seconds.
    var until: Int64
    var envelope: [UInt8]
}

enum StoreChange: Hashable, Sendable {
    case hold(HeldEnvelope, [UInt8])
    /// A held invite is from now on the evidence of a missed call.
    case markMissed(UInt64, deadline: Int64)
    /// Delivered, cancelled or expired.
    case release(UInt64)
    case known(KnownRecipient)
    /// Recipients and records whose time ended before this are forgotten.
    case forget(before: Int64)
    case revoke(StoredRevocation)
    /// Written anew, or in place of what was written of it before; the invite never changes.
    case attempt(StoredAttempt)
    case endAttempt(ULID)
    /// In place of what the device said before; without targets it is forgotten.
    case wake(StoredWake)
    /// The target is no more.
    case dropWake(DID, PushTarget)
    /// In place of what was kept under its key.
    case record(StoredRecord)
    case dropRecord([UInt8])
    case broadcast(StoredBroadcast)
    /// Everything of the stream.
    case dropBroadcast(String)

    /// Whether it makes room: such a change that fails is tried again.
    var isRelease: Bool {
        switch self {
        case .release, .endAttempt: true
        case .hold, .markMissed, .known, .forget, .revoke, .attempt, .wake, .dropWake, .record, .dropRecord, .broadcast,
            .dropBroadcast:
            false
        }
    }
}

struct StoredState: Sendable {
    /// In ascending order of `handle`.
    var held: [HeldEnvelope] = []
    var known: [KnownRecipient] = []
    var revocations: [StoredRevocation] = []
    /// Those whose time is not over.
    var attempts: [StoredAttempt] = []
    var wakes: [StoredWake] = []
    var records: [StoredRecord] = []
    /// In the order of their ids.
    var broadcasts: [StoredBroadcast] = []
    /// Above every handle in use.
    var nextHandle: UInt64 = 1
    var names = 0
}

/// A name, as `name@hostname`, and the DID it stands for.
struct NameRecord: Hashable, Sendable {
    var name: String
    /// What WebFinger answers with.
    var did: DID
    /// The `did:key` of the key that may change this record.
    var owner: DID
    /// The did:web document served at `/users/<name>/did.json`, as JSON text; nil when `did` is hosted elsewhere.
    var document: [UInt8]?
    var createdAt: Int64
    var updatedAt: Int64
}
