import DSIPIdentity
import Encoding
import MLS

/// A message on its way, and what its answer is for.
struct InFlight: Hashable, Sendable {
    enum Purpose: Hashable, Sendable {
        case outbox(GroupID, ULID)
        case errand(Int64)
        case sync(DID)
        case keyPackages
        /// KeyPackages of an identity for a group.
        case fetch(DID, GroupID)
    }

    var purpose: Purpose
    /// Who may answer.
    var answerers: [DID]
    /// The connection it went by.
    var via: DID
    /// Unix seconds.
    var deadline: Int64
}

struct SyncProgress: Hashable, Sendable {
    /// Read to its end at least once on this connection.
    var isCaughtUp = false
    var isAsking = false
    /// Something came that is not acknowledged yet; acknowledge at this time.
    var acknowledgeAt: Int64?
    var unacknowledged = 0
    /// Whether to ask once more when the present request is answered.
    var asksAgain = false
    /// When to ask again without being told anything.
    var askAt: Int64?
}

/// What is known of another identity.
struct Peer: Sendable {
    /// What is known of a mailbox that a hint names: a relay that has mailboxes has not one for everybody whom it serves.
    enum HintedMailbox: String, Sendable {
        case unasked, there, absent
    }

    /// Mailboxes of the profile, the primary first.
    var mailboxes: [MailboxService] = []
    var isHinted = false
    var hinted = HintedMailbox.unasked
    /// They were heard to speak the proposal, which knows no mailboxes: a hinted one is not theirs.
    var hasNone = false
    /// A grant of this identity to ours, compact.
    var grant: String?
    var grantUntil: Int64 = 0
    /// An introduction to it, unanswered.
    var introduction: ULID?
    /// Its introduction to us, unanswered.
    var asked: ULID?
    /// A grant of ours.
    var granted: Int64 = 0
    /// The relay (`wss`) that has its prekeys.
    var preKeys: String?
    /// The grants of ours, to be taken back by.
    var grants: [ULID] = []

    static let maximumGrants = 16

    /// Without a hinted one that is known not to be there.
    var usableMailboxes: [MailboxService] { isHinted && (hasNone || hinted == .absent) ? [] : mailboxes }

    /// Whether they may have no mailbox where the hint says, and could be written to all the same.
    var isUncertain: Bool { isHinted && hinted == .unasked && !hasNone && preKeys != nil }

    var encoded: [UInt8] {
        var row = RowWriter()
        row.put("mailboxes", list: mailboxes.map(\.json))
        row.put("hinted", flag: isHinted)
        row.put("none", flag: hasNone)
        row.put("hint", hinted == .unasked ? nil : hinted.rawValue)
        row.put("grant", grant)
        row.put("until", grantUntil)
        row.put("introduction", introduction)
        row.put("asked", asked)
        row.put("granted", granted)
        row.put("prekeys", preKeys)
        row.put("grants", list: grants.map { .string($0.description) })
        return row.bytes
    }

    init() {}

    init?(decoding bytes: [UInt8]) {
        guard let row = RowReader(bytes) else { return nil }
        mailboxes = row.list("mailboxes").compactMap { try? MailboxService($0.value) }
        isHinted = row.flag("hinted")
        hasNone = row.flag("none")
        hinted = row.text("hint").flatMap(HintedMailbox.init) ?? .unasked
        grant = row.text("grant")
        grantUntil = row.int("until") ?? 0
        introduction = row.ulid("introduction")
        asked = row.ulid("asked")
        granted = row.int("granted") ?? 0
        preKeys = row.text("prekeys")
        grants = row.list("grants").compactMap { $0.value.string.flatMap { ULID($0) } }
    }
}

/// Somebody whose KeyPackages are asked for before a group is founded, to learn whether they have a mailbox at all.
struct MailboxQuestion: Hashable, Sendable {
    /// The group that is founded when they have one.
    var group: GroupID
    var attempts = 0
    /// Unix seconds before which it is not asked again.
    var retryAt: Int64 = 0
}

/// Who stands on which leaf, in the present epoch and in those of which messages may still come.
struct GroupRoster: Sendable {
    struct Entry: Hashable, Sendable {
        var index: UInt32
        var identity: DID
        var device: DID
        /// When its delegation ends.
        var expiresAt: Int64
    }

    var epoch: UInt64 = 0
    var entries: [Entry] = []
    /// Those of the epochs before, the last one first.
    var earlier: [[Entry]] = []

    init() {}

    /// In the order in which they first appear.
    var identities: [DID] {
        var seen: Set<DID> = []
        return entries.map(\.identity).filter { seen.insert($0).inserted }
    }

    func devices(of identity: DID) -> [DID] { entries.filter { $0.identity == identity }.map(\.device) }

    func entry(at index: LeafIndex, epoch: UInt64) -> Entry? {
        guard epoch <= self.epoch, self.epoch - epoch <= earlier.count else { return nil }
        let there = epoch == self.epoch ? entries : earlier[Int(self.epoch - epoch) - 1]
        return there.first { $0.index == index.rawValue }
    }

    var roster: Roster {
        Roster(Dictionary(entries.map { ($0.identity, Set([$0.device])) }) { $0.union($1) })
    }

    var encoded: [UInt8] {
        func list(_ entries: [Entry]) -> [JSONValue] {
            entries.map {
                .array([
                    .int(Int64($0.index)), .string($0.identity.string), .string($0.device.string), .int($0.expiresAt),
                ])
            }
        }
        var row = RowWriter()
        row.put("epoch", Int64(clamping: epoch))
        row.put("leaves", list: list(entries))
        row.put("earlier", list: earlier.map { .array(list($0)) })
        return row.bytes
    }

    init?(decoding bytes: [UInt8]) {
        guard let row = RowReader(bytes) else { return nil }
        func list(_ value: JSONValue?) -> [Entry] {
            (value?.array ?? []).compactMap { value in
                guard let index = value[0]?.int, let identity = value[1]?.string.flatMap({ DID($0) }),
                    let device = value[2]?.string.flatMap({ DID($0) }), let expires = value[3]?.int
                else { return nil }
                return Entry(index: UInt32(clamping: index), identity: identity, device: device, expiresAt: expires)
            }
        }
        epoch = UInt64(clamping: row.int("epoch") ?? 0)
        entries = list(row.value["leaves"])
        earlier = (row.value["earlier"]?.array ?? []).map(list)
    }
}

/// Content that is to disappear.
struct Expiry: Hashable, Sendable {
    var conversation: ULID
    var at: Int64
}

/// A public blob that something waits for.
struct PendingBlob: Sendable {
    enum Purpose: Sendable {
        /// An attachment being uploaded or fetched.
        case attachment(ULID, in: ULID)
        /// The tree of a group, needed to join by this item.
        case tree(StoredItem)
        /// The tree of a group, for a commit that waits.
        case publish(item: ULID, GroupID, [UInt8])
    }

    var purpose: Purpose
    var attempts = 0
    var retryAt: Int64?
}

/// What one batch of items brought, for receipts that are decided at its end. M§10.2
struct Batch: Sendable {
    /// Content of others, by thread.
    var arrived: [ULID: [ULID]] = [:]
}

/// The 5 seconds between two read watermarks. M§10.3
struct ReadThrottle: Hashable, Sendable {
    var toldAt: Int64
    /// Something was read since, and not told.
    var isUntold = false
}
