import DSIPIdentity
import Encoding

/// How we stand with our own relay.
public struct RelayStatus: Sendable, Hashable {
    public enum State: String, Sendable { case connecting, connected, waiting, refused }

    public var url: String
    public var did: DID?
    public var state: State
    public var since: Int64
    public var retryAt: Int64?
    public var sentence: String
    /// `stun:host:port`, from the relay's signed hello.
    public var stun: [String]

    public init(
        url: String,
        did: DID? = nil,
        state: State,
        since: Int64,
        retryAt: Int64? = nil,
        sentence: String,
        stun: [String] = []
    ) {
        self.url = url
        self.did = did
        self.state = state
        self.since = since
        self.retryAt = retryAt
        self.sentence = sentence
        self.stun = stun
    }

    public var json: JSONValue {
        [
            "url": .string(url), "did": .optional(did?.string), "state": .string(state.rawValue), "since": .int(since),
            "retry_at": .optional(retryAt), "sentence": .string(sentence), "stun": .array(stun.map { .string($0) }),
        ]
    }
}
