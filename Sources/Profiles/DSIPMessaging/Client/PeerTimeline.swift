import Encoding

/// Messages and unanswered calls of one peer in one list. M§13.3
public enum PeerTimeline {
    public struct Message: Hashable, Sendable {
        public var id: String
        /// `sent_at`; a claim, so it places calls and never messages.
        public var at: Int64

        public init(id: String, at: Int64) {
            self.id = id
            self.at = at
        }
    }

    public struct Call: Hashable, Sendable {
        public var session: String
        public var at: Int64
        public var outcome: CallEvent.Outcome

        public init(session: String, at: Int64, outcome: CallEvent.Outcome) {
            self.session = session
            self.at = at
            self.outcome = outcome
        }
    }

    public enum Entry: Hashable, Sendable {
        case message(Message)
        case call(Call)
    }

    /// - Parameters:
    ///   - messages: by `seq` of the direct conversation.
    ///   - calls: by `seq` of the personal group; the first of a session counts.
    /// - Returns: the list, and the calls that were copies of others.
    public static func merge(_ messages: [Message], _ calls: [Call]) -> (timeline: [Entry], collapsed: [Call]) {
        var sessions: Set<String> = []
        var kept: [Call] = []
        var collapsed: [Call] = []
        for call in calls {
            if sessions.insert(call.session).inserted { kept.append(call) } else { collapsed.append(call) }
        }
        // Each call stands before the first message said later than it; messages keep their order whatever times they claim.
        var before: [[Call]] = Array(repeating: [], count: messages.count + 1)
        for call in kept { before[messages.firstIndex { $0.at > call.at } ?? messages.count].append(call) }
        var timeline: [Entry] = []
        for (index, calls) in before.enumerated() {
            timeline += calls.sorted { $0.at < $1.at }.map(Entry.call)
            if index < messages.count { timeline.append(.message(messages[index])) }
        }
        return (timeline, collapsed)
    }
}
