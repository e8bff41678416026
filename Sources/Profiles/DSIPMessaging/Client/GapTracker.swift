/// Decides, item by item, what a device may process of a group whose `seq` has gaps, and when it gives up and re-joins. M§6.5
///
/// A handshake beyond a gap is held, and whatever follows a held one; application items with no held handshake before them are
/// processed at once. Held items are kept durably by the owner, who may acknowledge them.
public struct GapTracker: Hashable, Sendable {
    public enum Action: Hashable, Sendable {
        case process(Int64)
        case hold(Int64)
        case duplicate(Int64)
        /// The gap did not fill: drop what is held and join anew by external commit. M§6.8
        case rejoin(held: [Int64])
    }

    /// An item that waits for the gap before it to fill.
    public struct Held: Hashable, Sendable {
        public var seq: Int64
        public var isHandshake: Bool
        /// Unix seconds.
        public var since: Int64

        public init(seq: Int64, isHandshake: Bool, since: Int64) {
            self.seq = seq
            self.isHandshake = isHandshake
            self.since = since
        }
    }

    /// Items held before the device gives up at once.
    public static let maximumHeld = 1024
    public static let maximumMissed = 1024

    public let timeout: Int64
    public private(set) var position: GroupPosition
    /// Ascending by `seq`.
    public private(set) var waiting: [Held]
    /// What a re-join passed over that had never come, the last of it, ascending: it may still have been said to this device. It is of
    /// the event that led to the re-join, and not kept.
    public private(set) var missed: [Int64] = []

    /// - Parameters:
    ///   - waiting: what was held when the state was committed.
    ///   - timeout: seconds, the device's own choice.
    public init(position: GroupPosition, waiting: [Held] = [], timeout: Int64 = MessagingProfile.gapTimeout) {
        self.position = position
        self.waiting = waiting.sorted { $0.seq < $1.seq }
        self.timeout = max(0, timeout)
    }

    public var held: [Int64] { waiting.map(\.seq) }

    /// When to call ``advance(to:)``; nil while nothing is held.
    public var deadline: Int64? { waiting.map { $0.since &+ timeout }.min() }

    /// An item came from the mailbox.
    ///
    /// - Parameter now: Unix seconds.
    public mutating func received(_ seq: Int64, isHandshake: Bool, at now: Int64) -> [Action] {
        guard !position.contains(seq), !waiting.contains(where: { $0.seq == seq }) else { return [.duplicate(seq)] }
        let isNext = seq == position.contiguous + 1
        let followsHeld = waiting.first.map { $0.seq < seq } ?? false
        if !isNext, isHandshake || followsHeld {
            hold(Held(seq: seq, isHandshake: isHandshake, since: now))
            return waiting.count > Self.maximumHeld ? [.hold(seq), rejoin()] : [.hold(seq)]
        }
        position.pass(seq)
        return [.process(seq)] + release()
    }

    /// `seq`, which was to be processed, is of an epoch that what is missing before it leads to: it waits like a handshake.
    ///
    /// - Returns: whether anything before it is missing.
    public mutating func holdBack(_ seq: Int64, at now: Int64) -> Bool {
        guard seq - 1 > position.contiguous, waiting.count < Self.maximumHeld,
            !waiting.contains(where: { $0.seq == seq })
        else { return false }
        position.withdraw(seq)
        hold(Held(seq: seq, isHandshake: true, since: now))
        return true
    }

    private mutating func hold(_ item: Held) {
        waiting.insert(item, at: waiting.firstIndex { $0.seq > item.seq } ?? waiting.count)
    }

    /// The hub ordered what this device sent: it counts as processed. M§6.5
    public mutating func sent(_ seq: Int64) -> [Action] {
        position.pass(seq)
        waiting.removeAll { $0.seq == seq }
        return release()
    }

    /// The device is in the group anew, from `seq` on: what was held before it is dropped, what is behind it goes on.
    public mutating func rejoined(at seq: Int64) -> [Action] {
        let seq = max(seq, position.contiguous)
        missed = holes(through: seq)
        position = GroupPosition(contiguous: seq, beyond: position.beyond.filter { $0 > seq })
        waiting.removeAll { $0.seq <= seq }
        return release()
    }

    public mutating func advance(to now: Int64) -> [Action] {
        guard let deadline, deadline <= now else { return [] }
        return [rejoin()]
    }

    private mutating func rejoin() -> Action {
        let dropped = held
        let last = max(position.highest, dropped.last ?? 0)
        missed = holes(through: last)
        position.pass(through: last)
        waiting = []
        return .rejoin(held: dropped)
    }

    /// What has not come up to `seq`, the last of it.
    private func holes(through seq: Int64) -> [Int64] {
        let first = max(position.contiguous, seq - 2 * Int64(Self.maximumMissed))
        guard first < seq else { return [] }
        let held = Set(held)
        return (first + 1...seq).filter { !position.contains($0) && !held.contains($0) }.suffix(Self.maximumMissed)
    }

    /// What the gap no longer holds, in order.
    private mutating func release() -> [Action] {
        var actions: [Action] = []
        while let first = waiting.first {
            if !position.contains(first.seq) {
                guard first.seq == position.contiguous + 1 || !first.isHandshake else { break }
                position.pass(first.seq)
                actions.append(.process(first.seq))
            }
            waiting.removeFirst()
        }
        return actions
    }
}
