import DSIPIdentity

/// Everything a device decides about what its mailboxes hand it, before MLS sees a byte: from several mailboxes at once, with gaps,
/// copies and welcomes in any order. M§4.2, M§5.4, M§6.5, M§8.5, M§12.3
///
/// It is ``DeviceSync`` for each mailbox and ``GapTracker`` for each group in one durable value. The owner keeps what is held (its
/// bytes, with its `seq`) and commits it, this value, and what an item led to in one transaction; only then may the cursor be
/// acknowledged.
public struct DeviceInbox: Hashable, Sendable {
    public enum Action: Hashable, Sendable {
        /// Process the item that came.
        case process
        /// Process these held items of the group now, in this order.
        case release([Int64])
        /// Keep the item until the gap before it fills.
        case hold
        case duplicate
        /// A welcome for a sibling device.
        case siblings
        /// Of a group this device is not in: passed over without error. M§12.3
        case skip
        /// The gap did not fill: drop what is held of the group, join it by external commit. M§6.8
        case rejoin(GroupID, dropped: [Int64])
    }

    /// Groups a device follows; a mailbox that invents more is not believed.
    public static let maximumGroups = 16_384

    public let gapTimeout: Int64
    /// Where each mailbox has been read to.
    public internal(set) var cursors: [DID: Cursor] = [:]
    var trackers: [GroupID: GapTracker] = [:]
    /// Joined by a welcome that did not say where to start.
    var unplaced: Set<GroupID> = []

    public init(gapTimeout: Int64 = MessagingProfile.gapTimeout) { self.gapTimeout = gapTimeout }

    public var groups: Set<GroupID> { Set(trackers.keys).union(unplaced) }

    public func position(in group: GroupID) -> GroupPosition? { trackers[group]?.position }

    public func held(in group: GroupID) -> [Int64] { trackers[group]?.held ?? [] }

    /// What the last re-join passed over that had never come. ``GapTracker/missed``
    public func missed(in group: GroupID) -> [Int64] { trackers[group]?.missed ?? [] }

    /// When to call ``advance(to:)``.
    public var deadline: Int64? { trackers.values.compactMap(\.deadline).min() }

    /// An item came from `mailbox`.
    public mutating func received(_ item: DeviceSync.Item, from mailbox: DID, at now: Int64) -> [Action] {
        cursors[mailbox] = item.cursor
        guard let group = item.group else { return [.process] }
        switch item.itemClass {
        case .welcome: return [welcome(item, to: group)]
        case .handshake, .application:
            guard let seq = item.seq else { return [.skip] }
            return sequenced(seq, of: group, isHandshake: item.itemClass == .handshake, at: now)
        default: return [.process]
        }
    }

    private mutating func welcome(_ item: DeviceSync.Item, to group: GroupID) -> Action {
        if trackers[group] != nil || unplaced.contains(group) { return .duplicate }
        if item.isSiblings { return .siblings }
        guard groups.count < Self.maximumGroups else { return .skip }
        if let seq = item.seq {
            trackers[group] = tracker(at: seq)
        } else {
            unplaced.insert(group)
        }
        return .process
    }

    /// The welcome had to wait and is used now: the group is read from its `seq` on, whatever came meanwhile.
    public mutating func welcomed(to group: GroupID, at seq: Int64?) {
        left(group)
        guard groups.count < Self.maximumGroups else { return }
        if let seq { trackers[group] = tracker(at: seq) } else { unplaced.insert(group) }
    }

    private mutating func sequenced(_ seq: Int64, of group: GroupID, isHandshake: Bool, at now: Int64) -> [Action] {
        if unplaced.remove(group) != nil { trackers[group] = tracker(at: seq - 1) }
        guard let actions = trackers[group]?.received(seq, isHandshake: isHandshake, at: now) else { return [.skip] }
        return translate(actions, of: group, arrived: seq)
    }

    /// The item that was to be processed waits for what is missing before it. ``GapTracker/holdBack(_:at:)``
    public mutating func holdBack(_ seq: Int64, of group: GroupID, at now: Int64) -> Bool {
        trackers[group]?.holdBack(seq, at: now) ?? false
    }

    private func tracker(at seq: Int64) -> GapTracker {
        GapTracker(position: GroupPosition(contiguous: seq), timeout: gapTimeout)
    }

    private func translate(_ actions: [GapTracker.Action], of group: GroupID, arrived: Int64?) -> [Action] {
        var translated: [Action] = []
        var released: [Int64] = []
        for action in actions {
            switch action {
            case .process(let seq): if seq == arrived { translated.append(.process) } else { released.append(seq) }
            case .hold: translated.append(.hold)
            case .duplicate: translated.append(.duplicate)
            case .rejoin(let held): translated.append(.rejoin(group, dropped: held))
            }
        }
        return translated + (released.isEmpty ? [] : [.release(released)])
    }

    /// The hub ordered what this device sent.
    public mutating func sent(_ seq: Int64, in group: GroupID) -> [Action] {
        if unplaced.remove(group) != nil { trackers[group] = tracker(at: seq - 1) }
        return translate(trackers[group]?.sent(seq) ?? [], of: group, arrived: nil)
    }

    /// This device made the group: the hub counts from 1.
    public mutating func created(_ group: GroupID) {
        guard groups.count < Self.maximumGroups else { return }
        trackers[group] = tracker(at: 0)
    }

    /// The hub took the external commit that brings this device in, with `seq`.
    ///
    /// What was held before it is to be dropped.
    public mutating func rejoined(_ group: GroupID, at seq: Int64) -> [Action] {
        unplaced.remove(group)
        if trackers[group] == nil { trackers[group] = tracker(at: seq) }
        return translate(trackers[group]?.rejoined(at: seq) ?? [], of: group, arrived: nil)
    }

    public mutating func left(_ group: GroupID) {
        trackers[group] = nil
        unplaced.remove(group)
    }

    /// The mailbox does not know the cursor: it is read from the start.
    public mutating func receivedCursorInvalid(from mailbox: DID) { cursors[mailbox] = nil }

    public func request(to mailbox: DID, limit: Int64? = nil, live: Bool = false) -> SyncRequest {
        SyncRequest(since: cursors[mailbox], ackThrough: cursors[mailbox], limit: limit, live: live)
    }

    public mutating func advance(to now: Int64) -> [Action] {
        var actions: [Action] = []
        for group in trackers.keys.sorted() {
            guard let expired = trackers[group]?.advance(to: now), !expired.isEmpty else { continue }
            actions += translate(expired, of: group, arrived: nil)
        }
        return actions
    }
}
