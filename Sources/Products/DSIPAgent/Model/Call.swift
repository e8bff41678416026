import DSIPIdentity
import Encoding

/// One call as a page shows it. The engine decides; this is what it decided, in plain values.
public struct Call: Sendable, Hashable {
    public enum Direction: String, Sendable { case outgoing, incoming }
    public enum State: String, Sendable { case connecting, ringing, queued, incoming, active, ended }

    /// What is offered or negotiated, from the descriptors, which decide (B§2.1).
    public struct Media: Sendable, Hashable {
        public var audio: Bool
        public var video: Bool

        public init(audio: Bool, video: Bool) {
            self.audio = audio
            self.video = video
        }

        public var json: JSONValue { ["audio": .bool(audio), "video": .bool(video)] }
    }

    public struct Ending: Sendable, Hashable {
        public var reason: String
        public var sentence: String
        public var missed: Bool

        public init(reason: String, sentence: String, missed: Bool) {
            self.reason = reason
            self.sentence = sentence
            self.missed = missed
        }

        var json: JSONValue {
            ["reason": .string(reason), "sentence": .string(sentence), "missed": .bool(missed)]
        }
    }

    /// An inbound update that waits for the page's answer (DSIP §12.8).
    public struct PendingUpdate: Sendable, Hashable {
        public var id: String
        public var media: Media

        public init(id: String, media: Media) {
            self.id = id
            self.media = media
        }
    }

    public var session: String
    public var direction: Direction
    public var peer: Peer
    public var state: State
    public var media: Media
    /// `user`, `service`, `screening` or `gateway`; unknown values read as `service` (DSIP §14.3).
    public var answeredBy: String?
    public var screening = false
    public var held = false
    public var remoteHeld = false
    public var progress: [Hop] = []
    public var startedAt: Int64
    public var answeredAt: Int64?
    public var endedAt: Int64?
    public var ended: Ending?
    public var update: PendingUpdate?
    /// The other device takes an update that restarts ICE (`ice-restart/1.0`).
    public var canRestart = false
    /// The page that holds the media of this call.
    public var holder: PageID?

    public init(session: String, direction: Direction, peer: Peer, state: State, media: Media, startedAt: Int64) {
        self.session = session
        self.direction = direction
        self.peer = peer
        self.state = state
        self.media = media
        self.startedAt = startedAt
    }

    /// - Parameter page: who is looking, for `claimed_by_me`.
    public func json(for page: PageID?) -> JSONValue {
        [
            "session": .string(session), "direction": .string(direction.rawValue), "peer": peer.json,
            "state": .string(state.rawValue), "media": media.json, "answered_by": .optional(answeredBy),
            "screening": .bool(screening), "held": .bool(held), "remote_held": .bool(remoteHeld),
            "claimed": .bool(holder != nil), "claimed_by_me": .bool(holder != nil && holder == page),
            "progress": .array(progress.map(\.json)), "started_at": .int(startedAt),
            "answered_at": .optional(answeredAt), "ended_at": .optional(endedAt), "ended": ended?.json ?? .null,
            "can_restart": .bool(canRestart),
            "update": update.map { ["id": .string($0.id), "media": $0.media.json] } ?? .null,
        ]
    }
}

/// A connection of a page to the local API; `PageID.request` stands for plain HTTP requests.
public struct PageID: Sendable, Hashable {
    let number: UInt64

    public static let request = PageID(number: 0)
}
