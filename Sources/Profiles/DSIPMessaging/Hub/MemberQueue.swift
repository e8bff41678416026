/// What one identity's mailbox still has to be brought, as ranges of `seq`: while the identity is a member the last range has no
/// end, so that an item ordered adds itself to every queue. M§6.5
public struct MemberQueue: Hashable, Sendable {
    public struct Stretch: Hashable, Sendable {
        /// The first `seq` that is not acknowledged.
        public var first: Int64
        /// The last one for this identity: the commit that removed it; nil while it is a member.
        public var last: Int64?

        public init(first: Int64, last: Int64? = nil) {
            self.first = first
            self.last = last
        }
    }

    /// Ascending; a removed identity that comes back before it has had everything has more than one.
    public private(set) var stretches: [Stretch]
    /// Welcomes on their way, by the `seq` of their commit.
    public internal(set) var welcomes: [Int64] = []
    /// A commit brought the identity in, and its mailbox has not taken the welcome: the queue is held, for want of a registration.
    public internal(set) var isUnregistered = false

    /// Comings and goings remembered at once.
    static let maximumStretches = 16

    public init(stretches: [Stretch], welcomes: [Int64] = [], isUnregistered: Bool = false) {
        self.stretches = stretches
        self.welcomes = welcomes
        self.isUnregistered = isUnregistered
    }

    /// The `seq` to send next, when one is ordered.
    ///
    /// - Parameter end: the next `seq` to be given out.
    public func head(before end: Int64) -> Int64? {
        guard let first = stretches.first, first.first < end else { return nil }
        return first.first
    }

    /// All of it, for looking at.
    public func seqs(before end: Int64) -> [Int64] {
        stretches.flatMap { stretch -> [Int64] in
            let last = stretch.last ?? end - 1
            return stretch.first <= last ? Array(stretch.first...last) : []
        }
    }

    /// Nothing can be sent: all is acknowledged, or the queue is held and no welcome is on its way to release it.
    public func isIdle(before end: Int64) -> Bool {
        welcomes.isEmpty && (isUnregistered || head(before: end) == nil)
    }

    mutating func joined(after seq: Int64) {
        guard stretches.last.map({ $0.last != nil }) ?? true else { return }
        stretches.append(Stretch(first: seq + 1))
        // What lies furthest back goes: its devices take it for a gap and re-join.
        if stretches.count > Self.maximumStretches { stretches.removeFirst() }
    }

    mutating func left(with seq: Int64) {
        guard let last = stretches.indices.last, stretches[last].last == nil else { return }
        stretches[last].last = seq
    }

    /// What another hub ordered between `last` and `first` is not of this queue.
    mutating func returned(from last: Int64, at first: Int64, isMember: Bool) {
        left(with: last)
        stretches.removeAll { stretch in stretch.last.map { stretch.first > $0 } ?? false }
        if isMember { joined(after: first - 1) }
    }

    /// The head is acknowledged, or kept no more.
    mutating func pop() {
        guard !stretches.isEmpty else { return }
        stretches[0].first += 1
        if let last = stretches[0].last, stretches[0].first > last { stretches.removeFirst() }
    }

    /// Items below `seq` are kept no more.
    mutating func skip(below seq: Int64) {
        while let stretch = stretches.first, stretch.first < seq {
            if let last = stretch.last, last < seq {
                stretches.removeFirst()
            } else {
                stretches[0].first = seq
            }
        }
        welcomes.removeAll { $0 < seq }
    }
}
