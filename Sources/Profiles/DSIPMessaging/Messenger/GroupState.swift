import DSIPIdentity
import Encoding

/// Where the device stands in one MLS group, but for the secrets: a small row, in memory for every group.
struct GroupState: Sendable {
    enum Phase: String, Sendable {
        /// The hub does not have the first GroupInfo yet. M§6.5 rule 6
        case founding
        case active
        /// The device cannot follow any more: it joins anew by external commit. M§6.8
        case lost
        /// Removed, left, or superseded.
        case left
    }

    let id: GroupID
    /// The conversation record that shows it.
    var thread: ULID
    var conversation: ULID
    var kind: ConversationKind
    var hub: HubReference
    var successorOf: GroupID?
    /// Of several groups of a thread the one with the highest goes on: predecessors and duplicates that lost are below. M§7.5, M§7.2
    var generation: Int64 = GroupState.firstGeneration
    /// Where its lines stand in the thread: those of the group that goes on last, those of others by when their groups were made, so
    /// that all devices show one order whichever way they came to know of a group.
    var place: Int64 = GroupState.lastPlace
    var phase: Phase
    /// Messages of earlier epochs cannot be read. M§12.3
    var joinedEpoch: UInt64 = 0
    /// Of one that was left: the last epoch this device knew.
    var leftEpoch: UInt64 = 0
    /// As far as this device can tell, for ``DirectConversation``; who came later takes the conversation's own word.
    var createdAt: Int64
    var position: GroupPosition?
    var waiting: [GapTracker.Held] = []
    var outage: HubOutage
    /// What is to become of the roster, in order; the first may be under way.
    var changes: [GroupChange] = []
    /// The outbox item of the commit or external commit that was deposited.
    var commitItem: ULID?
    /// Commits made for the first change.
    var attempts = 0
    /// The hub refused; the device reads until the group has passed this epoch.
    var passing: UInt64?
    /// When it is joined anew if it has not. Unix seconds.
    var passUntil: Int64?
    /// When to act again on changes, or on being lost. Unix seconds.
    var retryAt: Int64?
    /// When it is left, another having taken its place. M§7.2
    var leaveAt: Int64?
    /// Tries at coming back; none where documents were missing.
    var rejoins = 0
    /// When the own leaf is to be renewed. M§6.2
    var renewAt: Int64 = .max
    /// When this device is to take out leaves of others whose delegations ended long ago. M§6.2
    var lapsesAt: Int64 = .max
    /// When this device publishes the GroupInfo if whoever made the present epoch has not. M§6.8
    var infoDueAt: Int64?
    /// Whether the mailbox knows that the owner is in it. M§6.6
    var isConfirmed = false
    /// Of the group's title: where it was said last.
    var titleOrder: Int64 = 0
    /// When items that did not open were last asked for, and which wait.
    var askedAt: Int64 = 0
    var unopened: [Int64] = []
    var answeredAt: Int64 = 0
    var answered = 0
    /// Deposits were taken back that may have been ordered.
    var hasStrays = false
    /// A document that is not known holds up what follows.
    var stalledOn: DID?
    /// This identity is on its way out: nothing more is said in it, and its thread may go on in another.
    var isLeaving = false
    /// What is said in a new group is held until those wanted in it at its making are in, and at most until then: whoever comes
    /// later cannot read what was said before. `gathering` until this device is connected; nil when nothing is held any more.
    var gathersUntil: Int64?
    /// Whether some of those that the group was made with are still to come in.
    var awaitsFounders = false
    /// What was said here meanwhile, and so is for them too.
    var owed: [Int64] = []
    /// It has moved to a hub that nobody has heard of yet. M§7.4
    var handover: Handover?

    struct Handover: Hashable, Sendable {
        /// Of the commit that moved it.
        var seq: Int64
        /// When this device, whose own mailbox the new hub is, is to found it there, should nobody have. Unix seconds.
        var publishAt: Int64?
    }

    static let firstGeneration: Int64 = 16
    static let maximumChanges = 64
    static let maximumUnopened = 1024
    static let gathering: Int64 = 1 << 52
    /// Seconds after its delegation's end for which a leaf is left alone: its device may be away, and come back with a new one.
    static let lapseGrace: Int64 = 604_800
    /// Seconds by which each further leaf waits for those before it to do so.
    static let lapseTurn: Int64 = 3600
    /// Seconds in which whoever made an epoch publishes its GroupInfo, and by which each further leaf waits longer to do it instead.
    static let infoPatience: Int64 = 30
    static let infoTurn: Int64 = 15
    /// Seconds that first messages are held, while connected.
    static let gatheringPatience: Int64 = 30

    init(
        _ id: GroupID,
        thread: ULID,
        conversation: ULID,
        kind: ConversationKind,
        hub: HubReference,
        phase: Phase,
        outage: HubOutage,
        at now: Int64
    ) {
        self.id = id
        self.thread = thread
        self.conversation = conversation
        self.kind = kind
        self.hub = hub
        self.phase = phase
        self.outage = outage
        createdAt = now
    }

    var isPersonal: Bool { kind.effective == .personal }

    /// Where a `seq` of this group stands in the thread. Calls take the even numbers between. Below 2^52.
    func order(_ seq: Int64) -> Int64 { Self.order(seq, at: place) }

    static func order(_ seq: Int64, at place: Int64) -> Int64 {
        (place << 23 + min(max(seq, 0), (1 << 23) - 1)) << 1 | 1
    }

    static let lastPlace: Int64 = 1 << 28 - 1

    /// The place of a group that does not go on: when it was made, by its id, in units of four seconds since 2024.
    static func place(of id: GroupID) -> Int64 {
        guard let made = id.ulid?.seconds else { return 1 }
        return min(max((made - 1_704_067_200) / 4, 1), lastPlace - 1)
    }
}

/// A change of a group that this device wants made. M§7.3
enum GroupChange: Hashable, Sendable {
    case add([DID])
    case remove([DID])
    /// Devices of this identity. M§12.3
    case addDevices([DID])
    case removeDevices([DID])
    /// A renewed delegation in the own leaf. M§6.2
    case renew
    /// Proposals of others wait.
    case commitProposals
    /// Removes of all own leaves are proposed, for somebody else to commit.
    case leave
    /// Whoever lapsed. M§6.2
    case removeLapsed([DID])
    /// The group goes on at another hub. M§7.4
    case move(HubReference)

    var isAddition: Bool { if case .add = self { true } else { false } }

    /// Whether it brings devices in, so that half of it is worth something too.
    var isGrowth: Bool {
        switch self {
        case .add, .addDevices: true
        case .remove, .removeDevices, .renew, .commitProposals, .leave, .removeLapsed, .move: false
        }
    }

    var json: JSONValue {
        func made(_ kind: String, _ list: [DID] = []) -> JSONValue {
            ["kind": .string(kind), "who": .array(list.map { .string($0.string) })]
        }
        return switch self {
        case .add(let list): made("add", list)
        case .remove(let list): made("remove", list)
        case .addDevices(let list): made("add-devices", list)
        case .removeDevices(let list): made("remove-devices", list)
        case .renew: made("renew")
        case .commitProposals: made("commit")
        case .leave: made("leave")
        case .removeLapsed(let list): made("remove-lapsed", list)
        case .move(let hub): ["kind": "move", "hub": hub.json]
        }
    }

    init?(_ row: RowReader) {
        let list = row.dids("who")
        switch row.text("kind") {
        case "add": self = .add(list)
        case "remove": self = .remove(list)
        case "add-devices": self = .addDevices(list)
        case "remove-devices": self = .removeDevices(list)
        case "renew": self = .renew
        case "commit": self = .commitProposals
        case "leave": self = .leave
        case "remove-lapsed": self = .removeLapsed(list)
        case "move":
            guard let hub = row.value["hub"].flatMap({ try? HubReference.read($0, "hub") }) else { return nil }
            self = .move(hub)
        default: return nil
        }
    }
}
