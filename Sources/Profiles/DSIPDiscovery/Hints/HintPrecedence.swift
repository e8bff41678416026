/// Which of two records about one subject stands (DSIP §8.3). The held one is live: what has expired is absent.
public struct HintPrecedence: Hashable, Sendable {
    public enum Conflict: String, Hashable, Sendable {
        case none
        case newerSeq = "newer-seq"
        case olderSeq = "older-seq"
        /// Two records that claim to be the same one: the held one stays, and somebody should know.
        case sameSeqLive = "same-seq-live"
    }

    /// Whether the record that came takes the place of the held one.
    public let replaces: Bool
    public let conflict: Conflict

    /// Nothing live is held.
    public static let first = HintPrecedence(replaces: true, conflict: .none)

    private init(replaces: Bool, conflict: Conflict) {
        self.replaces = replaces
        self.conflict = conflict
    }

    public init<Seq: Comparable>(of seq: Seq, over held: Seq, isSameContent: @autoclosure () -> Bool) {
        if seq > held {
            self.init(replaces: true, conflict: .newerSeq)
        } else if seq < held {
            self.init(replaces: false, conflict: .olderSeq)
        } else {
            self.init(replaces: false, conflict: isSameContent() ? .none : .sameSeqLive)
        }
    }
}
