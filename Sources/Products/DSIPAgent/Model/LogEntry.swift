import DSIPIdentity
import Encoding

/// One line of the call log.
public struct LogEntry: Sendable, Hashable {
    public enum Outcome: String, Sendable { case answered, missed, declined, cancelled, failed, elsewhere }

    public var session: String
    public var owner: DID
    public var direction: Call.Direction
    public var did: DID
    /// The caller's claim, or the name we called; a contact's name goes before it when the line is shown.
    public var name: String?
    public var outcome: Outcome
    public var reason: String?
    public var sentence: String
    public var at: Int64
    /// Seconds from answer to end; 0 when there was no answer.
    public var duration: Int64
    public var video: Bool
    public var seen: Bool

    public init(
        session: String,
        owner: DID,
        direction: Call.Direction,
        did: DID,
        name: String?,
        outcome: Outcome,
        reason: String?,
        sentence: String,
        at: Int64,
        duration: Int64,
        video: Bool,
        seen: Bool
    ) {
        self.session = session
        self.owner = owner
        self.direction = direction
        self.did = did
        self.name = name
        self.outcome = outcome
        self.reason = reason
        self.sentence = sentence
        self.at = at
        self.duration = duration
        self.video = video
        self.seen = seen
    }

    public func json(peer: Peer) -> JSONValue {
        [
            "session": .string(session), "direction": .string(direction.rawValue), "peer": peer.json,
            "outcome": .string(outcome.rawValue), "reason": .optional(reason), "sentence": .string(sentence),
            "at": .int(at), "duration": .int(duration), "video": .bool(video), "seen": .bool(seen),
        ]
    }
}
