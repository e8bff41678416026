import DSIPIdentity
import DSIPSignaling
import Encoding

/// A call that this identity did not answer, told to its own devices. M§13.3
public struct CallEvent: Hashable, Sendable {
    public enum Direction: String, Hashable, Sendable {
        case inbound, outbound
    }

    /// What became of the call; an unknown token is shown as it is.
    public struct Outcome: RegistryToken {
        public let token: String
        public init(checked token: String) { self.token = token }

        public static let missed = Outcome(checked: "missed")
        public static let declined = Outcome(checked: "declined")
    }

    /// The invite. Devices collapse call events by it, keeping the first by `seq`.
    public var session: ULID
    public var peer: DID
    public var direction: Direction
    public var outcome: Outcome
    /// Unix seconds.
    public var at: Int64

    public init(session: ULID, peer: DID, direction: Direction, outcome: Outcome, at: Int64) {
        self.session = session
        self.peer = peer
        self.direction = direction
        self.outcome = outcome
        self.at = at
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "call-event")
        try members.constant("object", "call-event")
        session = try members.required("session", Read.ulid)
        peer = try members.required("peer", Read.did)
        guard let direction = Direction(rawValue: try members.required("direction", Read.string)) else {
            throw Members.fault("direction is none of its values")
        }
        self.direction = direction
        outcome = Outcome(checked: try members.required("outcome", Read.token))
        at = try members.required("at", Read.natural)
        try members.finish()
    }

    public var json: JSONValue {
        [
            "object": "call-event", "session": .string(session.description), "peer": .string(peer.string),
            "direction": .string(direction.rawValue), "outcome": .string(outcome.token), "at": .int(at),
        ]
    }

    /// What a callee device tells its siblings when its leg of a call has ended; nil for nothing.
    ///
    /// - Parameters:
    ///   - alerted: whether the leg rang here.
    ///   - endedLocally: whether this device ended it.
    public static func outcome(
        alerted: Bool,
        answeredHere: Bool,
        endedLocally: Bool,
        reason: Reason?
    ) -> Outcome? {
        guard alerted, !answeredHere, reason != .sessionAnsweredElsewhere else { return nil }
        return endedLocally && reason == .userDeclined ? .declined : .missed
    }
}
