import DSIPIdentity
import Encoding

/// What one device shows of a conversation and says about it: the timeline, who has, has read and has played what, and who is
/// doing something just now. M§10, M§11.2
///
/// Objects come in as ``MessagingObject`` checked them. Receipts are of identities, not of devices: what a sibling device has said
/// already is not said again.
public struct ConversationClient: Hashable, Sendable {
    /// What the person lets others know. M§10.5
    public struct Policy: Hashable, Sendable {
        public var delivered: Bool
        public var read: Bool
        public var played: Bool
        public var activity: Bool

        /// Private by default: only that a message arrived is told.
        public init(delivered: Bool = true, read: Bool = false, played: Bool = false, activity: Bool = false) {
            self.delivered = delivered
            self.read = read
            self.played = played
            self.activity = activity
        }
    }

    /// Content as far as receipts look at it.
    public struct Entry: Hashable, Sendable {
        public var id: ULID
        public var sender: DID
        public var kind: ContentKind

        public init(id: ULID, sender: DID, kind: ContentKind) {
            self.id = id
            self.sender = sender
            self.kind = kind
        }
    }

    /// One item of the group, opened.
    public enum Item: Hashable, Sendable {
        case content(Entry)
        case receipt(sender: DID, sentAt: Int64, Receipt.Statement)
    }

    public enum Destination: Hashable, Sendable {
        case conversation
        /// The identity's own devices only.
        case personalGroup
    }

    public enum Action: Hashable, Sendable {
        /// The receipt with this `seq` changed what is shown: archive it. M§12.2
        case archive(seq: Int64)
        case send(Receipt.Statement, to: Destination)
        case sendActivity(ActivityKind, Activity.State)
    }

    private struct Shown: Hashable, Sendable {
        var seq: Int64
        var entry: Entry
    }

    private struct Stamp: Hashable, Sendable {
        var seq: Int64
        var at: Int64
    }

    /// Seconds between two watermarks, and between two refreshes of an activity. M§10.3, M§11.2
    public static let readInterval: Int64 = 5
    public static let activityInterval: Int64 = 5
    /// Identities whose activity is remembered, and activities of each.
    static let maximumActive = 256
    static let maximumActivities = 8

    public let me: DID
    public var policy: Policy
    /// Identities in the conversation.
    public var memberIdentities: Int
    private var contents: [ULID: Shown] = [:]
    /// Ascending by `seq`.
    private var order: [ULID] = []
    private var deliveredStamps: [ULID: [DID: Stamp]] = [:]
    private var playedStamps: [ULID: [DID: Stamp]] = [:]
    private var playedHere: Set<ULID> = []
    public private(set) var readThrough: [DID: ULID] = [:]
    private var lastRead: Int64?
    private var hasUnsentRead = false
    private var lastActivity: [ActivityKind: Int64] = [:]
    /// Who is doing what, until when. M§11.2
    public private(set) var activity: [DID: [ActivityKind: Int64]] = [:]

    public init(me: DID, policy: Policy = Policy(), memberIdentities: Int) {
        self.me = me
        self.policy = policy
        self.memberIdentities = memberIdentities
    }

    /// Content in the order it is shown: by the hub's `seq`. M§8.5
    public var timeline: [ULID] { order }
    public var delivered: [ULID: [DID: Int64]] { deliveredStamps.mapValues { $0.mapValues(\.at) } }
    public var played: [ULID: [DID: Int64]] { playedStamps.mapValues { $0.mapValues(\.at) } }

    /// Content by others behind this identity's watermark.
    public var unread: Int {
        let read = readThrough[me].flatMap { contents[$0]?.seq } ?? 0
        return order.reversed().prefix { (contents[$0]?.seq ?? 0) > read }.count { contents[$0]?.entry.sender != me }
    }

    // MARK: What comes in

    /// A batch came: a whole `sync`, or one push. Receipts are decided after the last item of it. M§10.2
    public mutating func received(_ items: [(seq: Int64, item: Item)], at now: Int64) -> [Action] {
        var actions: [Action] = []
        var arrived: [ULID] = []
        for (seq, item) in items {
            switch item {
            case .content(let entry): if show(entry, seq: seq) { arrived.append(entry.id) }
            case .receipt(let sender, let sentAt, let statement):
                if apply(statement, by: sender, sentAt: sentAt, seq: seq) { actions.append(.archive(seq: seq)) }
            }
        }
        guard policy.delivered, memberIdentities <= MessagingProfile.deliveredGroupLimit else { return actions }
        let targets = arrived.filter { contents[$0]?.entry.sender != me && deliveredStamps[$0]?[me] == nil }
        return actions + Self.batches(targets).map { .send(.delivered($0), to: .conversation) }
    }

    /// History was opened: it is shown, and nothing is said about it. M§12.2
    public mutating func restored(_ items: [(seq: Int64, item: Item)]) {
        for (seq, item) in items {
            switch item {
            case .content(let entry): _ = show(entry, seq: seq)
            case .receipt(let sender, let sentAt, let statement):
                _ = apply(statement, by: sender, sentAt: sentAt, seq: seq)
            }
        }
    }

    private mutating func show(_ entry: Entry, seq: Int64) -> Bool {
        guard contents[entry.id] == nil else { return false }
        contents[entry.id] = Shown(seq: seq, entry: entry)
        let index = order.lastIndex { (contents[$0]?.seq ?? 0) <= seq }.map { $0 + 1 } ?? 0
        order.insert(entry.id, at: index)
        return true
    }

    /// - Returns: whether what is shown changed. M§12.2
    private mutating func apply(
        _ statement: Receipt.Statement,
        by sender: DID,
        sentAt: Int64,
        seq: Int64
    ) -> Bool {
        switch statement {
        case .delivered(let targets):
            return stamp(
                &deliveredStamps,
                targets.filter { appliesTo($0, sender) },
                sender,
                Stamp(seq: seq, at: sentAt)
            )
        case .played(let targets):
            // M§10.4: only what can be played.
            let media = targets.filter { appliesTo($0, sender) && isPlayable($0) }
            return stamp(&playedStamps, media, sender, Stamp(seq: seq, at: sentAt))
        case .read(let through): return advance(sender, through: through)
        case .unknown: return false
        }
    }

    /// A receipt is about content that is held, and not by whom it praises.
    private func appliesTo(_ target: ULID, _ sender: DID) -> Bool {
        guard let shown = contents[target] else { return false }
        return shown.entry.sender != sender
    }

    private func isPlayable(_ target: ULID) -> Bool {
        let kind = contents[target]?.entry.kind
        return kind == .audio || kind == .video
    }

    private func stamp(
        _ stamps: inout [ULID: [DID: Stamp]],
        _ targets: [ULID],
        _ sender: DID,
        _ stamp: Stamp
    ) -> Bool {
        var changed = false
        for target in targets {
            if let earlier = stamps[target]?[sender] {
                // The lowest `seq` keeps its time, whichever came first.
                if stamp.seq < earlier.seq { stamps[target]?[sender] = stamp }
            } else {
                stamps[target, default: [:]][sender] = stamp
                changed = true
            }
        }
        return changed
    }

    private mutating func advance(_ identity: DID, through: ULID) -> Bool {
        guard let seq = contents[through]?.seq else { return false }
        if let current = readThrough[identity].flatMap({ contents[$0]?.seq }), seq <= current { return false }
        readThrough[identity] = through
        // A sibling has told what this device was about to tell.
        if identity == me { hasUnsentRead = false }
        return true
    }

    private static func batches(_ targets: [ULID]) -> [[ULID]] {
        stride(from: 0, to: targets.count, by: Receipt.maximumTargets).map {
            Array(targets[$0..<min($0 + Receipt.maximumTargets, targets.count)])
        }
    }

    // MARK: What the person does

    /// The person has seen everything up to `through`.
    public mutating func read(through: ULID, at now: Int64) -> [Action] {
        guard advance(me, through: through) else { return [] }
        if let lastRead, now - lastRead < Self.readInterval {
            hasUnsentRead = true
            return []
        }
        return tellRead(at: now)
    }

    private mutating func tellRead(at now: Int64) -> [Action] {
        guard let through = readThrough[me] else { return [] }
        lastRead = now
        hasUnsentRead = false
        return [.send(.read(through: through), to: policy.read ? .conversation : .personalGroup)]
    }

    /// The person has listened to, or watched, `id`.
    public mutating func play(_ id: ULID) -> [Action] {
        guard policy.played, isPlayable(id), appliesTo(id, me), playedStamps[id]?[me] == nil,
            playedHere.insert(id).inserted
        else { return [] }
        return [.send(.played([id]), to: .conversation)]
    }

    /// The person is typing, or has stopped.
    public mutating func act(_ kind: ActivityKind, _ state: Activity.State, at now: Int64) -> [Action] {
        guard policy.activity else { return [] }
        switch state {
        case .stopped: lastActivity[kind] = nil
        case .active:
            if let last = lastActivity[kind], now - last < Self.activityInterval { return [] }
            lastActivity[kind] = now
        }
        return [.sendActivity(kind, state)]
    }

    /// Somebody's activity came.
    ///
    /// - Parameter expiresAt: of the deposit that carried it first.
    public mutating func received(_ said: Activity, expiresAt: Int64, at now: Int64) {
        guard said.sender != me, expiresAt >= now else { return }
        switch said.state {
        case .stopped:
            activity[said.sender]?[said.kind] = nil
            if activity[said.sender]?.isEmpty == true { activity[said.sender] = nil }
        case .active:
            guard activity[said.sender] != nil || activity.count < Self.maximumActive else { return }
            guard
                activity[said.sender]?[said.kind] != nil
                    || (activity[said.sender]?.count ?? 0) < Self.maximumActivities
            else { return }
            activity[said.sender, default: [:]][said.kind] = expiresAt
        }
    }

    // MARK: Time

    /// When to call ``advance(to:)``.
    public var deadline: Int64? {
        let read = hasUnsentRead ? lastRead.map { $0 + Self.readInterval } : nil
        return (activity.values.flatMap(\.values).map { $0 + 1 } + [read].compactMap(\.self)).min()
    }

    public mutating func advance(to now: Int64) -> [Action] {
        activity = activity.mapValues { $0.filter { $0.value >= now } }.filter { !$0.value.isEmpty }
        guard hasUnsentRead, let lastRead, now - lastRead >= Self.readInterval else { return [] }
        return tellRead(at: now)
    }
}
